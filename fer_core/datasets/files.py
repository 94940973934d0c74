"""Shared by the readers of image files: find the files, check each, and count those without a row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from fer_core.datasets import OnBad, Reading, Skipped, named, refuse_or_skip
from fer_core.errors import DataError, ImageError
from fer_core.images import FOREIGN_SUFFIXES, PICTURE_SUFFIXES, decode, shown
from fer_core.labels import Expressions

HIDDEN = (".", "__")  # how the names of folders begin that programs make for themselves, such as __MACOSX
ONE_BY_ONE = 20  # files that are left out are named up to this number, and counted by folder above it
# What people call the parts of a set, as folders, files and in tables; FER2013's own words too.
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "publictest": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "privatetest": "test",
}


def subfolders(path: Path) -> list[Path]:
    """The subfolders in alphabetical order, without hidden ones and those of macOS archives."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(HIDDEN))


def root_of(path: Path, holds: Callable[[Path], bool]) -> Path | None:
    """The folder that holds what a reader looks for: the path itself or one of its first subfolders, such as `KDEF`."""
    if not path.is_dir():
        return None
    return next((root for root in (path, *subfolders(path)[:20]) if holds(root)), None)


def pictures_below(folder: Path) -> Iterator[Path]:
    """Every image file below a folder whose format is read, in alphabetical order.

    Hidden files and folders, and those of a Mac's archive, are left aside.
    """
    return _below(folder, PICTURE_SUFFIXES)


def _below(folder: Path, suffixes: Collection[str]) -> Iterator[Path]:
    for place, _, names in sorted(os.walk(folder)):
        if any(part.startswith(HIDDEN) for part in Path(place).relative_to(folder).parts):
            continue
        for name in sorted(names):
            if Path(name).suffix.lower() in suffixes and not name.startswith("."):
                yield Path(place, name)


def unused(root: Path, used: Collection[str], reason: str, within: Sequence[Path] = ()) -> list[Skipped]:
    """The image files below a set's folder that no row names, so that nothing is left out silently.

    Args:
        used: paths of the files that are accounted for.
        reason: why a file of a format that is read is not in the set.
        within: the folders to look in; all of the set where none is given.
    """
    found: dict[str, list[str]] = {}
    for place in within or (root,):
        for file in _below(place, PICTURE_SUFFIXES | FOREIGN_SUFFIXES):
            if str(file) not in used:
                suffix = file.suffix.lower()
                why = foreign(suffix) if suffix in FOREIGN_SUFFIXES else reason
                found.setdefault(why, []).append(shown(file.relative_to(root).as_posix()))
    left_out = []
    for why, names in found.items():
        if len(names) <= ONE_BY_ONE:
            left_out += [Skipped(name, why) for name in names]
        else:
            folders = Counter(PurePosixPath(name).parent.as_posix() for name in names)
            left_out += [several(n, "image", f"in {folder}: {why}") for folder, n in folders.items()]
    return left_out


def foreign(suffix: str) -> str:
    """Why an image file of a format that nothing here reads is left out."""
    return f"{suffix} files are not read; save it as PNG or JPEG"


def listed(path: Path, words: Collection[str], remedy: str) -> list[dict[str, Any]]:
    """The rows of a list that FERscope wrote beside its images, as `read_files` takes them.

    Args:
        words: columns that hold text, whatever it looks like.
        remedy: what to do about a damaged list.

    Raises:
        DataError: the list is damaged.
    """
    try:
        # only an empty cell is a missing value: one of JAFFE's people is called NA
        table = pd.read_csv(path, dtype=dict.fromkeys(words, "str"), keep_default_na=False, na_values=[""])
        rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
        return [row | {"file": str(path.parent / row["file"])} for row in rows]
    except (KeyError, TypeError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error!r}); {remedy}.") from error


def first_of(root: Path, *names: str) -> Path | None:
    """The first of some relative paths that exists below a folder."""
    return next((root / name for name in names if (root / name).exists()), None)


def count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("s" if n != 1 else "")


def several(n: int, what: str, reason: str) -> Skipped:
    """Several entries left out for the same reason, as a count."""
    return Skipped(count(n, what), reason, n)


def read_files(
    root: Path,
    rows: Sequence[Mapping[str, Any]],
    on_bad: OnBad,
    expressions: Expressions,
    bad: Sequence[Skipped] = (),
    left_out: Sequence[Skipped] = (),
    *,
    others: str = "not in the place that this layout has for images",
    accounted: Collection[str] = (),
    within: Sequence[Path] = (),
) -> Reading:
    """A reading from rows with `id`, `split`, `label`, `file` and more; every file is decoded once as a check.

    Args:
        root: the set's folder; a link that leads out of it is not followed.
        bad: entries that are already known to be unreadable.
        left_out: entries that the set's own rules leave out; they are listed and refuse nothing.
        others: why the image files are left out that neither a row nor `accounted` holds; they are counted and named.
        accounted: paths of files that `bad` and `left_out` speak of.
        within: the folders of `root` whose images belong to the set; all of it where none is given.

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
    left_out = [*left_out, *unused(root, {*reasons, *accounted}, others, within)]
    if not rows and not skipped:
        seen = f"; left out: {named(left_out)}" if left_out else ""
        raise DataError(f"{root}: no images found ({', '.join(sorted(PICTURE_SUFFIXES))}){seen}.")
    refuse_or_skip(skipped, len(rows) + len(bad), on_bad, str(root))
    index = pd.DataFrame([row for row in rows if not reasons[str(row["file"])]])
    if (twice := index[index.duplicated(["split", "id"])]).size:
        raise DataError(f"{root}: {twice['id'].iloc[0]} occurs twice in {twice['split'].iloc[0]}; keep one of them.")
    return Reading(index, expressions, skipped=(*skipped, *left_out))


def picture_files(places: Iterable[Path]) -> Iterator[Path]:
    """The images among files and below folders, in alphabetical order within a folder; a named file of any kind.

    Below a folder hidden files and folders, and those of a Mac's archive, are left aside.
    """
    for place in places:
        if place.is_dir():
            yield from sorted(pictures_below(place))
        else:
            yield place
