"""How good a network is: pure functions of a predictions table or of its confusion matrix.

The functions of a confusion matrix take (..., k, k) counts, rows the given label and columns the predicted expression,
and give (...) figures, or (..., k) one for each expression; so the bootstrap is a call on (b, k, k) matrices.

A ratio without a denominator is 0, as in scikit-learn with `zero_division=0`: the precision of an expression never
predicted, the recall of one never given. Means over expressions leave out those that neither occur nor are predicted
(as scikit-learn does), `balanced_accuracy` those that do not occur; a perfect network has the best value also when an
expression is missing from the split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fer_core.errors import DataError
from fer_core.evaluation.calibration import Bins, reliability
from fer_core.evaluation.intervals import LEVEL, Interval, percentile, resample, wilson, wilson_bounds
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.ranking import macro_auroc, macro_average_precision, ranking

Counts = NDArray[np.int64]
Figures = NDArray[np.float64]


def confusion_matrix(predictions: Predictions) -> Counts:
    """(k, k) counts, rows the given label, columns the predicted expression, in the order of `expressions`."""
    return count_pairs(predictions.label_index, predictions.predicted_index, len(predictions.expressions))


def count_pairs(rows: NDArray[np.int64], columns: NDArray[np.int64], k: int) -> Counts:
    """(k, k) how often each pair of positions 0..k-1 occurs."""
    return np.bincount(rows * k + columns, minlength=k * k).reshape(k, k)


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> Figures:
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    return np.asarray(
        np.divide(top, bottom, out=np.zeros(np.broadcast_shapes(top.shape, bottom.shape)), where=bottom != 0)
    )


def _hits(matrix: Counts) -> Counts:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def support(matrix: Counts) -> Counts:
    """(..., k) how many images are labelled with each expression."""
    return np.asarray(matrix.sum(axis=-1))


def predicted_count(matrix: Counts) -> Counts:
    """(..., k) how many images each expression is predicted for."""
    return np.asarray(matrix.sum(axis=-2))


def precision(matrix: Counts) -> Figures:
    """(..., k) share of an expression's predictions that are right."""
    return _ratio(_hits(matrix), predicted_count(matrix))


def recall(matrix: Counts) -> Figures:
    """(..., k) share of an expression's images that are recognised."""
    return _ratio(_hits(matrix), support(matrix))


def f1(matrix: Counts) -> Figures:
    """(..., k) harmonic mean of precision and recall: 2 hits / (support + predicted)."""
    return _ratio(2 * _hits(matrix), support(matrix) + predicted_count(matrix))


def accuracy(matrix: Counts) -> Figures:
    """Share of images recognised."""
    return _ratio(_hits(matrix).sum(axis=-1), matrix.sum(axis=(-2, -1)))


def balanced_accuracy(matrix: Counts) -> Figures:
    """Mean recall of the expressions that occur."""
    return _ratio(recall(matrix).sum(axis=-1), (support(matrix) > 0).sum(axis=-1))


def _macro(values: Figures, matrix: Counts) -> Figures:
    """Mean over the expressions that occur or are predicted; the value of the others is 0."""
    return _ratio(values.sum(axis=-1), (support(matrix) + predicted_count(matrix) > 0).sum(axis=-1))


def macro_precision(matrix: Counts) -> Figures:
    """Mean precision of the expressions that occur or are predicted."""
    return _macro(precision(matrix), matrix)


def macro_recall(matrix: Counts) -> Figures:
    """Mean recall of the expressions that occur or are predicted."""
    return _macro(recall(matrix), matrix)


def macro_f1(matrix: Counts) -> Figures:
    """Mean F1 of the expressions that occur or are predicted."""
    return _macro(f1(matrix), matrix)


def _weighted(values: Figures, matrix: Counts) -> Figures:
    return _ratio((values * support(matrix)).sum(axis=-1), matrix.sum(axis=(-2, -1)))


def weighted_precision(matrix: Counts) -> Figures:
    """Mean precision, each expression weighted by its support."""
    return _weighted(precision(matrix), matrix)


def weighted_recall(matrix: Counts) -> Figures:
    """Mean recall, each expression weighted by its support: the accuracy, under the name that reports also use."""
    return _weighted(recall(matrix), matrix)


