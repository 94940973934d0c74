"""A data set that arrives as one file, such as an upload: it is kept in the workspace and opened as any path is.

    uploads/<name>/<file>        a csv or parquet file, or a csv in a zip
    uploads/<name>/...           the images and tables of labels of a zip, in its own folders

What cannot be opened leaves nothing behind. Nothing is written outside the folder of the set.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from filelock import FileLock

from fer_core.datasets import OnBad, Skipped, known, refuse_or_skip, short_name
from fer_core.datasets.archive import pictures_in
from fer_core.errors import DataError, FerError
from fer_core.images import shown
from fer_core.workspace import home

MAX_MB = 500  # of the file; what a zip may hold when unpacked is limited in `archive`
KINDS = ("csv", "gz", "parquet", "tsv", "txt", "zip")  # endings of the files that are taken
LABELS = frozenset({".csv", ".tsv", ".txt", ".lst", ".parquet"})  # endings of tables of labels beside images


def receive(
    file: BinaryIO,
    file_name: str,
    name: str = "",
    on_bad: OnBad = "refuse",
    unpacked: Callable[[int], object] = lambda count: None,
) -> tuple[str, tuple[Skipped, ...]]:
    """Keep a data set in the workspace, add it, and return its name and the files of its zip that were left out.

    Args:
        file: the content.
        file_name: as the sender calls it; it is never used as a path.
        name: of the set; by default made from the file's name.
        on_bad: what is done with unreadable entries, now and wherever the set is opened by its name.
        unpacked: called with the number of files that have been unpacked.

    Raises:
        DataError: too large, no known layout, unreadable entries, a zip beyond the limits, or a name that is taken. The
            message names the file as the sender does.
    """
    file_name = PurePosixPath(file_name.replace("\\", "/")).name
    name = name or short_name(Path(file_name))
    known.refuse_name(name)
    if file.seek(0, os.SEEK_END) > MAX_MB * 2**20:
        raise DataError(f"{file_name} is larger than {MAX_MB} MB; unpack it on this machine and give the path.")
    file.seek(0)
    folder = home() / "uploads" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / ".lock"):  # two tabs may send at once
        if name in known.known():
            raise DataError(f"The name “{name}” is already used for {known.known()[name]}; choose another name.")
        shutil.rmtree(folder, ignore_errors=True)  # of a program that was ended while it read
        kept = False
        place = folder
        try:
            folder.mkdir()
            place = folder / (re.sub(r"[^A-Za-z0-9._-]", "_", file_name)[-100:].lstrip(".") or "upload")
            with place.open("xb") as written:
                shutil.copyfileobj(file, written)
            left_out: tuple[Skipped, ...] = ()
            if place.suffix.lower() == ".zip" and not _is_table(place):
                left_out = _unpack(place, folder, file_name, on_bad, unpacked)
                place = folder
            known.add(place, name, on_bad)
            kept = True
        except FerError as error:
            raise DataError(str(error).replace(str(place.resolve()), file_name)) from error
        finally:
            if not kept:
                shutil.rmtree(folder, ignore_errors=True)
    return name, left_out


def _is_table(path: Path) -> bool:
    """Whether a zip is a csv that a reader opens as it is."""
    try:
        known.recognise(path)
    except DataError:
        return False
    return True


def _unpack(
    path: Path, folder: Path, called: str, on_bad: OnBad, unpacked: Callable[[int], object]
) -> tuple[Skipped, ...]:
    """Write the images and tables of a zip into a folder, delete the zip, and return what was left out."""
    left_out, count = [], 0
    for count, entry in enumerate(pictures_in(path, LABELS), 1):
        unpacked(count)
        reason = entry.reason or (_write(folder, entry.name, entry.data) if entry.data is not None else "it is empty")
        if reason:
            left_out.append(Skipped(shown(entry.name), reason))
    path.unlink()
    refuse_or_skip(left_out, count, on_bad, called)
    return tuple(left_out)


def _write(folder: Path, name: str, data: bytes) -> str:
    """Write a file of a zip, whose name `archive` has checked, below a folder; the reason where that is not possible."""
    target = folder / PurePosixPath(name)
    if not target.resolve().is_relative_to(folder.resolve()):
        return "its name leads out of the archive"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.write(data)
    except (FileExistsError, NotADirectoryError):
        return "another file of the archive has its name"
    except UnicodeEncodeError:
        return "its name is not written in UTF-8; rename it"
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return "its name is too long"
    return ""
