"""Small data sets made in exactly the layouts that their authors ship, with their odd cases: one function a reader.

Each writes below an empty folder and returns what to open, and what must be found there: the rows by id.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image


@dataclass
class Made:
    """Where to open a set, and what it holds: (split, label) by id, further columns by id, what is left out."""

    path: Path
    rows: Mapping[str, tuple[str, str | None]]
    columns: dict[str, dict[str, object]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    mode: str = ""

    @property
    def opened(self) -> str:
        """What to open: the path, with the mode behind it where the layout has to be told."""
        return f"{self.path}@{self.mode}" if self.mode else str(self.path)


def picture(path: Path, size: tuple[int, int] = (24, 20), mode: str = "L") -> Path:
    """An image of noise that no other path has; size is width, height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    random = np.random.default_rng(zlib.crc32(path.as_posix().encode()))
    Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def _pixels(seed: int) -> str:
    return " ".join(map(str, np.random.default_rng(seed).integers(0, 256, 48 * 48)))


def fer2013(root: Path) -> Made:
    """Columns in another order, as some copies have them, and one more column."""
    lines = ["Usage,emotion,name,pixels"]
    rows = {}
    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    usages = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
    for i, usage in enumerate(["Training"] * 7 + ["PublicTest", "PrivateTest"]):
        lines.append(f"{usage},{i % 7},x,{_pixels(i)}")
        rows[f"{i:05d}"] = (usages[usage], names[i % 7])
    return Made(text(root / "fer2013.csv", "\n".join(lines) + "\n"), rows)


def ferplus(root: Path) -> Made:
    """A row without a name, and numbers in the names that drift away from the rows."""
    fer2013(root)
    votes = [
        "Training,fer0000000.png,10,0,0,0,0,0,0,0,0,0",
        "Training,,0,9,0,0,1,0,0,0,0,0",
        "Training,fer0000087.png,0,0,0,0,0,0,0,10,0,0",
        *["Training,fer0000088.png,0,0,0,0,0,0,0,0,0,10"] * 4,
        "PublicTest,fer0000090.png,0,0,8,0,0,0,2,0,0,0",
        "PrivateTest,,0,0,0,7,0,3,0,0,0,0",
    ]
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    path = text(root / "fer2013new.csv", "\n".join([header, *votes]) + "\n")
    rows = {
        "00000": ("train", "neutral"),
        "00001": ("train", "happy"),
        "00002": ("train", "contempt"),
        "00007": ("val", "surprise"),
        "00008": ("test", "sad"),
    }
    left_out = {"4 images": "unknown or no face"}
    return Made(path, rows, {"00001": {"votes_happy": 9, "votes_angry": 1}}, left_out)


RAFDB = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")


def rafdb(root: Path, each: int = 1) -> Made:
    """Given in the `basic` folder of the download; blank lines at the end; `each` images of a class in a split."""
    lines, rows = [], {}
    for number, label in enumerate(RAFDB * each, 1):
        for split in ("train", "test"):
            stem = f"{split}_{number:05d}"
            picture(root / "basic" / "Image" / "aligned" / f"{stem}_aligned.jpg", (100, 100), "RGB")
            lines.append(f"{stem}.jpg {(number - 1) % 7 + 1}")
            rows[stem] = (split, label)
    text(root / "basic" / "EmoLabel" / "list_patition_label.txt", "\n".join(lines) + "\n\n")
    return Made(root, rows)


def rafdb_folders(root: Path) -> Made:
    rows = {}
    for split in ("train", "test"):
        lines = ["image,label"]
        for number, label in enumerate(RAFDB, 1):
            stem = f"{split}_{number:05d}"
            picture(root / "DATASET" / split / str(number) / f"{stem}_aligned.jpg", (100, 100), "RGB")
            lines.append(f"{stem}_aligned.jpg,{number}")
            rows[stem] = (split, label)
        text(root / f"{split}_labels.csv", "\n".join(lines) + "\n")
    return Made(root, rows)


def ckplus(root: Path) -> Made:
    """A sequence without an emotion file, one with an empty emotion folder, and a Mac's hidden files."""
    rows, columns = {}, {}
    for person, sequence, number in (
        ("S005", "001", 3),
        ("S010", "002", 7),
        ("S010", "004", None),
        ("S011", "001", "empty"),
    ):
        stem = f"{person}_{sequence}"
        for frame in range(1, 6):
            picture(root / "cohn-kanade-images" / person / sequence / f"{stem}_{frame:08d}.png", (64, 49))
        text(root / "cohn-kanade-images" / person / sequence / ".DS_Store", "")
        emotion = root / "Emotion" / person / sequence
        emotion.mkdir(parents=True)
        if isinstance(number, int):
            text(emotion / f"{stem}_00000005_emotion.txt", f"   {number:.7e}\n")
            label = {3: "disgust", 7: "surprise"}[number]
            rows |= {f"{stem}_00000001": ("test", "neutral"), f"{stem}_00000005": ("test", label)}
            columns |= {f"{stem}_{n:08d}": {"person": person, "sequence": stem} for n in (1, 5)}
    return Made(
        root,
        rows,
        columns,
        {"2 sequences": "no emotion file", "cohn-kanade-images/S005/001/S005_001_00000002.png": "between"},
    )


