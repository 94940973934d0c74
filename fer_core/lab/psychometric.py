"""The psychometric function of a network: which share of people it recognises at which intensity.

    p(x) = rest + (top - rest) / (1 + exp(-(x - centre) / width))

F. A. Wichmann, N. J. Hill, *The psychometric function: I and II*, Perception & Psychophysics 63 (2001), 1293 and 1314:
maximum likelihood with a lapse rate (here 1 - top), intervals by bootstrap. Whole people are resampled, because the answers to
one person are not independent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_core.evaluation.intervals import Interval
from fer_core.lab.paired import mean_interval

Floats = NDArray[np.float64]
RESAMPLES = 400
HALF = 0.5
NARROWEST = 0.01  # width, in units of intensity: a step


class Psychometric(NamedTuple):
    """A fitted curve.

    Attributes:
        threshold: the intensity from which on half of the people are recognised; None where the curve does not rise through a
            half between the lowest and the highest intensity, or does not rise significantly: a network that answers by chance
            half of the time has none.
        threshold_interval: 95 %, over people; an end is infinite where too many samples have no threshold. None without one.
        slope: rise of the share at the threshold, for a whole unit of intensity; None without a threshold.
        slope_interval: 95 %, over the samples that have a threshold; None without one.
        rest, lapse: the share recognised at rest, and the share missed however strong the expression is.
        parameters: centre, width, rest, top.
    """

    threshold: float | None
    threshold_interval: Interval | None
    slope: float | None
    slope_interval: Interval | None
    rest: float
    lapse: float
    parameters: tuple[float, float, float, float]

    @property
    def ends(self) -> str:
        """The ends of the threshold's interval in percent: “57 to 68”; an end may lie outside of what was shown."""
        low, high = self.threshold_interval or Interval(-np.inf, np.inf)
        return (
            f"{'below 0' if np.isneginf(low) else f'{100 * low:.0f}'} to "
            f"{'above 100' if np.isposinf(high) else f'{100 * high:.0f}'}"
        )

    def at(self, intensity: Floats) -> Floats:
        """The fitted share at intensities."""
        return _curve(np.array(self.parameters), intensity)


def fit(intensities: Floats, recognised: NDArray[np.bool_], resamples: int = RESAMPLES, seed: int = 0) -> Psychometric:
    """Fit the function.

    Args:
        intensities: (S), rising.
        recognised: (people, S), whether a person is recognised at an intensity.
        resamples: bootstrap samples of people.
    """
    n, low, high = len(recognised), float(intensities[0]), float(intensities[-1])
    share = recognised.mean(0)
    starts = [np.array([_crossing(intensities, share), width, share[0], share[-1]]) for width in (0.02, 0.08, 0.25)]
    best = min((_fitted(intensities, share * n, n, start) for start in starts), key=lambda one: one[1])[0]
    threshold = _threshold(best, low, high)
    parameters = (float(best[0]), float(best[1]), float(best[2]), float(best[3]))
    if threshold is None or not _rises(intensities, recognised):
        return Psychometric(None, None, None, None, parameters[2], 1 - parameters[3], parameters)
    rng = np.random.default_rng(seed)
    thresholds, slopes = [], []
    for _ in range(resamples):
        hits = recognised[rng.integers(0, n, n)].sum(0)
        one = _fitted(intensities, hits, n, best)[0]
        crossed = _threshold(one, low, high)
        if crossed is None:  # too strong for the range, or reached at rest already
            thresholds.append(-np.inf if hits[0] > n / 2 else np.inf)
        else:
            thresholds.append(crossed)
            slopes.append(_slope(one))
    if not slopes:
        return Psychometric(None, None, None, None, parameters[2], 1 - parameters[3], parameters)
    ends = np.quantile(thresholds, [0.025, 0.975], method="closest_observation")
    # A step between two intensities is not known more finely than they lie apart.
    after = int(np.searchsorted(intensities, threshold))
    if after and np.ptp(intensities[after - 1 : after + 1]) > 4 * best[1]:
        ends = np.array([min(ends[0], intensities[after - 1]), max(ends[1], intensities[after])])
    steep = np.quantile(slopes, [0.025, 0.975])
    return Psychometric(
        threshold, Interval(float(ends[0]), float(ends[1])), _slope(best), Interval(float(steep[0]), float(steep[1])),
        parameters[2], 1 - parameters[3], parameters,
    )  # fmt: skip


def _rises(x: Floats, recognised: NDArray[np.bool_]) -> bool:
    """Whether people are recognised more often at higher intensities: the 95 % interval over people of their slopes."""
    _, low, _ = mean_interval((recognised @ (x - x.mean()))[:, None])
    return bool(low[0] > 0)


def _curve(theta: Floats, x: Floats) -> Floats:
    centre, width, rest, top = theta
    return np.asarray(rest + (top - rest) * _logistic((x - centre) / width))


def _logistic(z: Floats) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(z))


def _fitted(x: Floats, hits: Floats, n: int, start: Floats) -> tuple[Floats, float]:
    """The likeliest parameters, and minus their log-likelihood for one person."""
    from scipy.optimize import minimize

    def loss(theta: Floats) -> tuple[float, Floats]:
        centre, width, rest, top = theta
        rise = _logistic((x - centre) / width)
        p = np.clip(rest + (top - rest) * rise, 1e-6, 1 - 1e-6)
        outer = -(hits / p - (n - hits) / (1 - p)) / n
        inner = (top - rest) * rise * (1 - rise) / width
        slopes = np.stack([-inner, -inner * (x - centre) / width, 1 - rise, rise])
        return float(-(hits * np.log(p) + (n - hits) * np.log(1 - p)).sum() / n), slopes @ outer

    bounds = [(x[0], x[-1]), (NARROWEST, 1.0), (0.0, 1.0), (0.0, 1.0)]
    found = minimize(loss, np.clip(start, *np.array(bounds).T), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, dtype=np.float64), float(found.fun)


def _crossing(x: Floats, share: Floats) -> float:
    """A first guess: where the share first exceeds the middle between its ends."""
    above = np.flatnonzero(share >= (share[0] + share[-1]) / 2)
    return float(x[above[0]]) if len(above) else float(x.mean())


def _threshold(theta: Floats, low: float, high: float) -> float | None:
    centre, width, rest, top = theta
    if not rest < HALF < top:
        return None
    found = float(centre - width * np.log((top - HALF) / (HALF - rest)))
    return found if low <= found <= high else None


def _slope(theta: Floats) -> float:
    """The derivative where the curve is a half: (p - rest) (top - p) / (width (top - rest))."""
    _, width, rest, top = theta
    return float((HALF - rest) * (top - HALF) / (width * (top - rest)))
