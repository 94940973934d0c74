"""Reading data sets: FER2013's csv, folders, the cache, and what bad input gets."""

import gzip
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fer_core.datasets import known, name_of, open_dataset
from fer_core.errors import DataError, UnknownName
from fer_core.images import ImageSpec
from fer_core.workspace import home

Csv = Callable[..., str]


@pytest.fixture
def rows(pictures: NDArray[np.uint8]) -> list[tuple[object, object, str]]:
    usages = ["Training"] * 14 + ["PublicTest"] * 3 + ["PrivateTest"] * 3
    return [(i % 7, picture, usage) for i, (picture, usage) in enumerate(zip(pictures, usages, strict=True))]


def test_the_csv_gives_its_pictures_labels_and_splits(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv, pictures: NDArray[np.uint8]
) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_of(rows))
    dataset = open_dataset(path)
    assert dataset.name == f"fer2013-{dataset.fingerprint[:6]}"  # twenty images are not FER2013
    assert dataset.splits == {"train": 14, "val": 3, "test": 3}
    assert dataset.index["label"].tolist()[:7] == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    np.testing.assert_array_equal(dataset.images(ImageSpec()), pictures)
    np.testing.assert_array_equal(dataset.picture(3), pictures[3])


@pytest.mark.parametrize("form", ["gz", "zip"])
def test_a_packed_csv_reads_like_the_plain_one(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv, pictures: NDArray[np.uint8], form: str
) -> None:
    path = tmp_path / f"fer2013.csv.{form}"
    if form == "gz":
        path.write_bytes(gzip.compress(csv_of(rows).encode()))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("fer2013/fer2013.csv", csv_of(rows))
    np.testing.assert_array_equal(open_dataset(path).images(ImageSpec()), pictures)


def test_the_second_opening_does_not_read_the_file(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_of(rows))
    first = open_dataset(path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the csv was parsed again")

    monkeypatch.setattr("fer_core.datasets.fer2013._parse", refuse)
    again = open_dataset(path)
    assert again.folder == first.folder
    assert isinstance(again.images(ImageSpec()), np.memmap)


def test_a_changed_file_is_read_anew(tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_of(rows))
    assert len(open_dataset(path)) == 20
    path.write_text(csv_of(rows[:16]))
    assert len(open_dataset(path)) == 16


def test_another_size_comes_from_the_same_pictures(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv
) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_of(rows))
    dataset = open_dataset(path)
    larger = dataset.images(ImageSpec(height=64, width=64, channels=3))
    assert larger.shape == (20, 64, 64, 3)


BROKEN = {
    "short": (0, "1 2 3", "Training", "3 pixels, expected 2,304"),
    "label": (9, None, "Training", "unknown label “9”"),
    "usage": (0, None, "Elsewhere", "unknown Usage “Elsewhere”"),
    "word": (0, "x " + " ".join(["7"] * 2303), "Training", "a pixel is no number from 0 to 255"),
    "large": (0, "256 " + " ".join(["7"] * 2303), "Training", "a pixel is no number from 0 to 255"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_bad_row_is_named_and_refused_or_skipped(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv, pictures: NDArray[np.uint8], kind: str
) -> None:
    emotion, pixels, usage, reason = BROKEN[kind]
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_of([*rows[:5], (emotion, pixels or pictures[5], usage), *rows[6:]]))
    with pytest.raises(DataError, match="1 of 20 entries cannot be read") as caught:
        open_dataset(path)
    assert f"row 5: line 7: {reason}" in str(caught.value)
    assert "--on-bad skip" in str(caught.value)
    dataset = open_dataset(path, on_bad="skip")
    assert [bad.id for bad in dataset.skipped] == ["row 5"]
    assert len(dataset) == 19
    np.testing.assert_array_equal(dataset.images(ImageSpec())[5], pictures[6])
    assert dataset.index["id"].iloc[5] == "00006"


@pytest.mark.parametrize("line", ["3,1 2 3", "3,1 2 3,Training,4", ""])
def test_a_torn_line_in_the_middle_keeps_the_numbers_of_the_rows_after_it(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv, pictures: NDArray[np.uint8], line: str
) -> None:
    path = tmp_path / "fer2013.csv"
    lines = csv_of(rows).splitlines()
    lines[6] = line  # row 5, after the header
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"1 of 20 entries cannot be read \(row 5: "):
        open_dataset(path)
    dataset = open_dataset(path, on_bad="skip")
    assert [bad.id for bad in dataset.skipped] == ["row 5"]
    assert dataset.index["id"].tolist()[4:6] == ["00004", "00006"]
    np.testing.assert_array_equal(dataset.images(ImageSpec())[5], pictures[6])


