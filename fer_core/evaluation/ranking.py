"""How well a network's probabilities rank: AUROC and average precision, each expression against the rest.

Both look at the order of the probabilities alone, so neither a threshold nor the calibration matters. Ties are counted
as scikit-learn counts them. Where an expression never occurs, or nothing else does, there is nothing to rank: NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.evaluation.intervals import FEW, LEVEL, PRIOR_DEGREES, Interval, search_end, student_quantile
from fer_core.evaluation.predictions import Predictions

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ranked = Callable[[Scores, Flags], tuple[float, Scores, Interval]]


def _midranks(values: Scores) -> Scores:
    """Ranks from 1, equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - (counts - 1) / 2)[place])


def _shrunk(measured: float, expected: float, degrees: int) -> float:
    """How many times the expected variance a measured one is, drawn towards 1 with `PRIOR_DEGREES`."""
    ratio = measured / expected if degrees > 0 and expected > 0 else 1.0
    return (degrees * ratio + PRIOR_DEGREES) / (degrees + PRIOR_DEGREES)


def auroc(scores: Scores, positive: Flags, level: float = LEVEL) -> tuple[float, Interval]:
    """Area under the ROC curve with an interval that is right for few positives too.

    It is the chance that a positive image scores higher than a negative one, ties counting half. The interval holds all
    areas A whose distance from it is at most t times the square root of c V(A). V is the variance of Newcombe's method 5
    (2006, Statistics in Medicine 25, 559, following Hanley and McNeil 1982), and c how many times it DeLong's (1988)
    estimate is: of few images it is drawn to 1, as if `PRIOR_DEGREES` more had said so.

    Args:
        scores: (n,) higher means more certainly positive.
        positive: (n,) the truth.

    Returns:
        The area in 0..1 and its interval; NaN and (0, 1) where one side is empty.
    """
    area, _, (low, high) = _auroc(scores, positive, level)
    return area, Interval(low, high)


def _auroc(scores: Scores, positive: Flags, level: float = LEVEL) -> tuple[float, Scores, Interval]:
    """The area, what each image adds to its error (n,), and the interval."""
    m, n = int(positive.sum()), int((~positive).sum())
    if not (m and n):
        return float("nan"), np.zeros(len(scores)), Interval(0.0, 1.0)
    ranks = _midranks(scores)
    # For each image the share of the other side that it outranks (positives) or that outranks it (negatives).
    above = (ranks[positive] - _midranks(scores[positive])) / n
    below = 1 - (ranks[~positive] - _midranks(scores[~positive])) / m
    area = float(above.mean())
    influence = np.empty(len(scores))
    influence[positive], influence[~positive] = (above - area) / m, (below - area) / n
    delong = sum(float(part.var(ddof=1)) / len(part) for part in (above, below) if len(part) > 1)
    half = (m + n) / 2 - 1

    def variance(a: Scores) -> Scores:
        return a * (1 - a) * (1 + half * (1 - a) / (2 - a) + half * a / (1 + a)) / (m * n)

    fewer = min(m, n)
    expected = float(variance(np.array(area)))  # 0 where all pairs are ranked alike: nothing to compare with
    factor = _shrunk(delong, expected, fewer - 1)
    reach2 = float(student_quantile(fewer - 1 + PRIOR_DEGREES, level)) ** 2 * factor
    centre = np.array(area)
    low, high = (
        float(search_end(lambda a: (a - area) ** 2 <= reach2 * variance(a) + 1e-15, centre, end)) for end in (0.0, 1.0)
    )
    return area, influence, Interval(low, high)


def average_precision(scores: Scores, positive: Flags, level: float = LEVEL) -> tuple[float, Interval]:
    """Average precision: the mean over the positives of the precision at their score.

    The interval is Wilson's of a proportion of the positives (Boyd, Eng and Page 2013, the binomial interval), or of as
    many fewer as its own variance is larger than a proportion's; that variance is measured by what each image adds.

    Args and returns as `auroc`, but NaN only where nothing is positive.
    """
    value, _, bounds = _average_precision(scores, positive, level)
    return value, bounds


