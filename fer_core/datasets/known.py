"""The data sets of a workspace, by name: the built-in rendered heads, and the paths that the user added."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fer_core.datasets import READERS, OnBad, Reader, open_dataset, short_name
from fer_core.datasets.files import HIDDEN
from fer_core.datasets.heads import HEADS
from fer_core.errors import DataError, UnknownName, shortened
from fer_core.images import LFS_ADVICE, LFS_POINTER, PICTURE_SUFFIXES
from fer_core.untrusted import read_json
from fer_core.workspace import home, may_open, names_a_device, shared, write_atomically

NOTES = frozenset(
    {"", ".txt", ".md", ".bib", ".pdf", ".html", ".json", ".yaml", ".yml"}
)  # endings of files about a set


def known() -> dict[str, Path]:
    """Name and path of each data set that was added, in alphabetical order.

    Raises:
        DataError: the list was damaged by hand.
    """
    return {name: Path(entry["path"]) for name, entry in _entries().items()}


def own() -> dict[str, Path]:
    """Those of this workspace alone: for a student without the class's."""
    return {name: Path(entry["path"]) for name, entry in _listed(home() / "datasets.json").items()}


def usual(path: str | Path) -> OnBad:
    """What to do by default with unreadable entries of a data set: the choice made when it was added."""
    entry = _entries().get(str(parted(path)[0]), {})
    return "skip" if entry.get("on_bad") == "skip" else "refuse"


def _entries() -> dict[str, dict[str, Any]]:
    """A student's own data sets and those of the class; of one name, that of the class."""
    own = _listed(home() / "datasets.json")
    return own | _listed(shared() / "datasets.json") if shared() != home() else own


def _listed(path: Path) -> dict[str, dict[str, Any]]:
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


def add(path: str | Path, name: str = "", on_bad: OnBad = "refuse") -> str:
    """Open a data set, add it under a name (by default derived from its path) and return the name.

    A set that does not open is not added. The command line and the Data page both use this function.

    Args:
        path: a csv, a parquet file or a folder, with @MODE behind it where it is read in one of several ways.
        on_bad: what is done with its unreadable entries wherever it is opened by that name.

    Raises:
        DataError: nothing there, no known layout, entries that cannot be read, or the name is taken by another path.
    """
    place, mode = parted(path)
    if str(path) == HEADS or str(path).rpartition("@")[0] == HEADS:
        raise DataError(f"“{HEADS}” is built in and known already.")
    try:
        place = place.expanduser().resolve()
    except RuntimeError as error:
        raise DataError(f"{path}: {error}; give the full path.") from error
    name = name or short_name(place)
    refuse_name(name)
    entries = _entries()
    if name in entries and Path(entries[name]["path"]) != place:
        raise DataError(f"The name “{name}” is already used for {entries[name]['path']}; choose another name.")
    open_dataset(f"{place}@{mode}" if mode else place, on_bad=on_bad)
    entries = _listed(home() / "datasets.json")
    entries[name] = {"path": str(place), "on_bad": on_bad} | ({"mode": mode} if mode else {})
    write_atomically(home() / "datasets.json", json.dumps(entries, indent=2).encode())
    return name


def parted(path: str | Path) -> tuple[Path, str]:
    """A path and its mode (“” for none). A file with an @ in its own name has no mode."""
    name, _, mode = str(path).rpartition("@")
    return (Path(path), "") if not name or _exists(Path(path)) else (Path(name), mode)


def linked(text: str) -> Path:
    """A file that a link names. A link may come from anybody, so it opens files of the workspace and those that lie in a
    known data set's folder, or beside its csv, and no others.

    Raises:
        DataError: the file lies elsewhere, which is said without looking whether it is there.
    """
    try:
        path = Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):  # too long, an unknown user's home, a NUL
        path = Path()
    sets = [place.resolve() for place in known().values()]
    within = [home().resolve(), *(place for place in sets if place.is_dir())]
    if not path.name or not (
        any(path.is_relative_to(folder) for folder in within)
        or any(path.parent == place.parent for place in sets if place.is_file())
    ):
        raise DataError(
            f"The link names the file {shortened(text)}, which lies outside the workspace and the known data sets. Only open "
            "links that you trust; to use that file, type its path here, or copy it to the workspace."
        )
    return path


def refuse_name(name: str) -> None:
    """
    Raises:
        DataError: the name is none for a data set.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name) or name == HEADS or names_a_device(name):
        raise DataError(f"“{shortened(name)}” cannot name a data set; use small letters, digits and hyphens.")


def is_name(name: str) -> bool:
    """Whether this can only be a data set's name: one that is known here, or that a layout gives its sets."""
    return name == HEADS or name in _entries() or name in {layout.dataset for _, layout in READERS.items()}


