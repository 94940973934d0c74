"""Class folders called by numbers, `[<split>/]<number>/...`: which expressions the numbers stand for has to be said.

Every data set numbers its expressions differently: with RAF-DB's numbering, all labels of a set in FER2013's order are
wrong. The numbering is given as the mode, `PATH@fer2013`. Counts that are exactly those of a known set are named as a
hint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from fer_core.datasets import OnBad, Reading, reader
from fer_core.datasets.files import pictures_below, read_files
from fer_core.datasets.folder import class_folders
from fer_core.errors import DataError
from fer_core.labels import vocabulary

_FER = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_RAF = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
# What the numbers of a set stand for, by the set or program that numbers so.
NUMBERINGS: dict[str, dict[int, str]] = {
    "fer2013": dict(enumerate(_FER)),
    "fer2013-from-1": dict(enumerate(_FER, 1)),
    "rafdb": dict(enumerate(_RAF, 1)),
    "rafdb-from-0": dict(enumerate(_RAF)),
    "affectnet": dict(enumerate(("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt"))),
    "ferplus": dict(enumerate(("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"))),
    "ckplus": dict(enumerate(("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise"))),
    "alphabet": dict(enumerate(sorted(_FER))),
}
# Images of each class in a part of a known set, in the order of its own numbers.
COUNTS = {
    "fer2013": ((3995, 436, 4097, 7215, 4830, 3171, 4965), (467, 56, 496, 895, 653, 415, 607)),
    "rafdb": ((1290, 281, 717, 4772, 1982, 705, 2524), (329, 74, 160, 1185, 478, 162, 680)),
}


def meanings(
    mode: str, counts: Mapping[int, int], where: str, said: Mapping[int, str | None] | None = None
) -> dict[int, str]:
    """What numbers stand for in a numbering.

    Args:
        mode: a name of `NUMBERINGS`; “” where none was given.
        counts: how many images each number has, for the hint.
        where: the set, for messages.
        said: what the set itself says of some of its numbers.

    Raises:
        DataError: none was given, or it does not know one of the numbers.
    """
    numbers = sorted(counts)
    fitting = [
        name
        for name, known in NUMBERINGS.items()
        if set(numbers) <= set(known) and all(known.get(number) == word for number, word in (said or {}).items())
    ]
    spelt = "; ".join(
        f"@{name} ({', '.join(f'{number} {NUMBERINGS[name][number]}' for number in numbers)})" for name in fitting
    )
    held = ", ".join(map(str, numbers))
    alike = [name for name, parts in COUNTS.items() if tuple(counts[number] for number in numbers) in parts]
    hint = f" The counts are exactly those of {alike[0]}." if alike else ""
    if mode in fitting:
        chosen = NUMBERINGS[mode]
        if alike and [chosen[number] for number in numbers] != list(NUMBERINGS[alike[0]].values()):
            raise DataError(f"{where}: this is not numbered as @{mode}.{hint} Known numberings: {spelt}.")
        return chosen
    if not fitting:
        raise DataError(
            f"{where}: the classes are called {held}, which no known numbering has; call them by their names."
        )
    if mode:
        raise DataError(f"{where}: the classes are called {held}, which @{mode} does not have.{hint} Others: {spelt}.")
    raise DataError(
        f"{where}: the classes are called {held}, and sets number expressions differently. Say which numbering it is, behind "
        f"the path: {spelt}.{hint}"
    )


def _number(name: str) -> int | None:
    """The number that a class folder is called by, or None."""
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 4 else None


def recognises(path: Path) -> bool:
    """Two class folders or more, all called by numbers."""
    if not path.is_dir():
        return False
    names = {folder.name for _, folder in class_folders(path)}
    return len(names) > 1 and all(_number(name) is not None for name in names)


@reader(
    "numbered",
    title="folder of numbered class folders",
    recognises=recognises,
    licence="as its owner says",
    protocol="Which expressions the numbers stand for is said by whoever adds the set.",
    modes=tuple(NUMBERINGS),
    rank=1,
)
def read(path: Path, on_bad: OnBad = "refuse", mode: str = "") -> Reading:
    """Read the folders; without split folders every image belongs to `test`.

    Raises:
        DataError: no numbering was given or another is meant; entries that cannot be read.
    """
    files = [
        (split, int(folder.name), file) for split, folder in class_folders(path) for file in pictures_below(folder)
    ]
    counts = _largest_part((split, number) for split, number, _ in files)
    names = meanings(mode, counts, str(path))
    rows = [
        {
            "id": file.relative_to(path).as_posix(), "split": split or "test", "label": names[number], "file": str(file),
        }
        for split, number, file in files
    ]  # fmt: skip
    return read_files(path, rows, on_bad, vocabulary(names.values()), others="in no class folder")


def _largest_part(found: Iterable[tuple[str, int]]) -> Counter[int]:
    """How many images each number has in the largest split; every number that occurs anywhere is a key."""
    by_split: dict[str, Counter[int]] = {}
    for split, number in found:
        by_split.setdefault(split, Counter())[number] += 1
    largest = max(by_split.values(), key=Counter.total, default=Counter())
    return Counter({number: largest[number] for part in by_split.values() for number in part})
