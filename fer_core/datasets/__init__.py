"""Data sets: one file per layout, each with one registered reader.

A reader turns a path into a `Reading`: an index table (one row an image) and a way to get each image. `open_dataset`
finds the reader by the layout, and keeps what was decoded as uint8 arrays in the workspace's cache, so that later
opens read a memory map.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, Protocol, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets.columns import Column
from fer_core.errors import DataError, UnknownName
from fer_core.images import ImageSpec, Preparation, decode, fit
from fer_core.labels import Expressions
from fer_core.registry import Registry

OnBad = Literal["refuse", "skip"]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Skipped:
    """An entry, or a group of entries, that was left out of a data set: its name, the reason and the number of
    images."""

    id: str
    reason: str
    n: int = 1


@dataclass(frozen=True)
class Reading:
    """What a reader found at a path.

    Attributes:
        index: one row an image with `id` (unique in its split), `split` (train, val or test), `label` (the expression's
            name) and any further columns the set knows: `person`, `film`, `sequence`, `source` (the set an image came
            from), votes. `file` holds the path of an image that lies in a file of its own; `left`, `top`, `width` and
            `height` the face's box in it in pixels, where a file holds more than the face.
        expressions: the vocabulary of the labels.
        pixels: (m, H, W) or (m, H, W, 3) uint8 where the set holds its images in one table, else None. They belong to
            the rows without a `file`, in their order.
        encoded: the bytes of each row's image file (PNG, JPEG) in the order of the index, where a table holds images of
            different sizes; they are kept as files beside the cached index.
        preparation: what the images went through already (`ferscope data prepare`); None where nothing is known of it.
    """

    index: pd.DataFrame
    expressions: Expressions
    pixels: NDArray[np.uint8] | None = None
    skipped: tuple[Skipped, ...] = ()
    preparation: Preparation | None = None
    encoded: Sequence[bytes] | None = None


class Read(Protocol):
    def __call__(self, path: Path, on_bad: OnBad) -> Reading: ...


@dataclass(frozen=True)
class Reader:
    """One layout of files: its name and title, how to recognise it, and how to read it.

    Attributes:
        dataset: names the set in predictions tables where the layout says which set it is; any other is named by its
            path.
        protocol: how to evaluate on this set, in a sentence.
        expects: glob patterns of files in this layout, for the error message about a path that has only some of them.
        modes: other ways to read the same files, selected with PATH@MODE; `read` then takes `mode`.
        beside: other paths that the result depends on (for a set derived from others), so that their changes are
            noticed.
        example: writes a small set of the layout below an empty folder and returns the path to open; the contract tests read
            it. The readers that came with the program have theirs in `tests/contracts/layouts.py`.
        rank: the order in which layouts are tried; the least specific ones come last.
        columns: the words of columns of its index besides id, split and label.
    """

    name: str
    title: str
    dataset: str
    recognises: Callable[[Path], bool]
    read: Read
    licence: str
    protocol: str = ""
    expects: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    beside: Callable[[Path], list[Path]] = lambda path: []
    rank: int = 0
    example: Callable[[Path], Path] | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)

    def called(self, path: Path, fingerprint: str, itself: bool) -> str:
        """The name in predictions tables of the set at a path.

        A set whose content is not that of the set which its layout stands for is named by its path: a csv of 56 faces is
        not FER2013. Where the path has the name of such a set too, the layout or the content is put behind it.

        Args:
            fingerprint: of the set's content.
            itself: whether the content bears out the layout's own name.
        """
        if self.dataset and itself:
            return self.dataset
        mode = f"-{self.name.partition('@')[2]}" if "@" in self.name else ""
        name = short_name(path) + mode
        taken = name in {layout.dataset for _, layout in READERS.items()}
        return f"{name}-{fingerprint[:6] if self.dataset else self.name}" if taken else name

    def of(self, inner: Path) -> Reader:
        """The same layout for a path that holds nothing but `inner`, which is read in its place."""

        def read(path: Path, on_bad: OnBad, **mode: str) -> Reading:
            return self.read(inner, on_bad, **mode)

        return replace(self, read=read, beside=lambda path: self.beside(inner))

    def in_mode(self, mode: str) -> Reader:
        """The same layout, read in one of its modes.

        Raises:
            UnknownName: the layout has no such mode.
        """
        if mode not in self.modes:
            raise UnknownName(f"way to read {self.title}", mode, self.modes)
        return replace(
            self,
            name=f"{self.name}@{mode}",
            title=f"{self.title}, {mode}",
            dataset=self.dataset and f"{self.dataset}-{mode}",
            read=partial(cast(Callable[..., Reading], self.read), mode=mode),
        )


READERS: Registry[Reader] = Registry("data layout", __name__)


def reader(
    name: str,
    *,
    title: str,
    recognises: Callable[[Path], bool],
    licence: str,
    dataset: str = "",
    protocol: str = "",
    expects: tuple[str, ...] = (),
    modes: tuple[str, ...] = (),
    beside: Callable[[Path], list[Path]] = lambda path: [],
    rank: int = 0,
    example: Callable[[Path], Path] | None = None,
    columns: Mapping[str, Column] | None = None,
) -> Callable[[Read], Read]:
    """Decorator that registers a reading function under a name; see `Reader` for the arguments."""

    def add(read: Read) -> Read:
        READERS.register(name)(
            Reader(
                name,
                title,
                dataset,
                recognises,
                read,
                licence,
                protocol,
                expects,
                modes,
                beside,
                rank,
                example,
                columns or {},
            )
        )
        return read

    return add


@dataclass(frozen=True)
class Dataset:
    """An open data set: its index, and its images as arrays on disk."""

    name: str
    title: str
    index: pd.DataFrame
    expressions: Expressions
    skipped: tuple[Skipped, ...]
    folder: Path  # in the cache
    licence: str = ""
    protocol: str = ""
    preparation: Preparation | None = None
    asked: str = ""  # the name or path that it was opened by
    fingerprint: str = ""  # of the images, their labels and splits, in any order

    def __len__(self) -> int:
        return len(self.index)

    @property
    def left_out(self) -> int:
        """Number of images that were found but left out. `skipped` has each of them, by name or in a group."""
        return sum(entry.n for entry in self.skipped)

    @cached_property
    def splits(self) -> dict[str, int]:
        """Number of images in each split that has any, in the order train, val, test."""
        counts = self.index["split"].value_counts()
        return {split: int(counts[split]) for split in SPLITS if split in counts}

    def rows(self, split: str) -> NDArray[np.int64]:
        """Positions of a split's images in the index. Several splits can be joined by +, such as train+val.

        Raises:
            DataError: the set has no such split; the message lists the ones it has.
        """
        parts = split.split("+")
        if unknown := [part for part in parts if part not in self.splits]:
            known = ", ".join(f"{name} ({count:,})" for name, count in self.splits.items())
            raise DataError(f"{self.title} has no split “{unknown[0]}”; it has {known}.{self._carving(unknown[0])}")
        return np.flatnonzero(self.index["split"].isin(parts).to_numpy())

    def _carving(self, missing: str) -> str:
        """A hint for sets that have a training set but no validation set."""
        if missing != "val" or "train" not in self.splits:
            return ""
        return (
            f" `ferscope data split {self.quoted} --how carve` makes a set {self.name}-carve of it, in which a tenth of the "
            "training set is the validation set."
        )

    @property
    def quoted(self) -> str:
        """This set's path or name, quoted for a command line."""
        return shlex.quote(self.asked or self.name)

    def without(self, labels: Collection[str]) -> Dataset:
        """The same set, where images with these labels belong to no split. The order of the images stays the same."""
        gone = self.index["label"].isin(labels)
        return (
            replace(self, index=self.index.assign(split=self.index["split"].mask(gone, None))) if gone.any() else self
        )

    def images(self, spec: ImageSpec) -> NDArray[np.uint8]:
        """All images at a network's size, in the order of the index: (n, H, W) or (n, H, W, 3) uint8.

        A memory map, written at the first call for this geometry and preparation.

        Raises:
            DataError: the set was prepared otherwise than the network's own.
        """
        from fer_core.datasets.cache import images_at

        return images_at(self, spec)

    def as_given(self, picture: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.uint8]:
        """One image of this set, prepared for a network: (H, W) or (H, W, 3) uint8 at its size.

        The preparation of the network's training images is applied here, unless this set was already prepared that way.

        Raises:
            DataError: the set was prepared otherwise.
        """
        wanted = spec.after(self.preparation)
        if wanted.preparation is not None and self.preparation is None:
            picture = wanted.preparation.largest(picture)
        return fit(picture, wanted)

    def picture(self, row: int) -> NDArray[np.uint8]:
        """One image as the set has it: (H, W) or (H, W, 3) uint8."""
        if self.in_file[row]:
            picture = decode(Path(str(self.index["file"].iloc[row])))
            return face_in(picture, self.index.iloc[row]) if "left" in self.index.columns else picture
        number = row - int(self.in_file[:row].sum())  # among the images without a file
        return np.array(np.load(self.folder / "pixels.npy", mmap_mode="r")[number])

    @cached_property
    def in_file(self) -> NDArray[np.bool_]:
        """(n,) whether an image lies in a file of its own."""
        if "file" not in self.index.columns:
            return np.zeros(len(self), bool)
        return (self.index["file"].fillna("") != "").to_numpy(dtype=bool)

    def label_index(self, expressions: Expressions, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The labels of some rows as positions in a network's vocabulary.

        Raises:
            DataError: a label is not in the vocabulary; the message counts them by name.
        """
        labels = self.index["label"].iloc[rows]
        if without := int(labels.isna().sum()):
            raise DataError(
                f"{self.title}: {without:,} of these {len(rows):,} images have no label, so nothing can be learned from them or "
                f"scored on them. A network can predict them: ferscope predict NETWORK {self.quoted}."
            )
        codes = pd.Index(expressions.names).get_indexer(pd.Index(labels)).astype(np.int64)
        if (codes < 0).any():
            unknown = labels[codes < 0].value_counts()
            found = ", ".join(f"{name} ({count:,})" for name, count in unknown.items())
            raise DataError(
                f"{self.title} has images labelled {found}, which the network's vocabulary {expressions.name} "
                f"({', '.join(expressions.names)}) does not hold; choose a network that knows them, or leave them out with: "
                f"ferscope data merge {self.quoted} --expressions {expressions.name}."
            )
        return codes


def open_dataset(path: str | Path, *, on_bad: OnBad | None = None) -> Dataset:
    """Open a data set by its path, or a built-in one by its name (“heads”).

    Args:
        path: a csv, a folder, or a name of `fer_core.datasets.known`; with @MODE behind it where the layout can be read
            in several ways (“ferplus@probability”).
        on_bad: refuse the set at the first unreadable entries, or skip them; skipped ones are named in `skipped`. None does
            what was chosen when the set was added, and refuses one that is given by its path.

    Raises:
        DataError: nothing there, no known layout, or unreadable entries that are not to be skipped.
    """
    from fer_core.datasets.cache import open_cached
    from fer_core.datasets.known import resolve, usual

    return replace(open_cached(*resolve(path), on_bad=on_bad or usual(path)), asked=str(path))


def name_of(place: str | Path) -> str:
    """The name of a data set in predictions tables. The set is opened only if the name depends on its content.

    Raises:
        DataError: the path does not exist, or has no known layout.
    """
    from fer_core.datasets.identity import known_sets
    from fer_core.datasets.known import resolve

    path, layout = resolve(place)
    if layout.dataset not in known_sets():
        return layout.called(path, "", itself=True)
    try:
        return open_dataset(place).name
    except DataError:
        return open_dataset(place, on_bad="skip").name


def face_in(picture: NDArray[np.uint8], row: pd.Series) -> NDArray[np.uint8]:
    """The part of an image in a row's box (`left`, `top`, `width`, `height`), cut at the edges; all of it without one."""
    box = pd.to_numeric(row[["left", "top", "width", "height"]], errors="coerce").to_numpy(dtype=float)
    if np.isnan(box).any():
        return picture
    left, top, width, height = (round(value) for value in box.tolist())
    cut = picture[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    return cut if cut.size else picture


def short_name(path: Path) -> str:
    """A name for a set from its path: small letters, digits and hyphens."""
    stem = path.name.lower().removesuffix(".gz").removesuffix(".zip").removesuffix(".csv").removesuffix(".toml")
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "pictures"


def refuse_or_skip(skipped: list[Skipped], total: int, on_bad: OnBad, where: str) -> None:
    """Refuse a set with bad entries and name the first three, or let the caller continue without them."""
    if skipped and (on_bad == "refuse" or len(skipped) == total):
        remedy = "mend them, or leave them out with “skip” (--on-bad skip)" if len(skipped) < total else "mend them"
        raise DataError(f"{where}: {len(skipped):,} of {total:,} entries cannot be read ({named(skipped)}); {remedy}.")


def named(skipped: Sequence[Skipped], most: int = 3) -> str:
    """The first entries with their reasons, and the number of further images."""
    text = "; ".join(f"{entry.id}: {entry.reason}" for entry in skipped[:most])
    more = sum(entry.n for entry in skipped[most:])
    return text + (f" and {more:,} more" if more else "")
