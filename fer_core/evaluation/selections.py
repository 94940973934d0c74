"""Selections of pictures that a person keeps under a name: a tag, or a split of one's own. One csv each in the workspace.

selections/<name>.csv   dataset, split, id, label
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
from filelock import FileLock

from fer_core.errors import DataError
from fer_core.evaluation.predictions import KEY
from fer_core.workspace import home, names_a_device, write_atomically

COLUMNS = [*KEY, "label"]
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def names() -> list[str]:
    """The kept selections, in alphabetical order."""
    return sorted(path.stem for path in _folder().glob("*.csv") if NAME.fullmatch(path.stem))


def read(name: str) -> pd.DataFrame:
    """The pictures of a selection: `dataset`, `split`, `id`, `label`, all text.

    Raises:
        DataError: there is no such selection, or its file is damaged.
    """
    path = _path(name)
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False)
    except FileNotFoundError as error:
        raise DataError(f"There is no selection “{name}”; known: {', '.join(names()) or 'none yet'}.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and select the pictures again.") from error
    if missing := [column for column in COLUMNS if column not in table.columns]:
        raise DataError(f"{path}: the column {', '.join(missing)} is missing; expected {', '.join(COLUMNS)}.")
    return table[COLUMNS]


def add(name: str, pictures: pd.DataFrame) -> int:
    """Put pictures into a selection, which is made if it is new, and return how many it then holds.

    Args:
        pictures: `dataset`, `split`, `id`, `label`; other columns are left out, one that is there already stays once.

    Raises:
        DataError: the name is not of small letters, digits and hyphens, or there is no picture.
    """
    path = _path(name)
    if not len(pictures):
        raise DataError("No picture is selected; select some, or loosen the filters.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock"):  # two tabs may add at once
        before = [read(name)] if path.exists() else []
        table = pd.concat([*before, pictures[COLUMNS].astype("str")]).drop_duplicates(KEY, keep="last")
        write_atomically(path, table.to_csv(index=False).encode())
    return len(table)


def _folder() -> Path:
    return home() / "selections"


def _path(name: str) -> Path:
    if not NAME.fullmatch(name) or names_a_device(name):
        raise DataError(f"“{name}” cannot name a selection; use small letters, digits and hyphens, at most 64.")
    return _folder() / f"{name}.csv"