@pytest.mark.parametrize("torn", [[5], [0, 1, 2, 3], [7, 8, 19], [2, 11, 13, 18]])
def test_torn_lines_are_counted_in_whatever_block_of_a_large_file_they_lie(
    tmp_path: Path,
    rows: list[tuple[object, object, str]],
    csv_of: Csv,
    monkeypatch: pytest.MonkeyPatch,
    torn: list[int],
) -> None:
    monkeypatch.setattr("fer_core.datasets.fer2013.BLOCK", 20_000)  # two or three rows; Arrow reads one block ahead
    path = tmp_path / "fer2013.csv"
    lines = csv_of(rows).splitlines()
    for number in torn:
        lines[1 + number] = "3,1 2 3"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(
        DataError, match=rf"{len(torn)} of 20 entries cannot be read \(row {torn[0]}: line {torn[0] + 2}: "
    ):
        open_dataset(path)
    dataset = open_dataset(path, on_bad="skip")
    assert [bad.id for bad in dataset.skipped] == [f"row {number}" for number in torn]
    assert dataset.index["id"].tolist() == [f"{number:05d}" for number in range(20) if number not in torn]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,Usage\n0,Training\n")
    with pytest.raises(DataError, match="column pixels is missing; expected emotion, pixels, Usage"):
        open_dataset(path)


def test_a_cut_off_gz_is_said_to_be_damaged(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv
) -> None:
    path = tmp_path / "fer2013.csv.gz"
    whole = gzip.compress(csv_of(rows).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        open_dataset(path)


def test_a_folder_of_splits_and_classes_is_read_by_name(learnable: Path) -> None:
    dataset = open_dataset(learnable)
    assert dataset.splits == {"train": 64, "val": 32, "test": 16}
    assert set(dataset.index["label"]) == {"happy", "sad"}
    assert dataset.expressions.name == "fer7"
    assert dataset.name == "learnable"
    assert dataset.images(ImageSpec()).shape == (112, 48, 48)


def test_fer2013_folders_tell_validation_from_test_by_the_file_name(
    tmp_path: Path, pictures: NDArray[np.uint8]
) -> None:
    for split, name in (("train", "Training_1"), ("test", "PublicTest_2"), ("test", "PrivateTest_3")):
        folder = tmp_path / "set" / split / "happiness"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[0]).save(folder / f"{name}.png")
    index = open_dataset(tmp_path / "set").index
    assert dict(zip(index["id"], index["split"], strict=True)) == {
        "test/happiness/PrivateTest_3.png": "test",
        "test/happiness/PublicTest_2.png": "val",
        "train/happiness/Training_1.png": "train",
    }


def test_a_split_of_ones_own_of_fer2013s_folders_is_kept(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    own = {
        "train/happy/Training_1.png": "train",
        "train/happy/PublicTest_2.png": "train",
        "val/happy/Training_3.png": "val",
        "test/happy/Training_4.png": "test",
        "test/happy/PublicTest_5.png": "test",
    }
    for name in own:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[0]).save(tmp_path / "set" / name)
    index = open_dataset(tmp_path / "set").index
    assert dict(zip(index["id"], index["split"], strict=True)) == own


