"""FER+: votes joined to FER2013 by row."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from fer_core.datasets import open_dataset
from fer_core.datasets.votes import VOTES, majority, multi_target, probability
from fer_core.errors import DataError
from fer_core.images import ImageSpec

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


@pytest.mark.parametrize(
    ("counts", "label"),
    [
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], "neutral"),
        ([4, 0, 0, 4, 1, 1, 0, 0, 0, 0], ""),  # the two single votes go; 4 of 8 is not more than half
        ([5, 1, 1, 1, 1, 1, 0, 0, 0, 0], "neutral"),  # five single votes go; 5 of 5
        ([3, 2, 2, 2, 1, 0, 0, 0, 0, 0], ""),  # 3 of 9
        ([0, 0, 0, 0, 0, 0, 0, 6, 4, 0], "contempt"),
        ([2, 0, 0, 0, 0, 0, 0, 0, 0, 8], "no face"),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], ""),
    ],
)
def test_the_majority_follows_its_authors_rule(counts: list[int], label: str) -> None:
    assert majority(pd.DataFrame([counts], columns=list(VOTES.values()))).tolist() == [label]


# neutral, happy, surprise, sad, angry, disgust, fear, contempt, unknown, no face
@pytest.mark.parametrize(
    ("counts", "shares"),
    [
        ([9, 1, 0, 0, 0, 0, 0, 0, 0, 0], [1]),  # the single vote goes
        ([5, 3, 2, 0, 0, 0, 0, 0, 0, 0], [5 / 8, 3 / 8]),  # 8 of 10 are 75 %: the third is not needed
        ([4, 3, 3, 0, 0, 0, 0, 0, 0, 0], [0.4, 0.3, 0.3]),  # the two second ones come together
        ([3, 3, 2, 2, 0, 0, 0, 0, 0, 0], []),  # 6 of 10 are under 75 %, and the next two make four
        ([4, 2, 2, 2, 0, 0, 0, 0, 0, 0], []),  # the same with one first and three second
        ([5, 0, 0, 0, 0, 0, 0, 0, 5, 0], []),  # unknown ends the list, and 5 of 10 are not more than half
        ([6, 0, 0, 0, 0, 0, 0, 0, 4, 0], [1]),  # it ends the list, and 6 of 10 are
        ([2, 0, 0, 0, 0, 0, 0, 0, 8, 0], [0, 0, 0, 0, 0, 0, 0, 0, 1]),  # nobody knows
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], []),
    ],
)
def test_shares_follow_their_authors_rule(counts: list[int], shares: list[float]) -> None:
    found = probability(pd.DataFrame([counts], columns=list(VOTES.values())))
    np.testing.assert_allclose(found, [shares + [0] * (10 - len(shares))])


@pytest.mark.parametrize(
    ("counts", "targets"),
    [
        ([5, 3, 2, 0, 0, 0, 0, 0, 0, 0], [5 / 8, 3 / 8]),
        ([3, 3, 2, 2, 0, 0, 0, 0, 0, 0], [1 / 2, 1 / 2]),  # 6 of 10
        ([3, 2, 2, 2, 1, 0, 0, 0, 0, 0], []),  # of 9 votes only one choice has 30 %, and it has a third
        ([5, 0, 0, 0, 0, 0, 0, 0, 0, 5], [1 / 2, 0, 0, 0, 0, 0, 0, 0, 0, 1 / 2]),
    ],
)
def test_targets_follow_their_authors_rule(counts: list[int], targets: list[float]) -> None:
    found = multi_target(pd.DataFrame([counts], columns=list(VOTES.values())))
    np.testing.assert_allclose(found, [targets + [0] * (10 - len(targets))])


@pytest.fixture
def folder(tmp_path: Path, pictures: NDArray[np.uint8], csv_of: Callable[..., str]) -> Path:
    """Four images; the votes' file has two rows more, as if PrivateTest were kept back, and one row without a name."""
    (tmp_path / "fer2013.csv").write_text(
        csv_of(
            [
                (0, pictures[0], "Training"),
                (1, pictures[1], "Training"),
                (2, pictures[2], "Training"),
                (3, pictures[3], "PublicTest"),
            ]
        )
    )
    rows = [
        "Training,fer0000000.png,0,9,0,0,1,0,0,0,0,0",
        "Training,,0,0,0,0,0,0,0,0,0,10",
        "Training,fer0000087.png,4,4,1,1,0,0,0,0,0,0",
        "PublicTest,fer0000088.png,0,0,0,0,0,0,0,10,0,0",
        "PrivateTest,fer0000089.png,10,0,0,0,0,0,0,0,0,0",
    ]
    (tmp_path / "fer2013new.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return tmp_path


def test_votes_beside_other_images_are_joined_by_row_and_never_by_name(
    folder: Path, pictures: NDArray[np.uint8]
) -> None:
    dataset = open_dataset(folder / "fer2013new.csv")
    assert dataset.name == "fer2013new"  # three votes are not FER+
    assert dataset.index[["id", "split", "label"]].to_numpy().tolist() == [
        ["00000", "train", "happy"],
        ["00003", "val", "contempt"],
    ]
    np.testing.assert_array_equal(dataset.images(ImageSpec()), pictures[[0, 3]])
    assert dataset.index["votes_contempt"].tolist() == [0, 10]
    assert [(bad.id, bad.reason) for bad in dataset.skipped] == [
        ("1 image", "no majority among the voters"),
        ("1 image", "voted unknown or no face"),
    ]


def test_without_the_pictures_the_remedy_is_named(folder: Path) -> None:
    (folder / "fer2013.csv").unlink()
    with pytest.raises(DataError, match=r"put FER2013's fer2013\.csv"):
        open_dataset(folder / "fer2013new.csv")


def test_a_csv_in_another_order_is_refused(folder: Path) -> None:
    header, *rows = (folder / "fer2013.csv").read_text().splitlines()
    (folder / "fer2013.csv").write_text("\n".join([header, *rows[::-1]]) + "\n")
    with pytest.raises(DataError, match="do not belong together"):
        open_dataset(folder / "fer2013new.csv")


def test_a_mode_is_a_set_of_its_own_with_targets(folder: Path) -> None:
    dataset = open_dataset(f"{folder / 'fer2013new.csv'}@probability")
    assert dataset.name == "fer2013new-probability"
    index = dataset.index.set_index("id")
    # of 4 neutral, 4 happy, 1 surprise, 1 sad the single ones go, and the two equal ones stay
    assert index["label"].to_dict() == {"00000": "happy", "00002": "neutral", "00003": "contempt"}
    targets = index[[f"target_{name}" for name in dataset.expressions.names]]
    assert targets.loc["00002"].to_dict() == dict.fromkeys(targets, 0.0) | {"target_neutral": 0.5, "target_happy": 0.5}
    np.testing.assert_allclose(targets.sum(axis=1), 1)


def test_a_changed_csv_beside_the_votes_is_read_anew(
    folder: Path, pictures: NDArray[np.uint8], csv_of: Callable[..., str]
) -> None:
    open_dataset(folder / "fer2013new.csv")
    (folder / "fer2013.csv").write_text(csv_of([(0, pictures[9], "Training")]))
    dataset = open_dataset(folder / "fer2013new.csv")
    np.testing.assert_array_equal(dataset.images(ImageSpec()), pictures[9:10])