def _average_precision(scores: Scores, positive: Flags, level: float = LEVEL) -> tuple[float, Scores, Interval]:
    m = int(positive.sum())
    if not m:
        return float("nan"), np.zeros(len(scores)), Interval(0.0, 1.0)
    _, place, counts = np.unique(-scores, return_inverse=True, return_counts=True)  # from the highest score down
    found = np.bincount(place, weights=positive, minlength=len(counts))
    until = counts.cumsum()
    precision = found.cumsum() / until
    value = min(1.0, float((found * precision).sum() / m))
    # One image more changes the precision at every positive below it, and the mean if it is positive itself.
    from_here = (found / until)[::-1].cumsum()[::-1]
    lost = (found * precision / until)[::-1].cumsum()[::-1]
    influence = (positive * (precision[place] - value + from_here[place]) - lost[place]) / m
    factor = max(1.0, _shrunk(float((influence**2).sum()), value * (1 - value) / m, m - 1))
    low, high = _wilson(value, m / factor, float(student_quantile(m - 1 + PRIOR_DEGREES, level)))
    return value, influence, Interval(min(low, value), max(high, value))


def _wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share of n images, which need be no whole number, at a quantile of any distribution."""
    z2 = quantile**2
    centre, reach = n * share + z2 / 2, quantile * float(np.sqrt(n * share * (1 - share) + z2 / 4))
    return (centre - reach) / (n + z2), (centre + reach) / (n + z2)


def ranking(predictions: Predictions) -> pd.DataFrame:
    """AUROC and average precision of each expression against all others.

    Returns:
        One row an expression in the network's order: `expression`, `auroc`, `auroc_low`, `auroc_high`,
        `average_precision`, `average_precision_low`, `average_precision_high`. An interval that would rest on fewer than
        `FEW` images is NaN.
    """
    rows = []
    for place, name in enumerate(predictions.expressions.names):
        scores, positive = predictions.probs[:, place], predictions.label_index == place
        area, area_bounds = auroc(scores, positive)
        precision, bounds = average_precision(scores, positive)
        few = int(positive.sum()) < FEW
        unknown = Interval(np.nan, np.nan)
        rows.append(
            (
                name,
                area,
                *(unknown if few or int((~positive).sum()) < FEW else area_bounds),
                precision,
                *(unknown if few else bounds),
            )
        )
    columns = [figure + end for figure in ("auroc", "average_precision") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["expression", *columns])


def macro_bounds(predictions: Predictions) -> tuple[Interval, Interval]:
    """Intervals of `macro_auroc` and `macro_average_precision`; NaN where the figure is.

    The distance of a mean's end is put together from those of the expressions (method of variance estimates recovery,
    Zou and Donner 2008, Statistics in Medicine 27, 1693), which hang together as far as the same images move them.
    """
    return tuple(_mean_bounds(predictions, one) for one in (_auroc, _average_precision))  # type: ignore[return-value]


def _mean_bounds(predictions: Predictions, of: Ranked) -> Interval:
    parts = [
        of(predictions.probs[:, place], predictions.label_index == place)
        for place in range(len(predictions.expressions))
    ]
    known = [part for part in parts if not np.isnan(part[0])]
    if not known:
        return Interval(np.nan, np.nan)
    values = np.array([value for value, *_ in known])
    low, high = np.array([bounds for *_, bounds in known]).T
    influence = np.stack([one for _, one, _ in known])
    together = influence @ influence.T
    spread = np.sqrt(np.diag(together))
    correlation = np.divide(
        together, np.outer(spread, spread), out=np.eye(len(known)), where=np.outer(spread, spread) > 0
    )
    np.fill_diagonal(correlation, 1)
    below, above = (
        float(np.sqrt(max(0.0, reach @ correlation @ reach))) / len(known) for reach in (values - low, high - values)
    )
    centre = float(values.mean())
    return Interval(max(0.0, centre - below), min(1.0, centre + above))


def macro_auroc(predictions: Predictions) -> float:
    """Mean AUROC of the expressions for which it is known; NaN where all images have one label."""
    return float(ranking(predictions)["auroc"].mean())


def macro_average_precision(predictions: Predictions) -> float:
    """Mean average precision of the expressions that occur."""
    return float(ranking(predictions)["average_precision"].mean())
