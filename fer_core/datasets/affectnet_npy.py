"""AffectNet as images with one numpy file for each annotation, the form of the later releases (AffectNet-7, -8).

Source, labels, protocol and licence: as `affectnet`; 287,651 training and 3,999 validation faces of eight expressions,
cut and brought to 224 x 224. Layout: `train_set/images/0.jpg`, `train_set/annotations/0_exp.npy` (and `_val`, `_aro`),
`val_set/...`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fer_core.datasets import OnBad, Reading, Skipped, reader
from fer_core.datasets.affectnet import LABELS, LICENCE, PROTOCOL
from fer_core.datasets.files import first_of, pictures_below, read_files, several
from fer_core.labels import FERPLUS8

PARTS = {"train": ("train_set", "train", "training"), "test": ("val_set", "val", "validation")}


def _part(path: Path, split: str) -> Path | None:
    return next((path / name for name in PARTS[split] if (path / name / "annotations").is_dir()), None)


@reader(
    "affectnet-npy",
    title="AffectNet (npy)",
    dataset="affectnet",
    recognises=lambda path: path.is_dir() and any(_part(path, split) for split in PARTS),
    licence=LICENCE,
    protocol=PROTOCOL,
    expects=("train_set/images", "train_set/annotations", "val_set/images", "val_set/annotations"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read images and annotations; a file that would have to be unpickled is not opened and counts as unreadable.

    Raises:
        DataError: entries that cannot be read.
    """
    rows, bad, accounted = [], [], set()
    others: dict[str, int] = {}
    for split in PARTS:
        part = _part(path, split)
        files = list(pictures_below(part / "images")) if part and first_of(part, "images") else []
        with ThreadPoolExecutor() as pool:
            numbers = list(
                pool.map(lambda file: _number(file.parents[1] / "annotations" / f"{file.stem}_exp.npy"), files)
            )
        for file, number in zip(files, numbers, strict=True):
            id_ = file.relative_to(path).as_posix()
            if number is None or number not in range(len(LABELS)):
                accounted.add(str(file))
                bad.append(Skipped(id_, f"annotations/{file.stem}_exp.npy is missing or holds no number from 0 to 10"))
            elif LABELS[number] not in FERPLUS8.names:
                accounted.add(str(file))
                others[LABELS[number]] = others.get(LABELS[number], 0) + 1
            else:
                rows.append({"id": id_, "split": split, "label": LABELS[number], "file": str(file)})
    left_out = [several(n, "image", f"labelled {label}") for label, n in others.items()]
    return read_files(path, rows, on_bad, FERPLUS8, bad, left_out, accounted=accounted)


def _number(path: Path) -> int | None:
    """The one number of a file, which some releases store as text."""
    try:
        return int(float(str(np.load(path, allow_pickle=False).reshape(-1)[0])))
    except (OSError, ValueError, EOFError, IndexError):
        return None
