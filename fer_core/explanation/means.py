"""Means over images with intervals, of one figure, many figures or whole maps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fer_core.evaluation.intervals import LEVEL


class Band(NamedTuple):
    """A mean over images and its confidence interval, each of one image's shape."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def band(values: ArrayLike, level: float = LEVEL) -> Band:
    """The mean over the first axis with Student's interval, which a few images make wide as they should.

    Paired figures are compared by giving their differences. Without an image nothing is known, and of one image no
    interval: NaN. For figures that are 0 or 1 use an interval for proportions: equal ones have no spread here.

    Args:
        values: (n, ...) one entry an image.
    """
    from scipy.stats import t

    given = np.asarray(values, dtype=np.float64)
    n = len(given)
    if not n:
        return Band(*(np.full(given.shape[1:], np.nan) for _ in range(3)))
    mean = given.mean(axis=0)
    if n == 1:
        return Band(mean, np.full(mean.shape, np.nan), np.full(mean.shape, np.nan))
    half = t.ppf((1 + level) / 2, n - 1) * given.std(axis=0, ddof=1) / np.sqrt(n)
    return Band(mean, mean - half, mean + half)


def difference(one: ArrayLike, other: ArrayLike, level: float = LEVEL) -> Band:
    """The mean of one group of images less that of another, with Welch's interval (1947); the groups are independent.

    Args:
        one, other: (n, ...) and (m, ...); with fewer than two images in a group there is no interval: NaN.
    """
    from scipy.stats import t

    left, right = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    n, m = len(left), len(right)
    if min(n, m) < 2:
        gap = left.mean(axis=0) - right.mean(axis=0) if min(n, m) else np.full(left.shape[1:], np.nan)
        return Band(gap, np.full(gap.shape, np.nan), np.full(gap.shape, np.nan))
    a, b = left.var(axis=0, ddof=1) / n, right.var(axis=0, ddof=1) / m
    scale = a**2 / (n - 1) + b**2 / (m - 1)
    freedom = np.divide((a + b) ** 2, scale, out=np.full_like(a, n + m - 2), where=scale > 0)
    gap, half = left.mean(axis=0) - right.mean(axis=0), t.ppf((1 + level) / 2, freedom) * np.sqrt(a + b)
    return Band(gap, gap - half, gap + half)