def ck48(root: Path) -> Made:
    rows, columns = {}, {}
    folders = {"anger": "angry", "contempt": "contempt", "happy": "happy", "sadness": "sad"}
    for i, (folder, label) in enumerate(folders.items()):
        for frame in (17, 18, 19):
            stem = f"S{10 + i:03d}_004_{frame:08d}"
            picture(root / "CK+48" / folder / f"{stem}.png", (48, 48))
            rows[stem] = ("test", label)
            columns[stem] = {"person": f"S{10 + i:03d}"}
    return Made(root, rows, columns)


def ckextended(root: Path) -> Made:
    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")
    lines = ["emotion,pixels,Usage", *(f"{i},{_pixels(i)},{'PublicTest' if i == 3 else 'Training'}" for i in range(8))]
    rows = {f"{i:05d}": ("val" if i == 3 else "train", name) for i, name in enumerate(names)}
    return Made(text(root / "ckextended.csv", "\n".join(lines) + "\n"), rows)


def kdef(root: Path) -> Made:
    """Both sessions of one person, a man, and the two misnamed files."""
    names = {
        "AF01ANS": "angry", "BF01AFHL": "fear", "AM31DIFR": "disgust", "AM31HAS": "happy", "AF01NES": "neutral",
        "AF01SAHR": "sad", "BF01SUFL": "surprise",
    }  # fmt: skip
    for name in [*names, "AF31V", "AM31H"]:
        picture(root / "KDEF" / name[:4] / f"{name}.JPG", (56, 76), "RGB")
    columns = {
        "AF01ANS": {"person": "F01", "sex": "F", "session": "A", "angle": "S"},
        "BF01AFHL": {"person": "F01", "sex": "F", "session": "B", "angle": "HL"},
        "AM31DIFR": {"person": "M31", "sex": "M", "angle": "FR"},
    }
    left_out = dict.fromkeys(("AF31V.JPG", "AM31H.JPG"), "does not say expression and angle")
    return Made(root, {name: ("test", label) for name, label in names.items()}, columns, left_out)


def sfew(root: Path) -> Made:
    """A film whose name has an underscore, and the test part without labels."""
    rows, columns = {}, {}
    for folder, label in (("Angry", "angry"), ("Surprise", "surprise")):
        for part, split in (("Train", "train"), ("Val", "test")):
            for film in ("AlexEmma", "About_A_Boy"):
                id_ = f"{part}/{part}_Aligned_Faces/{folder}/{film}_000155080_00000005.png"
                picture(root / id_, (143, 181), "RGB")
                rows[id_] = (split, label)
                columns[id_] = {"film": film}
    picture(root / "Test" / "Test_Aligned_Faces" / "Airheads_000519240_00000005.png", (143, 181), "RGB")
    return Made(root, rows, columns, {"1 image": "labels are withheld"})


def jaffe(root: Path) -> Made:
    words = {
        "AN": "angry",
        "DI": "disgust",
        "FE": "fear",
        "HA": "happy",
        "NE": "neutral",
        "SA": "sad",
        "SU": "surprise",
    }
    rows, columns = {}, {}
    for number, (word, label) in enumerate(words.items(), 39):
        stem = f"K{'AMR'[number % 3]}.{word}1.{number}"
        picture(root / "jaffe" / f"{stem}.tiff", (64, 64))
        rows[stem] = ("test", label)
        columns[stem] = {"person": stem[:2]}
    text(root / "jaffe" / "README", "")
    return Made(root, rows, columns)


