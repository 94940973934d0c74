"""Data sets in the forms that people really have them in: each is read, or refused in a sentence that leads on; nothing is
left out in silence. The images are noise, the forms are those of files that were reported."""

import base64
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from fer_core.datasets import READERS, Skipped, known, open_dataset
from fer_core.datasets.archive import pictures_in
from fer_core.datasets.class_folders import members
from fer_core.datasets.fer2013 import split_in_name
from fer_core.datasets.numbered import COUNTS, NUMBERINGS, meanings
from fer_core.datasets.summary import counts
from fer_core.datasets.titles import dataset_title, split_title, table_title
from fer_core.errors import DataError, ImageError
from fer_core.faces import lying, turns_to_upright
from fer_core.images import FOREIGN_SUFFIXES, PICTURE_SUFFIXES, ImageSpec, decode
from fer_core.labels import FER7
from fer_core.runs.store import find
from tests.contracts.layouts import ck48, numbered, picture, table_of_the_hub, text

SPEC = ImageSpec()
# An image of 32 x 16 pixels as iPhones save them.
HEIC = (
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0004eZDn*}000000000XXk=`10000000000aA{+700000000000000000000B57=I"
    "V*mgE07O6l0RRC200001pa1~?00000004df001LtX>Mi!000000RR916=`l}WdZ;I000310BCk&F#rGn01j|zbZr0t000010002|"
    "X>f9I0002oX>en20001WXm(>m0RwOV0058x000009`FGC{rLC*01pFT0096PKmiN^|NjGU00093kN^M!000939=ZZRVE_RDDMA4O"
    "18@KU0|1Z!00RI30{|YNAb|yz>aLpR;31&EfB*mtfB*mk0EA)y0RRR>0l{;@i2wiq6Ju{|a&BX6cmM$a4FCp!0000KX>)L800000"
    "0000$0000$0000eV{Bn?0000W000010000G00001|NsBs00002|NsBc000020000GaA|mH000000|*ER0000OX>e^}0000000001"
    "009Mo0s{qv0001nZDe6|0001bC;_ih8Cj8l<^p!V|K5szCV!DIpZClv9TfQu9)Q?WbyBNodFX0E1r&RB_U(X<Vpv#G03sQ2Fh7Wy"
    "?2$fe<Wgz9Fsl})H#?ARk=x$|Nwv4`_=$j+&(sCNT24Qd3pfJA-aDj#I9q@g@AiL9y1YTPm#Pg(pKt"
)
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:32b2\nsize 264883338\n"


def pixels(seed: int, levels: int = 256) -> list[int]:
    return [int(value) for value in np.random.default_rng(seed).integers(0, levels, 48 * 48)]


def spaced(seed: int) -> str:
    return " ".join(map(str, pixels(seed)))


def opened(path: Path, content: str) -> pd.DataFrame:
    return open_dataset(text(path, content)).index


# --- tables of pixels


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_spreadsheet_s_separator_is_recognised(separator: str, tmp_path: Path) -> None:
    lines = ["emotion", "pixels", "Usage"], ["3", spaced(0), "Training"], ["6", spaced(1), "PrivateTest"]
    path = text(tmp_path / "fer2013.csv", "\ufeff" + "".join(separator.join(line) + "\n" for line in lines))
    dataset = open_dataset(path)
    assert dataset.index[["split", "label"]].values.tolist() == [["train", "happy"], ["test", "neutral"]]
    np.testing.assert_array_equal(dataset.picture(1).ravel(), pixels(1))


@pytest.mark.parametrize("form", ['"{}"', '"[{}]"', '"({})"'])
def test_pixels_may_stand_between_commas_and_brackets(form: str, tmp_path: Path) -> None:
    written = form.format(", ".join(map(str, pixels(0))))
    path = text(tmp_path / "fer2013.csv", f"emotion,pixels,Usage\n3,{written},Training\n")
    np.testing.assert_array_equal(open_dataset(path).picture(0).ravel(), pixels(0))


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_fractions_are_read_on_either_scale(scale: float, tmp_path: Path) -> None:
    written = " ".join(f"{value / 255 * scale:.6f}" for value in pixels(0))
    path = text(tmp_path / "fer2013.csv", f"emotion,pixels,Usage\n3,{written},Training\n")
    np.testing.assert_array_equal(open_dataset(path).picture(0).ravel(), pixels(0))


