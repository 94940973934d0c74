"""FER2013 as the csv of the 2013 Kaggle challenge, plain, gzipped or zipped, and in the forms it is saved anew in.

Source: Goodfellow et al. 2013, “Challenges in Representation Learning”. 48 x 48 grey, 28,709 Training, 3,589 PublicTest
(our val) and 3,589 PrivateTest (our test) images; columns `emotion,pixels,Usage`, labels 0 angry, 1 disgust, 2 fear,
3 happy, 4 sad, 5 surprise, 6 neutral. Protocol: choose on PublicTest, report once on PrivateTest. 1,516 groups of
images are pixel-identical, 280 PublicTest images occur in Training too (`datasets/leaks.py`). No licence to pass the
images on: get the file from Kaggle with an account of your own, or with `ferscope data get fer2013`.

Copies that programs wrote are read too: semicolons, tabs or bars between the columns; commas or brackets between the
pixels; pixels as fractions, on the scale 0..1 or 0..255; labels as words; Usage in other words (train, validation).
Without Usage the file's name says which part it is (`train.csv`, `test.csv`), and any other is test. Without `emotion`
the images have no labels.
"""

from __future__ import annotations

import csv
import re
import zipfile
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
from fer_core.datasets.csv_header import DAMAGED, header, member
from fer_core.datasets.files import SPLIT_WORDS
from fer_core.errors import DataError
from fer_core.labels import FER7, Expressions, canonical, vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

# The csv's own numbering. It is the order of FER7 by chance of history, and is written out so that neither can drift.
LABELS = {0: "angry", 1: "disgust", 2: "fear", 3: "happy", 4: "sad", 5: "surprise", 6: "neutral"}
USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
COLUMNS = ["emotion", "pixels", "Usage"]
SIZE = 48
BLOCK = 1 << 24  # bytes of text read at a time, some 2,000 rows


def recognises(path: Path) -> bool:
    """A file with the word `pixels` in its header, or one called like the challenge's file."""
    if path.name.lower().startswith("ckextended"):  # the same columns with contempt
        return False
    if not path.is_file():
        return False
    try:
        return path.name.startswith("fer2013.csv") or "pixels" in columns(path)
    except (*DAMAGED, csv.Error, DataError):
        return False


