"""Every reader on a small set made in exactly its layout. A new reader is caught here by its lack of a layout."""

import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from fer_core.datasets import READERS, SPLITS, open_dataset
from fer_core.datasets.heads import HEADS
from fer_core.datasets.known import add, known, parted, recognise
from fer_core.errors import DataError, UnknownName
from fer_core.images import ImageSpec, decode
from tests.contracts.layouts import LAYOUTS, READ_BY, picture, text

BUILT_OF_OTHERS = {HEADS, "made", "prepared", "scenes"}  # tested where they are made
HAS_FILES = [
    name
    for name in LAYOUTS
    if name not in ("fer2013-csv", "fer2013-parts", "ferplus", "ckextended", "table-of-the-hub")
]
# Readers that came later bring a small set of their layout with them.
WITH_EXAMPLE = [name for name, layout in READERS.items() if layout.example]


def test_every_reader_has_a_layout_here_or_declares_an_example() -> None:
    here = {READ_BY.get(name, name) for name in LAYOUTS}
    without = set(READERS.names()) - BUILT_OF_OTHERS - here - set(WITH_EXAMPLE)
    assert not without, f"give @reader an `example` that writes a small set: {without}"


def small_set(name: str, folder: Path) -> str:
    """What to open of a small set of a layout, made here or by the reader's own example."""
    if name in LAYOUTS:
        return LAYOUTS[name](folder).opened
    write = READERS.get(name).example
    assert write is not None
    folder.mkdir()
    return str(write(folder))


@pytest.mark.parametrize("name", [*LAYOUTS, *WITH_EXAMPLE])
def test_a_small_set_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    place = small_set(name, tmp_path / "set")
    assert recognise(parted(place)[0]).name == READ_BY.get(name, name)
    dataset = open_dataset(place)
    assert len(dataset) >= 2
    assert not dataset.index.duplicated(["split", "id"]).any()
    assert dataset.index["split"].isin(SPLITS).all()
    assert set(dataset.index["label"].dropna()) <= set(dataset.expressions.names)
    images = dataset.images(ImageSpec(height=32, width=32))
    assert len({image.tobytes() for image in images}) == len(dataset)  # each row has an image of its own


@pytest.mark.parametrize("name", [*LAYOUTS, *WITH_EXAMPLE])
def test_a_small_set_is_added_and_opened_by_its_name(name: str, tmp_path: Path) -> None:
    place = small_set(name, tmp_path / "set")
    assert add(place, "example") == "example"
    assert open_dataset("example").splits == open_dataset(place).splits
    assert known()["example"] == parted(place)[0]


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    made = LAYOUTS[name](tmp_path / "set")
    layout = recognise(made.path)
    assert layout.name == READ_BY.get(name, name)
    dataset = open_dataset(made.opened)
    index = dataset.index
    labels = index["label"].astype(object).where(index["label"].notna(), None)
    assert dict(zip(index["id"], zip(index["split"], labels, strict=True), strict=True)) == made.rows
    assert index["split"].isin(SPLITS).all()
    assert set(index["label"].dropna()) <= set(dataset.expressions.names)
    by_id = index.set_index("id")
    for id_, columns in made.columns.items():
        assert {column: by_id.loc[id_, column] for column in columns} == columns
    for left, why in made.left_out.items():
        assert any(bad.id == left and why in bad.reason for bad in dataset.skipped), dataset.skipped
    if not made.left_out:
        assert dataset.skipped == ()
    images = dataset.images(ImageSpec(height=32, width=32))
    assert images.shape == (len(made.rows), 32, 32)
    assert len({image.tobytes() for image in images}) == len(images)  # each row has an image of its own


@pytest.mark.parametrize("name", HAS_FILES)
def test_a_damaged_file_is_named_refused_and_skipped(name: str, tmp_path: Path) -> None:
    made = LAYOUTS[name](tmp_path / "set")
    index = open_dataset(made.opened).index
    victim = Path(index["file"].iloc[0])
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
    with pytest.raises(DataError, match="cannot be read") as caught:
        open_dataset(made.opened)
    assert index["id"].iloc[0] in str(caught.value)
    assert "--on-bad skip" in str(caught.value)
    rest = open_dataset(made.opened, on_bad="skip").index
    assert set(rest["id"]) == set(index["id"][index["file"] != str(victim)])


@pytest.mark.parametrize("name", READERS.names())
def test_a_reader_says_what_its_set_is(name: str) -> None:
    if name in BUILT_OF_OTHERS | {"folder", "numbered", "table"}:
        return
    layout = READERS.get(name)
    module = importlib.import_module(layout.read.__module__)
    assert layout.licence
    assert layout.protocol
    for word in ("Source", "icence", "rotocol"):
        assert word in str(module.__doc__), word


