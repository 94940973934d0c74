"""Labels that a person corrects while looking at pictures: one csv a data set, and an audit row for every change.

    relabelling/<data set>.csv        split, id, given, label     what holds now, one row a corrected picture
    relabelling/<data set>-audit.csv  time, split, id, given, before, label, by     every change, in order

The audit is the truth: the first file is made from it at each change. `label` is an expression, or “unclear” where a
picture has no right label and should be left out.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock

from fer_core.errors import DataError
from fer_core.labels import COLOURS
from fer_core.workspace import home, write_atomically

UNCLEAR = "unclear"
AUDIT = ["time", "split", "id", "given", "before", "label", "by"]


def corrections(dataset: str) -> pd.DataFrame:
    """What holds now: `split`, `id`, `given`, `label`, all text; no row where nothing was corrected.

    Raises:
        DataError: the audit was damaged by hand.
    """
    return _current(audit(dataset))


def audit(dataset: str) -> pd.DataFrame:
    """Every change of a data set's labels, the oldest first; columns as above.

    Raises:
        DataError: the file was damaged by hand.
    """
    path = path_of(dataset, "-audit")
    if not path.exists():
        return pd.DataFrame(columns=AUDIT, dtype="str")
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{path} is damaged ({error}); mend it by hand, it is your record of changed labels."
        ) from error
    if list(table.columns) != AUDIT:
        raise DataError(f"{path}: expected the columns {', '.join(AUDIT)}, found {', '.join(table.columns)}.")
    return table


def correct(dataset: str, pictures: pd.DataFrame, label: str, by: str) -> int:
    """Give pictures another label and return how many changed.

    Args:
        pictures: `split`, `id` and `label` (the label given by the data set).
        label: an expression, or `UNCLEAR`; the given label takes a correction back.
        by: who or what corrected, for the audit.

    Raises:
        DataError: no expression of that name, or no picture.
    """
    if label not in (*COLOURS, UNCLEAR):
        raise DataError(f"“{label}” is no expression; known: {', '.join(COLOURS)}, or {UNCLEAR}.")
    if not len(pictures):
        raise DataError("No picture is selected; select those whose label is wrong.")
    path = path_of(dataset, "-audit")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock"):  # two tabs may correct at once
        past = audit(dataset)
        now = {(row.split, row.id): row.label for row in _current(past).itertuples()}
        time = datetime.now(UTC).isoformat(timespec="seconds")
        rows = []
        for split, image, given in pictures[["split", "id", "label"]].astype("str").itertuples(index=False):
            if (before := now.get((split, image), given)) != label:
                rows.append((time, split, image, given, before, label, by))
        if rows:
            table = pd.concat([past, pd.DataFrame(rows, columns=AUDIT, dtype="str")], ignore_index=True)
            write_atomically(path, _text(table))
            write_atomically(path_of(dataset), _text(_current(table)))
    return len(rows)


def _current(table: pd.DataFrame) -> pd.DataFrame:
    last = table.drop_duplicates(["split", "id"], keep="last")
    return last.loc[last["label"] != last["given"], ["split", "id", "given", "label"]].reset_index(drop=True)


def _text(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def path_of(dataset: str, ending: str = "") -> Path:
    """The csv of a data set's corrections, or its audit (ending “-audit”)."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,199}", dataset):
        raise DataError(f"“{dataset}” cannot name a file; a data set's name has small letters, digits and hyphens.")
    return home() / "relabelling" / f"{dataset}{ending}.csv"
