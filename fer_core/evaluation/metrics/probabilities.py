"""Metrics of the probabilities and their order, computed from the predictions table."""

from __future__ import annotations

import math

import numpy as np

from fer_core.evaluation.calibration import Bins, calibration_error, reliability
from fer_core.evaluation.confusion import Figures
from fer_core.evaluation.intervals import FEW, Interval, student_quantile, wilson
from fer_core.evaluation.metrics import metric
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.ranking import macro_auroc, macro_average_precision, macro_bounds


def _mean_interval(values: Figures, least: float, most: float) -> Interval:
    """Interval of a mean of skewed values, Johnson's modified t (1978, J. Am. Stat. Assoc. 73, 536): the centre is moved by
    a sixth of the third moment over n times the variance. Fewer than `FEW` values tell nothing: from least to most."""
    n, centre, variance = len(values), float(values.mean()), float(values.var())
    if n < FEW:
        return Interval(least, most)
    skew = float(((values - centre) ** 3).mean()) / (6 * variance * n) if variance > 0 else 0.0
    reach = float(student_quantile(n - 1)) * math.sqrt(variance / (n - 1))
    return Interval(max(least, min(centre, centre + skew - reach)), min(most, max(centre, centre + skew + reach)))


def _top2_bounds(predictions: Predictions) -> Interval:
    return wilson(round(top2(predictions) * len(predictions)), len(predictions))


@metric("top2", "Top-2 accuracy", of_matrix=False, bounds=_top2_bounds)
def top2(predictions: Predictions) -> float:
    """Share of images whose label is among the two largest logits; of equal logits the first counts as larger."""
    best = np.argsort(-predictions.logits, axis=1, kind="stable")[:, :2]
    return float((best == predictions.label_index[:, None]).any(axis=1).mean())


def _auroc_bounds(predictions: Predictions) -> Interval:
    return macro_bounds(predictions)[0]


def _average_precision_bounds(predictions: Predictions) -> Interval:
    return macro_bounds(predictions)[1]


metric("macro_auroc", "Macro AUROC", of_matrix=False, bounds=_auroc_bounds)(macro_auroc)
metric("macro_average_precision", "Macro average precision", of_matrix=False, bounds=_average_precision_bounds)(
    macro_average_precision
)


def _loss_bounds(predictions: Predictions) -> Interval:
    return _mean_interval(predictions.loss, 0, math.inf)


@metric("log_loss", "Log loss", of_matrix=False, higher_is_better=False, high=math.inf, bounds=_loss_bounds)
def log_loss(predictions: Predictions) -> float:
    """Mean negative natural logarithm of the label's probability."""
    return float(predictions.loss.mean())


def _squares(predictions: Predictions) -> Figures:
    """(n,) summed squares of probability minus truth."""
    truth = np.eye(len(predictions.expressions))[predictions.label_index]
    return np.asarray(((predictions.probs - truth) ** 2).sum(axis=1))


def _brier_bounds(predictions: Predictions) -> Interval:
    return _mean_interval(_squares(predictions), 0, 2)


@metric("brier", "Brier score", of_matrix=False, higher_is_better=False, high=2.0, bounds=_brier_bounds)
def brier(predictions: Predictions) -> float:
    """Brier's score (1950) over all expressions: mean of the summed squares of probability minus truth, in 0..2."""
    return float(_squares(predictions).mean())


@metric("ece", "Calibration error (equal width)", of_matrix=False, higher_is_better=False)
def ece(predictions: Predictions, bins: int = 15, equal: Bins = "width") -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): mean distance of accuracy from confidence over bins,
    weighted by their images. See `reliability` for the bins.
    """
    table = reliability(predictions, bins, equal)
    return float((table["n"] * (table["accuracy"] - table["confidence"]).abs()).sum() / len(predictions))


@metric("ece_equal_mass", "Calibration error (equal mass)", of_matrix=False, higher_is_better=False)
def ece_equal_mass(predictions: Predictions) -> float:
    """Expected calibration error over bins with about as many images each."""
    return ece(predictions, equal="mass")


def _calibration_bounds(predictions: Predictions) -> Interval:
    return calibration_error(predictions).interval


@metric(
    "calibration_error",
    "Calibration error (debiased, RMS)",
    of_matrix=False,
    higher_is_better=False,
    bounds=_calibration_bounds,
)
def debiased_calibration_error(predictions: Predictions) -> float:
    """Root mean square calibration error without what chance adds; see `calibration.calibration_error`."""
    return calibration_error(predictions).debiased
