"""How far a figure measured on n images can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
RESAMPLES = 2000
SEED = 0  # fixed, so that a page, the command line and a card show the same interval


class Interval(NamedTuple):
    """A confidence interval, on the scale of its figure."""

    low: float
    high: float


def wilson_bounds(k: ArrayLike, n: ArrayLike, level: float = LEVEL) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's score interval for many proportions at once: (low, high), each of the shape of k and n, in 0..1.

    Wilson 1927, J. Am. Stat. Assoc. 22, 209: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n) with p = k/n.
    Where n is 0 nothing is known: 0 and 1.
    """
    hits, total = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    # The formula times n: the square root is then free of a division by zero, and exact at k = 0 and at k = n.
    centre = hits + z2 / 2
    reach = np.sqrt(z2 * (hits * (total - hits) / np.maximum(total, 1) + z2 / 4))
    low = np.where(hits == 0, 0.0, (centre - reach) / (total + z2))
    high = np.where(hits == total, 1.0, (centre + reach) / (total + z2))
    return low, high


def wilson(k: int, n: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval for k hits among n; (0, 1) where n is 0. See `wilson_bounds`."""
    low, high = wilson_bounds(k, n, level)
    return Interval(float(low), float(high))


def paired_bounds(
    lost: ArrayLike, gained: ArrayLike, n: ArrayLike, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tango's score interval for many differences of paired proportions at once: (low, high) of (lost - gained) / n.

    Tango 1998, Stat. Med. 17, 891, equation 11. Of n images that were answered twice, `lost` were right the first time
    alone and `gained` the second time alone. It has a width also where no answer changed: 0 of 8 gives -32 to 32 points.
    Where n is 0 nothing is known: -1 and 1.
    """
    b, c, total = (np.asarray(part, dtype=np.float64) for part in np.broadcast_arrays(lost, gained, n))
    z = NormalDist().inv_cdf((1 + level) / 2)
    size = np.maximum(total, 1)

    def statistic(gap: NDArray[np.float64]) -> NDArray[np.float64]:
        """The score at a difference: falls from above z to below -z between -1 and 1."""
        linear = (2 * size - b + c) * gap - b - c
        root = np.sqrt(np.maximum(linear**2 + 8 * size * c * gap * (1 - gap), 0))
        rare = np.maximum((root - linear) / (4 * size), 0)
        spread = np.sqrt(np.maximum(size * (2 * rare + gap * (1 - gap)), 1e-300))
        return np.asarray((b - c - size * gap) / spread)

    ends = []
    for edge, sign in ((-1.0, 1.0), (1.0, -1.0)):
        inside, outside = (b - c) / size, np.full_like(size, edge)
        for _ in range(60):
            middle = (inside + outside) / 2
            held = sign * statistic(middle) <= z
            inside, outside = np.where(held, middle, inside), np.where(held, outside, middle)
        ends.append(np.where(total == 0, edge, inside))
    return ends[0], ends[1]


def resample(counts: ArrayLike, resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.int64]:
    """Bootstrap samples of a table of counts.

    Drawing n images with replacement and counting them is one draw from the multinomial distribution of the counts, so
    the images themselves need not be touched: the cost depends on the cells, not on n.

    Args:
        counts: table of any shape, such as a (k, k) confusion matrix, with at least one image.
        resamples: how many samples.
        seed: equal seeds give equal samples.

    Returns:
        (resamples, *counts.shape)
    """
    table = np.asarray(counts, dtype=np.int64)
    filled = table > 0  # an empty cell stays empty
    samples = np.zeros((resamples, *table.shape), dtype=np.int64)
    n = int(table.sum())
    samples[:, filled] = np.random.default_rng(seed).multinomial(n, table[filled] / n, size=resamples)
    return samples


def percentile(values: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """The percentile interval of (resamples,) bootstrapped values (Efron and Tibshirani 1993, chapter 13)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def bootstrap_confusion(
    matrix: ArrayLike,
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> Interval:
    """Bootstrap interval of a figure that follows from a confusion matrix.

    Args:
        matrix: (k, k) counts.
        statistic: takes (b, k, k) matrices, gives (b,) figures; those of `metrics` do.
    """
    return percentile(statistic(resample(matrix, resamples, seed)), level)
