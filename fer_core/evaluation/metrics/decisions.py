"""Metrics of the predicted expressions, computed from confusion matrices."""

from __future__ import annotations

from functools import partial

import numpy as np

from fer_core.evaluation.confusion import Counts, Figures, f1, hits, precision, predicted_count, ratio, recall, support
from fer_core.evaluation.intervals import Interval, wilson
from fer_core.evaluation.metrics import class_prior, metric


def _share_right(matrix: Counts) -> Interval:
    return wilson(int(hits(matrix).sum()), int(matrix.sum()))


@metric("accuracy", "Accuracy", bounds=_share_right)
def accuracy(matrix: Counts) -> Figures:
    """Share of images recognised."""
    return ratio(hits(matrix).sum(axis=-1), matrix.sum(axis=(-2, -1)))


@metric("balanced_accuracy", "Balanced accuracy", prior=partial(class_prior, labelled_only=True))
def balanced_accuracy(matrix: Counts) -> Figures:
    """Mean recall of the expressions that occur."""
    return ratio(recall(matrix).sum(axis=-1), (support(matrix) > 0).sum(axis=-1))


def _macro(values: Figures, matrix: Counts) -> Figures:
    """Mean over the expressions that occur or are predicted; the value of the others is 0."""
    return ratio(values.sum(axis=-1), (support(matrix) + predicted_count(matrix) > 0).sum(axis=-1))


@metric("macro_precision", "Macro precision", prior=class_prior)
def macro_precision(matrix: Counts) -> Figures:
    """Mean precision of the expressions that occur or are predicted."""
    return _macro(precision(matrix), matrix)


@metric("macro_recall", "Macro recall", prior=class_prior)
def macro_recall(matrix: Counts) -> Figures:
    """Mean recall of the expressions that occur or are predicted."""
    return _macro(recall(matrix), matrix)


@metric("macro_f1", "Macro F1", prior=class_prior)
def macro_f1(matrix: Counts) -> Figures:
    """Mean F1 of the expressions that occur or are predicted."""
    return _macro(f1(matrix), matrix)


def _weighted(values: Figures, matrix: Counts) -> Figures:
    return ratio((values * support(matrix)).sum(axis=-1), matrix.sum(axis=(-2, -1)))


@metric("weighted_precision", "Weighted precision")
def weighted_precision(matrix: Counts) -> Figures:
    """Mean precision, each expression weighted by its support."""
    return _weighted(precision(matrix), matrix)


@metric("weighted_recall", "Weighted recall", bounds=_share_right)
def weighted_recall(matrix: Counts) -> Figures:
    """Mean recall, each expression weighted by its support: the accuracy, under the name that reports also use."""
    return _weighted(recall(matrix), matrix)


@metric("weighted_f1", "Weighted F1")
def weighted_f1(matrix: Counts) -> Figures:
    """Mean F1, each expression weighted by its support."""
    return _weighted(f1(matrix), matrix)


@metric("mcc", "Matthews correlation", low=-1.0)
def mcc(matrix: Counts) -> Figures:
    """Matthews' correlation for several classes, R_K (Gorodkin 2004, equation 8); 0 where one side is constant."""
    given, predicted = support(matrix).astype(np.float64), predicted_count(matrix).astype(np.float64)
    n = given.sum(axis=-1)
    together = hits(matrix).sum(axis=-1) * n - (given * predicted).sum(axis=-1)
    return ratio(together, np.sqrt((n**2 - (given**2).sum(axis=-1)) * (n**2 - (predicted**2).sum(axis=-1))))


@metric("kappa", "Cohen's kappa", low=-1.0)
def kappa(matrix: Counts) -> Figures:
    """Cohen's kappa (1960): (observed - expected) / (1 - expected) agreement; 0 where chance alone would agree."""
    n = matrix.sum(axis=(-2, -1)).astype(np.float64)
    expected = ratio((support(matrix).astype(np.float64) * predicted_count(matrix)).sum(axis=-1), n**2)
    return ratio(accuracy(matrix) - expected, 1 - expected)
