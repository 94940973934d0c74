"""The errors that FERscope raises for expected problems.

Each message is one sentence a user can act on: what was found, what was expected, how to mend it. The command line
prints it and exits with 2; the browser shows it in an error box. Any other exception is a bug.
"""

import errno
from collections.abc import Iterable
from difflib import get_close_matches

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a disk, or a user's share of it, that is full


def shortened(text: str, longest: int = 100) -> str:
    """A text from outside, shortened for a message."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} letters)"


def in_a_sentence(error: OSError) -> str:
    """A system error and its remedy in a sentence: a full disk, a folder without write permission, an invalid name."""
    what = f"{error.strerror or error}" + (f": {shortened(str(error.filename))}" if error.filename else "")
    if error.errno in FULL:
        return f"There is no room for a file ({what}). Make room and try again."
    return f"The system refused a file ({what}). Check the path and the right to use it, then try again."


class FerError(Exception):
    """Base of all expected errors."""


class DataError(FerError):
    """A data set, table or its layout is not what was expected."""


class ImageError(DataError):
    """One image cannot be read."""


class ConfigError(FerError):
    """A recipe or setting is not valid."""


class CheckpointError(FerError):
    """A checkpoint is missing, damaged, unsafe or of another version."""


class RunError(FerError):
    """A training run cannot be started, stopped or resumed."""


class ClassError(FerError):
    """A class does not allow this: an unknown code, a nickname that is taken, an answer after the end."""


class UnknownName(FerError):
    """A name is not in a registry or vocabulary; the message lists the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        name = shortened(name)
        close = get_close_matches(name.lower(), names, n=1)
        ending = f"; did you mean “{close[0]}”?" if close else "."
        super().__init__(f"There is no {kind} “{name}”{ending} Known: {', '.join(names)}.")
