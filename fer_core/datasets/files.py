"""What the readers of picture files share: looking for them, and checking each before it belongs to a set."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from fer_core.datasets import OnBad, Reading, Skipped, refuse_or_skip
from fer_core.errors import DataError, ImageError
from fer_core.images import PICTURE_SUFFIXES, decode, shown
from fer_core.labels import Expressions

HIDDEN = (".", "__")  # how the names of folders begin that programs make for themselves, such as __MACOSX


def subfolders(path: Path) -> list[Path]:
    """Its folders in alphabetical order, without hidden ones and those of a Mac's archive."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(HIDDEN))


def pictures_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder that is called like a picture, in alphabetical order.

    Hidden files and folders, and those of a Mac's archive, are left aside.
    """
    for place, _, names in sorted(os.walk(folder)):
        if any(part.startswith(HIDDEN) for part in Path(place).relative_to(folder).parts):
            continue
        for name in sorted(names):
            if Path(name).suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."):
                yield Path(place, name)


def first_of(root: Path, *names: str) -> Path | None:
    """The first of some relative paths that exists below a folder."""
    return next((root / name for name in names if (root / name).exists()), None)


def count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("s" if n != 1 else "")


def read_files(
    root: Path,
    rows: Sequence[Mapping[str, Any]],
    on_bad: OnBad,
    expressions: Expressions,
    bad: Sequence[Skipped] = (),
    left_out: Sequence[Skipped] = (),
) -> Reading:
    """A reading from rows with `id`, `split`, `label`, `file` and more; every file is decoded once as a check.

    Args:
        root: the set's folder; a link that leads out of it is not followed.
        bad: entries that are already known to be unreadable.
        left_out: entries that the set's own rules leave out; they are listed and refuse nothing.

    Raises:
        DataError: entries that cannot be read and `on_bad="refuse"`, an id that occurs twice, or nothing at all.
    """
    inside = root.resolve()

    def reason(file: str) -> str:
        path = Path(file)
        if shown(file) != file:  # no table can hold it
            return "its name is not written in UTF-8; rename it"
        try:
            if not path.resolve().is_relative_to(inside):
                return "a link that leads out of the folder"
            decode(path)
        except ImageError as error:
            return str(error).removeprefix(f"{file}: ")
        except (OSError, RuntimeError) as error:  # a loop of links
            return f"cannot be read ({error})"
        return ""

    files = list(dict.fromkeys(str(row["file"]) for row in rows))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding leaves Python's lock
        reasons = dict(zip(files, pool.map(reason, files), strict=True))
    skipped = [*bad, *(Skipped(shown(row["id"]), text) for row in rows if (text := reasons[str(row["file"])]))]
    if not rows and not skipped:
        raise DataError(f"{root}: no pictures found ({', '.join(sorted(PICTURE_SUFFIXES))}).")
    refuse_or_skip(skipped, len(rows) + len(bad), on_bad, str(root))
    index = pd.DataFrame([row for row in rows if not reasons[str(row["file"])]])
    if (twice := index[index.duplicated(["split", "id"])]).size:
        raise DataError(f"{root}: {twice['id'].iloc[0]} occurs twice in {twice['split'].iloc[0]}; keep one of them.")
    return Reading(index, expressions, skipped=(*skipped, *left_out))


def picture_files(places: Iterable[Path]) -> Iterator[Path]:
    """The pictures among files and below folders, in alphabetical order within a folder; a named file of any kind.

    Below a folder hidden files and folders, and those of a Mac's archive, are left aside.
    """
    for place in places:
        if place.is_dir():
            yield from sorted(
                file
                for file in place.rglob("*")
                if file.suffix.lower() in PICTURE_SUFFIXES and _own(file.relative_to(place)) and file.is_file()
            )
        else:
            yield place


def _own(file: Path) -> bool:
    *folders, name = file.parts
    return not name.startswith(".") and not any(folder.startswith(HIDDEN) for folder in folders)
