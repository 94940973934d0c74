"""A table of images and labels: any csv or parquet with a column of files and a column of labels.

Read are: one table beside its images, or a folder with tables in it, one for each part (`train/_classes.csv`,
`data/test-00000-of-00001.parquet`). The file's column may be called file, filename, image, path and the like, the
label's label, emotion, expression, class and the like; in their place a column for each expression with 0 and 1, as
Roboflow exports. A column split (usage, set) says the part, else the name of the table or of its folder does; an image of
which nothing says it belongs to test. A column person (subject) is kept. Parquet files of the Hugging Face hub hold the
images themselves (`{bytes, path}`). Labels are words, or numbers: their names are taken from the parquet's metadata or
the README beside it, else their numbering is given as the mode, as for `numbered`.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer_core.datasets import OnBad, Reading, Skipped, ferplus, reader, refuse_or_skip
from fer_core.datasets.csv_header import DAMAGED, header
from fer_core.datasets.fer2013 import split_in_name
from fer_core.datasets.files import SPLIT_WORDS, pictures_below, read_files, subfolders
from fer_core.datasets.numbered import NUMBERINGS, meanings
from fer_core.errors import DataError, ImageError
from fer_core.images import decode
from fer_core.labels import canonical, vocabulary

# Names of columns, the likeliest first; capitals, spaces and hyphens make no difference.
FILE = (
    "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name", "imagename", "img",
    "img_path", "img_name", "path", "picture", "name", "image_id",
)  # fmt: skip
LABEL = (
    "label", "emotion", "expression", "class", "category", "target", "labels", "emotions", "class_name", "label_name",
    "emotion_label", "facial_expression",
)  # fmt: skip
SPLIT = ("split", "usage", "set", "subset", "partition", "dataset_type")
PERSON = ("person", "subject", "subject_id", "person_id", "identity")
TABLES = (".csv", ".tsv", ".parquet")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table hold, by their own names."""

    file: str
    label: str = ""
    each: tuple[str, ...] = ()  # one column of 0 and 1 an expression
    split: str = ""
    person: str = ""


def _columns(names: Sequence[str]) -> Columns | None:
    """What a table's columns hold, or None where it does not say which image shows what."""
    plain = {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in names}

    def first(known: Sequence[str]) -> str:
        return next((plain[name] for name in known if name in plain), "")

    file, label = first(FILE), first(LABEL)
    each = tuple(name for name in names if canonical(name))
    if "pixels" in plain or not file or not (label or len(each) > 1):
        return None
    return Columns(file, label, () if label else each, first(SPLIT), first(PERSON))


def _names(path: Path) -> list[str]:
    """The names of a table's columns; none where it cannot be read."""
    import pyarrow.parquet as pq
    from pyarrow import ArrowInvalid

    try:
        return list(pq.read_schema(path).names) if path.suffix.lower() == ".parquet" else header(path)[0]
    except (*DAMAGED, csv.Error, DataError, ArrowInvalid):
        return []


def _tables(path: Path) -> list[Path]:
    """The tables that a set at a path consists of."""
    if path.is_file():
        return [path] if path.suffix.lower() in TABLES and _columns(_names(path)) else []
    if not path.is_dir():
        return []
    files = [file for place in (path, *subfolders(path)[:20]) for file in sorted(place.iterdir()) if file.is_file()]
    tables = [file for file in files if file.suffix.lower() in TABLES and _columns(_names(file))]
    return [file for file in tables if not ferplus.recognises(file)]  # votes are no table of files


