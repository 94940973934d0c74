"""CK+48: the last three frames of CK+'s labelled sequences as grey faces of 48 x 48, as found on Kaggle.

Source: as `ckplus`. 981 images of 118 people, by class folder: anger, contempt, disgust, fear, happy, sadness,
surprise; there is no neutral. Layout: `CK+48/anger/S010_004_00000017.png`.
Protocol: none official. The three frames of a sequence are nearly equal, so with a random split a network can memorise
the test images: split by person. Licence: CK+'s (research by signed agreement). To get it: Kaggle; better, ask for CK+.
"""

from __future__ import annotations

import re
from pathlib import Path

from fer_core.datasets import OnBad, Reading, reader
from fer_core.datasets.files import pictures_below, read_files, subfolders
from fer_core.labels import FERPLUS8, canonical

NAME = re.compile(r"^(S\d{3})_(\d{3})_\d{8}$")


def _root(path: Path) -> Path | None:
    """The folder that holds the class folders: the path itself or its `CK+48`."""
    for root in (path, path / "CK+48"):
        classes = [folder for folder in subfolders(root) if canonical(folder.name)] if root.is_dir() else []
        first = next((file for folder in classes for file in pictures_below(folder)), None)
        if first is not None and NAME.match(first.stem):
            return root
    return None


@reader(
    "ck48",
    title="CK+48 (folders)",
    dataset="ck48",
    recognises=lambda path: path.is_dir() and _root(path) is not None,
    licence="CK+'s: research by signed agreement; no passing on",
    protocol="Three frames a sequence are nearly equal: split by person. No neutral.",
    expects=("CK+48/anger", "CK+48/contempt"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the class folders; person and sequence come from the file names.

    Raises:
        DataError: entries that cannot be read.
    """
    root = _root(path)
    assert root is not None
    rows = []
    for folder in subfolders(root):
        label = canonical(folder.name)
        for file in pictures_below(folder):
            found = NAME.match(file.stem)
            if not found or label is None:
                continue
            row = {"id": file.stem, "split": "test", "label": label, "file": str(file)}
            rows.append({**row, "person": found[1], "sequence": f"{found[1]}_{found[2]}"})
    return read_files(path, rows, on_bad, FERPLUS8, others="name or folder not as CK+48's")
