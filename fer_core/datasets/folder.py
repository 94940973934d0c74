"""Any folder of images: `<root>/[<split>/]<class>/...`. A private set needs no more than this.

Class folders carry an expression's name or a synonym (“anger”, “Happiness”). FER2013's own folder form is told by its
file names `<Usage>_<n>.jpg`: its `test` folder holds PublicTest (our val) and PrivateTest (our test) together. Where
somebody dealt its images out anew, into a `val` folder of their own, the folders hold and not the names.
"""

from __future__ import annotations

import re
from pathlib import Path

from fer_core.datasets import OnBad, Reading, reader
from fer_core.datasets.files import SPLIT_WORDS, pictures_below, read_files, subfolders
from fer_core.errors import DataError
from fer_core.images import shown
from fer_core.labels import canonical, suggestion, vocabulary

USAGE_IN_NAME = re.compile(r"^(Training|PublicTest|PrivateTest)_\d+\.", re.IGNORECASE)


def recognises(path: Path) -> bool:
    """A folder with class folders in it, or split folders with class folders; one name must be an expression's, nearly."""
    return path.is_dir() and any(canonical(f.name) or suggestion(f.name) for _, f in class_folders(path))


def class_folders(root: Path) -> list[tuple[str, Path]]:
    """(split or "", class folder) of a layout; a root of split folders, or of class folders."""
    found = []
    for entry in subfolders(root):
        split = SPLIT_WORDS.get(entry.name.lower())
        if split:
            found += [(split, folder) for folder in subfolders(entry)]
        else:
            found.append(("", entry))
    return found


@reader(
    "folder",
    title="folder of class folders",
    recognises=recognises,
    licence="as its owner says",
    expects=("train", "val*", "test", "[Hh]app*", "[Ss]ad*", "*/[Hh]app*", "*/[Ss]ad*"),
    rank=2,
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read a folder. Without split folders every image belongs to `test`: nothing is trained on by accident.

    Raises:
        DataError: a class folder names no expression, there is no image, or images cannot be read.
    """
    folders = class_folders(path)
    unknown = [folder for _, folder in folders if canonical(folder.name) is None]
    if unknown:
        hints = [
            f"“{shown(folder.name)}”" + (f" (did you mean “{meant}”?)" if (meant := suggestion(folder.name)) else "")
            for folder in unknown
        ]
        raise DataError(f"{path}: {', '.join(hints)} names no expression; rename the folder or move it away.")
    rows = []
    dealt = any(split == "val" for split, _ in folders)
    for split, folder in folders:
        for file in pictures_below(folder):
            usage = USAGE_IN_NAME.match(file.name)
            named = SPLIT_WORDS[usage[1].lower()] if usage else "test"
            rows.append(
                {
                    "id": file.relative_to(path).as_posix(),
                    "split": named if not split or ((split, named) == ("test", "val") and not dealt) else split,
                    "label": str(canonical(folder.name)),
                    "file": str(file),
                }
            )
    return read_files(path, rows, on_bad, vocabulary(row["label"] for row in rows), others="in no class folder")