def weighted_f1(matrix: Counts) -> Figures:
    """Mean F1, each expression weighted by its support."""
    return _weighted(f1(matrix), matrix)


def mcc(matrix: Counts) -> Figures:
    """Matthews' correlation for several classes, R_K (Gorodkin 2004, equation 8); 0 where one side is constant."""
    given, predicted = support(matrix).astype(np.float64), predicted_count(matrix).astype(np.float64)
    n = given.sum(axis=-1)
    together = _hits(matrix).sum(axis=-1) * n - (given * predicted).sum(axis=-1)
    return _ratio(together, np.sqrt((n**2 - (given**2).sum(axis=-1)) * (n**2 - (predicted**2).sum(axis=-1))))


def kappa(matrix: Counts) -> Figures:
    """Cohen's kappa (1960): (observed - expected) / (1 - expected) agreement; 0 where chance alone would agree."""
    n = matrix.sum(axis=(-2, -1)).astype(np.float64)
    expected = _ratio((support(matrix).astype(np.float64) * predicted_count(matrix)).sum(axis=-1), n**2)
    return _ratio(accuracy(matrix) - expected, 1 - expected)


def top2(predictions: Predictions) -> float:
    """Share of images whose label is among the two largest logits; of equal logits the first counts as larger."""
    best = np.argsort(-predictions.logits, axis=1, kind="stable")[:, :2]
    return float((best == predictions.label_index[:, None]).any(axis=1).mean())


def log_loss(predictions: Predictions) -> float:
    """Mean negative natural logarithm of the label's probability."""
    return float(predictions.loss.mean())


def _squares(predictions: Predictions) -> Figures:
    """(n,) summed squares of probability minus truth."""
    truth = np.eye(len(predictions.expressions))[predictions.label_index]
    return np.asarray(((predictions.probs - truth) ** 2).sum(axis=1))


def brier(predictions: Predictions) -> float:
    """Brier's score (1950) over all expressions: mean of the summed squares of probability minus truth, in 0..2."""
    return float(_squares(predictions).mean())


