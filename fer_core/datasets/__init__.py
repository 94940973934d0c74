"""Data sets: one file a layout, each with one registered reader.

A reader turns a path into a `Reading`: an index table (one row a picture) and a way to get each picture. `open_dataset`
finds the reader by the layout, and keeps what was decoded as uint8 arrays in the workspace's cache, so that later
opens read a memory map.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.errors import DataError
from fer_core.images import ImageSpec, decode
from fer_core.labels import Expressions
from fer_core.registry import Registry

OnBad = Literal["refuse", "skip"]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Skipped:
    """An entry of a data set that was left out: which one, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """What a reader found at a path.

    Attributes:
        index: one row a picture with `id` (unique in its split), `split` (train, val or test), `label` (the expression's
            name) and any further columns the set knows (person, source, votes). `file` holds the path of a picture
            that lies in a file of its own.
        expressions: the vocabulary of the labels.
        pixels: (n, H, W) or (n, H, W, 3) uint8 where the set holds its pictures in one table, else None.
        masks: (n, H, W) bool, the pixels that carry the expression, where the set knows them (synthetic faces).
    """

    index: pd.DataFrame
    expressions: Expressions
    pixels: NDArray[np.uint8] | None = None
    masks: NDArray[np.bool_] | None = None
    skipped: tuple[Skipped, ...] = ()


class Read(Protocol):
    def __call__(self, path: Path, on_bad: OnBad) -> Reading: ...


@dataclass(frozen=True)
class Reader:
    """One layout: its name, a title for people, how to recognise it, and how to read it.

    `dataset` names the set in predictions tables where the layout says which set it is; any other is named by its path.
    """

    name: str
    title: str
    dataset: str
    recognises: Callable[[Path], bool]
    read: Read
    licence: str


READERS: Registry[Reader] = Registry("data layout", __name__)


def reader(
    name: str, *, title: str, recognises: Callable[[Path], bool], licence: str, dataset: str = ""
) -> Callable[[Read], Read]:
    """Decorator that registers a reading function under a name."""

    def add(read: Read) -> Read:
        READERS.register(name)(Reader(name, title, dataset, recognises, read, licence))
        return read

    return add


@dataclass(frozen=True)
class Dataset:
    """A data set that is open: its index, and its pictures as arrays on disk."""

    name: str
    title: str
    index: pd.DataFrame
    expressions: Expressions
    skipped: tuple[Skipped, ...]
    folder: Path  # in the cache
    licence: str = ""

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def splits(self) -> dict[str, int]:
        """Number of pictures in each split that has any, in the order train, val, test."""
        counts = self.index["split"].value_counts()
        return {split: int(counts[split]) for split in SPLITS if split in counts}

    def rows(self, split: str) -> NDArray[np.int64]:
        """Positions of a split's pictures in the index.

        Raises:
            DataError: the set has no such split; the message lists the ones it has.
        """
        if split not in self.splits:
            known = ", ".join(f"{name} ({count:,})" for name, count in self.splits.items())
            raise DataError(f"{self.title} has no split “{split}”; it has {known}.")
        return np.flatnonzero((self.index["split"] == split).to_numpy())

    def images(self, spec: ImageSpec) -> NDArray[np.uint8]:
        """All pictures at a network's size and channels, in the order of the index: (n, H, W) or (n, H, W, 3) uint8.

        A memory map, written at the first call for this geometry.
        """
        from fer_core.datasets.cache import images_at

        return images_at(self, spec)

    def masks(self) -> NDArray[np.bool_] | None:
        """(n, H, W) bool, the pixels that carry the expression, at the set's own size; None where it knows none."""
        path = self.folder / "masks.npy"
        return np.load(path, mmap_mode="r") if path.exists() else None

    def picture(self, row: int) -> NDArray[np.uint8]:
        """One picture as the set has it: (H, W) or (H, W, 3) uint8."""
        if "file" in self.index.columns:
            return decode(Path(str(self.index["file"].iloc[row])))
        return np.array(np.load(self.folder / "pixels.npy", mmap_mode="r")[row])

    def label_index(self, expressions: Expressions, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The labels of some rows as positions in a network's vocabulary.

        Raises:
            DataError: a label is not in the vocabulary; the message counts them by name.
        """
        labels = self.index["label"].iloc[rows]
        codes = pd.Index(expressions.names).get_indexer(pd.Index(labels)).astype(np.int64)
        if (codes < 0).any():
            unknown = labels[codes < 0].value_counts()
            found = ", ".join(f"{name} ({count:,})" for name, count in unknown.items())
            raise DataError(
                f"{self.title} has pictures labelled {found}, which the network's vocabulary {expressions.name} "
                f"({', '.join(expressions.names)}) does not hold; choose a network that knows them or another split."
            )
        return codes


def open_dataset(path: str | Path, *, on_bad: OnBad = "refuse") -> Dataset:
    """Open a data set by its path, or a built-in one by its name (“synthetic”).

    Args:
        path: a csv, a folder, or a name of `fer_core.datasets.known`.
        on_bad: refuse the set at the first unreadable entries, or skip them; skipped ones are named in `skipped`.

    Raises:
        DataError: nothing there, no known layout, or unreadable entries with `on_bad="refuse"`.
    """
    from fer_core.datasets.cache import open_cached
    from fer_core.datasets.known import resolve

    return open_cached(*resolve(path), on_bad=on_bad)


def short_name(path: Path) -> str:
    """A name for a set from its path: small letters, digits and hyphens."""
    stem = path.name.lower().removesuffix(".gz").removesuffix(".zip").removesuffix(".csv")
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "pictures"


def refuse_or_skip(skipped: list[Skipped], total: int, on_bad: OnBad, where: str) -> None:
    """The one answer to bad entries: refuse with the first three named, or let the caller go on without them."""
    if skipped and (on_bad == "refuse" or len(skipped) == total):
        shown = "; ".join(f"{bad.id}: {bad.reason}" for bad in skipped[:3])
        more = f" and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
        remedy = "mend them, or leave them out with “skip” (--on-bad skip)" if len(skipped) < total else "mend them"
        raise DataError(f"{where}: {len(skipped):,} of {total:,} entries cannot be read ({shown}{more}); {remedy}.")
