"""RAF-DB in the folder form found on Kaggle.

Source, size, labels, protocol and licence: as `rafdb`, of which this is a copy that somebody else passed on.
Layout: `DATASET/{train,test}/{1..7}/train_00001_aligned.jpg`, and `train_labels.csv`, `test_labels.csv` (`image,label`),
which must agree with the folders where they are there. Some copies have a `valid` or `val` part too, whose files are
still called as their first place was. Numbers alone do not make a set RAF-DB: the names or the lists have to, and there
is no folder but 1 to 7 (see `numbered`).
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from fer_core.datasets import SPLITS, OnBad, Reading, Skipped, reader
from fer_core.datasets.files import SPLIT_WORDS, first_of, pictures_below, read_files, subfolders
from fer_core.datasets.rafdb import LABELS, LICENCE, PROTOCOL
from fer_core.errors import DataError
from fer_core.labels import FER7

NAME = re.compile(r"^(train|test)_\d+(_aligned)?\.", re.IGNORECASE)


def _root(path: Path) -> Path | None:
    """The folder that holds the parts: the path itself or its `DATASET`."""
    if not path.is_dir():
        return None
    for root in (path, path / "DATASET"):
        folders = [folder for _, folder in _classes(root)]
        first = next((file for folder in folders for file in pictures_below(folder)), None)
        lists = first_of(path, "train_labels.csv", "test_labels.csv")
        if {folder.name for folder in folders} == set(map(str, LABELS)) and first:
            return root if lists or NAME.match(first.name) else None
    return None


def _classes(root: Path) -> list[tuple[str, Path]]:
    """(split, class folder) of every part."""
    parts = (
        [(SPLIT_WORDS[f.name.lower()], f) for f in subfolders(root) if f.name.lower() in SPLIT_WORDS]
        if root.is_dir()
        else []
    )
    return [(split, folder) for split, part in parts for folder in subfolders(part)]


@reader(
    "rafdb-folders",
    title="RAF-DB (folders 1 to 7)",
    dataset="rafdb",
    recognises=lambda path: _root(path) is not None,
    licence=LICENCE,
    protocol=PROTOCOL,
    expects=("DATASET/train/1", "DATASET/test/1", "train_labels.csv", "test_labels.csv"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the folders, and check them against the csv files.

    Raises:
        DataError: a csv has other columns, or entries cannot be read; an image whose folder and csv differ is one.
    """
    root = _root(path)
    assert root is not None
    rows, bad, accounted = [], [], list[str]()
    lists = {
        split: _labels(first_of(path, f"{split}_labels.csv") or first_of(root, f"{split}_labels.csv"))
        for split in SPLITS
    }
    for split, folder in _classes(root):
        table, number = lists[split], int(folder.name)
        for file in pictures_below(folder):
            id_ = file.stem.removesuffix("_aligned")
            said = table.get(file.name, number)
            if said != number:
                accounted.append(str(file))
                reason = f"the folder says {LABELS[number]}, {split}_labels.csv {LABELS.get(said, said)}"
                bad.append(Skipped(id_, reason))
            else:
                rows.append({"id": id_, "split": split, "label": LABELS[number], "file": str(file)})
    return read_files(path, rows, on_bad, FER7, bad, accounted=accounted, others="in no folder 1 to 7 of a part")


def _labels(path: Path | None) -> dict[str, int]:
    if path is None:
        return {}
    try:
        table = pd.read_csv(path)
        return {str(name): int(label) for name, label in zip(table["image"], table["label"], strict=True)}
    except (KeyError, ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: expected the columns image and label with numbers 1 to 7 ({error}).") from error
