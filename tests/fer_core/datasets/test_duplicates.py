"""Images that occur twice: what is found, what is not, and what follows for a figure."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import fer_core
from fer_core.datasets import Dataset, open_dataset, splits
from fer_core.datasets.duplicates import KINDS, across, contradicting, duplicates_of, find_duplicates, leaks
from fer_core.datasets.leaks import leak_warning, leaks_of, shipped_leaks
from fer_core.errors import DataError
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.results import without_leaks
from fer_core.labels import FER7
from tests.faces import large

FACES = large()


def small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((48, 48), Image.Resampling.BOX))


def test_every_kind_of_twin_is_found_and_nothing_else() -> None:
    images = np.stack([small(face) for face in FACES])
    rescaled = np.asarray(Image.fromarray(small(FACES[3])).resize((31, 31)).resize((48, 48)))
    brighter = np.clip(small(FACES[4]) * 0.7 + 30, 0, 255).astype(np.uint8)
    noisy = np.clip(images[5][:, ::-1] + np.random.default_rng(0).normal(0, 4, (48, 48)), 0, 255).astype(np.uint8)
    added = np.stack([images[0], images[1][:, ::-1], rescaled, brighter, noisy])
    found = find_duplicates(np.concatenate([images, added]))
    assert found.pairs[["first", "second", "kind"]].to_numpy().tolist() == [
        [0, 40, "identical"],
        [1, 41, "mirrored"],
        [3, 42, "near"],
        [4, 43, "near"],
        [5, 44, "near, mirrored"],
    ]
    assert found.pairs["similarity"][0] == 1
    assert found.groups == 5
    assert found.group[[0, 40]].tolist() == [0, 0]
    assert (found.group == -1).sum() == 35


def test_similarity_is_pearsons_correlation_of_the_pixels() -> None:
    one = small(FACES[0])
    other = np.clip(one + np.random.default_rng(1).normal(0, 8, one.shape), 0, 255).astype(np.uint8)
    found = find_duplicates(np.stack([one, other]))
    assert found.pairs["similarity"][0] == pytest.approx(np.corrcoef(one.ravel(), other.ravel())[0, 1], abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 14))
def test_no_pair_above_the_threshold_is_lost(seed: int, noise: float) -> None:
    random = np.random.default_rng(seed)
    base = random.permutation(FACES)[:6].astype(float)
    both = np.concatenate([base, base[:, :, ::-1] + random.normal(0, noise, base.shape)])
    images = np.stack([small(np.clip(face, 0, 255).astype(np.uint8)) for face in both])
    found = find_duplicates(images)
    pairs = set(zip(found.pairs["first"], found.pairs["second"], strict=True))
    flat = images.reshape(12, -1)
    mirrored = images[:, :, ::-1].reshape(12, -1)
    for a in range(12):
        for b in range(a + 1, 12):
            best = max(np.corrcoef(flat[a], other[b])[0, 1] for other in (flat, mirrored))
            if abs(best - 0.95) > 1e-4:
                assert ((a, b) in pairs) == (best > 0.95)


def test_blank_pictures_are_identical_to_each_other_and_near_to_none() -> None:
    blank = np.zeros((3, 48, 48), np.uint8)
    blank[2] = 77
    found = find_duplicates(np.concatenate([blank, [small(FACES[0])]]))
    assert found.pairs.to_numpy().tolist() == [[0, 1, "identical", 1.0]]
    assert find_duplicates(np.empty((0, 48, 48), np.uint8)).groups == 0


def test_a_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(DataError, match=r"0\.9 to 1"):
        find_duplicates(np.zeros((1, 48, 48), np.uint8), alike=0.5)


@pytest.fixture
def leaky(tmp_path: Path) -> Dataset:
    """Train 0..5; val holds 0 once more under another label, 1 mirrored, and two images of its own, twice each."""
    faces = [small(face) for face in FACES]
    here = {
        "train/happy": faces[:3],
        "train/sad": faces[3:6],
        "val/sad": [faces[0], faces[1][:, ::-1], faces[6], faces[6]],
    }
    for place, pictures in here.items():
        (tmp_path / "set" / place).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / "set" / place / f"{number}.png")
    return open_dataset(tmp_path / "set")


def test_leaks_name_each_picture_with_its_twin(leaky: Dataset) -> None:
    found = duplicates_of(leaky)
    assert leaks(leaky, found, "val").to_numpy().tolist() == [
        ["val/sad/0.png", "train/happy/0.png", "identical", 1.0],
        ["val/sad/1.png", "train/happy/1.png", "mirrored", pytest.approx(1, abs=1e-6)],
    ]
    assert leaks(leaky, found, "train", "val")["id"].tolist() == ["train/happy/0.png", "train/happy/1.png"]
    assert duplicates_of(leaky).pairs.equals(found.pairs)  # the second look reads the cache
    with pytest.raises(DataError, match="no split “test”"):
        leaks(leaky, found, "test")


def test_groups_are_counted_by_the_splits_they_touch(leaky: Dataset) -> None:
    found = duplicates_of(leaky)
    assert across(leaky, found).to_numpy().tolist() == [["val", 1, 2], ["train, val", 2, 4]]
    differing = contradicting(leaky.index, found)
    assert differing[["group", "label"]].to_numpy().tolist() == [[0, "happy"], [0, "sad"], [1, "happy"], [1, "sad"]]


def test_a_figure_without_the_leaks_has_only_the_others(leaky: Dataset) -> None:
    index = leaky.index[leaky.index["split"] == "val"]
    table = Predictions.from_logits(index["id"].tolist(), leaky.name, "val", ["sad"] * 4, np.eye(7)[[4, 4, 4, 0]], FER7)
    leaked = leaks_of(leaky, "val")
    assert without_leaks(table, leaked).table["id"].tolist() == ["val/sad/2.png", "val/sad/3.png"]
    assert without_leaks(table, leaked).correct.tolist() == [True, False]
    assert len(without_leaks(table, leaked, identical_only=True)) == 3


def test_the_warning_counts_leaks_and_is_silent_where_there_are_none(leaky: Dataset) -> None:
    assert leak_warning(leaky, "val").startswith(
        "2 of 4 images of the validation set (50.0%) also occur in the training set, "
        "1 of them identical: figures on them are too good."
    )
    assert leak_warning(leaky, "val", "train+val") == ""  # it was learned itself, which is said elsewhere
    assert leak_warning(leaky, "val", "test") == ""  # there is no such part
    clean = replace(leaky, index=leaky.index.assign(split="train"))
    assert leak_warning(clean, "train", "val") == ""


def test_folds_keep_twins_on_one_side_unless_asked(leaky: Dataset) -> None:
    index = splits.with_twins(leaky)
    assert index["twins"].notna().sum() == 6  # two images that leak with their twins, and a pair of val
    labels, twins = index["label"].to_numpy(), index["twins"].to_numpy()

    def most(groups: NDArray[np.object_] | None) -> int:
        """In how many folds a group of twins is, at most, over twenty seeds."""
        dealt = [pd.Series(splits.folds(labels, 3, seed, groups)) for seed in range(20)]
        return max(int(fold.groupby(twins).nunique().max()) for fold in dealt)

    assert most(splits.groups_of(index)) == 1
    assert most(splits.groups_of(leaky.index)) > 1


def test_the_shipped_table_holds_ids_of_fer2013s_own_rows() -> None:
    table = shipped_leaks("fer2013", "val")
    assert table is not None
    assert (table["kind"] == "identical").sum() == 280
    assert table["id"].is_unique
    assert table["id"].astype(int).between(28_709, 28_709 + 3_589 - 1).all()
    assert (table["twin"].astype(int) < 28_709).all()
    assert set(table["kind"]) <= set(KINDS)
    assert table["similarity"].between(0.95, 1).all()
    assert shipped_leaks("fer2013", "test") is None
    pd.testing.assert_frame_equal(shipped_leaks("ferplus", "val"), table)


def test_the_near_twins_of_fer2013_are_shipped_apart_from_its_leaks() -> None:
    folder = Path(fer_core.__file__).parent / "datasets" / "shipped"
    near = pd.read_csv(folder / "fer2013-val-near-twins.csv", dtype={"id": "str"})
    leaked = shipped_leaks("fer2013", "val")
    assert (len(leaked), len(near)) == (377, 115)
    assert near["similarity"].between(0.90, 0.95).all()
    assert not set(near["id"]) & set(leaked["id"])
    checkpoint = Path(fer_core.__file__).parents[1] / "checkpoints" / "fer2013-best"
    table = Predictions.read(checkpoint / "predictions-fer2013-val.parquet")
    alike = table.where(table.table["id"].isin(set(near["id"])))
    others = table.where(~table.table["id"].isin({*near["id"], *leaked["id"]}))
    assert len(alike) == 115
    assert float(alike.correct.mean()) == pytest.approx(0.826, abs=0.001)  # 95 of 115
    assert float(others.correct.mean()) == pytest.approx(0.70, abs=0.01)
