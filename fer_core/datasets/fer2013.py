"""FER2013 as the csv of the 2013 Kaggle challenge, plain, gzipped or zipped.

Source: Goodfellow et al. 2013, “Challenges in Representation Learning”. 48 x 48 grey, 28,709 Training, 3,589 PublicTest
(our val) and 3,589 PrivateTest (our test) pictures; columns `emotion,pixels,Usage`, labels 0 angry, 1 disgust, 2 fear,
3 happy, 4 sad, 5 surprise, 6 neutral. Protocol: choose on PublicTest, report once on PrivateTest. 1,516 groups of
pictures are pixel-identical, 280 PublicTest pictures occur in Training too (`datasets/leaks.py`). No licence to pass the
pictures on: get the file from Kaggle with an account of your own, or with `ferscope data get fer2013`.
"""

from __future__ import annotations

import csv
import gzip
import lzma
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import OnBad, Reading, Skipped, reader, refuse_or_skip
from fer_core.errors import DataError
from fer_core.labels import FER7, Expressions

if TYPE_CHECKING:
    import pyarrow as pa

# The csv's own numbering. It is the order of FER7 by chance of history, and is written out so that neither can drift.
LABELS = {0: "angry", 1: "disgust", 2: "fear", 3: "happy", 4: "sad", 5: "surprise", 6: "neutral"}
USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
COLUMNS = ["emotion", "pixels", "Usage"]
SIZE = 48
BLOCK = 1 << 24  # bytes of text read at a time, some 2,000 rows
# What a damaged file raises; RuntimeError is zipfile's word on an encrypted one and on an unknown way of packing.
DAMAGED = (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError)


def _header(path: Path) -> list[str]:
    """The names of a csv's columns as they stand in its first line, quoted or not.

    Raises:
        DataError: no csv in a zip, or several; and `DAMAGED`.
    """
    encoding = "utf-8-sig"  # Excel begins a csv with a mark that is no part of the first name
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding=encoding) as text:
            line = text.readline(1000)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive)) as file:
            line = file.readline(1000).decode(encoding)
    else:
        with path.open(encoding=encoding) as text:
            line = text.readline(1000)
    return next(csv.reader([line.rstrip("\r\n")]))


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
    if not path.is_file():
        return False
    try:
        return path.name.startswith("fer2013.csv") or any("pixels" in name for name in _header(path))
    except (*DAMAGED, csv.Error, DataError):
        return False


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
    from pyarrow import ArrowInvalid

    torn: dict[int, Skipped] = {}
    skipped: list[Skipped] = []
    indices: list[pd.DataFrame] = []
    pixels: list[NDArray[np.uint8]] = []
    total = 0
    ahead: deque[Future[tuple[pd.DataFrame, NDArray[np.uint8], list[Skipped]]]] = deque()

    def collect(left: int) -> None:
        while len(ahead) > left:
            index, values, bad = ahead.popleft().result()
            indices.append(index)
            pixels.append(values)
            skipped.extend(bad)

    try:
        header = [name.strip() for name in _header(path)]
        if missing := [name for name in COLUMNS if name not in header]:
            raise DataError(
                f"{path}: the column {', '.join(missing)} is missing; expected {', '.join(COLUMNS)}, "
                f"found {', '.join(filter(None, header)) or 'no header'}. Check that this is the challenge's fer2013.csv."
            )
        with ThreadPoolExecutor(2) as parser:  # blocks are parsed while Arrow unpacks the next ones
            for rows, batch in _batches(path, torn):
                ahead.append(parser.submit(_parse, batch, rows, labels))
                total += len(rows)
                collect(2)
            collect(0)
    except (*DAMAGED, ArrowInvalid, csv.Error) as error:
        raise DataError(
            f"{path}: the csv is damaged after row {total:,} ({error}); unpack or download it again."
        ) from error
    skipped = sorted([*torn.values(), *skipped], key=lambda entry: int(entry.id.removeprefix("row ")))
    total += len(torn)
    if not total:
        raise DataError(f"{path}: the csv has a header and no rows; expected pictures of 48 x 48 numbers.")
    refuse_or_skip(skipped, total, on_bad, str(path))
    return Reading(pd.concat(indices, ignore_index=True), expressions, np.concatenate(pixels), skipped=tuple(skipped))


