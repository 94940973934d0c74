"""Labels corrected by hand: one csv per data set, and an audit row for every change.

    relabelling/<data set>.csv        split, id, given, label, hash     what holds now, one row a corrected image
    relabelling/<data set>-audit.csv  time, split, id, given, before, label, by, hash     every change, in order

The audit is the truth: the first file is made from it at each change. `label` is an expression, or “unclear” where an
image has no right label and should be left out. `hash` says which image was meant, also where another set has its number;
rows written before there were hashes have none.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock

from fer_core.datasets.identity import HASH
from fer_core.errors import DataError
from fer_core.labels import COLOURS
from fer_core.workspace import home, write_atomically

UNCLEAR = "unclear"
AUDIT = ["time", "split", "id", "given", "before", "label", "by", HASH]
CURRENT = ["split", "id", "given", "label", HASH]


def corrections(dataset: str) -> pd.DataFrame:
    """The current corrections: `split`, `id`, `given`, `label`, `hash`, all text; no row where nothing was corrected.

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
    if list(table.columns) == AUDIT[:-1]:  # written before there were hashes
        table[HASH] = ""
    if list(table.columns) != AUDIT:
        raise DataError(f"{path}: expected the columns {', '.join(AUDIT)}, found {', '.join(table.columns)}.")
    return table


def correct(dataset: str, pictures: pd.DataFrame, label: str, by: str) -> int:
    """Change the labels of images and return the number of changes.

    Args:
        pictures: `split`, `id`, `label` (the label given by the data set), and `hash` where known.
        label: an expression, or `UNCLEAR`; the given label takes a correction back.
        by: who or what corrected, for the audit.

    Raises:
        DataError: no expression of that name, or no image.
    """
    if label not in (*COLOURS, UNCLEAR):
        raise DataError(f"“{label}” is no expression; known: {', '.join(COLOURS)}, or {UNCLEAR}.")
    if not len(pictures):
        raise DataError("No image is selected; select those whose label is wrong.")
    path = path_of(dataset, "-audit")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock"):  # two tabs may correct at once
        past = audit(dataset)
        now = {(row.split, row.id, row.hash): row.label for row in _current(past).itertuples()}
        time = datetime.now(UTC).isoformat(timespec="seconds")
        rows = []
        asked = pictures[["split", "id", "label"]].assign(**{HASH: pictures[HASH] if HASH in pictures.columns else ""})
        for split, image, given, content in asked.astype("str").itertuples(index=False):
            before = now.get((split, image, content), now.get((split, image, ""), given))
            if before != label:
                rows.append((time, split, image, given, before, label, by, content))
        if rows:
            table = pd.concat([past, pd.DataFrame(rows, columns=AUDIT, dtype="str")], ignore_index=True)
            write_atomically(path, _text(table))
            write_atomically(path_of(dataset), _text(_current(table)))
    return len(rows)


def _current(table: pd.DataFrame) -> pd.DataFrame:
    last: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for row in table[CURRENT].itertuples(index=False, name=None):
        split, image, given, label, content = map(str, row)
        if content:  # it takes the place of what was said of this number before hashes were kept
            last.pop((split, image, ""), None)
        last.pop((split, image, content), None)
        last[split, image, content] = (split, image, given, label, content)
    found = pd.DataFrame(list(last.values()), columns=CURRENT, dtype="str")
    return found[found["label"] != found["given"]].reset_index(drop=True)


def _text(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def path_of(dataset: str, ending: str = "") -> Path:
    """The csv of a data set's corrections, or its audit (ending “-audit”)."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,199}", dataset):
        raise DataError(f"“{dataset}” cannot name a file; a data set's name has small letters, digits and hyphens.")
    return home() / "relabelling" / f"{dataset}{ending}.csv"
