"""How good a network is: pure functions of a predictions table or of its confusion matrix.

The functions of a confusion matrix take (..., k, k) counts, rows the given label and columns the predicted expression,
and give (...) figures, or (..., k) one for each expression; so `interval_of` asks for all its derivatives in one call.

A ratio without a denominator is 0, as in scikit-learn with `zero_division=0`: the precision of an expression never
predicted, the recall of one never given. Means over expressions leave out those that neither occur nor are predicted
(as scikit-learn does), `balanced_accuracy` those that do not occur; a perfect network has the best value also when an
expression is missing from the split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fer_core.errors import DataError
from fer_core.evaluation.calibration import Bins, CalibrationError, calibration_error, reliability
from fer_core.evaluation.intervals import (
    FEW,
    LEVEL,
    Interval,
    interval_of,
    student_quantile,
    wilson,
    wilson_bounds,
)
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.ranking import macro_auroc, macro_average_precision, macro_bounds, ranking

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


def debiased_calibration_error(predictions: Predictions) -> float:
    """Root mean square calibration error without what chance adds; see `calibration.calibration_error`."""
    return calibration_error(predictions).debiased


def f1_bounds(matrix: Counts) -> tuple[Figures, Figures]:
    """Interval of the F1 of each expression: (low, high), each (k,), in 0..1.

    F1 = 2 J / (1 + J) rises with J = hits / (support + predicted - hits), which is a proportion of the images that are
    labelled or predicted so: Wilson's interval of J is carried over (Lam, Gopal and Qian 2023, arXiv 2309.14621).
    """
    hits = _hits(matrix)
    low, high = wilson_bounds(hits, support(matrix) + predicted_count(matrix) - hits)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def class_prior(matrix: Counts, *, labelled_only: bool = False) -> Figures:
    """(k, k) what `interval_of` adds for a mean over expressions: as good as the whole table, to each alike.

    An expression that occurs or is predicted gets one image, a share of which is right as of the whole table; three
    quarters of the rest are labelled so and predicted as others, three quarters the other way round, spread as the
    predictions and the labels are.

    Args:
        labelled_only: leave out expressions without a label, as `balanced_accuracy` does.
    """
    given, predicted = support(matrix), predicted_count(matrix)
    right = (_hits(matrix).sum() + 0.5) / (matrix.sum() + 1)
    others = 1 - np.eye(len(matrix))
    to, come = others * (predicted + 1), (others * (given + 1)).T
    prior = 0.75 * (1 - right) * (to / to.sum(axis=1, keepdims=True) + come / come.sum(axis=0, keepdims=True))
    prior = prior + right * np.eye(len(matrix))
    seen = given + predicted > 0
    prior[~(given > 0 if labelled_only else seen)] = 0
    prior[:, ~seen] = 0
    return np.asarray(prior)


def image_prior(matrix: Counts) -> Figures:
    """(k, k) what `interval_of` adds for a figure over all images: one image, spread over the expressions that occur."""
    seen = support(matrix) + predicted_count(matrix) > 0
    return np.asarray(np.outer(seen, seen) / seen.sum() ** 2)


PER_CLASS_MEANS = ("balanced_accuracy", "macro_precision", "macro_recall", "macro_f1")


def matrix_interval(matrix: Counts, name: str, level: float = LEVEL) -> Interval:
    """The interval of a figure of `METRICS` that follows from the confusion matrix."""
    if name in ("accuracy", "weighted_recall"):
        return wilson(int(_hits(matrix).sum()), int(matrix.sum()), level)
    metric = METRICS[name]
    labelled_only = name == "balanced_accuracy"
    prior = class_prior(matrix, labelled_only=labelled_only) if name in PER_CLASS_MEANS else image_prior(matrix)
    return interval_of(metric.of, matrix, prior, ends=(metric.low, metric.high), level=level)


def _mean_interval(values: Figures, least: float, most: float) -> Interval:
    """Interval of a mean of skewed values, Johnson's modified t (1978, J. Am. Stat. Assoc. 73, 536): the centre is moved by
    a sixth of the third moment over n times the variance. Fewer than `FEW` values tell nothing: from least to most."""
    n, centre, variance = len(values), float(values.mean()), float(values.var())
    if n < FEW:
        return Interval(least, most)
    skew = float(((values - centre) ** 3).mean()) / (6 * variance * n) if variance > 0 else 0.0
    reach = float(student_quantile(n - 1)) * math.sqrt(variance / (n - 1))
    return Interval(max(least, min(centre, centre + skew - reach)), min(most, max(centre, centre + skew + reach)))


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
    "calibration_error": Metric(
        "Calibration error (debiased, RMS)", debiased_calibration_error, of_matrix=False, higher_is_better=False
    ),
}


CLASS_FIGURES = ("precision", "recall", "f1", "auroc", "average_precision")


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _ends(low: float, high: float) -> list[float | None] | None:
    """The ends for JSON, which knows no infinity; None where there is no interval."""
    return None if math.isnan(low) else [low, high if math.isfinite(high) else None]


@dataclass(frozen=True, eq=False)
class Headline:
    """The three figures that networks are ranked by, with 95 % intervals: see `matrix_interval`."""

    n: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    balanced_accuracy: float
    balanced_accuracy_interval: Interval


@dataclass(frozen=True, eq=False)
class EvaluationReport(Headline):
    """What is known of a network from one table; how well each 95 % interval covers is listed in docs/coverage.md.

    `per_class` has one row an expression in the network's order: `expression`, `precision`, `recall`, `f1`, `auroc`,
    `average_precision`, each with `_low` and `_high`, `support` (images with this label) and `predicted` (images
    predicted so). An interval that would rest on fewer than `FEW` images is NaN. `others` holds the remaining figures of
    `METRICS` by name, `intervals` those that have one: the usual calibration errors have none, since chance alone makes
    them large, but `calibration` says how large.
    """

    expressions: tuple[str, ...]
    others: dict[str, float]
    intervals: dict[str, Interval]
    per_class: pd.DataFrame
    confusion: Counts
    calibration: CalibrationError

    def to_json(self) -> dict[str, Any]:
        """The report in JSON's types: intervals as [low, high], `per_class` by expression, `confusion` as rows, and
        null for a figure that the table cannot tell."""
        classes = {
            row["expression"]: {
                **{name: _known(row[name]) for name in (*CLASS_FIGURES, "support", "predicted")},
                **{f"{name}_interval": _ends(row[f"{name}_low"], row[f"{name}_high"]) for name in CLASS_FIGURES},
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
            **{f"{name}_interval": _ends(*bounds) for name, bounds in self.intervals.items()},
            "ece_by_chance": _known(self.calibration.by_chance),
            "per_class": classes,
            "expressions": list(self.expressions),
            "confusion": self.confusion.tolist(),
        }


def headline(predictions: Predictions) -> Headline:
    """The figures of a table that networks are ranked by; many tables cost little.

    Raises:
        DataError: the table has no row.
    """
    return _headline(_counted(predictions))


def _counted(predictions: Predictions) -> Counts:
    if not len(predictions):
        raise DataError("There is no image to evaluate on; choose a split or filter that holds some.")
    return confusion_matrix(predictions)


def _headline(matrix: Counts) -> Headline:
    return Headline(
        n=int(matrix.sum()),
        accuracy=float(accuracy(matrix)),
        accuracy_interval=matrix_interval(matrix, "accuracy"),
        macro_f1=float(macro_f1(matrix)),
        macro_f1_interval=matrix_interval(matrix, "macro_f1"),
        balanced_accuracy=float(balanced_accuracy(matrix)),
        balanced_accuracy_interval=matrix_interval(matrix, "balanced_accuracy"),
    )


def evaluate(predictions: Predictions) -> EvaluationReport:
    """All figures of a predictions table.

    Raises:
        DataError: the table has no row.
    """
    matrix = _counted(predictions)
    first = vars(_headline(matrix))
    names = predictions.expressions.names
    per_class = class_figures(matrix, names)
    ranks = ranking(predictions)
    per_class = per_class.join(ranks.drop(columns="expression"))
    per_class["support"], per_class["predicted"] = support(matrix), predicted_count(matrix)
    others = {name: metric for name, metric in METRICS.items() if name not in first}
    calibration = calibration_error(predictions)
    known = {  # what is sorted or counted once is enough
        "macro_auroc": float(ranks["auroc"].mean()),
        "macro_average_precision": float(ranks["average_precision"].mean()),
        "calibration_error": calibration.debiased,
    }
    figures = {name: known[name] if name in known else metric(predictions) for name, metric in others.items()}
    auroc_ends, precision_ends = macro_bounds(predictions)
    report = EvaluationReport(
        **first,
        expressions=names,
        others=figures,
        intervals={
            **{name: matrix_interval(matrix, name) for name, metric in others.items() if metric.of_matrix},
            "top2": wilson(round(figures["top2"] * len(predictions)), len(predictions)),
            "macro_auroc": auroc_ends,
            "macro_average_precision": precision_ends,
            **mean_intervals(predictions),
            "calibration_error": calibration.interval,
        },
        per_class=per_class,
        confusion=matrix,
        calibration=calibration,
    )
    return _of_classes(report) if predictions.only_classes else report


def _of_classes(report: EvaluationReport) -> EvaluationReport:
    """The report of a table that knows the predicted classes and no confidence: figures that need one are NaN."""
    unknown, nowhere = float("nan"), Interval(float("nan"), float("nan"))
    needing = {name for name, metric in METRICS.items() if not metric.of_matrix}
    ranks = [f"{name}{end}" for name in ("auroc", "average_precision") for end in ("", "_low", "_high")]
    return replace(
        report,
        others={name: unknown if name in needing else value for name, value in report.others.items()},
        intervals={name: nowhere if name in needing else ends for name, ends in report.intervals.items()},
        per_class=report.per_class.assign(**dict.fromkeys(ranks, unknown)),
        calibration=replace(report.calibration, debiased=unknown, interval=nowhere, ece=unknown, by_chance=unknown),
    )


def class_figures(matrix: Counts, names: Sequence[str]) -> pd.DataFrame:
    """`expression`, and `precision`, `recall`, `f1` with `_low` and `_high`, which are NaN below `FEW` images."""
    hits, given, predicted = _hits(matrix), support(matrix), predicted_count(matrix)
    table = pd.DataFrame({"expression": names})
    for name, value, bounds, n in (
        ("precision", precision(matrix), wilson_bounds(hits, predicted), predicted),
        ("recall", recall(matrix), wilson_bounds(hits, given), given),
        ("f1", f1(matrix), f1_bounds(matrix), given + predicted - hits),
    ):
        table[name] = value
        table[f"{name}_low"], table[f"{name}_high"] = np.where(n >= FEW, bounds, np.nan)
    return table


def mean_intervals(predictions: Predictions) -> dict[str, Interval]:
    """Intervals of the means over images: `log_loss` and `brier`."""
    return {
        "log_loss": _mean_interval(predictions.loss, 0, math.inf),
        "brier": _mean_interval(_squares(predictions), 0, 2),
    }


def figures_table(report: EvaluationReport) -> pd.DataFrame:
    """Every figure of a report in words: `figure`, `value`, `interval`, `range`."""
    rows = []
    for name, metric in METRICS.items():
        value = report.others[name] if name in report.others else getattr(report, name)
        ends = report.intervals.get(name, getattr(report, f"{name}_interval", None))
        told = f"{ends.low:.3f} to {ends.high:.3f}" if ends and not math.isnan(ends.low) else "–"
        if name == "ece":
            told = "–" if math.isnan(value) else f"{report.calibration.by_chance:.3f} by chance alone"
        rows.append(
            (
                metric.title,
                "–" if math.isnan(value) else f"{value:.3f}",
                told,
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