def _batches(path: Path, torn: dict[int, Skipped]) -> Iterator[tuple[NDArray[np.int64], pa.RecordBatch]]:
    """The csv in blocks: the rows' numbers in the file and their columns as text.

    Arrow reads, unpacks and splits the text in half the time of pandas' reader and a split of each row.

    Args:
        torn: filled with the rows of too few or many fields, by number. Arrow reads ahead: some belong to later blocks.

    Raises:
        DataError: a quotation mark is never closed.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    unclosed: list[int] = []

    def tear(row: arrow.InvalidRow) -> str:
        number = row.number - 2  # Arrow counts from 1, and the header too
        if "\n" in row.text:
            unclosed.append(number)
        torn[number] = _skipped(number, f"{row.actual_columns} fields, expected {row.expected_columns}")
        return "skip"

    with ExitStack() as opened:
        source: Any = path
        if path.suffix == ".zip":
            archive = opened.enter_context(zipfile.ZipFile(path))
            source = opened.enter_context(archive.open(_member(path, archive)))
        names = _header(path)
        reader = arrow.open_csv(
            source,
            # one thread keeps the rows in their order
            arrow.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names, skip_rows=1),
            arrow.ParseOptions(invalid_row_handler=tear, ignore_empty_lines=False),
            arrow.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
        start = 0
        for batch in reader:
            if unclosed:
                raise DataError(
                    f"{path}: a quotation mark in row {unclosed[0]} never closes and swallows the lines after it; mend the "
                    "line, or download the file again."
                )
            gone = [number for number in torn if number >= start]
            numbers = np.setdiff1d(np.arange(start, start + len(batch) + len(gone)), gone)
            rows = numbers[: len(batch)]
            yield rows, batch.rename_columns([name.strip() for name in names])
            start = int(rows[-1]) + 1 if len(rows) else start


def _parse(
    batch: pa.RecordBatch, rows: NDArray[np.int64], names: Mapping[int, str]
) -> tuple[pd.DataFrame, NDArray[np.uint8], list[Skipped]]:
    """The index of some rows, their pixels (n, 48, 48) and the bad ones among them; `rows` are their numbers."""
    import pyarrow.compute as pc

    texts = pc.ascii_split_whitespace(pc.ascii_trim_whitespace(batch["pixels"]))
    counts = pc.list_value_length(texts).to_numpy()
    emotions = batch["emotion"].to_pandas()
    labels = pd.to_numeric(emotions, errors="coerce").map(dict(names)).to_numpy(dtype=object)
    usages = batch["Usage"].to_pandas().str.strip()
    splits = usages.map(USAGES).to_numpy(dtype=object)
    reasons: dict[int, str] = {}
    for i in np.flatnonzero(counts != SIZE * SIZE).tolist():
        reasons[i] = f"{counts[i]:,} pixels, expected 2,304"
    for i in np.flatnonzero(pd.isna(labels)).tolist():
        reasons[i] = f"unknown label “{emotions.iloc[i]}”, expected 0 to {max(names)}"
    for i in np.flatnonzero(pd.isna(splits)).tolist():
        reasons[i] = f"unknown Usage “{usages.iloc[i]}”, expected {', '.join(USAGES)}"
    good = [i for i in range(len(rows)) if i not in reasons]
    values = _numbers(texts.take(good) if reasons else texts)
    if values is None:  # some row holds a word or a number above 255: look at them one by one
        parsed = {i: _numbers(texts[i : i + 1]) for i in good}
        reasons |= {i: "a pixel is no number from 0 to 255" for i in good if parsed[i] is None}
        good = [i for i in good if i not in reasons]
        rest = [array for i in good if (array := parsed[i]) is not None]
        values = np.concatenate(rest) if rest else np.empty((0, SIZE, SIZE), np.uint8)
    index = pd.DataFrame({"id": [f"{row:05d}" for row in rows[good]], "split": splits[good], "label": labels[good]})
    return index, values, [_skipped(rows[i], reason) for i, reason in sorted(reasons.items())]


def _skipped(row: int, reason: str) -> Skipped:
    """A row left out; an editor counts its line from 1, and the header too."""
    return Skipped(f"row {row}", f"line {row + 2}: {reason}")


def _numbers(texts: pa.ListArray) -> NDArray[np.uint8] | None:
    """Rows of 2,304 numbers as (n, 48, 48), or None if one of them is no number from 0 to 255."""
    import pyarrow as pa

    try:
        flat: NDArray[np.uint8] = texts.flatten().cast(pa.uint8()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return flat.reshape(-1, SIZE, SIZE)
