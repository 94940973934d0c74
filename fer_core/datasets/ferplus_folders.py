"""FER+ as the folders of images that its authors' program makes: `FER2013Train`, `FER2013Valid`, `FER2013Test`.

Source, votes, modes, protocol and licence: as `ferplus`. Layout: `FER2013Train/fer0000000.png` and so on, and in each
folder a `label.csv` without a header: the file's name, its box as “(0, 0, 48, 48)”, and the ten counts of votes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from fer_core.datasets import OnBad, Reading, Skipped, reader
from fer_core.datasets.ferplus import GIVEN, MODES, counted
from fer_core.datasets.files import read_files
from fer_core.datasets.votes import VOTES
from fer_core.errors import DataError
from fer_core.labels import FERPLUS8

PARTS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}


@reader(
    "ferplus-folders",
    title="FER+ (folders with label.csv)",
    dataset="ferplus",
    recognises=lambda path: any((path / part / "label.csv").is_file() for part in PARTS.values()),
    licence="votes: MIT; images: FER2013's",
    protocol="FER2013's splits: choose on PublicTest (validation set), report PrivateTest (test set) once; name the mode.",
    expects=tuple(f"{part}/label.csv" for part in PARTS.values()),
    modes=tuple(MODES),
)
def read(path: Path, on_bad: OnBad = "refuse", mode: str = "majority") -> Reading:
    """Read the lists of votes and their images; the modes are those of `ferplus` but “given”, as the form has no labels.

    Raises:
        DataError: a list has other columns, or entries that cannot be read.
    """
    tables = [_votes(path / part / "label.csv", split) for split, part in PARTS.items() if (path / part).is_dir()]
    table = pd.concat(tables, ignore_index=True)
    bad = [
        Skipped(str(row.file), "a count of votes in label.csv is no whole number")
        for row in table[table[list(VOTES.values())].isna().any(axis=1)].itertuples()
    ]
    table = table.dropna(subset=list(VOTES.values()), ignore_index=True)
    assert mode != GIVEN
    votes = table[list(VOTES.values())].astype(np.int64)
    index = table[["split"]].assign(
        id=[Path(file).stem for file in table["file"]], file=[str(path / file) for file in table["file"]]
    )
    found = counted(index, votes, mode)
    rows = [{str(key): value for key, value in row.items()} for row in found.index.to_dict("records")]
    accounted = {*index["file"][~found.kept], *(str(path / entry.id) for entry in bad)}
    return read_files(path, rows, on_bad, FERPLUS8, bad, found.left_out, accounted=accounted, others="in no label.csv")


def _votes(path: Path, split: str) -> pd.DataFrame:
    """One list: `file` below the set's folder, `split`, and a column of counts a choice."""
    try:
        table = pd.read_csv(path, header=None, dtype="str")
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the list of votes is missing or damaged ({error}); copy it again.") from error
    if len(table.columns) != 2 + len(VOTES):
        raise DataError(
            f"{path}: {len(table.columns)} columns, expected {2 + len(VOTES)}: file, box and the votes for {', '.join(VOTES)}."
        )
    counts = {choice: pd.to_numeric(table[2 + i], errors="coerce") for i, choice in enumerate(VOTES.values())}
    return pd.DataFrame({"split": split, "file": [f"{path.parent.name}/{name}" for name in table[0]], **counts})