@reader(
    "table",
    title="table of images (csv or parquet with a column of files and one of labels)",
    recognises=lambda path: bool(_tables(path)),
    licence="as its owner says",
    protocol="The table's own split, where it has one.",
    expects=("*.csv", "*.parquet"),
    modes=tuple(NUMBERINGS),
    rank=3,
)
def read(path: Path, on_bad: OnBad = "refuse", mode: str = "") -> Reading:
    """Read every table and the images that it names or holds.

    Raises:
        DataError: a table is damaged, labels are numbers and their numbering is not known, or entries cannot be read.
    """
    root = path if path.is_dir() else path.parent
    parts = [_read(table, root, path, mode) for table in _tables(path)]
    rows = [row for part in parts for row in part.rows]
    bad = [entry for part in parts for entry in part.bad]
    named = vocabulary({str(row["label"]) for row in rows})
    if any("bytes" in row for row in rows):
        return _held(rows, bad, on_bad, path)
    return read_files(
        root, rows, on_bad, named, bad, others="not in the table", within=[] if path.is_dir() else _near(rows)
    )


def _near(rows: Sequence[Mapping[str, Any]]) -> list[Path]:
    """The folders that a table's files lie in; other images beside the table are none of its business."""
    return sorted({Path(row["file"]).parent for row in rows})


@dataclass(frozen=True)
class Part:
    """The rows of one table, and those of its lines that say nothing usable."""

    rows: list[dict[str, Any]]
    bad: list[Skipped]


def _read(path: Path, root: Path, whole: Path, mode: str) -> Part:
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            separator = header(path)[1]
            table = pd.read_csv(path, sep=separator, dtype="str", keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path} is damaged ({error}); copy it again.") from error
    columns = _columns(list(map(str, table.columns)))
    assert columns is not None  # else it were none of the tables
    written = _written(table, columns)
    names = _meanings(written, path, whole, mode)
    held = columns.file in table and bool(len(table)) and isinstance(table[columns.file].iloc[0], dict)
    usual = split_in_name(path.name) or split_in_name(path.parent.name) or "test"
    splits = table[columns.split].astype(str).str.strip() if columns.split else pd.Series([usual] * len(table))
    files = None if held else _Files(path.parent, root)
    rows, bad = [], []
    for number, (file, word, split) in enumerate(zip(table[columns.file], written, splits, strict=True)):
        line = f"{path.name}, row {number + 1}"
        label = names.get(word) or canonical(word)
        part = SPLIT_WORDS.get(split.lower())
        if label is None:
            bad.append(Skipped(line, f"unknown label “{word}”, expected the name of an expression"))
            continue
        if part is None:
            bad.append(Skipped(line, f"unknown split “{split}”, expected train, val or test"))
            continue
        row: dict[str, Any] = {"split": part, "label": label}
        if columns.person:
            row["person"] = str(table[columns.person].iloc[number])
        if held:
            own = str(file.get("path") or f"{number:06d}")
            rows.append({"id": f"{path.stem}/{own}", **row, "bytes": file.get("bytes") or b""})
        elif files is not None:
            place = files.find(str(file).strip())
            if place is None:
                bad.append(Skipped(line, f"there is no file “{file}” beside the table"))
            else:
                rows.append({"id": place.relative_to(root).as_posix(), **row, "file": str(place)})
    return Part(rows, bad)


def _written(table: pd.DataFrame, columns: Columns) -> list[str]:
    """What each row says it shows, as text; of columns of 0 and 1 the name of the one that is 1."""
    if columns.label:
        return [str(value).strip().removesuffix(".0") for value in table[columns.label]]
    chosen = table[list(columns.each)].apply(pd.to_numeric, errors="coerce").to_numpy() == 1
    names = np.array([name.strip() for name in columns.each], dtype=object)
    return [
        str(names[row.argmax()]) if row.sum() == 1 else f"{int(row.sum())} of {len(names)} columns" for row in chosen
    ]


def _meanings(written: Sequence[str], path: Path, whole: Path, mode: str) -> dict[str, str]:
    """What numbers stand for, where labels are numbers; nothing where they are words.

    Raises:
        DataError: nothing says which numbering it is.
    """
    numbers = Counter(int(word) for word in written if word.isascii() and word.isdecimal())
    if not numbers or sum(numbers.values()) < len(written) / 2:
        return {}
    names = {} if mode else _class_names(path)
    if not set(numbers) <= set(names):  # of some nothing is said
        return {str(number): name for number, name in meanings(mode, numbers, str(whole), names).items()}
    return {str(number): name for number, name in names.items() if name}


