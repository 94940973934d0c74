"""The evaluation report: all figures of a predictions table."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from fer_core.errors import DataError
from fer_core.evaluation.calibration import CalibrationError, calibration_error
from fer_core.evaluation.confusion import Counts, class_figures, confusion_matrix, predicted_count, support
from fer_core.evaluation.intervals import Interval
from fer_core.evaluation.metrics import METRICS
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.ranking import macro_bounds, ranking

CLASS_FIGURES = ("precision", "recall", "f1", "auroc", "average_precision")


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _ends(low: float, high: float) -> list[float | None] | None:
    """The ends for JSON, which knows no infinity; None where there is no interval."""
    return None if math.isnan(low) else [low, high if math.isfinite(high) else None]


@dataclass(frozen=True, eq=False)
class Headline:
    """The three figures that networks are ranked by, with 95 % intervals: see `Metric.interval`."""

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
    figures: dict[str, Any] = {}
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        metric = METRICS[name]
        figures |= {name: float(metric.of(matrix)), f"{name}_interval": metric.interval(matrix)}
    return Headline(n=int(matrix.sum()), **figures)


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
    calibration = calibration_error(predictions)
    known = {  # what is sorted or counted once is enough
        "macro_auroc": float(ranks["auroc"].mean()),
        "macro_average_precision": float(ranks["average_precision"].mean()),
        "calibration_error": calibration.debiased,
    }
    ends: dict[str, Interval | None] = dict(zip(known, (*macro_bounds(predictions), calibration.interval), strict=True))
    others = {name: metric for name, metric in METRICS.items() if name not in first}
    for name, metric in others.items():
        if name not in ends:
            ends[name] = metric.interval(matrix if metric.of_matrix else predictions)
    report = EvaluationReport(
        **first,
        expressions=names,
        others={name: known[name] if name in known else metric(predictions) for name, metric in others.items()},
        intervals={name: bounds for name in others if (bounds := ends[name]) is not None},
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