def test_a_misspelt_class_folder_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "set" / "train" / "suprise").mkdir(parents=True)
    with pytest.raises(DataError, match="“suprise” \\(did you mean “surprise”\\?\\)"):
        open_dataset(tmp_path / "set")


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set" / "happy").mkdir(parents=True)
    with pytest.raises(DataError, match="no images found"):
        open_dataset(tmp_path / "set")


def test_one_bad_picture_of_many_is_named_and_can_be_skipped(learnable: Path) -> None:
    (learnable / "train" / "happy" / "00.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 of 112 entries cannot be read \(train/happy/00.png: .*0 bytes"):
        open_dataset(learnable)
    dataset = open_dataset(learnable, on_bad="skip")
    assert len(dataset) == 111
    assert [bad.id for bad in dataset.skipped] == ["train/happy/00.png"]


def test_a_set_added_without_its_bad_pictures_is_opened_without_them_by_its_name_alone(learnable: Path) -> None:
    (learnable / "train" / "happy" / "00.png").write_bytes(b"")
    known.add(learnable, "faces", "skip")
    assert len(open_dataset("faces")) == 111
    for place in ("faces", learnable):  # asked for, or given by its path
        with pytest.raises(DataError, match="1 of 112 entries cannot be read"):
            open_dataset(place, on_bad="refuse" if place == "faces" else None)
    with pytest.raises(DataError, match="1 of 112 entries cannot be read"):
        known.add(learnable, "faces")
    assert len(open_dataset("faces")) == 111  # what does not open changes nothing


def test_a_list_of_sets_written_before_their_bad_entries_were_remembered_is_read(learnable: Path) -> None:
    home().mkdir(exist_ok=True)
    (home() / "datasets.json").write_text(json.dumps({"faces": str(learnable)}))
    assert known.known() == {"faces": learnable}
    assert len(open_dataset("faces")) == 112
    assert known.add(learnable, "again", "skip") == "again"
    assert known.known() == {"again": learnable, "faces": learnable}


@pytest.mark.skipif(os.name == "nt", reason="making links needs rights on Windows")
def test_folders_that_programs_make_for_themselves_are_left_aside(learnable: Path) -> None:
    picture = next((learnable / "train" / "happy").iterdir())
    for name in (".ipynb_checkpoints", "__MACOSX", "again"):
        (picture.parent / name).mkdir()
        (picture.parent / name / picture.name).write_bytes(picture.read_bytes())
    assert len(open_dataset(learnable)) == 112 + 1


def test_a_link_out_of_the_folder_is_not_followed(learnable: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(secret)
    (learnable / "train" / "happy" / "link.png").symlink_to(secret)
    with pytest.raises(DataError, match="leads out of the folder"):
        open_dataset(learnable)


def test_the_same_picture_is_the_same_through_csv_and_folder(
    tmp_path: Path, csv_of: Csv, pictures: NDArray[np.uint8]
) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_of([(3, pictures[0], "PublicTest")]))
    folder = tmp_path / "set" / "val" / "happy"
    folder.mkdir(parents=True)
    Image.fromarray(pictures[0]).save(folder / "a.png")
    spec = ImageSpec(height=64, width=64)
    np.testing.assert_array_equal(open_dataset(path).images(spec), open_dataset(tmp_path / "set").images(spec))


def test_an_unknown_split_lists_the_ones_there_are(learnable: Path) -> None:
    with pytest.raises(DataError, match=r"no split “dev”; it has train \(64\), val \(32\), test \(16\)"):
        open_dataset(learnable).rows("dev")


def test_an_unknown_layout_says_what_was_found_and_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"no known layout.*Known layouts: .*FER2013 \(csv\)"):
        open_dataset(tmp_path / "notes.txt")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean “heads”"):
        open_dataset("haeds")


def test_a_data_set_is_remembered_by_name(learnable: Path) -> None:
    assert known.add(learnable) == "learnable"
    assert len(open_dataset("learnable")) == 112
    with pytest.raises(DataError, match="is already used for"):
        known.add(learnable / "train", "learnable")