def resolve(path: str | Path) -> tuple[Path, Reader]:
    """The place and the reader of a data set given by name or path, each with or without @MODE.

    Raises:
        DataError: nothing there, or no known layout.
    """
    name, mode = parted(path)
    place, layout = _resolve(str(name))
    mode = mode or str(_entries().get(str(name), {}).get("mode", ""))
    return place, layout.in_mode(mode) if mode else layout


def _resolve(name: str) -> tuple[Path, Reader]:
    if name == HEADS:
        return Path(HEADS), READERS.get(HEADS)
    places = known()
    if name in places:
        return places[name], recognise(places[name])
    try:
        place = Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(f"{name}: {error}; give the full path.") from error
    if not may_open(place, *places.values()):
        raise DataError(
            f"There is no data set “{shortened(name)}” here. Choose one of the class, or upload your own on the Data page."
        )
    if not _exists(place) and name in {layout.dataset for _, layout in READERS.items()}:
        raise DataError(
            f"There is no data set “{name}” here yet. `ferscope data get {name}` downloads it or says how to get it. "
            f"Then: ferscope data add PATH --name {name}."
        )
    if not _exists(place) and re.fullmatch(r"[a-z0-9-]+", name):
        raise UnknownName("data set or path", name, [HEADS, *places])
    if not _exists(place):
        raise DataError(f"{_short(place)} does not exist; give the path of a csv or of a folder of images.")
    return place.resolve(), recognise(place.resolve())


def recognise(path: Path) -> Reader:
    """The reader for a path's layout. More specific layouts win over “any folder”.

    A folder that holds one set and nothing else but notes is opened as that set.

    Raises:
        DataError: nothing there, or no known layout; the message says what is there and which layout is nearest.
    """
    if not _exists(path):
        raise DataError(f"{_short(path)} does not exist; give the path of a csv or of a folder of images.")
    candidates = sorted((layout for _, layout in READERS.items()), key=lambda layout: layout.rank)
    if path.is_file() and _begins(path, LFS_POINTER):
        raise DataError(f"{path}: this is {LFS_ADVICE}.")
    if layout := _layout(path, candidates):
        return layout
    inside = ""
    if path.is_dir():
        if only := _only_entry(path):
            outer = _layout(only, candidates)
            if outer:
                return outer.of(only)
            if only.is_dir() and (deeper := _only_entry(only)) and (outer := _layout(deeper, candidates)):
                return outer.of(deeper)
        entries = sorted(entry.name for entry in path.iterdir())
        inside = f" It holds {', '.join(entries[:6]) + (' …' if len(entries) > 6 else '') if entries else 'nothing'}."
    elif path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z"):
        inside = " If this is an archive of images, unpack it and give the folder."
    titles = "; ".join(layout.title for layout in candidates if layout.name != HEADS)
    raise DataError(
        f"{path}: no known layout of a data set.{inside}{_nearest(path, candidates)} Known layouts: {titles}."
    )


def _layout(path: Path, candidates: list[Reader]) -> Reader | None:
    return next((layout for layout in candidates if layout.recognises(path)), None)


def _begins(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


def _only_entry(path: Path) -> Path | None:
    """What a folder holds beside notes (README, licence) and hidden files, where that is one thing."""
    entries = [
        entry
        for entry in path.iterdir()
        if not entry.name.startswith(HIDDEN) and not (entry.is_file() and entry.suffix.lower() in NOTES)
    ]
    return entries[0] if len(entries) == 1 else None


def _nearest(path: Path, candidates: list[Reader]) -> str:
    """A hint in words: a known layout nearby, otherwise the layout that fits best."""
    if not path.is_dir():
        return ""
    inner = [entry for entry in sorted(path.iterdir())[:40] if not entry.name.startswith(HIDDEN)]
    if any(entry.suffix.lower() in PICTURE_SUFFIXES for entry in inner):
        return (
            " These are images and nothing says what they show: put them in folders called by expressions (happy, sad ...), "
            f"or have a network predict them: ferscope predict NETWORK {path}."
        )
    if any(_begins(entry, LFS_POINTER) for entry in inner if entry.is_file()):
        return " Files in it are Git LFS pointers, not the files themselves; run `git lfs pull` there."
    found = {str(entry): layout.title for entry in inner if (layout := _layout(entry, candidates))}
    if found:
        ways = ", ".join(f"{place} is {title}" for place, title in found.items())
        return f" But {ways}: give {'that path' if len(found) == 1 else 'one of these paths'}."
    special = [layout for layout in candidates if not layout.rank]
    if layout := _layout(path.parent, special):
        return f" But {path.parent} is {layout.title}: give that path."
    marks = {layout.name: [mark for mark in layout.expects if any(path.glob(mark))] for layout in candidates}
    best = max(candidates, key=lambda layout: len(marks[layout.name]))
    if not marks[best.name]:
        return ""
    missing = [mark for mark in best.expects if mark not in marks[best.name]]
    return f" The nearest is {best.title}, which also has {', '.join(missing)} there." if missing else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for the file system
        return False


def _short(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text):,} characters)"
