"""The data sets this workspace knows by name: the built-in synthetic faces, and the paths the user has added."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fer_core.datasets import READERS, Reader, short_name
from fer_core.errors import DataError, UnknownName
from fer_core.workspace import home, write_atomically

SYNTHETIC = "synthetic"


def known() -> dict[str, Path]:
    """Name and path of each data set that was added, in alphabetical order.

    Raises:
        DataError: the list was damaged by hand.
    """
    path = home() / "datasets.json"
    if not path.exists():
        return {}
    try:
        return {name: Path(place) for name, place in sorted(json.loads(path.read_text(encoding="utf-8")).items())}
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); mend it or delete it and add the data sets again.") from error


def add(path: Path, name: str = "") -> str:
    """Remember a data set under a name (made from its path when none is given) and return the name.

    Raises:
        DataError: nothing there, no known layout, or the name is taken by another path.
    """
    path = path.expanduser().resolve()
    recognise(path)
    name = name or short_name(path)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name) or name == SYNTHETIC:
        raise DataError(f"“{name}” cannot name a data set; use small letters, digits and hyphens.")
    names = known()
    if names.get(name, path) != path:
        raise DataError(f"The name “{name}” already stands for {names[name]}; choose another name.")
    names[name] = path
    text = json.dumps({key: str(value) for key, value in names.items()}, indent=2)
    write_atomically(home() / "datasets.json", text.encode())
    return name


def resolve(path: str | Path) -> tuple[Path, Reader]:
    """The place and the reader of a data set given by name or path.

    Raises:
        DataError: nothing there, or no known layout.
    """
    name = str(path)
    if name == SYNTHETIC:
        return Path(SYNTHETIC), READERS.get(SYNTHETIC)
    places = known()
    if name in places:
        return places[name], recognise(places[name])
    place = Path(path).expanduser()
    if not place.exists() and re.fullmatch(r"[a-z0-9-]+", name):
        raise UnknownName("data set or path", name, [SYNTHETIC, *places])
    return place.resolve(), recognise(place.resolve())


def recognise(path: Path) -> Reader:
    """The reader for a path's layout; a special layout wins over “any folder”.

    Raises:
        DataError: nothing there, or no known layout.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; give the path of a csv or of a folder of pictures.")
    candidates = sorted(READERS.items(), key=lambda item: item[0] == "folder")
    for _, layout in candidates:
        if layout.recognises(path):
            return layout
    titles = "; ".join(layout.title for _, layout in candidates)
    inside = ""
    if path.is_dir():
        entries = sorted(entry.name for entry in path.iterdir())
        inside = f" It holds {', '.join(entries[:6]) + (' …' if len(entries) > 6 else '') if entries else 'nothing'}."
    raise DataError(f"{path}: no known layout of a data set.{inside} Known layouts: {titles}.")
