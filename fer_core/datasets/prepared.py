"""A set of faces that `ferscope data prepare` wrote: `prepared.csv` beside class folders, `prepare.json` with the settings.

Source, protocol and licence: those of the set it was made from; ids, splits, labels, persons and films are its own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from fer_core.datasets import OnBad, Reading, reader
from fer_core.datasets.files import read_files
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
    try:
        text = dict.fromkeys(("id", "source", *GROUPS), "str")
        # only an empty cell is a missing value: one of JAFFE's people is called NA
        table = pd.read_csv(path / "prepared.csv", dtype=text, keep_default_na=False, na_values=[""])
        rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
        for row in rows:
            row["file"] = str(path / row["file"])
    except (KeyError, TypeError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path / 'prepared.csv'} is damaged ({error!r}); prepare the set again.") from error
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
