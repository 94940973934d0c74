"""Confidence intervals of figures measured on n images.

What each kind of interval covers in a simulation is listed in `docs/coverage.md`. Three kinds are enough:

- a proportion has Wilson's score interval (`wilson_bounds`);
- a difference of two proportions on the same images has Tango's score interval (`paired_bounds`), on different images
  Newcombe's (`independent_bounds`);
- any other figure of a table of counts has the delta method with a little prior information (`interval_of`), so that a
  table without an error still has an interval of some width.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
RESAMPLES = 2000
SEED = 0  # fixed, so that a page, the command line and a card show the same interval
FEW = 5  # of fewer images no interval is given: it could only be nearly all of 0..1, and covers far more than it says
PRIOR_DEGREES = 5  # of freedom that a variance estimated from few images is given in addition


PERCENT = "\N{NO-BREAK SPACE}%"  # a line does not break before it

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval, on the scale of its figure."""

    low: float
    high: float

    def text(self, form: str = ".1f", scale: float = 100.0) -> str:
        """“64.7 to 67.7”: the interval of a share in per cent; of other figures with their own format and scale."""
        return f"{scale * self.low:{form}} to {scale * self.high:{form}}"


def bounded(value: float, low: float, high: float, unit: str = "", form: str = ".1f", scale: float = 100.0) -> str:
    """“66.2 % (64.7 to 67.7)”: a figure with the ends of its interval, all on the figure's scale; “–” where it is not known."""
    if np.isnan(value):
        return "–"
    return f"{scale * value:{form}}{unit} ({Interval(low, high).text(form, scale)})"


def percent(share: float) -> str:
    """0.66201 -> “66.2 %”, with a space that does not break; “–” where it is not known."""
    return "–" if np.isnan(share) else f"{100 * share:.1f}{PERCENT}"


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


def paired_bounds(only_a: ArrayLike, only_b: ArrayLike, n: ArrayLike, level: float = LEVEL) -> tuple[Array, Array]:
    """Tango's score interval for the difference of two proportions on the same n images, elementwise: (low, high).

    Tango 1998, Statistics in Medicine 17, 891: all differences d for which (only_b - only_a - n d)² is at most z² times
    n (2 q + d (1 - d)), where q is the likeliest share of `only_a` if d were true (equation 6). It is right for few images
    and has some width also where the two never differ; then it ends at ±z² / (n + z²).

    Args:
        only_a: images that count for A alone (such as: right in A and wrong in B).
        only_b: images that count for B alone.
        n: all images; where it is 0 nothing is known: -1 and 1.

    Returns:
        bounds of (only_b - only_a) / n, in -1..1.
    """
    b, c, total = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (only_a, only_b, n)))
    z2 = normal_quantile(level) ** 2

    def plausible(d: Array) -> NDArray[np.bool_]:
        linear = (2 * total - c + b) * d - b - c
        root = np.sqrt(np.maximum(linear**2 + 8 * total * b * d * (1 - d), 0))
        share = (root - linear) / np.maximum(4 * total, 1)
        return np.asarray((c - b - total * d) ** 2 <= z2 * total * np.maximum(2 * share + d * (1 - d), 0))

    centre = (c - b) / np.maximum(total, 1)
    return search_end(plausible, centre, -1.0), search_end(plausible, centre, 1.0)


def paired_interval(only_a: int, only_b: int, n: int, level: float = LEVEL) -> Interval:
    """Tango's interval for one difference on n images that both have answered. See `paired_bounds`."""
    low, high = paired_bounds(only_a, only_b, n, level)
    return Interval(float(low), float(high))


def search_end(plausible: Callable[[Array], NDArray[np.bool_]], inside: Array, end: float) -> Array:
    """The last plausible value on the way from `inside` to `end`, by bisection to 1e-12."""
    near, far = np.array(inside, dtype=np.float64), np.full(np.shape(inside), end)
    for _ in range(42):
        middle = (near + far) / 2
        good = plausible(middle)
        near, far = np.where(good, middle, near), np.where(good, far, middle)
    return np.where(plausible(np.full(np.shape(inside), end)), end, near)


def independent_interval(k_a: int, n_a: int, k_b: int, n_b: int, level: float = LEVEL) -> Interval:
    """Newcombe's interval for k_b / n_b - k_a / n_a on different images, in -1..1 (Newcombe 1998, Statistics in Medicine
    17, 873, method 10): the distances of each proportion from its Wilson bounds, squared and added."""
    (low_a, high_a), (low_b, high_b) = wilson(k_a, n_a, level), wilson(k_b, n_b, level)
    a, b = k_a / max(n_a, 1), k_b / max(n_b, 1)
    return Interval(
        b - a - float(np.hypot(b - low_b, high_a - a)),
        b - a + float(np.hypot(high_b - b, a - low_a)),
    )


def normal_quantile(level: float = LEVEL) -> float:
    """1.96 for 95 %."""
    return NormalDist().inv_cdf((1 + level) / 2)


def student_quantile(degrees: ArrayLike, level: float = LEVEL) -> Array:
    """The same of Student's distribution, elementwise."""
    from scipy.special import stdtrit  # pages that read a proportion need no scipy

    return np.asarray(stdtrit(degrees, (1 + level) / 2))


def interval_of(
    figure: Callable[[Array], Array],
    counts: ArrayLike,
    prior: Array,
    *,
    ends: tuple[float, float] = (-np.inf, np.inf),
    samples: int = 1,
    level: float = LEVEL,
) -> Interval:
    """Interval of any smooth figure of a table of counts, by the delta method (Agresti 2013, section 16.1).

    The figure f has the variance sum c g² where c are the counts and g the derivatives of f by them, taken numerically.
    The prior's few images are added first, so that a table without an error has a variance too. How well that variance is
    known is told by its own spread (Satterthwaite 1946): a class with five images leaves few degrees of freedom, and
    Student's distribution with `PRIOR_DEGREES` more is used for what the normal one assumes.

    Args:
        figure: takes (b, *counts.shape) tables, gives (b,) figures. It need not be whole numbers.
        counts: the table; with `samples` n, its first axis holds n tables of independent samples.
        prior: of the table's shape, what is added.
        ends: between which the figure lies.

    Returns:
        an interval around the figure with the prior that holds the figure without it too.
    """
    table = np.asarray(counts, dtype=np.float64)
    smooth = table + prior
    cells = smooth.size
    step = 1e-4
    changed = np.repeat(smooth[None], cells, axis=0)
    changed.reshape(cells, cells)[np.arange(cells), np.arange(cells)] += step
    value, plain = (float(figure(one[None])[0]) for one in (smooth, table))
    weight = smooth.reshape(samples, -1)
    slope = ((figure(changed) - value) / step).reshape(samples, -1)
    slope = slope - (weight * slope).sum(axis=1, keepdims=True) / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    parts = (weight * slope**2).ravel()
    variance, filled = float(parts.sum()), weight.ravel() > 0
    spread = float((parts[filled] ** 2 / weight.ravel()[filled]).sum())
    degrees = variance**2 / spread if spread > 0 else np.inf
    reach = float(student_quantile(degrees + PRIOR_DEGREES, level)) * variance**0.5
    return Interval(max(ends[0], min(plain, value - reach)), min(ends[1], max(plain, value + reach)))
