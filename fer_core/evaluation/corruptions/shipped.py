"""The corruptions that ship. The last three, how the face is cut, came later; older tables lack them."""

from __future__ import annotations

from functools import cache as remembered
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_core.evaluation.corruptions import SIDE, Picture, clipped, corruption
from fer_core.faces.template import REGIONS, points_of, template


@corruption("noise", "Noise", (8, 16, 24, 36, 48), "grey levels of deviation")
def noise(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Normal noise with a grain of one pixel of 48, the same in all channels."""
    import cv2

    grain: NDArray[Any] = random.standard_normal((SIDE, SIDE)).astype(np.float32)
    height, width = picture.shape[:2]
    if (height, width) != (SIDE, SIDE):
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_NEAREST)
    return clipped(picture + value * (grain if picture.ndim == 2 else grain[..., None]))


@corruption("blur", "Blur", (0.5, 1.0, 1.5, 2.0, 3.0), "pixels of 48, deviation")
def blur(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """A Gaussian blur."""
    import cv2

    sigma = value * picture.shape[0] / SIDE
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


@corruption("darker", "Darker", (0.7, 0.5, 0.3, 0.2, 0.1), "part of the light")
def darker(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Every pixel times a factor, rounded to whole grey levels, as an underexposed image is."""
    return clipped(picture * value)


@corruption("brighter", "Brighter", (25, 50, 75, 100, 130), "grey levels added")
def brighter(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Grey levels added and clipped at white, as an overexposed image is."""
    return clipped(picture + np.float32(value))


@corruption("contrast", "Less contrast", (0.7, 0.5, 0.3, 0.2, 0.1), "part of the contrast")
def contrast(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Every pixel drawn towards the image's mean."""
    mean = picture.mean(axis=(0, 1))
    return clipped((picture - mean) * value + mean)


@corruption("jpeg", "Jpeg", (50, 25, 15, 10, 5), "quality")
def jpeg(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Compressed as JPEG by Pillow."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(value))
    return np.array(Image.open(buffer))


@corruption("down-sampling", "Down-sampling", (32, 24, 18, 14, 10), "pixels of height left")
def down_sampling(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Shrunk by averaging and enlarged again, as a face far away is; an image that is smaller already stays."""
    import cv2

    height, width = picture.shape[:2]
    if height <= value:
        return picture
    small = (max(1, round(width * value / height)), int(value))
    shrunk = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


@corruption("rotation", "Rotation", (5, 10, 20, 30, 45), "degrees, either way")
def rotation(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Turned about the middle, to the left or right at random; the edge is continued."""
    return _moved(picture, angle=value if random.random() < 0.5 else -value)


@corruption("eyes", "Bar over the eyes", (0.2, 0.4, 0.6, 0.8, 1.0), "part covered")
def eyes(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """A bar over eyes and brows in the image's mean grey, from the middle outwards."""
    return _barred(picture, value, dataset, ("eyes", "brows"))


@corruption("mouth", "Bar over the mouth", (0.2, 0.4, 0.6, 0.8, 1.0), "part covered")
def mouth(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """A bar over the mouth in the image's mean grey, from the middle outwards."""
    return _barred(picture, value, dataset, ("mouth",))


@corruption("tighter", "Tighter cut", (0.95, 0.9, 0.8, 0.7, 0.6), "part of the side left")
def tighter(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """The middle of the image, enlarged to its size, as a smaller margin around the face shows it."""
    return _moved(picture, scale=1 / value)


@corruption("wider", "Wider cut with its edge continued", (1.05, 1.1, 1.25, 1.4, 1.6), "times the side")
def wider(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Shrunk about the middle, as a larger margin shows the face. What lies outside is not known: the edge is continued."""
    return _moved(picture, scale=1 / value)


@corruption("shift", "Shift", (0.02, 0.04, 0.08, 0.12, 0.16), "part of the side, each way")
def shift(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Moved to the left or right and up or down at random, as a detector that misses the face's middle cuts it."""
    across, down = np.where(random.random(2) < 0.5, value, -value)
    return _moved(picture, across=across, down=down)


def _moved(picture: Picture, angle: float = 0.0, scale: float = 1.0, across: float = 0.0, down: float = 0.0) -> Picture:
    """Turned by degrees and scaled about the middle, then moved by parts of the sides; the edge is continued."""
    import cv2

    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    matrix[:, 2] += across * width, down * height
    moved = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.uint8, copy=False)


def _barred(picture: Picture, value: float, dataset: str, regions: tuple[str, ...]) -> Picture:
    top, bottom, left, right = _box(*picture.shape[:2], dataset, regions)
    middle, half = (left + right) / 2, value * (right - left) / 2
    barred = picture.copy()
    columns = slice(round(middle - half), round(middle + half))
    barred[top:bottom, columns] = np.rint(picture.mean(axis=(0, 1))).astype(np.uint8)
    return barred


@remembered
def _box(height: int, width: int, dataset: str, regions: tuple[str, ...]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of regions of the fixed template."""
    found = template(height, width, np.array(points_of(dataset)) * (width, height))
    rows, columns = np.nonzero(np.isin(found, [REGIONS.index(name) for name in regions]))
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1
