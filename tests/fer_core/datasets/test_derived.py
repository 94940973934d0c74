"""Sets made of others: merged, mapped, sampled, relabelled, cleaned, split, with a record of all of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from fer_core.datasets import Skipped, cleaning, derived, known, open_dataset, splits
from fer_core.errors import DataError, UnknownName
from fer_core.images import ImageSpec
from fer_core.labels import FER7, VOCABULARIES, project
from tests.contracts import layouts

Csv = Callable[..., str]


@pytest.fixture
def sources(tmp_path: Path, pictures: NDArray[np.uint8], csv_of: Csv) -> Path:
    """A csv of 14 train and 6 val images and CK+, known by name."""
    rows = [(i % 7, picture, "Training" if i < 14 else "PublicTest") for i, picture in enumerate(pictures)]
    (tmp_path / "faces.csv").write_text(csv_of(rows))
    known.add(tmp_path / "faces.csv", "fer2013")  # its name here; by its content it is another set
    known.add(layouts.ckplus(tmp_path / "ck").path, "ckplus")
    return tmp_path


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_merge_keeps_sources_pictures_and_splits(sources: Path, pictures: NDArray[np.uint8]) -> None:
    path = write(sources, '[[part]]\ndata = "fer2013"\n[[part]]\ndata = "ckplus"\ninto = {test = "train"}\n')
    dataset = open_dataset(path)
    assert dataset.name == "mine"
    assert dataset.splits == {"train": 18, "val": 6}
    assert dataset.index["source"].value_counts().to_dict() == {"faces": 20, "ckplus": 4}
    assert dataset.index["id"].iloc[[0, 20]].tolist() == ["faces/00000", "ckplus/S005_001_00000001"]
    assert dataset.index["person"].iloc[20] == "S005"
    images = dataset.images(ImageSpec())
    np.testing.assert_array_equal(images[:20], pictures)
    there = open_dataset("ckplus")
    np.testing.assert_array_equal(images[20:], there.images(ImageSpec()))
    np.testing.assert_array_equal(dataset.picture(3), pictures[3])
    np.testing.assert_array_equal(dataset.picture(22), there.picture(2))
    assert dataset.skipped[0] == Skipped("2 sequences", "no emotion file", 10)
    assert {entry.reason for entry in dataset.skipped[1:]} == {
        "a frame between the neutral face and the full expression"
    }
    assert dataset.left_out == 10 + 2 * 3


def test_pictures_of_files_and_tables_may_alternate(sources: Path, pictures: NDArray[np.uint8]) -> None:
    text = '[[part]]\ndata = "ckplus"\n[[part]]\ndata = "fer2013"\ninto = {val = "val"}\n[clean]\nsteps = ["blank"]\n'
    dataset = open_dataset(write(sources, text))
    np.testing.assert_array_equal(dataset.picture(4), pictures[14])
    np.testing.assert_array_equal(dataset.images(ImageSpec())[4:], pictures[14:])


def test_a_made_set_may_be_a_part_of_another(sources: Path) -> None:
    write(sources, '[[part]]\ndata = "fer2013"\n[[part]]\ndata = "ckplus"\n', "inner.toml")
    index = open_dataset(write(sources, '[[part]]\ndata = "inner.toml"\n[[part]]\ndata = "heads"\n')).index
    assert index["source"].value_counts().to_dict() == {"heads": 2100, "faces": 20, "ckplus": 4}
    assert index["id"].iloc[0] == "inner/faces/00000"


def test_a_file_that_windows_saved_with_a_byte_order_mark_is_read(sources: Path) -> None:
    (sources / "mine.toml").write_text('[[part]]\ndata = "ckplus"\n', encoding="utf-8-sig")
    assert len(open_dataset(sources / "mine.toml")) == 4


def test_two_parts_of_one_name_whose_pictures_could_not_be_told_apart_are_refused(sources: Path) -> None:
    for number, owner in enumerate(("anna", "bert")):
        (sources / owner / "photos" / "happy").mkdir(parents=True)
        Image.fromarray(np.full((9, 9), number, np.uint8)).save(sources / owner / "photos" / "happy" / "1.png")
    path = write(sources, '[[part]]\ndata = "anna/photos"\n[[part]]\ndata = "bert/photos"\n')
    with pytest.raises(DataError, match="photos/happy/1.png occurs twice in test: two parts .* rename its folder"):
        open_dataset(path)


def test_labels_outside_the_vocabulary_are_counted(sources: Path) -> None:
    path = write(sources, 'expressions = "rafdb6"\n[[part]]\ndata = "fer2013"\n')
    dataset = open_dataset(path)
    assert dataset.expressions.name == "rafdb6"
    assert [(bad.id, bad.reason) for bad in dataset.skipped] == [("2 images", "faces: neutral is not in rafdb6")]
    assert dataset.index["id"].iloc[0] == "00000"  # one source: its own ids


def test_projection_counts_what_is_dropped() -> None:
    names, dropped = project(["happy", "contempt", "unknown", "contempt"], FER7)
    assert names == ["happy", None, None, None]
    assert dropped == {"contempt": 2, "unknown": 1}
    assert project(["contempt"], FER7, {"contempt": "disgust"}) == (["disgust"], {})


def test_a_sample_is_balanced(sources: Path, pictures: NDArray[np.uint8], csv_of: Csv) -> None:
    rows = [(3 if i < 16 else 1, picture, "Training") for i, picture in enumerate(pictures)]
    (sources / "uneven.csv").write_text(csv_of(rows))
    path = write(sources, '[[part]]\ndata = "uneven.csv"\nsample = 10\nseed = 3\n')
    assert open_dataset(path).index["label"].value_counts().to_dict() == {"happy": 6, "disgust": 4}


def test_corrections_leave_an_audit(sources: Path) -> None:
    (sources / "labels.csv").write_text("id,label\n00000,Happiness\n00001,unclear\n00002,fear\n")
    dataset = open_dataset(write(sources, '[[part]]\ndata = "fer2013"\ncorrections = "labels.csv"\n'))
    assert dataset.index["label"].iloc[:2].tolist() == ["happy", "fear"]
    assert len(dataset) == 19
    assert cleaning.audit(dataset).to_numpy().tolist() == [
        ["00000", "faces", "relabelled", "angry", "happy", "corrections", 1],
        ["00001", "mine", "left out", "", "", "corrections: unclear", 1],
    ]
    (sources / "labels.csv").write_text("id,label\n00000,sad\n")
    assert open_dataset(sources / "mine.toml").index["label"].iloc[0] == "sad"  # a changed csv is read anew


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,label\n1,happy\n1,sad\n", "line 3: 1 occurs twice"),
        ("id,label\n1,hapy\n", "line 2: “hapy” is no expression \\(did you mean “happy”\\?\\)"),
        ("id,emotion\n1,sad\n", "the column label is missing"),
        ("id,label\n77777,sad\n", "1 of 1 corrections name images that are not in the set, the first: 77777"),
    ],
)
def test_wrong_corrections_are_named(sources: Path, text: str, says: str) -> None:
    (sources / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        open_dataset(write(sources, '[[part]]\ndata = "fer2013"\ncorrections = "labels.csv"\n'))


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    """Train: an image twice under two labels, one twice under one label, one that is in val too, a blank one."""
    faces = np.random.default_rng(3).integers(0, 256, (6, 48, 48), dtype=np.uint8)
    blank = np.full((48, 48), 90, np.uint8)
    here = {
        "train/happy": [faces[0], faces[1], faces[1], faces[2], faces[3]],
        "train/sad": [faces[0], blank, faces[4]],
        "val/happy": [faces[2], faces[5]],
    }
    for place, pictures in here.items():
        (tmp_path / "dirty" / place).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / "dirty" / place / f"{number}.png")
    return tmp_path


def test_each_step_drops_its_own_and_says_why(dirty: Path) -> None:
    text = '[[part]]\ndata = "dirty"\n[clean]\nsteps = ["blank", "contradicting", "duplicates", "leaks"]\n'
    dataset = open_dataset(write(dirty, text))
    assert sorted(dataset.index["id"]) == [
        "train/happy/1.png", "train/happy/4.png", "train/sad/2.png", "val/happy/0.png", "val/happy/1.png",
    ]  # fmt: skip
    assert {bad.id: bad.reason for bad in dataset.skipped} == {
        "train/sad/1.png": "blank: one grey all over",
        "train/happy/0.png": "identical images are labelled happy, sad",
        "train/sad/0.png": "identical images are labelled happy, sad",
        "train/happy/2.png": "the same image as train/happy/1.png",
        "train/happy/3.png": "also in the validation set, as val/happy/0.png",
    }
    assert len(open_dataset("heads")) == 2100
    assert open_dataset(dirty / "dirty").splits == {"train": 8, "val": 2}  # the source is as it was


def test_a_split_is_made_by_rule_or_taken_from_a_file(sources: Path) -> None:
    rule = open_dataset(
        write(sources, '[[part]]\ndata = "ckplus"\n[split]\nhow = "parts"\nparts = {train = 1, test = 1}\n')
    )
    people = rule.index.groupby("split")["person"].unique()
    assert sorted(len(names) for names in people) == [1, 1]
    index = open_dataset("ckplus").index
    splits.save(splits.split_table(index, parts={"train": 1, "val": 1}, seed=1), sources / "s.csv")
    saved = open_dataset(write(sources, '[[part]]\ndata = "ckplus"\n[split]\nfile = "s.csv"\n', "saved.toml"))
    assert saved.splits == {"train": 2, "val": 2}
    rows = (sources / "s.csv").read_text().splitlines(keepends=True)
    (sources / "s.csv").write_text("".join(rows[:-1]))  # of an older copy, which lacked an image
    older = open_dataset(sources / "saved.toml")
    assert len(older) == 3
    assert [bad.reason for bad in older.skipped if bad.id == "1 image"] == ["not in s.csv"]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('[[part]]\ndata = "fer2013"\nsampel = 3\n', DataError, "part.0.sampel: Extra inputs are not permitted"),
        ('[[part]]\ndata = "gone"\n', UnknownName, "no data set or path “gone”"),
        ('expressions = "fer8"\n[[part]]\ndata = "fer2013"\n', UnknownName, "no vocabulary “fer8”"),
        ('[[part]]\ndata = "fer2013"\ninto = {test = "train"}\n', DataError, "has no split test; it has train, val"),
        ('[[part]]\ndata = "mine.toml"\n', DataError, "names itself"),
        ("[[part]]\ndata = \n", DataError, "is no valid TOML"),
    ],
)
def test_a_wrong_file_is_refused(sources: Path, text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        open_dataset(write(sources, text))


@pytest.mark.parametrize("name", ["lmu", "kaist"])
def test_a_shipped_merge_is_valid(name: str) -> None:
    merge = derived.load(derived.SHIPPED / f"{name}.toml")
    assert merge.expressions in VOCABULARIES
    assert pd.Series([part.data for part in merge.part]).is_unique
    assert all(set(part.into.values()) == {"train"} for part in merge.part[1:])  # what is added never is evaluated on
