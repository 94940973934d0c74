"""Corruptions of images at five severities each, after Hendrycks and Dietterich 2019 (arXiv 1903.12261), for registered faces.

One file of this package adds one or more: a function under the decorator `corruption`. Lengths are in pixels of a face of
48 x 48, whatever the size of the image. What is drawn at random depends on the seed, the kind, the severity and the
image's id alone: not on the order, the limit or the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_core.errors import DataError
from fer_core.evaluation.intervals import SEED
from fer_core.registry import Registry

SIDE = 48  # the face whose pixels are the unit of lengths
Picture = NDArray[np.uint8]
Change = Callable[[Picture, float, np.random.Generator, str], Picture]


@dataclass(frozen=True)
class Corruption:
    """One kind: `values` are its five severities, in `unit`; `change` takes image, value, random stream and the data
    set's name, and gives an image of the same shape."""

    name: str
    title: str
    values: tuple[float, ...]
    unit: str
    change: Change


CORRUPTIONS: Registry[Corruption] = Registry("corruption", "fer_core.evaluation.corruptions", ordered=True)


def corruption(name: str, title: str, values: Sequence[float], unit: str) -> Callable[[Change], Change]:
    """Decorator that adds a kind of corruption; see `Corruption`."""

    def add(change: Change) -> Change:
        CORRUPTIONS.register(name)(Corruption(name, title, tuple(values), unit, change))
        return change

    return add


def clipped(values: NDArray[np.floating[Any]]) -> Picture:
    """Rounded to whole grey levels, 0..255."""
    rounded: Picture = np.rint(values.clip(0, 255)).astype(np.uint8)
    return rounded


def corrupt(picture: Picture, kind: str, severity: int, image: str, dataset: str = "", seed: int = SEED) -> Picture:
    """Apply a corruption to one image.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
        kind: a name in `CORRUPTIONS`.
        severity: 1 to 5; 0 leaves the image as it is.
        image: the image's id, which the random stream depends on.
        dataset: whose template the bars follow.

    Raises:
        UnknownName: there is no such kind.
        DataError: the severity is not 0 to 5.
    """
    how = CORRUPTIONS.get(kind)
    if not 0 <= severity <= len(how.values):
        raise DataError(f"A severity is 0 to {len(how.values)}, found {severity}.")
    if severity == 0:
        return picture
    stream = hashlib.sha256(f"{seed}|{kind}|{severity}|{image}".encode()).digest()
    return how.change(
        picture, how.values[severity - 1], np.random.default_rng(np.frombuffer(stream, np.uint32)), dataset
    )