def test_a_folder_called_like_another_set_does_not_take_its_name(learnable: Path) -> None:
    learnable.rename(learnable.with_name("FER2013"))
    dataset = open_dataset(learnable.with_name("FER2013"))
    assert dataset.name == "fer2013-folder"  # as fer2013 its ids would be taken for rows of the csv
    assert name_of(learnable.with_name("FER2013")) == dataset.name


def test_labels_outside_a_vocabulary_are_counted(learnable: Path) -> None:
    from fer_core.labels import Expressions

    dataset = open_dataset(learnable)
    with pytest.raises(DataError, match=r"labelled sad \(56\)"):
        dataset.label_index(Expressions("smile", ("happy", "neutral")), np.arange(len(dataset)))


def test_a_zip_with_two_tables_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", "emotion,pixels,Usage\n")
        archive.writestr("b.csv", "emotion,pixels,Usage\n")
    path = tmp_path / "fer2013.csv.zip"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"expected one csv|column .* missing"):
        open_dataset(path)


def test_kaggles_other_csv_with_spaces_after_its_commas_reads_alike(
    tmp_path: Path, rows: list[tuple[object, object, str]], pictures: NDArray[np.uint8]
) -> None:
    lines = ["emotion, Usage, pixels"]
    lines += [f"{label},{usage},{' '.join(map(str, np.asarray(p).ravel()))}" for label, p, usage in rows]
    path = tmp_path / "icml_face_data.csv"
    path.write_text("\n".join(lines))
    dataset = open_dataset(path)
    assert dataset.splits == {"train": 14, "val": 3, "test": 3}
    np.testing.assert_array_equal(dataset.images(ImageSpec()), pictures)


@pytest.mark.parametrize("form", ["byte order mark", "quoted"])
def test_a_csv_that_another_program_saved_anew_reads_alike(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv, pictures: NDArray[np.uint8], form: str
) -> None:
    text = csv_of(rows)
    if form == "quoted":  # as R writes it, with its number before each row
        text = "".join(
            '"{}","{}"\n'.format(i or "", line.replace(",", '","')) for i, line in enumerate(text.splitlines())
        )
    path = tmp_path / "faces.csv"
    path.write_text(text, encoding="utf-8" if form == "quoted" else "utf-8-sig")
    dataset = open_dataset(path)
    assert dataset.splits == {"train": 14, "val": 3, "test": 3}
    np.testing.assert_array_equal(dataset.images(ImageSpec()), pictures)


def _damaged(text: bytes, how: str) -> bytes:
    if how == "gz":
        return gzip.compress(text)[:12] + b"\xff" * 99
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA if how == "lzma" else zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", text)
    data = bytearray(buffer.getvalue())
    if how in ("encrypted", "packed strangely"):
        at, value = (6, 1) if how == "encrypted" else (8, 99)  # of the file's head; two further on in the list of files
        data[at] = data[data.rfind(b"PK\1\2") + at + 2] = value
    else:
        data[50:70] = b"\xff" * 20
    return bytes(data)


@pytest.mark.parametrize("how", ["gz", "deflate", "lzma", "encrypted", "packed strangely"])
def test_a_packed_csv_that_cannot_be_unpacked_is_said_to_be_damaged(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv, how: str
) -> None:
    for name, says in (("fer2013.csv", "the csv is damaged"), ("faces", "no known layout")):
        path = tmp_path / f"{name}.{'gz' if how == 'gz' else 'zip'}"
        path.write_bytes(_damaged(csv_of(rows).encode(), how))
        with pytest.raises(DataError, match=says):
            open_dataset(path)


