"""How well a network's probabilities rank: AUROC and average precision, each expression against the rest.

Both look at the order of the probabilities alone, so neither a threshold nor the calibration matters. Ties are counted
as scikit-learn counts them. Where an expression never occurs, or nothing else does, there is nothing to rank: NaN.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.evaluation.intervals import LEVEL, Interval, wilson, wilson_bounds
from fer_core.evaluation.predictions import Predictions

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]


def _midranks(values: Scores) -> Scores:
    """Ranks from 1, equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - (counts - 1) / 2)[place])


def auroc(scores: Scores, positive: Flags, level: float = LEVEL) -> tuple[float, Interval]:
    """Area under the ROC curve with DeLong's interval (DeLong, DeLong and Clarke-Pearson 1988).

    It is the chance that a positive image scores higher than a negative one, ties counting half.

    Args:
        scores: (n,) higher means more certainly positive.
        positive: (n,) the truth.

    Returns:
        The area in 0..1 and its interval; NaN and (0, 1) where one side is empty. With one image on a side the variance
        is unknown, so is the interval: (0, 1). Where all pairs are ranked alike DeLong's variance is 0, however few
        they are: the area then has Wilson's interval, as a proportion of the smaller side.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    if not (m and n):
        return float("nan"), Interval(0.0, 1.0)
    ranks = _midranks(scores)
    # For each image the share of the other side that it outranks (positives) or that outranks it (negatives).
    above = (ranks[positive] - _midranks(scores[positive])) / n
    below = 1 - (ranks[~positive] - _midranks(scores[~positive])) / m
    area = float(above.mean())
    if m == 1 or n == 1:
        return area, Interval(0.0, 1.0)
    if area in (0, 1):
        fewer = min(m, n)
        return area, wilson(int(area) * fewer, fewer, level)
    reach = NormalDist().inv_cdf((1 + level) / 2) * float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n))
    return area, Interval(max(0.0, area - reach), min(1.0, area + reach))


def average_precision(scores: Scores, positive: Flags, level: float = LEVEL) -> tuple[float, Interval]:
    """Average precision: the mean over the positives of the precision at their score.

    The interval treats it as a proportion of the positives (Boyd, Eng and Page 2013, the binomial interval), in
    Wilson's form.

    Args and returns as `auroc`, but NaN only where nothing is positive.
    """
    m = int(positive.sum())
    if not m:
        return float("nan"), Interval(0.0, 1.0)
    _, place, counts = np.unique(-scores, return_inverse=True, return_counts=True)  # from the highest score down
    found = np.bincount(place, weights=positive, minlength=len(counts))
    value = min(1.0, float((found * found.cumsum() / counts.cumsum()).sum() / m))
    low, high = wilson_bounds(value * m, m, level)
    return value, Interval(float(low), float(high))


def ranking(predictions: Predictions) -> pd.DataFrame:
    """AUROC and average precision of each expression against all others.

    Returns:
        One row an expression in the network's order: `expression`, `auroc`, `auroc_low`, `auroc_high`,
        `average_precision`, `average_precision_low`, `average_precision_high`.
    """
    rows = []
    for place, name in enumerate(predictions.expressions.names):
        scores, positive = predictions.probs[:, place], predictions.label_index == place
        area, area_bounds = auroc(scores, positive)
        precision, bounds = average_precision(scores, positive)
        rows.append((name, area, *area_bounds, precision, *bounds))
    columns = [figure + end for figure in ("auroc", "average_precision") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["expression", *columns])


def macro_auroc(predictions: Predictions) -> float:
    """Mean AUROC of the expressions for which it is known; NaN where all images have one label."""
    return float(ranking(predictions)["auroc"].mean())


def macro_average_precision(predictions: Predictions) -> float:
    """Mean average precision of the expressions that occur."""
    return float(ranking(predictions)["average_precision"].mean())