def test_pixels_that_lost_their_grey_levels_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"3,{' '.join(map(str, pixels(seed, 2)))},Training\n" for seed in range(3))
    with pytest.raises(DataError, match="every pixel is 0 or 1.*lost their grey levels"):
        opened(tmp_path / "fer2013.csv", f"emotion,pixels,Usage\n{rows}")


@pytest.mark.parametrize("bad", ["-0.5", "nan", "300.5", "grey"])
def test_a_fraction_that_is_none_is_named(bad: str, tmp_path: Path) -> None:
    rows = f"3,0.5 {'0.25 ' * 2302}0.75,Training\n3,{bad} {'0.25 ' * 2302}0.75,Training\n"
    with pytest.raises(DataError, match=r"row 1: line 3: a pixel is no number from 0 to 255"):
        opened(tmp_path / "fer2013.csv", f"emotion,pixels,Usage\n{rows}")


def test_labels_and_usage_may_be_words(tmp_path: Path) -> None:
    rows = ["Angry", "SADNESS", "5", "6.0"], ["train", "validation", "Test", "PublicTest"]
    lines = [f"{label},{spaced(i)},{usage}" for i, (label, usage) in enumerate(zip(*rows, strict=True))]
    index = opened(tmp_path / "fer2013.csv", "\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    assert index["label"].tolist() == ["angry", "sad", "surprise", "neutral"]
    assert index["split"].tolist() == ["train", "val", "test", "val"]


def test_an_unknown_word_is_named_with_its_row_also_where_no_row_is_good(tmp_path: Path) -> None:
    for word, column in (("bored", "label"), ("3", "Usage")):
        usage = "somewhere" if column == "Usage" else "Training"
        with pytest.raises(DataError, match=f"row 0: line 2: unknown {column}"):
            opened(tmp_path / f"{column}.csv", f"emotion,pixels,Usage\n{word},{spaced(0)},{usage}\n")


def test_contempt_as_a_word_widens_the_vocabulary(tmp_path: Path) -> None:
    path = text(
        tmp_path / "fer2013.csv", f"emotion,pixels,Usage\ncontempt,{spaced(0)},train\nhappy,{spaced(1)},train\n"
    )
    assert open_dataset(path).expressions.name == "ferplus8"


def test_a_csv_without_usage_is_the_part_that_its_name_says(tmp_path: Path) -> None:
    for name, split in (("train.csv", "train"), ("fer2013_validation.csv", "val"), ("fer2013.csv", "test")):
        assert set(opened(tmp_path / name, f"emotion,pixels\n3,{spaced(0)}\n")["split"]) == {split}


@given(st.sampled_from(["train", "val", "test", "PublicTest"]), st.from_regex(r"[0-9_\-. ]{0,3}", fullmatch=True))
def test_a_part_is_found_in_a_name_as_a_word_alone(word: str, around: str) -> None:
    assert split_in_name(f"fer{around or '-'}{word}{around}.csv".replace("fer" + word, "fer-" + word)) is not None
    assert split_in_name(f"re{word}ed.csv") is None


def test_images_without_labels_are_counted_and_not_scored(tmp_path: Path) -> None:
    text(tmp_path / "set" / "train.csv", f"emotion,pixels\n3,{spaced(0)}\n4,{spaced(1)}\n")
    text(tmp_path / "set" / "test.csv", f"pixels\n{spaced(2)}\n{spaced(3)}\n")
    known.add(tmp_path / "set", "challenge")
    dataset = open_dataset("challenge")
    assert dataset.splits == {"train": 2, "test": 2}
    assert counts(dataset).loc["no label"].tolist() == [0, 2]
    assert counts(dataset).loc["happy"].tolist() == [1, 0]
    with pytest.raises(DataError, match="2 of these 2 images have no label.*ferscope predict NETWORK challenge"):
        dataset.label_index(FER7, dataset.rows("test"))
    assert len(dataset.images(SPEC)[dataset.rows("test")]) == 2


# --- folders


@pytest.mark.parametrize("part", ["val", "valid", "validation"])
def test_no_part_of_rafdb_is_left_out(part: str, tmp_path: Path) -> None:
    for folder in ("train", part):
        for number in range(1, 8):
            picture(
                tmp_path
                / "set"
                / folder
                / str(number)
                / f"{folder[:5]}_000{number}_aligned.jpg".replace(part[:5], "test")
            )
    dataset = open_dataset(tmp_path / "set")
    assert (dataset.name, dataset.splits, dataset.skipped) == ("rafdb", {"train": 7, "val": 7}, ())


def test_numbers_from_0_or_without_names_are_not_taken_for_rafdb(tmp_path: Path) -> None:
    made = numbered(tmp_path / "set")
    with pytest.raises(DataError, match=r"called 0, 1, 2, 3, 4, 5, 6.*@fer2013 \(0 angry, 1 disgust.*@alphabet"):
        open_dataset(made.path)
    for number in range(1, 8):
        picture(tmp_path / "other" / "train" / str(number) / f"face{number}.jpg")
    with pytest.raises(DataError, match=r"@fer2013-from-1 \(1 angry.*@rafdb \(1 surprise"):
        open_dataset(tmp_path / "other")
    assert open_dataset(f"{tmp_path / 'other'}@rafdb").index["label"].tolist() == list(NUMBERINGS["rafdb"].values())


def test_a_numbering_is_remembered_with_the_set(tmp_path: Path) -> None:
    made = numbered(tmp_path / "set")
    with pytest.raises(DataError, match="Say which numbering"):
        known.add(made.path, "faces")
    assert known.known() == {}
    known.add(f"{made.path}@fer2013", "faces")
    assert open_dataset("faces").index["label"].iloc[0] == open_dataset(made.opened).index["label"].iloc[0]
    assert open_dataset("faces@alphabet").index["label"].tolist().count("sad") == 3  # the folders 5


def test_a_numbering_that_the_counts_contradict_is_refused() -> None:
    fer2013 = dict(enumerate(COUNTS["fer2013"][0]))
    with pytest.raises(DataError, match="counts are exactly those of fer2013"):
        meanings("", fer2013, "set")
    with pytest.raises(DataError, match="not numbered as @rafdb-from-0. The counts are exactly those of fer2013"):
        meanings("rafdb-from-0", fer2013, "set")
    assert meanings("fer2013", fer2013, "set")[1] == "disgust"
    shifted = {number + 1: n for number, n in fer2013.items()}
    with pytest.raises(DataError, match="not numbered as @rafdb"):
        meanings("rafdb", shifted, "set")
    assert meanings("fer2013-from-1", shifted, "set")[2] == "disgust"
    assert [sum(part) for part in COUNTS["fer2013"]] == [28709, 3589]
    assert [sum(part) for part in COUNTS["rafdb"]] == [12271, 3068]


def test_numbers_that_no_set_has_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="called 0, 41, which no known numbering has; call them by their names"):
        meanings("", {0: 1, 41: 1}, "set")


