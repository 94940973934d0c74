"""Read untrusted files: with a limit on their size and a check of their format, or an error with the reason.

A run's folder may have been copied from elsewhere, cut off by a full disk or written by a newer version. Whoever reads it
wraps the `ValueError` of these functions in an error of its own that names the file and how to mend it.
"""

from __future__ import annotations

import json
import math
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from fer_core.errors import shortened

T = TypeVar("T")
DEEPEST = 64  # lists and tables within each other; an ensemble of ensembles has about ten
TOO_DEEP = "it is nested too deeply"
LARGEST = 32 * 2**20  # bytes of a text file: a history of 100,000 epochs takes 25 MB


def reason(error: Exception) -> str:
    """What a check of a file's values found first, in a few words."""
    if not isinstance(error, ValidationError):
        return shortened(str(error), 300)
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    return shortened(f"{'.'.join(map(str, first['loc']))}: {message}".removeprefix(": "), 300)


def is_file(path: Path) -> bool:
    """Whether a path that somebody typed names a regular file; the system refuses some, such as one of 5,000 letters."""
    return _asked(path.is_file)


def is_folder(path: Path) -> bool:
    """The same for a folder."""
    return _asked(path.is_dir)


def _asked(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except (OSError, ValueError):  # too long, no right to look, a NUL
        return False


def bounded_file(path: Path, largest: int = LARGEST) -> Path:
    """The path, if it names a regular file of at most so many bytes.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a device (which has no end), a pipe (which waits for ever), too large, or no right to look.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    if found.st_size > largest:
        raise ValueError(f"it has {found.st_size / 2**20:,.0f} MB, at most {largest / 2**20:.0f} are read")
    return path


def read_text(path: Path, largest: int = LARGEST) -> str:
    """A small file as text.

    Raises:
        FileNotFoundError: there is none.
        ValueError: no regular file (a device has no end, a pipe waits for ever), above `largest` bytes, not readable, or
            not UTF-8.
    """
    try:
        return bounded_file(path, largest).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start:,} is not UTF-8") from None
    except OSError as error:  # no right to read it, a name that is too long, a disk that fails
        raise ValueError(f"it cannot be read ({error.strerror})") from None


def read_json(path: Path) -> Any:
    """A JSON file's value.

    Raises:
        FileNotFoundError, ValueError: as `read_text` and `parse_json`.
    """
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """JSON's value. Each number is finite, and lists and tables lie at most `DEEPEST` within each other.

    Raises:
        ValueError: not JSON, nested too deeply, or a number that is not finite (`1e400` is infinite).
    """
    try:
        return bounded(json.loads(text, parse_constant=_finite, parse_float=_finite))
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"{digits[:20]} is no finite number")
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """TOML's tables.

    Raises:
        ValueError: not TOML, nested too deeply, or a whole number of thousands of digits.
    """
    try:
        return bounded(tomllib.loads(text))
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def bounded(value: T) -> T:
    """The value, if its lists and tables are not nested too deeply (what takes it apart later may recurse) and its numbers
    are finite.

    Raises:
        ValueError: they are not.
    """
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        if any(isinstance(one, float) and not math.isfinite(one) for one in level):
            raise ValueError("a number is not finite")
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return value
    raise ValueError(TOO_DEEP)
