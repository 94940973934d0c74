"""JAFFE, Japanese female facial expressions.

Source: Lyons, Akamatsu, Kamachi and Gyoba 1998, “Coding Facial Expressions with Gabor Wavelets”. 213 grey images of
256 x 256: 10 women pose 7 expressions, three or four times each.
Layout: one folder of `KA.AN1.39.tiff` (copies also exist as .jpg and .png): person, expression (AN, DI, FE, HA, NE, SA,
SU) with number, number of the image.
Protocol: none official; one person left out at a time, or folds grouped by person. The label is what was posed; the
authors' ratings differ from it at times. Licence: non-commercial research, no passing on, only a few people may be
shown. To get it: ask on Zenodo (record 3451524).
"""

from __future__ import annotations

import re
from pathlib import Path

from fer_core.datasets import OnBad, Reading, reader
from fer_core.datasets.files import pictures_below, read_files, root_of
from fer_core.images import PICTURE_SUFFIXES
from fer_core.labels import FER7, canonical

NAME = re.compile(r"^([A-Z]{2})\.(AN|DI|FE|HA|NE|SA|SU)\d?\.\d+$")


def _has_images(folder: Path) -> bool:
    return any(NAME.match(file.stem) for file in folder.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)


@reader(
    "jaffe",
    title="JAFFE",
    dataset="jaffe",
    recognises=lambda path: root_of(path, _has_images) is not None,
    licence="non-commercial research; no passing on",
    protocol="No official split: leave one person out at a time, or take folds grouped by person.",
    expects=("*.tiff",),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read every image whose name says person and expression.

    Raises:
        DataError: entries that cannot be read.
    """
    rows = []
    for file in pictures_below(root_of(path, _has_images) or path):
        found = NAME.match(file.stem)
        if not found:
            continue
        row = {"id": file.stem, "split": "test", "label": str(canonical(found[2])), "file": str(file)}
        rows.append({**row, "person": found[1]})
    return read_files(path, rows, on_bad, FER7, others="name not as JAFFE's")