def ece(predictions: Predictions, bins: int = 15, equal: Bins = "width") -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): mean distance of accuracy from confidence over bins,
    weighted by their images. See `reliability` for the bins.
    """
    table = reliability(predictions, bins, equal)
    return float((table["n"] * (table["accuracy"] - table["confidence"]).abs()).sum() / len(predictions))


def ece_equal_mass(predictions: Predictions) -> float:
    """Expected calibration error over bins with about as many images each."""
    return ece(predictions, equal="mass")


def ece_interval(predictions: Predictions, bins: int = 15, equal: Bins = "width") -> Interval:
    """Bootstrap interval of `ece`: the counts of right and wrong images in each bin are resampled, their mean
    confidence stays.

    A resampled calibration error is a little too high on average, since chance only ever adds to a distance; the
    interval is therefore widened, where need be, to hold the figure itself.
    """
    table = reliability(predictions, bins, equal)
    hits = (table["n"] * table["accuracy"]).round().astype(np.int64).to_numpy()
    samples = resample(np.stack([hits, table["n"].to_numpy() - hits]))
    confidence = table["confidence"].to_numpy()
    distances = np.abs(samples[:, 0] - samples.sum(axis=1) * confidence).sum(axis=1) / len(predictions)
    low, high = percentile(distances)
    value = ece(predictions, bins, equal)
    return Interval(min(low, value), max(high, value))


def _mean_interval(values: Figures, least: float, most: float) -> Interval:
    """Interval of a mean: what the bootstrap of a mean tends to (Efron and Tibshirani 1993, section 5.2)."""
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * float(values.std()) / math.sqrt(len(values))
    centre = float(values.mean())
    return Interval(max(least, centre - reach), min(most, centre + reach))


@dataclass(frozen=True)
class Metric:
    """A figure for a whole table: what it is called in text, which end is better, and its ends.

    `of` takes the table, unless `of_matrix` says that it takes (..., k, k) confusion matrices. NaN: the table cannot
    tell, such as an AUROC where all images have one label.
    """

    title: str
    of: Callable[[Any], Any]
    of_matrix: bool = True
    higher_is_better: bool = True
    low: float = 0.0
    high: float = 1.0

    def __call__(self, predictions: Predictions) -> float:
        return float(self.of(confusion_matrix(predictions) if self.of_matrix else predictions))


METRICS = {
    "accuracy": Metric("Accuracy", accuracy),
    "balanced_accuracy": Metric("Balanced accuracy", balanced_accuracy),
    "macro_precision": Metric("Macro precision", macro_precision),
    "macro_recall": Metric("Macro recall", macro_recall),
    "macro_f1": Metric("Macro F1", macro_f1),
    "weighted_precision": Metric("Weighted precision", weighted_precision),
    "weighted_recall": Metric("Weighted recall", weighted_recall),
    "weighted_f1": Metric("Weighted F1", weighted_f1),
    "mcc": Metric("Matthews correlation", mcc, low=-1.0),
    "kappa": Metric("Cohen's kappa", kappa, low=-1.0),
    "top2": Metric("Top-2 accuracy", top2, of_matrix=False),
    "macro_auroc": Metric("Macro AUROC", macro_auroc, of_matrix=False),
    "macro_average_precision": Metric("Macro average precision", macro_average_precision, of_matrix=False),
    "log_loss": Metric("Log loss", log_loss, of_matrix=False, higher_is_better=False, high=float("inf")),
    "brier": Metric("Brier score", brier, of_matrix=False, higher_is_better=False, high=2.0),
    "ece": Metric("Calibration error (equal width)", ece, of_matrix=False, higher_is_better=False),
    "ece_equal_mass": Metric("Calibration error (equal mass)", ece_equal_mass, of_matrix=False, higher_is_better=False),
}


CLASS_FIGURES = ("precision", "recall", "f1", "auroc", "average_precision")


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


@dataclass(frozen=True, eq=False)
class Headline:
    """The three figures that networks are ranked by; intervals are 95 %, Wilson for accuracy, else bootstrap."""

    n: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    balanced_accuracy: float
    balanced_accuracy_interval: Interval


@dataclass(frozen=True, eq=False)
class EvaluationReport(Headline):
    """What is known of a network from one table; intervals are 95 %, Wilson for proportions, else bootstrap.

    `per_class` has one row an expression in the network's order: `expression`, `precision`, `recall`, `f1`, `auroc`,
    `average_precision`, each with `_low` and `_high`, `support` (images with this label) and `predicted` (images
    predicted so). `others` holds the remaining figures of `METRICS` by name, `intervals` those that have one: Wilson
    for top-2, the bootstrap for the rest. AUROC has DeLong's interval, average precision the binomial one.
    """

    expressions: tuple[str, ...]
    others: dict[str, float]
    intervals: dict[str, Interval]
    per_class: pd.DataFrame
    confusion: Counts

    def to_json(self) -> dict[str, Any]:
        """The report in JSON's types: intervals as [low, high], `per_class` by expression, `confusion` as rows, and
        null for a figure that the table cannot tell."""
        classes = {
            row["expression"]: {
                **{name: _known(row[name]) for name in (*CLASS_FIGURES, "support", "predicted")},
                **{f"{name}_interval": [row[f"{name}_low"], row[f"{name}_high"]] for name in CLASS_FIGURES},
            }
            for row in self.per_class.to_dict("records")
        }
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "macro_f1": self.macro_f1,
            "macro_f1_interval": list(self.macro_f1_interval),
            "balanced_accuracy": self.balanced_accuracy,
            "balanced_accuracy_interval": list(self.balanced_accuracy_interval),
            **{name: _known(value) for name, value in self.others.items()},
            **{f"{name}_interval": list(bounds) for name, bounds in self.intervals.items()},
            "per_class": classes,
            "expressions": list(self.expressions),
            "confusion": self.confusion.tolist(),
        }


def headline(predictions: Predictions) -> Headline:
    """The figures of a table that networks are ranked by; many tables cost little.

    Raises:
        DataError: the table has no row.
    """
    return _headline(*_resampled(predictions))


def _resampled(predictions: Predictions) -> tuple[Counts, Counts]:
    """The (k, k) confusion matrix and its (b, k, k) bootstrap samples."""
    if not len(predictions):
        raise DataError("There is no image to evaluate on; choose a split or filter that holds some.")
    matrix = confusion_matrix(predictions)
    return matrix, resample(matrix)


def _headline(matrix: Counts, samples: Counts) -> Headline:
    n = int(matrix.sum())
    return Headline(
        n=n,
        accuracy=float(accuracy(matrix)),
        accuracy_interval=wilson(int(_hits(matrix).sum()), n),
        macro_f1=float(macro_f1(matrix)),
        macro_f1_interval=percentile(macro_f1(samples)),
        balanced_accuracy=float(balanced_accuracy(matrix)),
        balanced_accuracy_interval=percentile(balanced_accuracy(samples)),
    )


def evaluate(predictions: Predictions) -> EvaluationReport:
    """All figures of a predictions table.

    Raises:
        DataError: the table has no row.
    """
    matrix, samples = _resampled(predictions)
    first = vars(_headline(matrix, samples))
    names = predictions.expressions.names
    hits, given, predicted = _hits(matrix), support(matrix), predicted_count(matrix)
    per_class = pd.DataFrame({"expression": names, "precision": precision(matrix)})
    per_class["precision_low"], per_class["precision_high"] = wilson_bounds(hits, predicted)
    per_class["recall"] = recall(matrix)
    per_class["recall_low"], per_class["recall_high"] = wilson_bounds(hits, given)
    per_class["f1"] = f1(matrix)
    known = given + predicted > 0
    per_class[["f1_low", "f1_high"]] = [
        percentile(values) if some else Interval(0.0, 1.0) for values, some in zip(f1(samples).T, known, strict=True)
    ]
    ranks = ranking(predictions)
    per_class = per_class.join(ranks.drop(columns="expression"))
    per_class["support"], per_class["predicted"] = given, predicted
    others = {name: metric for name, metric in METRICS.items() if name not in first}
    means = {
        f"macro_{name}": float(ranks[name].mean()) for name in ("auroc", "average_precision")
    }  # sorted once is enough
    figures = {name: means[name] if name in means else metric(predictions) for name, metric in others.items()}
    return EvaluationReport(
        **first,
        expressions=names,
        others=figures,
        intervals={
            **{name: percentile(metric.of(samples)) for name, metric in others.items() if metric.of_matrix},
            "top2": wilson(round(figures["top2"] * len(predictions)), len(predictions)),
            "log_loss": _mean_interval(predictions.loss, 0, math.inf),
            "brier": _mean_interval(_squares(predictions), 0, 2),
            "ece": ece_interval(predictions),
            "ece_equal_mass": ece_interval(predictions, equal="mass"),
        },
        per_class=per_class,
        confusion=matrix,
    )


def figures_table(report: EvaluationReport) -> pd.DataFrame:
    """Every figure of a report in words: `figure`, `value`, `interval`, `range`."""
    rows = []
    for name, metric in METRICS.items():
        value = report.others[name] if name in report.others else getattr(report, name)
        ends = report.intervals.get(name, getattr(report, f"{name}_interval", None))
        rows.append(
            (
                metric.title,
                "–" if math.isnan(value) else f"{value:.3f}",
                f"{ends.low:.3f} to {ends.high:.3f}" if ends else "–",
                f"{metric.low:g} to {metric.high:g}, {'higher' if metric.higher_is_better else 'lower'} is better",
            )
        )
    return pd.DataFrame(rows, columns=["figure", "value", "interval", "range"])


@dataclass(frozen=True)
class Confusion:
    """Images of one expression taken for another; `share` of all images with that label, 0..1."""

    label: str
    predicted: str
    count: int
    share: float


def most_confused(matrix: Counts, expressions: Sequence[str], top: int = 3) -> list[Confusion]:
    """The `top` most frequent confusions of a (k, k) matrix, most frequent first; fewer where fewer occur."""
    shares = _ratio(matrix, support(matrix)[:, None])
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
    shares = _ratio(matrix, support(matrix)[:, None])
    near = shares + shares.T
    walks = []
    for start in range(k):
        walk = [start]
        while len(walk) < k:
            walk.append(max((i for i in range(k) if i not in walk), key=lambda i: near[walk[-1], i]))
        walks.append((-sum(near[i, j] for i, j in pairwise(walk)), walk))
    return [expressions[i] for i in min(walks)[1]]