def test_an_outer_folder_with_notes_is_opened_and_one_with_more_is_not(tmp_path: Path) -> None:
    for name in ("train/happy/1.png", "validation/sad/2.png"):
        picture(tmp_path / "my-set" / "images" / name)
    text(tmp_path / "my-set" / "README.md", "about it")
    dataset = open_dataset(tmp_path / "my-set")
    assert (dataset.name, dataset.splits) == ("my-set", {"train": 1, "val": 1})
    text(tmp_path / "my-set" / "fer2013.csv", f"emotion,pixels,Usage\n3,{spaced(0)},Training\n")
    with pytest.raises(
        DataError, match=r"fer2013.csv is FER2013 \(csv\).*images is folder of class folders: give one of"
    ):
        open_dataset(tmp_path / "my-set")


def test_jaffe_is_told_by_its_names_whatever_the_format(tmp_path: Path) -> None:
    for ending in ("jpg", "png"):
        for name in ("KA.AN1.39", "KA.HA2.40", "other"):
            picture(tmp_path / ending / f"{name}.{ending}")
        dataset = open_dataset(tmp_path / ending)
        assert (dataset.name, sorted(dataset.index["label"])) == ("jaffe", ["angry", "happy"])
        assert dataset.skipped == (Skipped(f"other.{ending}", "name not as JAFFE's"),)


