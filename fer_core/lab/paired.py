"""Differences over people: the mean, its interval, and its test."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.evaluation.comparison import holm
from fer_core.evaluation.intervals import student_quantile


def mean_interval(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean (m) over people (n, m) and the bounds of its 95 % interval, by Student's distribution."""
    n = len(values)
    mean = values.mean(0)
    reach = student_quantile(n - 1) * values.std(0, ddof=1) / n**0.5
    return mean, mean - reach, mean + reach


def corrected(p: NDArray[np.float64], families: int) -> NDArray[np.float64]:
    """P-values of one family of tests: Holm over the family, then Bonferroni over the families.

    Args:
        families: of an experiment, such as “all expressions together” and “each alone”. In an experiment without any effect one
            of all p is then 5 % or less in at most 5 of 100 cases.
    """
    return np.minimum(1.0, families * holm(p))


def differences(values: NDArray[np.float64], families: int = 1) -> pd.DataFrame:
    """One row for each column of paired differences (n people, m).

    Args:
        families: as `corrected`.

    Returns:
        `difference` (mean over people), `low`, `high` (95 %, Student), `p` (paired t test) and `p_adjusted` (Holm over the
        rows, and for the families). Where everybody differs by nothing, p is 1.
    """
    from scipy.special import stdtr  # pages that show no experiment need no scipy

    n = len(values)
    mean, low, high = mean_interval(values)
    error = values.std(0, ddof=1) / n**0.5
    exact = error < 1e-12  # the same difference for all: certain, or none
    t = np.abs(mean) / np.where(exact, 1.0, error)
    p = np.where(exact, np.where(np.abs(mean) < 1e-12, 1.0, 0.0), 2 * stdtr(n - 1, -t))
    return pd.DataFrame({"difference": mean, "low": low, "high": high, "p": p, "p_adjusted": corrected(p, families)})
