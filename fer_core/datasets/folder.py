"""Any folder of pictures: `<root>/[<split>/]<class>/...`. A private set needs no more than this.

Class folders carry an expression's name or a synonym (“anger”, “Happiness”). FER2013's own folder form is told by its
file names `<Usage>_<n>.jpg`: its `test` folder holds PublicTest (our val) and PrivateTest (our test) together.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pandas as pd

from fer_core.datasets import OnBad, Reading, Skipped, reader, refuse_or_skip
from fer_core.errors import DataError, ImageError
from fer_core.images import PICTURE_SUFFIXES, decode
from fer_core.labels import canonical, suggestion, vocabulary

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
USAGE_IN_NAME = re.compile(r"^(Training|PublicTest|PrivateTest)_\d+\.", re.IGNORECASE)


def recognises(path: Path) -> bool:
    """A folder with class folders in it, or split folders with class folders."""
    return path.is_dir() and any(_class_folders(path))


def _subfolders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__")))


def _class_folders(root: Path) -> list[tuple[str, Path]]:
    """(split or "", class folder) of a layout; a root of split folders, or of class folders."""
    found = []
    for entry in _subfolders(root):
        split = SPLIT_WORDS.get(entry.name.lower())
        if split:
            found += [(split, folder) for folder in _subfolders(entry)]
        else:
            found.append(("", entry))
    return found


@reader("folder", title="folder of class folders", recognises=recognises, licence="as its owner says")
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read a folder. Without split folders every picture belongs to `test`: nothing is trained on by accident.

    Raises:
        DataError: a class folder names no expression, there is no picture, or pictures cannot be read.
    """
    folders = _class_folders(path)
    unknown = [folder for _, folder in folders if canonical(folder.name) is None]
    if unknown:
        hints = [
            f"“{folder.name}”" + (f" (did you mean “{meant}”?)" if (meant := suggestion(folder.name)) else "")
            for folder in unknown
        ]
        raise DataError(f"{path}: {', '.join(hints)} names no expression; rename the folder or move it away.")
    root = path.resolve()
    rows: list[tuple[str, str, str, str]] = []
    skipped: list[Skipped] = []
    for split, folder in folders:
        for place, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                file = Path(place, name)
                if file.suffix.lower() not in PICTURE_SUFFIXES:
                    continue
                id_ = file.relative_to(path).as_posix()
                if not file.resolve().is_relative_to(root):
                    skipped.append(Skipped(id_, "a link that leads out of the folder"))
                    continue
                usage = USAGE_IN_NAME.match(name)
                named = SPLIT_WORDS[usage[1].lower()] if usage else split or "test"
                rows.append((id_, named, str(canonical(folder.name)), str(file)))
    if not rows and not skipped:
        raise DataError(f"{path}: the folders hold no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}).")
    total = len(rows) + len(skipped)
    good = []
    for row in rows:
        try:
            decode(Path(row[3]))
        except ImageError as error:
            skipped.append(Skipped(row[0], str(error).removeprefix(f"{row[3]}: ")))
        else:
            good.append(row)
    refuse_or_skip(skipped, total, on_bad, str(path))
    index = pd.DataFrame(good, columns=["id", "split", "label", "file"])
    return Reading(index, vocabulary(index["label"]), skipped=tuple(skipped))