# --- formats


def saved(how: str, options: dict[str, object]) -> bytes:
    written = io.BytesIO()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8))
    image.save(written, how, **options)
    return written.getvalue()


@pytest.mark.parametrize(
    ("ending", "how"),
    [("avif", "AVIF"), ("jfif", "JPEG"), ("jp2", "JPEG2000"), ("jpe", "JPEG"), ("pnm", "PPM"), ("tga", "TGA")],
)
def test_what_is_read_as_a_single_file_is_read_in_folders_and_archives(ending: str, how: str, tmp_path: Path) -> None:
    place = tmp_path / "set" / "happy" / f"1.{ending}"
    place.parent.mkdir(parents=True)
    place.write_bytes(saved(how, {}))
    assert decode(place).shape == (40, 30, 3)
    dataset = open_dataset(tmp_path / "set")
    assert (len(dataset), dataset.skipped) == (1, ())
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(place, "happy/1." + ending)
    assert [member.reason for member in pictures_in(tmp_path / "set.zip")] == [""]


def test_heic_is_read_upright_in_folders_and_its_damage_is_named(tmp_path: Path) -> None:
    encoded = base64.b85decode(HEIC)  # left half black, right half (200, 100, 50)
    (tmp_path / "set" / "happy").mkdir(parents=True)
    (tmp_path / "set" / "happy" / "IMG_1.HEIC").write_bytes(encoded)
    dataset = open_dataset(tmp_path / "set")
    assert (len(dataset), dataset.skipped) == (1, ())
    image = dataset.picture(0)
    assert image.shape == (16, 32, 3)
    assert image[:, :12].max() < 30
    assert np.abs(image[:, 20:].astype(int) - [200, 100, 50]).max() < 30
    for damaged in (encoded[:300], encoded[:40], b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(40)):
        with pytest.raises(ImageError, match="no image in a known format|damaged"):
            decode(damaged)


@pytest.mark.parametrize("ending", sorted(FOREIGN_SUFFIXES))
def test_a_format_that_is_not_read_is_counted_and_named_wherever_it_lies(ending: str, tmp_path: Path) -> None:
    picture(tmp_path / "set" / "happy" / "1.png")
    text(tmp_path / "set" / "happy" / f"2{ending.upper()}", "whatever")
    dataset = open_dataset(tmp_path / "set")
    assert len(dataset) == 1
    assert dataset.left_out == 1
    assert dataset.skipped[0].id == f"happy/2{ending.upper()}"
    assert f"{ending} files are not read" in dataset.skipped[0].reason
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in (tmp_path / "set" / "happy").iterdir():
            archive.write(file, f"happy/{file.name}")
    for place in (tmp_path / "set", tmp_path / "set.zip"):
        reasons = {member.name: member.reason for member in members(place)}
        assert reasons["happy/1.png"] == ""
        assert "not read" in reasons[f"happy/2{ending.upper()}"]


def test_what_lies_outside_the_layout_is_counted_one_by_one_or_by_folder(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "train" / "happy" / "1.png")
    picture(tmp_path / "set" / "train" / "loose.png")
    picture(tmp_path / "set" / "cover.jpg")
    dataset = open_dataset(tmp_path / "set")
    assert {entry.id for entry in dataset.skipped} == {"cover.jpg", "train/loose.png"}
    for number in range(30):
        picture(tmp_path / "set" / f"{number}.png", (8, 8))
    dataset = open_dataset(tmp_path / "set")
    assert (len(dataset), dataset.left_out) == (1, 32)
    assert {(entry.id, entry.n) for entry in dataset.skipped} == {("31 images", 31), ("1 image", 1)}


