"""SFEW 2.0, static facial expressions in the wild: frames of feature films.

Source: Dhall, Goecke, Lucey and Gedeon 2011; version 2.0 of the EmotiW 2015 challenge. 958 train, 436 val and 372 test
faces; the labels of test are withheld.
Layout: `Train/Train_Aligned_Faces/Angry/<film>_<time>_<n>.png`, `Val/Val_Aligned_Faces/...`; classes Angry, Disgust,
Fear, Happy, Neutral, Sad, Surprise.
Protocol: train on `Train`, report on `Val`, which is therefore our test set. Nothing may be chosen on it: carve a
validation set from the training set, with the faces of one film on one side.
Licence: research by signed agreement. To get it: ask the
authors (cs.anu.edu.au/few).
"""

from __future__ import annotations

from pathlib import Path

from fer_core.datasets import OnBad, Reading, Skipped, reader
from fer_core.datasets.files import first_of, pictures_below, read_files, several, subfolders
from fer_core.labels import FER7, canonical

PARTS = {"train": ("Train/Train_Aligned_Faces",), "test": ("Val/Val_Aligned_Faces", "Val/Val_Aligned_Faces_new")}
TEST = ("Test/Test_Aligned_Faces", "Test/Test_Aligned_Faces_new_public", "Test")


@reader(
    "sfew",
    title="SFEW 2.0",
    dataset="sfew",
    recognises=lambda path: path.is_dir() and any(first_of(path, *names) for names in PARTS.values()),
    licence="research by signed agreement; no passing on",
    protocol="Official Val is reported on and is our test; carve a validation set from train, grouped by film.",
    expects=("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the aligned faces of `Train` and `Val`; `film` is the part of the name before time and number.

    Raises:
        DataError: a class folder names no expression (as an unreadable entry), or entries that cannot be read.
    """
    rows, bad, roots = [], [], list[Path]()
    for split, names in PARTS.items():
        root = first_of(path, *names)
        roots += [root] if root else []
        for folder in subfolders(root) if root else []:
            label = canonical(folder.name)
            if label is None:
                bad.append(Skipped(f"{root}/{folder.name}", "names no expression"))
                continue
            for file in pictures_below(folder):
                film = file.stem.rsplit("_", 2)[0]
                id_ = file.relative_to(path).as_posix()
                rows.append({"id": id_, "split": split, "label": label, "file": str(file), "film": film})
    test = first_of(path, *TEST)
    withheld = sum(1 for _ in pictures_below(test)) if test else 0
    left_out = [several(withheld, "image", "of Test, whose labels are withheld")] if withheld else []
    return read_files(path, rows, on_bad, FER7, bad, left_out, within=roots)
