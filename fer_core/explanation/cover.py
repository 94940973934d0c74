"""What a prediction becomes when a part of the image is covered: the answer for each place of a square cover."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

CELLS = 6  # places of the cover in each direction
SHARE = 0.25  # side of the cover, as a share of the image's


def covers(height: int, width: int) -> NDArray[np.int64]:
    """(CELLS * CELLS, 4) top, bottom, left and right of each cover in pixels, row by row; at an edge it is cut off."""
    centres = (np.arange(CELLS) + 0.5) / CELLS
    ends = [
        np.clip(np.round(np.stack([centres - SHARE / 2, centres + SHARE / 2]) * size), 0, size).astype(np.int64)
        for size in (height, width)
    ]
    rows, columns = np.divmod(np.arange(CELLS**2), CELLS)
    return np.stack([*ends[0][:, rows], *ends[1][:, columns]], axis=1)


def covered(
    probs: Callable[[NDArray[np.uint8]], NDArray[np.float64]], picture: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """(1 + CELLS * CELLS, K) probabilities of an image as it is and with each part covered by its mean grey or colour.

    A covered image is unlike those that the network was trained on: this shows what its answer rests on, no more.

    Args:
        probs: gives (N, K) probabilities of (N, H, W) or (N, H, W, 3) uint8.
        picture: (H, W) or (H, W, 3) uint8 at the network's size.
    """
    mean = picture.mean(axis=(0, 1)).round().astype(np.uint8)
    images = np.repeat(picture[None], 1 + CELLS**2, axis=0)
    for image, (top, bottom, left, right) in zip(images[1:], covers(*picture.shape[:2]), strict=True):
        image[top:bottom, left:right] = mean
    return probs(images)
