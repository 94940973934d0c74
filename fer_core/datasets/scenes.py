"""Rendered heads that were saved on the Lab page: `heads.csv` beside the images, with the columns of the set `heads`.

Source: `fer_core.lab.saved`. Licence: CC0 (shapes from MakeHuman and the Face Units). Protocol: all images are the test set,
so that nothing is trained on by accident.
"""

from __future__ import annotations

from pathlib import Path

from fer_core.datasets import OnBad, Reading, reader
from fer_core.datasets.files import listed, read_files
from fer_core.datasets.heads import COLUMNS
from fer_core.labels import FER7

LIST = "heads.csv"


@reader(
    "scenes",
    title="rendered heads of the Lab",
    recognises=lambda path: path.is_dir() and (path / LIST).is_file(),
    licence="CC0 (shapes from MakeHuman and the Face Units)",
    protocol="All images are the test set. The command “ferscope data split” deals the people to the three parts.",
    expects=(LIST,),
    columns=COLUMNS,
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the list and its images.

    Raises:
        DataError: the list is damaged or empty, a file leads out of the folder, or entries that cannot be read.
    """
    return read_files(path, listed(path / LIST, ("id", "person"), "save the set again"), on_bad, FER7)