def test_the_endings_are_in_one_list_alone() -> None:
    assert not PICTURE_SUFFIXES & FOREIGN_SUFFIXES


def test_a_git_lfs_pointer_is_recognised_as_table_image_and_folder(tmp_path: Path) -> None:
    for name in ("fer2013.csv", "labels.csv", "more.parquet"):
        with pytest.raises(DataError, match="Git LFS pointer, not the file itself; run `git lfs pull`"):
            known.add(text(tmp_path / name, LFS))
    with pytest.raises(DataError, match="Git LFS pointers.*run `git lfs pull` there"):
        open_dataset(tmp_path)
    for name in ("happy/1.jpg", "sad/2.jpg"):
        text(tmp_path / "pics" / name, LFS)
    with pytest.raises(DataError, match="happy/1.jpg: this is a Git LFS pointer"):
        open_dataset(tmp_path / "pics")
    assert known.known() == {}


@pytest.mark.parametrize(("turned", "how"), [(1, "90° clockwise"), (2, "upside down"), (3, "90° counter-clockwise")])
def test_a_photo_that_lies_on_its_side_is_said_to(turned: int, how: str) -> None:
    photo = data.astronaut()
    assert turns_to_upright(photo) == 0
    assert turns_to_upright(np.ascontiguousarray(np.rot90(photo, turned))) == turned
    assert how in lying(turned)
    assert turns_to_upright(np.full((200, 200, 3), 127, np.uint8)) == 0


def test_images_that_nothing_labels_lead_to_predict(tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "1.jpg")
    with pytest.raises(DataError, match=f"ferscope predict NETWORK {tmp_path / 'photos'}"):
        open_dataset(tmp_path / "photos")


# --- tables of files