@cache
def _class_names(path: Path) -> dict[int, str | None]:
    """What a parquet file's numbers stand for as the Hugging Face hub keeps it: in the metadata, or in the README above it.

    None for a class that is no expression; empty where nothing is said.
    """
    import pyarrow.parquet as pq
    import yaml

    def names(features: object) -> Iterator[object]:
        """The lists called `names` somewhere in the description of a set's columns."""
        if isinstance(features, dict):
            if features.get("names"):
                yield features["names"]
            features = list(features.values())
        for inner in features if isinstance(features, list) else []:
            yield from names(inner)

    described: list[object] = []
    if path.suffix.lower() == ".parquet":
        described.append(json.loads((pq.read_schema(path).metadata or {}).get(b"huggingface", b"{}")))
    for folder in (path.parent, path.parent.parent):
        if (notes := folder / "README.md").is_file():
            front = notes.read_text(encoding="utf-8", errors="replace").split("---")[1:2]
            try:
                described += [yaml.safe_load(text) for text in front]
            except yaml.YAMLError:  # a README for people
                continue
    for found in (each for one in described for each in names(one)):
        pairs = found.items() if isinstance(found, dict) else enumerate(found if isinstance(found, list) else [])
        listed = {int(number): canonical(str(name)) for number, name in pairs if str(number).isdecimal()}
        if any(listed.values()):
            return listed
    return {}


class _Files:
    """Looks for the files that a table names: as written from the table's folder, else by name anywhere in the set."""

    def __init__(self, beside: Path, root: Path) -> None:
        self._places = (beside, root)
        self._by_name: dict[str, set[Path]] = {}
        for file in pictures_below(root):
            for name in (file.name, file.stem):
                self._by_name.setdefault(name.lower(), set()).add(file)

    def find(self, name: str) -> Path | None:
        """The file, or None where there is none, or several of the name."""
        name = name.replace("\\", "/")
        for place in self._places:
            if name and ".." not in name.split("/") and (place / name).is_file() and not name.startswith("/"):
                return place / name
        found = self._by_name.get(name.rpartition("/")[2].lower(), set())
        return next(iter(found)) if len(found) == 1 else None


def _held(rows: Sequence[dict[str, Any]], bad: Sequence[Skipped], on_bad: OnBad, path: Path) -> Reading:
    """A reading of images that a table holds itself: as one array where all have one size, else as they are."""

    def image(row: Mapping[str, Any]) -> np.ndarray | str:
        try:
            return decode(bytes(row["bytes"]))
        except ImageError as error:
            return str(error).removeprefix("the upload: ")

    with ThreadPoolExecutor() as pool:
        images = list(pool.map(image, rows))
    unreadable = [Skipped(str(row["id"]), why) for row, why in zip(rows, images, strict=True) if isinstance(why, str)]
    refuse_or_skip([*bad, *unreadable], len(rows) + len(bad), on_bad, str(path))
    good = [(row, image) for row, image in zip(rows, images, strict=True) if not isinstance(image, str)]
    index = pd.DataFrame([{key: value for key, value in row.items() if key != "bytes"} for row, _ in good])
    if (twice := index[index.duplicated(["split", "id"])]).size:
        index["id"] = index["id"].where(~index["id"].isin(twice["id"]), index["id"] + "#" + index.index.astype(str))
    reading = Reading(index, vocabulary(index["label"]), skipped=(*bad, *unreadable))
    if len({image.shape for _, image in good}) == 1:
        return replace(reading, pixels=np.stack([image for _, image in good]))
    return replace(reading, encoded=[bytes(row["bytes"]) for row, _ in good])
