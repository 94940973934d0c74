"""Folds and splits: balanced, people kept apart, the same tomorrow."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_core.datasets import splits
from fer_core.datasets.splits import folds, in_parts, kept_together, split_table
from fer_core.errors import DataError

CLASSES = np.array(["happy"] * 60 + ["sad"] * 30 + ["disgust"] * 10)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["happy", "sad", "fear"]), min_size=12, max_size=120),
    st.integers(2, 6),
    st.integers(0, 99),
)
def test_every_fold_has_its_share_of_every_class(labels: list[str], k: int, seed: int) -> None:
    fold = folds(labels, k, seed)
    for name in set(labels):
        count = np.bincount(fold[np.array(labels) == name], minlength=k)
        assert count.max() - count.min() <= 1
    sizes = np.bincount(fold, minlength=k)
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(fold, folds(labels, k, seed))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=30, max_size=200), st.integers(0, 99))
def test_no_person_is_in_two_folds(people: list[int], seed: int) -> None:
    if len(set(people)) < 3:
        return
    labels = np.where(np.arange(len(people)) % 3, "happy", "sad")
    fold = folds(labels, 3, seed, people)
    assert pd.Series(fold).groupby(people).agg(lambda own: len(set(own))).max() == 1
    assert set(fold) == {0, 1, 2}


def test_groups_of_one_size_are_dealt_out_evenly() -> None:
    people = np.repeat(np.arange(20), 7)
    labels = np.tile(["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"], 20)
    assert np.bincount(folds(labels, 10, 3, people)).tolist() == [14] * 10


def test_eighty_ten_ten_by_class() -> None:
    part = in_parts(CLASSES, {"train": 8, "val": 1, "test": 1}, seed=5)
    counts = pd.crosstab(CLASSES, part)
    assert counts.loc["happy"].to_dict() == {"test": 6, "train": 48, "val": 6}
    assert counts.loc["disgust"].to_dict() == {"test": 1, "train": 8, "val": 1}
    assert (in_parts(CLASSES, {"train": 8, "val": 1, "test": 1}, seed=6) != part).any()


def test_more_folds_than_people_are_refused() -> None:
    with pytest.raises(DataError, match="5 folds of 3 groups"):
        folds(["happy"] * 9, 5, 0, ["a", "b", "c"] * 3)


@pytest.fixture
def index() -> pd.DataFrame:
    people = [f"{sex}{number:02d}" for sex in "FM" for number in range(1, 15)]
    rows = [
        {"id": f"{person}-{label}", "split": "test", "label": label, "person": person, "sex": person[0]}
        for person in people
        for label in ("happy", "sad", "fear")
    ]
    return pd.DataFrame(rows)


def test_people_are_kept_together_without_asking(index: pd.DataFrame) -> None:
    table = split_table(index)
    assert table["split"].groupby(index["person"]).agg(lambda own: len(set(own))).max() == 1
    assert table["split"].value_counts().to_dict() == {"train": 72, "val": 6, "test": 6}  # of 28 people 24, 2, 2
    assert kept_together(index) == "person"
    alone = split_table(index, group="")
    assert alone["split"].groupby(index["person"]).agg(lambda own: len(set(own))).max() > 1


def test_women_train_and_men_test(index: pd.DataFrame) -> None:
    table = split_table(index, "female-to-male")
    assert set(index["sex"][table["split"] == "test"]) == {"M"}
    assert set(index["sex"][table["split"] != "test"]) == {"F"}
    assert (table["split"] == "val").sum() == 6  # two of fourteen women
    with pytest.raises(DataError, match="as KDEF does"):
        split_table(index.drop(columns="sex"), "female-to-male")


def test_in_k_folds_everybody_is_tested_once(index: pd.DataFrame) -> None:
    tested: list[str] = []
    for fold in range(5):
        table = split_table(index, "kfold", k=5, fold=fold, seed=2)
        tested += table["id"][table["split"] == "test"].tolist()
        assert set(table["split"]) == {"train", "val", "test"}
        assert (table["fold"] == split_table(index, "kfold", k=5, fold=0, seed=2)["fold"]).all()
    assert sorted(tested) == sorted(index["id"])
    with pytest.raises(DataError, match="no fold 5; the 5 folds are 0 to 4"):
        split_table(index, "kfold", k=5, fold=5)


def test_carving_takes_from_train_alone(index: pd.DataFrame) -> None:
    given = index.assign(split=np.where(index["sex"] == "F", "train", "test"))
    table = split_table(given, "carve", parts={"train": 6, "val": 1})
    assert (table["split"][given["split"] == "test"] == "test").all()
    assert table["split"].value_counts().to_dict() == {"test": 42, "train": 36, "val": 6}
    with pytest.raises(DataError, match="a validation set already"):
        split_table(index.assign(split="val"), "carve")


def test_pictures_of_which_nothing_is_known_stand_for_themselves() -> None:
    index = pd.DataFrame(
        {
            "id": [str(i) for i in range(40)],
            "split": "train",
            "label": "happy",
            "person": ["S1"] * 10 + ["S2"] * 10 + [None] * 20,
            "source": ["a"] * 5 + ["b"] * 15 + ["c"] * 20,
        }
    )
    groups = splits.groups_of(index)
    assert groups is not None
    assert len(set(groups[:10])) == 2  # S1 of two sets are two people
    assert len(set(groups[20:])) == 20


def test_a_saved_split_comes_back_by_id_in_any_order(index: pd.DataFrame, tmp_path: Path) -> None:
    table = split_table(index, seed=4)
    splits.save(table, tmp_path / "split.csv")
    shuffled = index.sample(frac=1, random_state=0)
    again = splits.apply(shuffled, splits.load(tmp_path / "split.csv"))
    assert dict(zip(again["id"], again["split"], strict=True)) == dict(zip(table["id"], table["split"], strict=True))
    more = splits.apply(pd.concat([index, index.iloc[:1].assign(id="new")]), splits.load(tmp_path / "split.csv"))
    assert pd.isna(more["split"].iloc[-1])
    with pytest.raises(DataError, match="belongs to another set"):
        splits.apply(index.assign(id="x"), table)
    (tmp_path / "split.csv").write_text("id,split\n1,train\n")
    with pytest.raises(DataError, match="the column was is missing"):
        splits.load(tmp_path / "split.csv")


def test_twins_stay_together_and_tie_their_people_together() -> None:
    index = pd.DataFrame(
        {
            "id": [str(i) for i in range(8)],
            "split": "train",
            "label": "happy",
            "person": ["A", "A", "B", "B", "C", "C", None, None],
            "twins": pd.array([pd.NA, 7, 7, pd.NA, pd.NA, pd.NA, 8, 8], dtype="Int64"),
        }
    )
    groups = splits.groups_of(index)
    assert groups is not None
    # A and B share an image, so all four of theirs are one group; 6 and 7 are one image; C is alone
    assert pd.factorize(groups)[0].tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert kept_together(index) == "person, twins"
    alone = splits.groups_of(index, "")
    assert pd.factorize(alone)[0].tolist() == [0, 1, 1, 2, 3, 4, 5, 5]
    assert splits.groups_of(index.assign(twins=pd.NA), "") is None