def affectnet(root: Path) -> Made:
    """validation.csv without its header, boxes, and the three labels that are no expressions."""
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    names = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
    lists: dict[str, list[str]] = {"training": [], "validation": []}
    rows, columns = {}, {}
    for number in range(11):
        for part in lists:
            id_ = f"{number % 3}/{part}{number:04d}.jpg"
            picture(root / "Manually_Annotated_Images" / id_, (60, 50), "RGB")
            lists[part].append(f"{id_},10,5,30,40,12.5;7.1;13.0;8.2,{number},-0.25,0.5")
            if number < 8:
                rows[id_] = ("train" if part == "training" else "test", names[number])
                columns[id_] = {"left": 10, "top": 5, "width": 30, "height": 40, "valence": -0.25}
    text(root / "Manually_Annotated_file_lists" / "training.csv", header + "\n".join(lists["training"]) + "\n")
    text(root / "Manually_Annotated_file_lists" / "validation.csv", "\n".join(lists["validation"]) + "\n")
    left_out = {"2 images": "labelled "}
    return Made(root, rows, columns, left_out)


def affectnet_npy(root: Path) -> Made:
    """Numbers stored as text in one part and as numbers in the other."""
    names = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
    rows = {}
    for part, split in (("train_set", "train"), ("val_set", "test")):
        (root / part / "annotations").mkdir(parents=True)
        for number, label in enumerate(names):
            picture(root / part / "images" / f"{number}.jpg", (32, 32), "RGB")
            value = np.array(str(number)) if split == "train" else np.array(number)
            np.save(root / part / "annotations" / f"{number}_exp.npy", value)
            rows[f"{part}/images/{number}.jpg"] = (split, label)
    return Made(root, rows)


def expw(root: Path) -> Made:
    """Two faces in one image, a name with a space, and a box over the edge."""
    lines = [
        "afraid man_1.jpg 0 5 10 30 25 64.7 2",
        "afraid man_1.jpg 1 8 40 70 40 35.1 6",
        "happy_2.jpg 0 0 0 20 20 90.0 3",
    ]
    picture(root / "image" / "origin" / "afraid man_1.jpg", (60, 50), "RGB")
    picture(root / "image" / "origin" / "happy_2.jpg", (30, 30), "RGB")
    text(root / "label.lst", "\n".join(lines) + "\n")
    rows = {
        "afraid man_1.jpg#0": ("test", "fear"),
        "afraid man_1.jpg#1": ("test", "neutral"),
        "happy_2.jpg#0": ("test", "happy"),
    }
    first = {"photo": "afraid man_1.jpg", "left": 10.0, "top": 5.0, "width": 20.0, "height": 20.0}
    return Made(root, rows, {"afraid man_1.jpg#0": first})


def folder(root: Path) -> Made:
    """A private set: synonyms as class folders, a name beyond ASCII, a nested folder."""
    files = {
        "Happiness/ünï ☺ 01.png": "happy",
        "Happiness/more/02.jpeg": "happy",
        "afraid/" + "x" * 200 + ".png": "fear",
    }
    for name in files:
        picture(root / name)
    return Made(root, {name: ("test", label) for name, label in files.items()})


def fer2013_folders(root: Path) -> Made:
    files = {
        "train/angry/Training_3908.jpg": ("train", "angry"),
        "test/angry/PublicTest_25.jpg": ("val", "angry"),
        "test/happy/PrivateTest_11.jpg": ("test", "happy"),
    }
    for name in files:
        picture(root / name, (48, 48))
    return Made(root, files)


def fer2013_parts(root: Path) -> Made:
    """Train with labels and a test part without, as the challenge hands them out; a third csv whose name says no part."""
    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    text(root / "train.csv", "\n".join(["emotion,pixels", *(f"{i},{_pixels(i)}" for i in range(7))]) + "\n")
    text(root / "test.csv", f"pixels\n{_pixels(7)}\n{_pixels(8)}\n")
    text(root / "icml_face_data.csv", f"emotion, Usage, pixels\n0,Training,{_pixels(9)}\n")
    rows: dict[str, tuple[str, str | None]] = {f"train/{i:05d}": ("train", name) for i, name in enumerate(names)}
    rows |= {"test/00000": ("test", None), "test/00001": ("test", None)}
    return Made(root, rows, left_out={"icml_face_data.csv": "its name says no split"})


def ferplus_folders(root: Path) -> Made:
    """A list for each part, without a header; one image without a majority, and one that no list names."""
    lists = {
        "FER2013Train": ("train", ["9,0,0,0,1,0,0,0,0,0", "0,9,0,0,1,0,0,0,0,0", "5,5,0,0,0,0,0,0,0,0"]),
        "FER2013Valid": ("val", ["0,0,8,0,0,0,2,0,0,0"]),
        "FER2013Test": ("test", ["0,0,0,7,0,3,0,0,0,0", "0,0,0,0,0,0,0,10,0,0"]),
    }
    labels = iter(["neutral", "happy", None, "surprise", "sad", "contempt"])
    rows, number = {}, 0
    for part, (split, votes) in lists.items():
        lines = []
        for counts in votes:
            name = f"fer{number:07d}"
            picture(root / part / f"{name}.png", (48, 48))
            lines.append(f'{name}.png,"(0, 0, 48, 48)",{counts}')
            if label := next(labels):
                rows[name] = (split, label)
            number += 1
        text(root / part / "label.csv", "\n".join(lines) + "\n")
    picture(root / "FER2013Test" / "fer9999999.png", (48, 48))
    left_out = {"1 image": "no majority", "FER2013Test/fer9999999.png": "in no label.csv"}
    return Made(root, rows, {"fer0000000": {"votes_neutral": 9}}, left_out)