def test_a_line_broken_in_two_in_the_middle_is_named(
    tmp_path: Path, rows: list[tuple[object, object, str]], csv_of: Csv, pictures: NDArray[np.uint8]
) -> None:
    lines = csv_of(rows).splitlines()
    lines[11] = lines[11][:3000]  # row 10 lost its end, and its Usage with it
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"1 of 20 entries cannot be read \(row 10: "):
        open_dataset(path)
    assert len(open_dataset(path, on_bad="skip")) == 19
    lines[11] = '3,"1 2 3,Training'  # a quotation mark that never closes swallows the rest
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="quotation mark in row 10 never closes .* download the file again"):
        open_dataset(path)


def test_pictures_of_every_odd_kind_are_read_or_named(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "happy"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    colour = Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    colour.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(random.integers(0, 65536, (20, 30), dtype=np.uint16)).save(folder / "deep.png")
    frames = [colour, colour.rotate(180)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    turned = Image.Exif()
    turned[0x0112] = 6  # hold the camera upright: 90 degrees
    colour.save(folder / "turned.jpg", exif=turned)
    colour.convert("P").save(folder / "palette.png", transparency=0)
    colour.save(folder / "truly-a.png", "JPEG")  # a wrong ending
    (folder / ("ö" * 100 + ".png")).write_bytes((folder / "deep.png").read_bytes())
    dataset = open_dataset(tmp_path / "set")
    assert len(dataset) == 7
    shapes = {Path(id_).name: dataset.picture(row).shape[:2] for row, id_ in enumerate(dataset.index["id"])}
    assert shapes.pop("turned.jpg") == (30, 20)
    assert set(shapes.values()) == {(20, 30)}
    assert dataset.images(ImageSpec()).shape == (7, 48, 48)
    (folder / "text.png").write_text("no image")
    (folder / "cut.gif").write_bytes((folder / "moving.gif").read_bytes()[:60])
    with pytest.raises(DataError, match="2 of 9 entries cannot be read") as caught:
        open_dataset(tmp_path / "set")
    assert "happy/text.png: this is no image in a known format" in str(caught.value)


def test_a_name_that_no_file_can_have_is_refused_in_a_sentence() -> None:
    with pytest.raises(DataError, match="characters\\) does not exist"):
        open_dataset("/tmp/" + "x" * 5000 + "/a")
    with pytest.raises(DataError, match="give the full path"):
        open_dataset("~nobodyatall/set")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are always Unicode")
def test_a_name_that_is_not_utf8_is_said_and_can_be_skipped(learnable: Path) -> None:
    picture = next((learnable / "train" / "happy").iterdir())
    odd = os.path.join(os.fsencode(picture.parent), b"caf\xe9.png")
    Path(os.fsdecode(odd)).write_bytes(picture.read_bytes())
    with pytest.raises(DataError, match=r"train/happy/caf\\xe9.png: its name is not written in UTF-8; rename it"):
        open_dataset(learnable)
    assert len(open_dataset(learnable, on_bad="skip")) == 112
    os.mkdir(os.path.join(os.fsencode(learnable), b"train", b"fr\xf6hlich"))
    with pytest.raises(DataError, match=r"“fr\\xf6hlich” names no expression"):
        open_dataset(learnable)


def test_files_that_differ_in_ending_or_capitals_are_different_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "happy"
    folder.mkdir(parents=True)
    for number, name in enumerate(("a.png", "a.bmp", "A.png")):
        Image.fromarray(np.full((9, 9), 40 * number, np.uint8)).save(folder / name)
    dataset = open_dataset(tmp_path / "set")
    assert len(dataset) == len(list(folder.iterdir()))
    assert dataset.index["id"].is_unique


@pytest.mark.skipif(os.name == "nt", reason="making links needs rights on Windows")
def test_a_circle_of_links_ends(learnable: Path) -> None:
    (learnable / "train" / "happy" / "loop.png").symlink_to(learnable / "train" / "happy" / "loop.png")
    (learnable / "train" / "happy" / "back").symlink_to(learnable / "train")
    with pytest.raises(DataError, match="1 of 113 entries"):
        open_dataset(learnable)