@reader(
    "fer2013-csv",
    title="FER2013 (csv)",
    dataset="fer2013",
    recognises=recognises,
    licence="no licence to pass images on; for research",
    protocol="Choose on PublicTest (validation set), report PrivateTest (test set) once. 280 PublicTest images also occur in "
    "Training.",
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
        if "pixels" not in (found := columns(path)):
            raise DataError(
                f"{path}: the column pixels is missing; expected {', '.join(COLUMNS)}, "
                f"found {', '.join(filter(None, found)) or 'no header'}. Check that this is the challenge's fer2013.csv."
            )
        usage = split_in_name(path.name) or "test"  # nothing is trained on by accident
        with ThreadPoolExecutor(2) as parser:  # blocks are parsed while Arrow unpacks the next ones
            for rows, batch in _batches(path, torn):
                ahead.append(parser.submit(_parse, batch, rows, labels, usage))
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
        raise DataError(f"{path}: the csv has a header and no rows; expected images of 48 x 48 numbers.")
    refuse_or_skip(skipped, total, on_bad, str(path))
    index, images = pd.concat(indices, ignore_index=True), np.concatenate(pixels)
    if images.max() <= 1:
        raise DataError(
            f"{path}: every pixel is 0 or 1, so the images have lost their grey levels, as after a division by 255 that was "
            "stored in whole numbers; expected 0 to 255, or fractions from 0 to 1. Export the file again."
        )
    if not set(index["label"].dropna()) <= set(expressions.names):
        expressions = vocabulary(index["label"].dropna())
    return Reading(index, expressions, images, skipped=tuple(skipped))


def columns(path: Path) -> list[str]:
    """The names of a csv's columns as they are known here: any capitals, spaces around them left away.

    Raises:
        DataError: no csv in a zip, or several; and `DAMAGED`.
    """
    known = {name.lower(): name for name in COLUMNS}
    return [known.get(name.strip().lower(), name.strip()) for name in header(path)[0]]


def split_in_name(name: str) -> str | None:
    """The part that a file's name says it is (“train.csv”, “fer2013-PublicTest.csv.gz”), or None."""
    words = [SPLIT_WORDS.get(word) for word in re.split(r"[^a-z]+", name.lower())]
    return next(filter(None, words), None)


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
            source = opened.enter_context(archive.open(member(path, archive)))
        (names, separator), known = header(path), columns(path)
        reader = arrow.open_csv(
            source,
            # one thread keeps the rows in their order
            arrow.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names, skip_rows=1),
            arrow.ParseOptions(delimiter=separator, invalid_row_handler=tear, ignore_empty_lines=False),
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
            yield rows, batch.rename_columns(known)
            start = int(rows[-1]) + 1 if len(rows) else start


def _parse(
    batch: pa.RecordBatch, rows: NDArray[np.int64], names: Mapping[int, str], usage: str
) -> tuple[pd.DataFrame, NDArray[np.uint8], list[Skipped]]:
    """The index of some rows, their pixels (n, 48, 48) and the bad ones among them.

    Args:
        rows: their numbers in the file.
        names: what the numbers of the labels stand for.
        usage: the split of all rows where the csv has no column for it.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    written = batch["pixels"]
    if len(written) and any(sign in written[0].as_py() for sign in ",;[("):
        written = pc.replace_substring_regex(written, r"[\[\](),;]+", " ")
    texts = pc.ascii_split_whitespace(pc.ascii_trim_whitespace(written))
    counts = pc.list_value_length(texts).to_numpy()
    reasons: dict[int, str] = {}
    for i in np.flatnonzero(counts != SIZE * SIZE).tolist():
        reasons[i] = f"{counts[i]:,} pixels, expected 2,304"
    labels = splits = np.full(len(rows), None, dtype=object)
    if "emotion" in batch.schema.names:
        labels, unknown = _labels(batch["emotion"].to_pandas(), names)
        reasons |= unknown
    if "Usage" in batch.schema.names:
        usages = batch["Usage"].to_pandas().str.strip()
        splits = usages.str.lower().map(SPLIT_WORDS).to_numpy(dtype=object)
        for i in np.flatnonzero(pd.isna(splits)).tolist():
            reasons[i] = f"unknown Usage “{usages.iloc[i]}”, expected {', '.join(USAGES)}"
    else:
        splits = np.full(len(rows), usage, dtype=object)
    good = [i for i in range(len(rows)) if i not in reasons]
    values = _numbers(texts.take(pa.array(good, pa.int64())) if reasons else texts)
    if values is None:  # some row holds a word or a number above 255: look at them one by one
        parsed = {i: _numbers(texts[i : i + 1]) for i in good}
        reasons |= {i: "a pixel is no number from 0 to 255" for i in good if parsed[i] is None}
        good = [i for i in good if i not in reasons]
        rest = [array for i in good if (array := parsed[i]) is not None]
        values = np.concatenate(rest) if rest else np.empty((0, SIZE, SIZE), np.uint8)
    index = pd.DataFrame({"id": [f"{row:05d}" for row in rows[good]], "split": splits[good], "label": labels[good]})
    return index, values, [_skipped(rows[i], reason) for i, reason in sorted(reasons.items())]


def _labels(written: pd.Series, names: Mapping[int, str]) -> tuple[NDArray[np.object_], dict[int, str]]:
    """(n,) labels that are written as numbers or words, None for an unknown one, and those with what is wrong."""
    numbers = pd.to_numeric(written, errors="coerce").map(dict(names))
    labels = numbers.where(numbers.notna(), written.map(canonical, na_action="ignore")).to_numpy(dtype=object)
    expected = f"expected 0 to {max(names)}, or the name of an expression"
    unknown = np.flatnonzero(pd.isna(labels)).tolist()
    return labels, {i: f"unknown label “{written.iloc[i]}”, {expected}" for i in unknown}


def _skipped(row: int, reason: str) -> Skipped:
    """A row left out; an editor counts its line from 1, and the header too."""
    return Skipped(f"row {row}", f"line {row + 2}: {reason}")


def _numbers(texts: pa.ListArray) -> NDArray[np.uint8] | None:
    """Rows of 2,304 numbers as (n, 48, 48), or None if one of them is no number from 0 to 255.

    Fractions that are all 1 at most are on the scale 0..1, other fractions are rounded.
    """
    import pyarrow as pa

    flat: NDArray[np.uint8]
    try:
        flat = texts.flatten().cast(pa.uint8()).to_numpy()
    except pa.ArrowInvalid:
        try:
            values = texts.flatten().cast(pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            return None
        if not ((values >= 0) & (values <= 255)).all():  # also where one is not a number
            return None
        flat = np.rint(values * (255.0 if values.max() <= 1 else 1.0)).astype(np.uint8)
    return flat.reshape(-1, SIZE, SIZE)
