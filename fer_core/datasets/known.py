"""The data sets this workspace knows by name: the built-in synthetic faces, and the paths the user has added."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fer_core.datasets import READERS, OnBad, Reader, short_name
from fer_core.errors import DataError, UnknownName, shortened
from fer_core.untrusted import read_json
from fer_core.workspace import home, names_a_device, write_atomically

SYNTHETIC = "synthetic"


def known() -> dict[str, Path]:
    """Name and path of each data set that was added, in alphabetical order.

    Raises:
        DataError: the list was damaged by hand.
    """
    return {name: Path(entry["path"]) for name, entry in _entries().items()}


def usual(path: str | Path) -> OnBad:
    """What is done with the unreadable entries of a data set where nothing is asked: what was chosen when it was added."""
    name, _, mode = str(path).rpartition("@")
    entry = _entries().get(name or mode, {})
    return "skip" if entry.get("on_bad") == "skip" else "refuse"


def _entries() -> dict[str, dict[str, Any]]:
    path = home() / "datasets.json"
    if not path.exists():
        return {}
    try:
        entries = {
            name: {"path": entry} if isinstance(entry, str) else {"path": str(entry["path"]), **entry}
            for name, entry in sorted(read_json(path).items())
        }
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}); mend it or delete it and add the data sets again.") from error
    return entries


def add(path: Path, name: str = "", on_bad: OnBad = "refuse") -> str:
    """Remember a data set under a name (made from its path when none is given) and return the name.

    Args:
        on_bad: what is done with its unreadable entries wherever it is opened by that name.

    Raises:
        DataError: nothing there, no known layout, or the name is taken by another path.
    """
    path = path.expanduser().resolve()
    recognise(path)
    name = name or short_name(path)
    refuse_name(name)
    entries = _entries()
    if name in entries and Path(entries[name]["path"]) != path:
        raise DataError(f"The name “{name}” already stands for {entries[name]['path']}; choose another name.")
    entries[name] = {"path": str(path), "on_bad": on_bad}
    write_atomically(home() / "datasets.json", json.dumps(entries, indent=2).encode())
    return name


def refuse_name(name: str) -> None:
    """
    Raises:
        DataError: the name is none for a data set.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name) or name == SYNTHETIC or names_a_device(name):
        raise DataError(f"“{shortened(name)}” cannot name a data set; use small letters, digits and hyphens.")


def resolve(path: str | Path) -> tuple[Path, Reader]:
    """The place and the reader of a data set given by name or path, each with or without @MODE.

    Raises:
        DataError: nothing there, or no known layout.
    """
    name, _, mode = str(path).rpartition("@")
    if not name or _exists(Path(path)):
        name, mode = str(path), ""
    place, layout = _resolve(name)
    return place, layout.in_mode(mode) if mode else layout


def _resolve(name: str) -> tuple[Path, Reader]:
    if name == SYNTHETIC:
        return Path(SYNTHETIC), READERS.get(SYNTHETIC)
    places = known()
    if name in places:
        return places[name], recognise(places[name])
    try:
        place = Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(f"{name}: {error}; write the path out.") from error
    if not _exists(place) and name in {layout.dataset for _, layout in READERS.items()}:
        raise DataError(
            f"There is no data set “{name}” here yet. `ferscope data get {name}` gets it or says how to; then: ferscope data "
            f"add PATH --name {name}."
        )
    if not _exists(place) and re.fullmatch(r"[a-z0-9-]+", name):
        raise UnknownName("data set or path", name, [SYNTHETIC, *places])
    if not _exists(place):
        raise DataError(f"{_short(place)} does not exist; give the path of a csv or of a folder of pictures.")
    return place.resolve(), recognise(place.resolve())


def recognise(path: Path) -> Reader:
    """The reader for a path's layout; a special layout wins over “any folder”.

    Raises:
        DataError: nothing there, or no known layout; the message says what is there and which layout is nearest.
    """
    if not _exists(path):
        raise DataError(f"{_short(path)} does not exist; give the path of a csv or of a folder of pictures.")
    candidates = sorted((layout for _, layout in READERS.items()), key=lambda layout: layout.name == "folder")
    for layout in candidates:
        if layout.recognises(path):
            return layout
    titles = "; ".join(layout.title for layout in candidates if layout.name != SYNTHETIC)
    inside = ""
    if path.is_dir():
        entries = sorted(entry.name for entry in path.iterdir())
        inside = f" It holds {', '.join(entries[:6]) + (' …' if len(entries) > 6 else '') if entries else 'nothing'}."
    elif path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z"):
        inside = " If this is an archive of pictures, unpack it and give the folder."
    raise DataError(
        f"{path}: no known layout of a data set.{inside}{_nearest(path, candidates)} Known layouts: {titles}."
    )


def _nearest(path: Path, candidates: list[Reader]) -> str:
    """In words: the folder nearby that is a known layout, else the layout of which most is there."""
    if not path.is_dir():
        return ""
    near = [*sorted(entry for entry in path.iterdir() if entry.is_dir())[:20], path.parent]
    for place in near:
        for layout in candidates:
            if layout.name != "folder" and layout.recognises(place):
                return f" But {place} is {layout.title}: give that path."
    found = {layout.name: [mark for mark in layout.expects if any(path.glob(mark))] for layout in candidates}
    best = max(candidates, key=lambda layout: len(found[layout.name]))
    if not found[best.name]:
        return ""
    missing = [mark for mark in best.expects if mark not in found[best.name]]
    return f" The nearest is {best.title}, which also has {', '.join(missing)} there." if missing else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for the file system
        return False


def _short(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text):,} characters)"
