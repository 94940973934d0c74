"""Confusion matrices: counts of (label, predicted), and what follows from them for each expression.

The functions take (..., k, k) counts, rows the given label and columns the predicted expression, and give (..., k)
values, one for each expression; so `interval_of` computes all its derivatives in one call.

A ratio without a denominator is 0, as in scikit-learn with `zero_division=0`: the precision of an expression that is
never predicted, and the recall of one that never occurs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fer_core.evaluation.intervals import FEW, wilson_bounds
from fer_core.evaluation.predictions import Predictions

Counts = NDArray[np.int64]
Figures = NDArray[np.float64]


def confusion_matrix(predictions: Predictions) -> Counts:
    """(k, k) counts, rows the given label, columns the predicted expression, in the order of `expressions`."""
    return count_pairs(predictions.label_index, predictions.predicted_index, len(predictions.expressions))


def count_pairs(rows: NDArray[np.int64], columns: NDArray[np.int64], k: int) -> Counts:
    """(k, k) how often each pair of positions 0..k-1 occurs."""
    return np.bincount(rows * k + columns, minlength=k * k).reshape(k, k)


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Figures:
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    return np.asarray(
        np.divide(top, bottom, out=np.zeros(np.broadcast_shapes(top.shape, bottom.shape)), where=bottom != 0)
    )


def hits(matrix: Counts) -> Counts:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def support(matrix: Counts) -> Counts:
    """(..., k) how many images are labelled with each expression."""
    return np.asarray(matrix.sum(axis=-1))


def predicted_count(matrix: Counts) -> Counts:
    """(..., k) how many images each expression is predicted for."""
    return np.asarray(matrix.sum(axis=-2))


def precision(matrix: Counts) -> Figures:
    """(..., k) share of an expression's predictions that are right."""
    return ratio(hits(matrix), predicted_count(matrix))


def recall(matrix: Counts) -> Figures:
    """(..., k) share of an expression's images that are recognised."""
    return ratio(hits(matrix), support(matrix))


def f1(matrix: Counts) -> Figures:
    """(..., k) harmonic mean of precision and recall: 2 hits / (support + predicted)."""
    return ratio(2 * hits(matrix), support(matrix) + predicted_count(matrix))


def f1_bounds(matrix: Counts) -> tuple[Figures, Figures]:
    """Interval of the F1 of each expression: (low, high), each (k,), in 0..1.

    F1 = 2 J / (1 + J) rises with J = hits / (support + predicted - hits), which is a proportion of the images that are
    labelled or predicted so: Wilson's interval of J is carried over (Lam, Gopal and Qian 2023, arXiv 2309.14621).
    """
    right = hits(matrix)
    low, high = wilson_bounds(right, support(matrix) + predicted_count(matrix) - right)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def class_figures(matrix: Counts, names: Sequence[str]) -> pd.DataFrame:
    """`expression`, and `precision`, `recall`, `f1` with `_low` and `_high`, which are NaN below `FEW` images."""
    right, given, predicted = hits(matrix), support(matrix), predicted_count(matrix)
    table = pd.DataFrame({"expression": names})
    for name, value, bounds, n in (
        ("precision", precision(matrix), wilson_bounds(right, predicted), predicted),
        ("recall", recall(matrix), wilson_bounds(right, given), given),
        ("f1", f1(matrix), f1_bounds(matrix), given + predicted - right),
    ):
        table[name] = value
        table[f"{name}_low"], table[f"{name}_high"] = np.where(n >= FEW, bounds, np.nan)
    return table


@dataclass(frozen=True)
class Confusion:
    """Images of one expression taken for another; `share` of all images with that label, 0..1."""

    label: str
    predicted: str
    count: int
    share: float


def most_confused(matrix: Counts, expressions: Sequence[str], top: int = 3) -> list[Confusion]:
    """The `top` most frequent confusions of a (k, k) matrix, most frequent first; fewer where fewer occur."""
    shares = ratio(matrix, support(matrix)[:, None])
    found = [
        Confusion(label, predicted, int(matrix[i, j]), float(shares[i, j]))
        for i, label in enumerate(expressions)
        for j, predicted in enumerate(expressions)
        if i != j and matrix[i, j]
    ]
    return sorted(found, key=lambda c: (-c.count, -c.share))[:top]


Order = Literal["given", "recall", "confusion"]


def ordered(matrix: Counts, expressions: Sequence[str], by: Order) -> list[str]:
    """The expressions in an order that helps to read a (k, k) matrix.

    “given” is the network's own, “recall” runs from the best recognised to the worst, and “confusion” puts those beside
    each other that are taken for each other: a walk from one to the most confused one left, from the start that keeps
    most confusions between neighbours.
    """
    k = len(expressions)
    if by == "given" or k < 2:
        return list(expressions)
    if by == "recall":
        return [expressions[i] for i in np.argsort(-recall(matrix), kind="stable")]
    shares = ratio(matrix, support(matrix)[:, None])
    near = shares + shares.T
    walks = []
    for start in range(k):
        walk = [start]
        while len(walk) < k:
            walk.append(max((i for i in range(k) if i not in walk), key=lambda i: near[walk[-1], i]))
        walks.append((-sum(near[i, j] for i, j in pairwise(walk)), walk))
    return [expressions[i] for i in min(walks)[1]]