def numbered(root: Path) -> Made:
    """FER2013's numbers, in three parts, one of them without a class; an image outside the class folders."""
    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    rows = {}
    for part, split in (("train", "train"), ("validation", "val"), ("test", "test")):
        for number, label in enumerate(names):
            if (part, label) != ("test", "disgust"):
                id_ = f"{part}/{number}/{number}.png"
                picture(root / id_, (48, 48))
                rows[id_] = (split, label)
    picture(root / "cover.jpg")
    return Made(root, rows, left_out={"cover.jpg": "in no class folder"}, mode="fer2013")


def table(root: Path) -> Made:
    """A csv with semicolons that Excel wrote: names without an ending, words in capitals, a person; an image it lacks."""
    lines = [
        "\ufeffImage ID;Expression;Usage;Subject",
        "a1;HAPPINESS;Training;p1",
        "b2.png;sad;validation;p2",
        "c3;Afraid;test;p1",
    ]
    for name in ("a1.png", "b2.png", "c3.jpg", "extra.webp"):
        picture(root / "faces" / name, (30, 30))
    text(root / "labels.csv", "\n".join(lines) + "\n")
    rows = {"faces/a1.png": ("train", "happy"), "faces/b2.png": ("val", "sad"), "faces/c3.jpg": ("test", "fear")}
    return Made(root, rows, {"faces/a1.png": {"person": "p1"}}, {"faces/extra.webp": "not in the table"})


def table_of_roboflow(root: Path) -> Made:
    """A table for each part with a column of 0 and 1 for each expression."""
    rows = {}
    for part, split, label, cells in (("train", "train", "happy", "0,1"), ("valid", "val", "angry", "1,0")):
        name = f"{split}_jpg.rf.0a1b.jpg"
        picture(root / part / name, (48, 48))
        text(root / part / "_classes.csv", f"filename, angry, happy\n{name},{cells}\n")
        rows[f"{part}/{name}"] = (split, label)
    text(root / "README.roboflow.txt", "exported")
    return Made(root, rows)


def table_of_the_hub(root: Path, sizes: tuple[int, ...] = (48, 48, 48)) -> Made:
    """Parquet files that hold the images, one a part; what the numbers stand for is in the README."""
    front = "---\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: label\n    dtype:\n"
    front += "      class_label:\n        names:\n          '0': anger\n          '1': happiness\n---\nA set.\n"
    text(root / "README.md", front)
    (root / "data").mkdir()
    rows = {}
    for part, split, numbers in (("train", "train", (0, 1)), ("validation", "val", (1,))):
        stem = f"{part}-00000-of-00001"
        images = []
        for row, number in enumerate(numbers):
            side = sizes[len(rows)]
            file = picture(root.parent / f"{stem}-{row}.png", (side, side))
            images.append({"bytes": file.read_bytes(), "path": None})
            rows[f"{stem}/{row:06d}"] = (split, ("angry", "happy")[number])
        pd.DataFrame({"image": images, "label": list(numbers)}).to_parquet(root / "data" / f"{stem}.parquet")
    return Made(root, rows)


LAYOUTS = {
    "fer2013-csv": fer2013,
    "ferplus": ferplus,
    "rafdb": rafdb,
    "rafdb-folders": rafdb_folders,
    "ckplus": ckplus,
    "ck48": ck48,
    "ckextended": ckextended,
    "kdef": kdef,
    "sfew": sfew,
    "jaffe": jaffe,
    "affectnet": affectnet,
    "affectnet-npy": affectnet_npy,
    "expw": expw,
    "folder": folder,
    "fer2013-folders": fer2013_folders,
    "fer2013-parts": fer2013_parts,
    "ferplus-folders": ferplus_folders,
    "numbered": numbered,
    "table": table,
    "table-of-roboflow": table_of_roboflow,
    "table-of-the-hub": table_of_the_hub,
}
READ_BY = {"fer2013-folders": "folder", "table-of-roboflow": "table", "table-of-the-hub": "table"}
