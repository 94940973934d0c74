"""FER2013 as the csv of the 2013 Kaggle challenge, plain, gzipped or zipped.

Source: Goodfellow et al. 2013, “Challenges in Representation Learning”. 48 x 48 grey, 28,709 Training, 3,589 PublicTest
(our val) and 3,589 PrivateTest (our test) pictures; columns `emotion,pixels,Usage`, labels 0 angry, 1 disgust, 2 fear,
3 happy, 4 sad, 5 surprise, 6 neutral. Protocol: choose on PublicTest, report once on PrivateTest. 1,516 groups of
pictures are pixel-identical, 280 PublicTest pictures occur in Training too (`datasets/leaks.py`). No licence to pass the
pictures on: get the file from Kaggle with an account of your own, or with `ferscope data get fer2013`.
"""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import OnBad, Reading, Skipped, reader, refuse_or_skip
from fer_core.errors import DataError
from fer_core.labels import FER7, Expressions

# The csv's own numbering. It is the order of FER7 by chance of history, and is written out so that neither can drift.
LABELS = {0: "angry", 1: "disgust", 2: "fear", 3: "happy", 4: "sad", 5: "surprise", 6: "neutral"}
USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
COLUMNS = ["emotion", "pixels", "Usage"]
SIZE = 48
CHUNK = 4096


def _first_line(path: Path) -> str:
    """The header of a csv, or "" if this is none."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as text:
                return text.readline(1000)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive)) as file:
                return file.readline(1000).decode("utf-8")
        with path.open(encoding="utf-8") as text:
            return text.readline(1000)
    except (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile, DataError):
        return ""


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    tables = [name for name in archive.namelist() if name.endswith(".csv") and not name.startswith("__MACOSX")]
    if len(tables) != 1:
        found = ", ".join(tables) or "none"
        raise DataError(f"{path}: expected one csv in the archive, found {found}; unpack it and name the csv itself.")
    return tables[0]


def recognises(path: Path) -> bool:
    """A file with the word `pixels` in its header, or one called like the challenge's file."""
    if path.name.lower().startswith("ckextended"):  # the same columns with contempt
        return False
    return path.is_file() and ("pixels" in _first_line(path) or path.name.startswith("fer2013.csv"))


@reader(
    "fer2013-csv",
    title="FER2013 (csv)",
    dataset="fer2013",
    recognises=recognises,
    licence="no licence to pass pictures on; for research",
    protocol="PublicTest chooses (val), PrivateTest is reported once (test). 280 PublicTest pictures are in Training too.",
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the csv. An id is the row's number in the file, so that FER+ votes can be joined by row.

    Raises:
        DataError: a column is missing, a row is too short or has an unknown label or usage, the file is damaged.
    """
    return read_csv(path, on_bad, LABELS, FER7)


def read_csv(path: Path, on_bad: OnBad, labels: Mapping[int, str], expressions: Expressions) -> Reading:
    """Read a csv in FER2013's form whose numbers stand for `labels`; columns may come in any order."""
    header = [name.strip() for name in _first_line(path).split(",")]
    if missing := [name for name in COLUMNS if name not in header]:
        raise DataError(
            f"{path}: the column {', '.join(missing)} is missing; expected {', '.join(COLUMNS)}, "
            f"found {', '.join(filter(None, header)) or 'no header'}. Check that this is the challenge's fer2013.csv."
        )
    source = zipfile.ZipFile(path) if path.suffix == ".zip" else None
    skipped: list[Skipped] = []
    indices: list[pd.DataFrame] = []
    pixels: list[NDArray[np.uint8]] = []
    total = 0
    try:
        chunks = pd.read_csv(
            source.open(_member(path, source)) if source else path,
            usecols=COLUMNS,
            skipinitialspace=True,  # Kaggle's icml_face_data.csv writes “emotion, Usage, pixels”
            dtype=object,
            chunksize=CHUNK,
            compression="gzip" if path.suffix == ".gz" else None,
        )
        for chunk in chunks:
            index, values, bad = _parse(chunk, total, labels)
            indices.append(index)
            pixels.append(values)
            skipped += bad
            total += len(chunk)
    except (pd.errors.ParserError, UnicodeDecodeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: the csv is damaged after row {total:,} ({error}); unpack or download it again."
        ) from error
    finally:
        if source:
            source.close()
    if not total:
        raise DataError(f"{path}: the csv has a header and no rows; expected pictures of 48 x 48 numbers.")
    refuse_or_skip(skipped, total, on_bad, str(path))
    return Reading(pd.concat(indices, ignore_index=True), expressions, np.concatenate(pixels), skipped=tuple(skipped))


def _parse(
    chunk: pd.DataFrame, start: int, names: Mapping[int, str]
) -> tuple[pd.DataFrame, NDArray[np.uint8], list[Skipped]]:
    """A chunk's index, its pixels (n, 48, 48) and its bad rows; `start` is the number of its first row."""
    rows = np.arange(start, start + len(chunk))
    texts = chunk["pixels"].fillna("").tolist()
    numbers = pd.to_numeric(chunk["emotion"], errors="coerce")
    labels = numbers.map(dict(names)).to_numpy(dtype=object)
    splits = chunk["Usage"].str.strip().map(USAGES).to_numpy(dtype=object)
    reasons: dict[int, str] = {}
    for i, text in enumerate(texts):
        if text.count(" ") != SIZE * SIZE - 1 and len(text.split()) != SIZE * SIZE:
            reasons[i] = f"{len(text.split()):,} pixels, expected 2,304"
    for i in np.flatnonzero(pd.isna(labels)).tolist():
        reasons[i] = f"unknown label “{chunk['emotion'].iloc[i]}”, expected 0 to {max(names)}"
    for i in np.flatnonzero(pd.isna(splits)).tolist():
        reasons[i] = f"unknown Usage “{chunk['Usage'].iloc[i]}”, expected {', '.join(USAGES)}"
    good = [i for i in range(len(texts)) if i not in reasons]
    values = _numbers([texts[i] for i in good])
    if values is None:  # some row holds a word or a number above 255: look at them one by one
        parsed = {i: _numbers([texts[i]]) for i in good}
        reasons |= {i: "a pixel is no number from 0 to 255" for i in good if parsed[i] is None}
        good = [i for i in good if i not in reasons]
        rest = [array for i in good if (array := parsed[i]) is not None]
        values = np.concatenate(rest) if rest else np.empty((0, SIZE, SIZE), np.uint8)
    index = pd.DataFrame({"id": [f"{row:05d}" for row in rows[good]], "split": splits[good], "label": labels[good]})
    return index, values, [Skipped(f"row {start + i}", reason) for i, reason in sorted(reasons.items())]


def _numbers(texts: list[str]) -> NDArray[np.uint8] | None:
    """Rows of 2,304 numbers as (n, 48, 48), or None if one of them is no number from 0 to 255."""
    import warnings

    with warnings.catch_warnings():
        # numpy reads a column of text four times faster than a split of each row, and warns where it stops early
        warnings.simplefilter("error", DeprecationWarning)
        try:
            flat = np.fromstring(" ".join(texts), dtype=np.int64, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    if flat.size != len(texts) * SIZE * SIZE or (flat.size and (flat.min() < 0 or flat.max() > 255)):
        return None
    return flat.astype(np.uint8).reshape(-1, SIZE, SIZE)
