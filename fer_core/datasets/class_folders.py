"""Class folders of a private set: which expression each folder's name stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from fer_core.datasets.archive import ArchiveEntry, pictures_in
from fer_core.datasets.files import pictures_below, unused
from fer_core.errors import DataError
from fer_core.images import shown
from fer_core.labels import COLOURS, canonical, suggestion, translated

LEAVE_OUT = "leave out"  # what a person says of a folder that stands for no expression


def members(place: Path) -> Iterator[ArchiveEntry]:
    """The images of a zip or folder, one at a time.

    Raises:
        DataError: it is neither, or holds no image.
    """
    if not place.is_dir():
        if not place.is_file():
            raise DataError(f"{place} does not exist; give a zip or a folder of class folders.")
        yield from pictures_in(place)
        return
    files, root = list(pictures_below(place)), place.resolve()
    for entry in unused(place, set(map(str, files)), ""):
        yield ArchiveEntry(entry.id, None, entry.reason)
    for file in files:
        name = shown(file.relative_to(place).as_posix())
        if not file.resolve().is_relative_to(root):
            yield ArchiveEntry(name, None, "a link that leads out of the folder")
            continue
        try:
            yield ArchiveEntry(name, file.read_bytes())
        except OSError as error:
            yield ArchiveEntry(name, None, f"cannot be read ({error.strerror})")
    if not files:
        raise DataError(f"{place} holds no image; expected a folder of class folders.")


def word(name: str) -> str:
    """The class of an image, from its path: the deepest folder that names an expression, otherwise its own folder."""
    folders = PurePosixPath(name).parts[:-1]
    known = [folder for folder in folders if canonical(folder) or translated(folder)]
    return known[-1] if known else (folders[-1] if folders else "")


def words(place: Path) -> dict[str, int]:
    """The class folders and how many images each holds, in alphabetical order.

    Raises:
        DataError: as `members`.
    """
    return dict(sorted(Counter(word(member.name) for member in members(place)).items()))


def proposed(found: Iterable[str]) -> dict[str, str | None]:
    """The most likely expression of each class folder; None where the user has to decide."""
    return {name: canonical(name) or translated(name) or suggestion(name) for name in found}


def decided(mapping: Mapping[str, str | None]) -> dict[str, str | None]:
    """The user's choice of expression for each class folder, with “leave out” as None.

    Raises:
        DataError: a folder is not decided, or what it shall stand for is no expression.
    """
    if undecided := [name or "(no folder)" for name, value in mapping.items() if not value]:
        raise DataError(
            f"What do the folders {', '.join(undecided)} stand for? Choose an expression or “{LEAVE_OUT}” for each."
        )
    if unknown := [str(value) for value in mapping.values() if value not in (*COLOURS, LEAVE_OUT)]:
        raise DataError(f"{', '.join(unknown)} is no expression; known: {', '.join(COLOURS)}, {LEAVE_OUT}.")
    return {name: None if value == LEAVE_OUT else value for name, value in mapping.items()}
