"""The errors that FERscope raises on purpose.

Each message is one sentence a user can act on: what was found, what was expected, how to mend it. The command line
prints it and exits with 2; the browser shows it in an error box. Anything else that is raised is a defect of ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


def shortened(text: str, longest: int = 100) -> str:
    """A text that somebody else chose, as a message quotes it."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} letters)"


class FerError(Exception):
    """Base of all expected errors."""


class DataError(FerError):
    """A data set, table or its layout is not what was expected."""


class ImageError(DataError):
    """One picture cannot be read."""


class ConfigError(FerError):
    """A recipe or setting is not valid."""


class CheckpointError(FerError):
    """A checkpoint is missing, damaged, unsafe or of another version."""


class RunError(FerError):
    """A training run cannot be started, stopped or resumed."""


class UnknownName(FerError):
    """A name is not in a registry or vocabulary; the message lists the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        name = shortened(name)
        close = get_close_matches(name.lower(), names, n=1)
        ending = f"; did you mean “{close[0]}”?" if close else "."
        super().__init__(f"There is no {kind} “{name}”{ending} Known: {', '.join(names)}.")
