"""Bootstrap bands of means over pictures: of a figure, of many figures, or of whole maps at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fer_core.evaluation.intervals import LEVEL, SEED

RESAMPLES = 1000
COLUMNS = 512  # resampled at a time: bounds the memory for maps


class Band(NamedTuple):
    """A mean over pictures and its 95 % percentile interval, each of one picture's shape."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def weights_of(n: int, resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.float32]:
    """(resamples, n) how often each of n pictures is drawn, divided by n: a row times the values is a resampled mean."""
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    return (drawn / n).astype(np.float32)


def band(values: ArrayLike, resamples: int = RESAMPLES, seed: int = SEED, level: float = LEVEL) -> Band:
    """The mean over the first axis with its bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    Paired figures are compared by giving their differences. Without a picture nothing is known: NaN.

    Args:
        values: (n, ...) one entry a picture.
    """
    given = np.asarray(values, dtype=np.float64)
    shape = given.shape[1:]
    if not len(given):
        return Band(*(np.full(shape, np.nan) for _ in range(3)))
    flat = given.reshape(len(given), -1)
    weights = weights_of(len(given), resamples, seed).astype(np.float64)
    ends = np.empty((2, flat.shape[1]))
    for start in range(0, flat.shape[1], COLUMNS):
        part = slice(start, start + COLUMNS)
        ends[:, part] = np.quantile(weights @ flat[:, part], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Band(given.mean(axis=0), ends[0].reshape(shape), ends[1].reshape(shape))


def difference(one: ArrayLike, other: ArrayLike, resamples: int = RESAMPLES, level: float = LEVEL) -> Band:
    """The mean of one group of pictures less that of another, with its bootstrap interval; the groups are independent.

    Args:
        one, other: (n, ...) and (m, ...).
    """
    left, right = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    shape = left.shape[1:]
    if not len(left) or not len(right):
        return Band(*(np.full(shape, np.nan) for _ in range(3)))
    flats = left.reshape(len(left), -1), right.reshape(len(right), -1)
    weights = [weights_of(len(group), resamples, seed).astype(np.float64) for seed, group in enumerate(flats)]
    ends = np.empty((2, flats[0].shape[1]))
    for start in range(0, ends.shape[1], COLUMNS):
        part = slice(start, start + COLUMNS)
        gaps = weights[0] @ flats[0][:, part] - weights[1] @ flats[1][:, part]
        ends[:, part] = np.quantile(gaps, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Band(left.mean(axis=0) - right.mean(axis=0), ends[0].reshape(shape), ends[1].reshape(shape))
