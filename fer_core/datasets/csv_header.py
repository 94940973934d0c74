"""The first line of a csv, plain, gzipped or zipped: the names of its columns and what stands between them."""

from __future__ import annotations

import csv
import gzip
import lzma
import zipfile
import zlib
from pathlib import Path

from fer_core.errors import DataError

SEPARATORS = ",;\t|"  # spreadsheets of many languages write semicolons
# What a damaged file raises; RuntimeError is zipfile's word on an encrypted one and on an unknown way of packing.
DAMAGED = (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError)


def header(path: Path) -> tuple[list[str], str]:
    """The names of a csv's columns as they stand in its first line, quoted or not, and the separator.

    Raises:
        DataError: no csv in a zip, or several; and `DAMAGED`.
    """
    encoding = "utf-8-sig"  # Excel begins a csv with a mark that is no part of the first name
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding=encoding) as text:
            line = text.readline(1000)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(member(path, archive)) as file:
            line = file.readline(1000).decode(encoding)
    else:
        with path.open(encoding=encoding) as text:
            line = text.readline(1000)
    separator = max(SEPARATORS, key=line.count)  # of equal counts the first, the comma
    return next(csv.reader([line.rstrip("\r\n")], delimiter=separator)), separator


def member(path: Path, archive: zipfile.ZipFile) -> str:
    """The one csv of a zip."""
    tables = [name for name in archive.namelist() if name.endswith(".csv") and not name.startswith("__MACOSX")]
    if len(tables) != 1:
        found = ", ".join(tables) or "none"
        raise DataError(f"{path}: expected one csv in the archive, found {found}; unpack it and name the csv itself.")
    return tables[0]
