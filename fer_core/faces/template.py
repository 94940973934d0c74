"""The region template: which facial region each pixel of an aligned face belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fer_core.errors import DataError

REGIONS = ("forehead and hair", "brows", "eyes", "nose", "cheeks", "mouth", "jaw", "background")


# Left and right eye, tip of the nose, left and right corner of the mouth, as parts of the image's side. FER2013:
# the medians of what mtcnn found in 433 of 479 Training images (every 60th), padded and enlarged three times; half
# of the faces lie within 1.8 pixels of 48 of them. Rendered heads: likewise, of 230 of 234 images (every ninth).
FER2013_POINTS = ((0.3125, 0.382), (0.6875, 0.382), (0.5, 0.597), (0.344, 0.781), (0.656, 0.781))


HEADS_POINTS = ((0.347, 0.367), (0.653, 0.367), (0.5, 0.557), (0.378, 0.719), (0.622, 0.719))


# Shapes in units of half the distance between the eyes, from the point between them, x to the right, y downwards; the
# right half of each, mirrored. Later ones lie over earlier ones.
_POINTS = ((-1.0, 0.0), (1.0, 0.0), (0.0, 1.15), (-0.83, 2.13), (0.83, 2.13))


_SHAPES: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = (
    ("forehead and hair", ((0, -3.2), (1.3, -3.0), (2.2, -2.0), (2.5, -0.9), (2.45, -0.35), (0, -0.35))),
    ("cheeks", ((0, -0.35), (2.1, -0.35), (2.15, 0.5), (2.0, 1.4), (1.8, 2.1), (0, 2.1))),
    ("jaw", ((0, 1.75), (1.9, 1.75), (1.7, 2.45), (1.25, 3.05), (0.65, 3.4), (0, 3.5))),
    ("brows", ((0, -1.0), (0.5, -1.1), (1.2, -1.15), (1.8, -0.95), (1.9, -0.4), (0, -0.4))),
    ("eyes", ((0.42, -0.4), (1.8, -0.4), (1.8, 0.42), (0.42, 0.42))),
    ("nose", ((0, -0.4), (0.42, -0.4), (0.42, 0.6), (0.72, 1.0), (0.72, 1.45), (0, 1.55))),
    ("mouth", ((0, 1.55), (0.75, 1.5), (1.25, 1.85), (1.25, 2.35), (0.8, 2.75), (0, 2.8))),
)


def points_of(dataset: str) -> tuple[tuple[float, float], ...]:
    """Where the five points of a registered set lie; FER2013's framing for any set but the rendered heads."""
    return HEADS_POINTS if dataset == "heads" else FER2013_POINTS


def template(height: int, width: int, points: ArrayLike | None = None) -> NDArray[np.int64]:
    """The region of each pixel.

    Args:
        points: (5, 2) x and y in pixels from the image's corner: eye on the image's left, eye on the right, tip of
            the nose, corner of the mouth on the left, on the right; without them FER2013's.

    Returns:
        (height, width) positions in `REGIONS`.

    Raises:
        DataError: the points are not (5, 2) finite numbers, or fall together.
    """
    import cv2

    given = np.asarray(np.array(FER2013_POINTS) * (width, height) if points is None else points, dtype=np.float64)
    if given.shape != (5, 2) or not np.isfinite(given).all() or np.ptp(given, axis=0).max() < 1:
        raise DataError(
            f"Five points of a face have the shape (5, 2), finite and apart, found {given.tolist()}; give eyes, nose tip "
            "and corners of the mouth in pixels, or none for the fixed template."
        )
    # The similarity nearest to the points (Umeyama 1991), as complex numbers: z -> a z + b.
    source, target = np.array(_POINTS) @ (1, 1j), given @ (1, 1j)
    centred = source - source.mean()
    a = (centred.conj() @ (target - target.mean())) / (centred.conj() @ centred)
    b = target.mean() - a * source.mean()
    fine = 5  # so that a thin region keeps its share of a small image
    canvas = np.full((height * fine, width * fine), REGIONS.index("background"), np.uint8)
    for name, half in _SHAPES:
        outline = np.array([*half, *((-x, y) for x, y in reversed(half))]) @ (1, 1j)
        parts = (
            [outline] if half[0][0] == 0 else [np.array(half) @ (1, 1j), np.array([(-x, y) for x, y in half]) @ (1, 1j)]
        )
        for part in parts:
            placed = (a * part + b) * fine
            polygon = np.rint(np.stack([placed.real, placed.imag], axis=1) - 0.5).astype(np.int32)
            cv2.fillPoly(canvas, [polygon], REGIONS.index(name))
    found: NDArray[np.int64] = canvas[fine // 2 :: fine, fine // 2 :: fine].astype(np.int64)
    return found
