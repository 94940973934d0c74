"""Selections: images that a user keeps under a name, as a tag or as an own split. One csv each in the workspace.

selections/<name>.csv   dataset, split, id, label, hash

Images are matched by their hash; in older selections without hashes, by data set, split and id.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray

from fer_core.datasets.identity import HASH
from fer_core.errors import DataError
from fer_core.evaluation.predictions import KEY
from fer_core.workspace import home, names_a_device, write_atomically

COLUMNS = [*KEY, "label"]  # and the hash, which older files lack
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def names() -> list[str]:
    """The kept selections, in alphabetical order."""
    return sorted(path.stem for path in _folder().glob("*.csv") if NAME.fullmatch(path.stem))


def read(name: str) -> pd.DataFrame:
    """The images of a selection: `dataset`, `split`, `id`, `label` and `hash` (“” where it is not known), all text.

    Raises:
        DataError: there is no such selection, or its file is damaged.
    """
    path = _path(name)
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False)
    except FileNotFoundError as error:
        raise DataError(f"There is no selection “{name}”; known: {', '.join(names()) or 'none yet'}.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and select the images again.") from error
    if missing := [column for column in COLUMNS if column not in table.columns]:
        raise DataError(f"{path}: the column {', '.join(missing)} is missing; expected {', '.join(COLUMNS)}.")
    return _with_hash(table)[[*COLUMNS, HASH]]


def holds(selection: pd.DataFrame, images: pd.DataFrame) -> NDArray[np.bool_]:
    """(n,) whether a selection holds each image of a table: by its content where both know it, else by set, split and id.

    Args:
        selection: what `read` gives.
        images: `dataset`, `split`, `id`, and `hash` where known.
    """
    asked = _with_hash(images)
    known = (asked[HASH] != "").to_numpy()
    by_content = asked[HASH].isin(selection.loc[selection[HASH] != "", HASH]).to_numpy()
    numbered = selection if not known.any() else selection[selection[HASH] == ""]
    by_number = pd.MultiIndex.from_frame(asked[KEY]).isin(list(numbered[KEY].itertuples(index=False, name=None)))
    return np.asarray((known & by_content) | by_number, dtype=bool)


def add(name: str, pictures: pd.DataFrame) -> int:
    """Add images to a selection, create it if it is new, and return its number of images.

    Args:
        pictures: `dataset`, `split`, `id`, `label`, and `hash` where known; other columns are left out, an image that is
            there already stays once.

    Raises:
        DataError: the name is not of small letters, digits and hyphens, or there is no image.
    """
    path = _path(name)
    if not len(pictures):
        raise DataError("No image is selected; select some, or loosen the filters.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock"):  # two tabs may add at once
        before = [read(name)] if path.exists() else []
        added = _with_hash(pictures)[[*COLUMNS, HASH]].astype("str")
        table = pd.concat([*before, added]).drop_duplicates([*KEY, HASH], keep="last")
        write_atomically(path, table.to_csv(index=False).encode())
    return len(table)


def _with_hash(table: pd.DataFrame) -> pd.DataFrame:
    return table if HASH in table.columns else table.assign(**{HASH: ""})


def _folder() -> Path:
    return home() / "selections"


def _path(name: str) -> Path:
    if not NAME.fullmatch(name) or names_a_device(name):
        raise DataError(f"“{name}” cannot name a selection; use small letters, digits and hyphens, at most 64.")
    return _folder() / f"{name}.csv"
