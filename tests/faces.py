"""Rendered faces for tests: images of the set that ships, by expression, and larger ones."""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_core.heads.shipped import Rendered, shipped
from fer_core.labels import FER7


class Faces(NamedTuple):
    """(n, H, W) grey images, where each shows its expression, and labels as positions in fer7."""

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]


@cache
def heads() -> Rendered:
    return shipped()


def face(label: str, index: int = 0, size: int = 48) -> NDArray[np.uint8]:
    """(size, size) grey: the image number `index` of an expression."""
    of_it = [place for place, row in enumerate(heads().rows) if row["label"] == label]
    image = heads().images[of_it[index % len(of_it)]]
    return image if size == 48 else np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA))


def faces_with_masks(count: int, size: int, *, first: int = 0) -> Faces:
    """`count` images of the set from number `first` on, reduced to (size, size)."""
    chosen = slice(first, first + count)
    images, masks = heads().images[chosen], heads().masks[chosen].astype(np.float32)
    small, where = (
        np.stack([cv2.resize(one, (size, size), interpolation=cv2.INTER_AREA) for one in stack])
        for stack in (images, masks)
    )
    labels = [FER7.names.index(row["label"]) for row in heads().rows[chosen]]
    return Faces(small.astype(np.uint8), where > 0.5, np.array(labels))


@cache
def large() -> NDArray[np.uint8]:
    """(40, 96, 96) grey: forty people, each with one expression."""
    of_forty = heads().images[np.arange(40) * 7 * 7 + np.arange(40) % 7]
    return np.stack([cv2.resize(one, (96, 96), interpolation=cv2.INTER_CUBIC) for one in of_forty])
