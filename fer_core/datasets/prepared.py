"""A set of faces that `ferscope data prepare` wrote: `prepared.csv` beside class folders, `prepare.json` with the settings.

Source, protocol and licence: those of the set it was made from; ids, splits, labels, persons and films are its own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from fer_core.datasets import OnBad, Reading, reader
from fer_core.datasets.files import listed, read_files
from fer_core.datasets.splits import GROUPS
from fer_core.errors import DataError
from fer_core.images import Preparation
from fer_core.labels import vocabulary


@reader(
    "prepared",
    title="prepared faces",
    recognises=lambda path: path.is_dir() and (path / "prepared.csv").is_file(),
    licence="as the set it was made from",
    protocol="As the set it was made from.",
    expects=("prepared.csv", "prepare.json"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the list and its images.

    Raises:
        DataError: the list or the settings are damaged, the list is empty, a file leads out of the folder, or entries that
            cannot be read.
    """
    rows = listed(path / "prepared.csv", ("id", "source", *GROUPS), "prepare the set again")
    if not rows:
        raise DataError(
            f"{path}: no face was found in any image of the source; try another detector or a smaller min-size."
        )
    reading = read_files(path, rows, on_bad, vocabulary(row["label"] for row in rows))
    return replace(reading, preparation=_settings(path / "prepare.json"))


def _settings(path: Path) -> Preparation:
    try:
        return Preparation.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path}: how the faces were prepared cannot be read ({error}); put the file back, or prepare the set again."
        ) from error