def test_a_table_says_what_it_cannot_use_with_its_row(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "img" / "1.png")
    lines = [
        "path,label,split",
        "img/1.png,happy,train",
        "img/2.png,sad,train",
        "img/1.png,bored,train",
        "img/1.png,sad,x",
    ]
    text(tmp_path / "set" / "labels.csv", "\n".join(lines) + "\n")
    with pytest.raises(DataError, match="3 of 4 entries cannot be read.*row 2: there is no file “img/2.png” beside"):
        open_dataset(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set", on_bad="skip")
    assert [entry.id for entry in dataset.skipped] == [f"labels.csv, row {n}" for n in (2, 3, 4)]


def test_a_table_of_numbers_asks_for_the_numbering(tmp_path: Path) -> None:
    lines = ["image,label"]
    for number in range(7):
        picture(tmp_path / "set" / "images" / f"{number}.png")
        lines.append(f"{number}.png,{number}")
    path = text(tmp_path / "set" / "labels.csv", "\n".join(lines) + "\n")
    for place in (path, path.parent):
        with pytest.raises(DataError, match="Say which numbering"):
            open_dataset(place)
        assert open_dataset(f"{place}@fer2013").index["label"].tolist() == list(FER7.names)


def test_a_table_never_leads_out_of_its_folder(tmp_path: Path) -> None:
    picture(tmp_path / "secret.png")
    picture(tmp_path / "set" / "1.png")
    lines = ["file,label", "1.png,happy", "../secret.png,sad", f"{tmp_path}/secret.png,sad"]
    text(tmp_path / "set" / "labels.csv", "\n".join(lines) + "\n")
    dataset = open_dataset(tmp_path / "set", on_bad="skip")
    assert dataset.index["id"].tolist() == ["1.png"]


def test_the_hub_s_images_of_different_sizes_are_kept_as_they_are(tmp_path: Path) -> None:
    made = table_of_the_hub(tmp_path / "set", (48, 30, 64))
    dataset = open_dataset(made.path)
    assert [dataset.picture(row).shape for row in range(3)] == [(48, 48), (30, 30), (64, 64)]
    for row, (stem, number) in enumerate([("train", 0), ("train", 1), ("validation", 0)]):
        np.testing.assert_array_equal(dataset.picture(row), decode(tmp_path / f"{stem}-00000-of-00001-{number}.png"))
    assert open_dataset(made.path).images(SPEC).shape == (3, 48, 48)


def test_what_the_hub_says_of_some_numbers_narrows_the_numberings_down(tmp_path: Path) -> None:
    made = table_of_the_hub(tmp_path / "set")
    front = (made.path / "README.md").read_text()
    text(made.path / "README.md", front.replace("          '1': happiness\n", ""))
    with pytest.raises(DataError) as caught:
        open_dataset(made.path)
    assert "@fer2013" in str(caught.value)
    assert "@affectnet" not in str(caught.value)  # its 0 is neutral
    assert open_dataset(f"{made.path}@fer2013").index["label"].iloc[1] == "disgust"


# --- hints


def test_a_set_without_validation_part_leads_to_carving(tmp_path: Path) -> None:
    for name in ("train/happy/1.png", "test/sad/2.png"):
        picture(tmp_path / "two parts" / name)
    with pytest.raises(DataError, match=r"no split “val”.*ferscope data split '.*two parts' --how carve"):
        open_dataset(tmp_path / "two parts").rows("val")


def test_labels_a_network_lacks_lead_to_a_merge(tmp_path: Path) -> None:
    dataset = open_dataset(ck48(tmp_path / "set").path)
    with pytest.raises(DataError, match=rf"contempt \(3\).*ferscope data merge {dataset.quoted} --expressions fer7"):
        dataset.label_index(FER7, dataset.rows("test"))


@pytest.mark.parametrize("broken", ["gone", "empty", "damaged"])
def test_nothing_is_added_that_does_not_open(broken: str, tmp_path: Path) -> None:
    write: dict[str, Callable[[], object]] = {
        "gone": lambda: None,
        "empty": lambda: text(tmp_path / "set.csv", "emotion,pixels,Usage\n"),
        "damaged": lambda: text(tmp_path / "set.csv", "emotion,pixels,Usage\n3,1 2 3,Training\n"),
    }
    write[broken]()
    with pytest.raises(DataError):
        known.add(tmp_path / "set.csv", "mine")
    assert known.known() == {}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("own.onnx", "an ONNX network"),
        ("n.pth.tar", "PyTorch checkpoint"),
        ("x.HDF5", "a Keras network"),
        ("p.csv", "a table"),
    ],
)
def test_a_foreign_network_is_called_what_it_is(name: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=f"{name} is .*{what}.*ferscope import"):
        find(text(tmp_path / name, "x"))


def test_sets_and_parts_have_names() -> None:
    assert table_title("fer2013-val") == "FER2013, validation set"
    assert table_title("ckplus-three-test") == "CK+ (three), test set"
    assert dataset_title("my-own") == "my-own"
    assert split_title("train+val") == "training and validation set"
    named = {dataset_title(layout.dataset) for _, layout in READERS.items() if layout.dataset}
    assert {"CK+", "CK+ extended", "CK+48", "RAF-DB", "AffectNet", "JAFFE"} <= named


def test_a_folder_with_the_csv_and_the_votes_is_told_apart_and_neither_is_taken_for_a_table_of_files(
    tmp_path: Path, csv_of: Callable[..., str], pictures: np.ndarray
) -> None:
    (tmp_path / "fer2013.csv").write_text(csv_of([(3, pictures[0], "Training"), (4, pictures[1], "PublicTest")]))
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    (tmp_path / "fer2013new.csv").write_text(f"{header}\nTraining,fer0000000.png,0,10,0,0,0,0,0,0,0,0\n")
    with pytest.raises(
        DataError, match=r"fer2013\.csv is FER2013 \(csv\).*fer2013new\.csv is FER\+ .*give one of these"
    ):
        open_dataset(tmp_path)
