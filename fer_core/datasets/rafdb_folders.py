"""RAF-DB in the folder form that goes round on Kaggle.

Source, size, labels, protocol and licence: as `rafdb`, of which this is a copy that somebody else passed on.
Layout: `DATASET/{train,test}/{1..7}/train_00001_aligned.jpg`, and `train_labels.csv`, `test_labels.csv` (`image,label`),
which must agree with the folders where they are there.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fer_core.datasets import OnBad, Reading, Skipped, reader
from fer_core.datasets.files import first_of, pictures_below, read_files
from fer_core.datasets.rafdb import LABELS, LICENCE, PROTOCOL
from fer_core.errors import DataError
from fer_core.labels import FER7


def _root(path: Path) -> Path | None:
    """The folder that holds train and test: the path itself or its `DATASET`."""
    return next((root for root in (path, path / "DATASET") if (root / "train" / "1").is_dir()), None)


@reader(
    "rafdb-folders",
    title="RAF-DB (folders 1 to 7)",
    dataset="rafdb",
    recognises=lambda path: path.is_dir() and _root(path) is not None,
    licence=LICENCE,
    protocol=PROTOCOL,
    expects=("DATASET/train/1", "DATASET/test/1", "train_labels.csv", "test_labels.csv"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the folders, and check them against the csv files.

    Raises:
        DataError: a csv has other columns, or entries cannot be read; a picture whose folder and csv differ is one.
    """
    root = _root(path)
    assert root is not None
    rows, bad = [], []
    for split in ("train", "test"):
        table = _labels(first_of(path, f"{split}_labels.csv") or first_of(root, f"{split}_labels.csv"))
        for number, label in LABELS.items():
            for file in pictures_below(root / split / str(number)):
                id_ = file.stem.removesuffix("_aligned")
                said = table.get(file.name, number)
                if said != number:
                    bad.append(Skipped(id_, f"the folder says {label}, {split}_labels.csv {LABELS.get(said, said)}"))
                else:
                    rows.append({"id": id_, "split": split, "label": label, "file": str(file)})
    return read_files(path, rows, on_bad, FER7, bad)


def _labels(path: Path | None) -> dict[str, int]:
    if path is None:
        return {}
    try:
        table = pd.read_csv(path)
        return {str(name): int(label) for name, label in zip(table["image"], table["label"], strict=True)}
    except (KeyError, ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: expected the columns image and label with numbers 1 to 7 ({error}).") from error