def test_a_box_cuts_the_face_out_of_its_picture(tmp_path: Path) -> None:
    made = LAYOUTS["expw"](tmp_path / "set")
    dataset = open_dataset(made.path)
    row = dataset.index["id"].tolist().index("afraid man_1.jpg#0")
    whole = decode(Path(dataset.index["file"].iloc[row]))
    np.testing.assert_array_equal(dataset.picture(row), whole[5:25, 10:30])
    other = dataset.index["id"].tolist().index("afraid man_1.jpg#1")
    np.testing.assert_array_equal(dataset.picture(other), whole[8:40, 40:])  # cut at the edge


def test_ckplus_takes_three_frames_if_asked(tmp_path: Path) -> None:
    made = LAYOUTS["ckplus"](tmp_path / "set")
    dataset = open_dataset(f"{made.path}@three")
    assert dataset.name == "ckplus-three"
    assert dataset.index["label"].value_counts().to_dict() == {"disgust": 3, "surprise": 3, "neutral": 2}
    with pytest.raises(UnknownName, match="no way to read CK\\+ \\(official\\) “tree”; did you mean “three”"):
        open_dataset(f"{made.path}@tree")


def test_folder_and_list_of_rafdb_must_agree(tmp_path: Path) -> None:
    made = LAYOUTS["rafdb-folders"](tmp_path / "set")
    table = made.path / "test_labels.csv"
    table.write_text(table.read_text().replace("test_00001_aligned.jpg,1", "test_00001_aligned.jpg,5"))
    with pytest.raises(DataError, match="test_00001: the folder says surprise, test_labels.csv sad"):
        open_dataset(made.path)


def test_an_annotation_that_would_be_unpickled_is_not_opened(tmp_path: Path) -> None:
    made = LAYOUTS["affectnet-npy"](tmp_path / "set")
    np.save(made.path / "val_set" / "annotations" / "3_exp.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="val_set/images/3.jpg: annotations/3_exp.npy"):
        open_dataset(made.path)


def test_emotion_files_that_hold_nonsense_are_named(tmp_path: Path) -> None:
    made = LAYOUTS["ckplus"](tmp_path / "set")
    next((made.path / "Emotion" / "S005" / "001").iterdir()).write_text("9.0")
    with pytest.raises(DataError, match="S005_001: S005_001_00000005_emotion.txt holds no number from 0 to 7"):
        open_dataset(made.path)


@pytest.mark.parametrize(("name", "mark"), [("rafdb", "*.txt"), ("expw", "*.lst"), ("ckplus", "*.txt")])
def test_a_list_that_windows_saved_with_a_byte_order_mark_reads_alike(name: str, mark: str, tmp_path: Path) -> None:
    made = LAYOUTS[name](tmp_path / "set")
    for file in made.path.rglob(mark):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    index = open_dataset(made.path).index
    assert {row.id: (row.split, row.label) for row in index.itertuples()} == made.rows


def test_pictures_that_were_not_unpacked_are_asked_for(tmp_path: Path) -> None:
    made = LAYOUTS["rafdb"](tmp_path / "set")
    shutil.rmtree(made.path / "basic" / "Image" / "aligned")
    with pytest.raises(DataError, match=r"unpack aligned\.zip there"):
        open_dataset(made.path)


def test_a_folder_too_high_or_too_deep_leads_to_the_right_one(tmp_path: Path) -> None:
    made = LAYOUTS["affectnet"](tmp_path / "downloads" / "set")
    (tmp_path / "downloads" / "README.md").write_text("how to read it")
    assert len(open_dataset(tmp_path / "downloads")) == len(open_dataset(made.path))
    assert open_dataset(tmp_path / "downloads").name == "affectnet"
    text(tmp_path / "downloads" / "more" / "happy" / "1.csv", "x")
    with pytest.raises(DataError, match=f"{made.path} is AffectNet \\(csv\\): give one of these paths"):
        open_dataset(tmp_path / "downloads")
    with pytest.raises(DataError, match=f"But {made.path} is AffectNet \\(csv\\): give that path"):
        open_dataset(made.path / "Manually_Annotated_file_lists")


def test_half_a_layout_is_told_what_is_missing(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "cohn-kanade-images" / "S005" / "001" / "S005_001_00000001.png")
    with pytest.raises(
        DataError, match=r"It holds cohn-kanade-images\. The nearest is CK\+ \(official\), which also has Emotion"
    ):
        open_dataset(tmp_path / "set")
    text(tmp_path / "faces.zip", "no archive")
    with pytest.raises(DataError, match="archive of images, unpack it"):
        open_dataset(tmp_path / "faces.zip")
