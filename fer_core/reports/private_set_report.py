"""The report on a private set as HTML: a stand-alone page, or its parts for use in another page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from fer_core.evaluation.comparison import ALPHA, p_in_words, p_value
from fer_core.evaluation.intervals import Interval, percent
from fer_core.experiments.private_set import AS_CHOSEN, PrivateSetReport
from fer_core.images.quality import TILTED, TURNED
from fer_core.reports import charts
from fer_core.reports.html import Cell, part, points, render, share

PARTS = "private_set_parts.html"
REASONS = 5  # for which files were left out; the most frequent ones

Shown = dict[
    str, Any
]  # a table as the template draws it: `header`, `rows`, and `grey`, whether a row is not significant


def page(reports: Sequence[PrivateSetReport]) -> str:
    """The whole report as one file that loads nothing."""
    title = f"A private set beside {reports[0].benchmark_name}"
    views = [{"network": report.network, "n": len(report.private), **_view(report)} for report in reports]
    return render("private_set.html", title=title, overview_of=_overview(reports), reports=views)


def overview(reports: Sequence[PrivateSetReport]) -> Markup:
    """The result in a sentence for the first network, and a row for each network."""
    return part(PARTS, "overview", _overview(reports))


def details(report: PrivateSetReport) -> Markup:
    """Everything about one network: what was left out, each expression, why there is a gap, matrices, errors."""
    return part(PARTS, "details", _view(report))


def _overview(reports: Sequence[PrivateSetReport]) -> Shown:
    first: list[Any] = [report.per_expression.iloc[0] for report in reports]
    return {
        "sentence": reports[0].sentence(),
        "header": ("Network", "Benchmark, %", "Private set, %", "Gap, points", "p", "n"),
        "rows": [
            [
                report.network,
                _recall(row, "a"),
                _recall(row, "b"),
                points(row.difference),
                p_value(row.p),
                f"{row.n_b:,}",
            ]
            for report, row in zip(reports, first, strict=True)
        ],
        "grey": [bool(row.p > ALPHA) for row in first],
    }


def _recall(row: Any, key: str) -> Cell:
    """Recall on one set with its interval; “–” where the expression does not occur."""
    if not getattr(row, f"n_{key}"):
        return "–"
    return share(getattr(row, f"recall_{key}"), Interval(getattr(row, f"low_{key}"), getattr(row, f"high_{key}")))


def _view(report: PrivateSetReport) -> Shown:
    return {
        "chart": charts.svg(
            charts.two_sets(report.per_expression, (report.benchmark_name, "private set")),
            f"Recall of each expression on {report.benchmark_name} and on the private set",
            560,
        ),
        "table": report.per_expression,
        "left_out": _left_out(report),
        "expressions": _expressions(report),
        "shift": _shift(report),
        "gap": _gap(report),
        "balance": f"{percent(report.balance.distance)} of the labels would have to change to give the benchmark's balance "
        f"(chi-squared, {p_in_words(_adjusted(report)['class balance'])}, adjusted).",
        "benchmark": report.benchmark_name,
        "differences": _differences(report),
        "pose": _pose(report),
        "features": _features(report),
        "variants": _variants(report),
        "matrices": [
            (name, charts.svg(charts.confusion(counts, of.expressions.names), f"Confusion matrix on {name}", 476))
            for name, counts, of in (
                (report.benchmark_name, report.confusion[0], report.benchmark),
                ("private set", report.confusion[1], report.private),
            )
        ],
        "errors": report.errors,
    }


def _left_out(report: PrivateSetReport) -> str:
    if not report.skipped:
        return ""
    reasons = pd.Series([skipped.reason.partition(" (")[0] for skipped in report.skipped]).value_counts()
    said = "; ".join(f"{count:,} x {reason}" for reason, count in reasons.head(REASONS).items())
    return f"{len(report.skipped):,} files were left out: {said}. First: {report.skipped[0].id}."


def _expressions(report: PrivateSetReport) -> Shown:
    found: list[Any] = list(report.per_expression.itertuples(index=False))
    return {
        "header": ("Expression", "Benchmark, %", "n", "Private set, %", "n", "Gap, points", "p, Holm"),
        "rows": [
            [
                str(row.expression), _recall(row, "a"), f"{row.n_a:,}", _recall(row, "b"), f"{row.n_b:,}",
                points(row.difference), p_value(row.p_adjusted),
            ]
            for row in found
        ],
        "grey": [not row.p_adjusted <= ALPHA for row in found],
    }  # fmt: skip


def _shift(report: PrivateSetReport) -> str:
    if report.shifted:
        said = f"The private set differs from {report.benchmark_name} in {', '.join(report.shifted)}."
    else:
        measured = "" if report.differences is not None else " Only the class balance could be compared."
        said = f"No difference from {report.benchmark_name} was found.{measured}"
    return f"{said} {_framing(report)}".strip()


def _framing(report: PrivateSetReport) -> str:
    """Names framing as a cause where another crop has a significantly higher accuracy; else empty."""
    if report.framing.empty:
        return ""
    best: Any = next(report.framing.itertuples(index=False))
    return (
        f"Framing is a cause of the gap: with another crop ({str(best.change).removeprefix('crop: ')}) the accuracy is "
        f"{100 * best.difference:.1f} points higher (McNemar, {p_in_words(best.p_adjusted)}, adjusted)."
    )


def _gap(report: PrivateSetReport) -> Shown:
    gap = report.gap
    parts = (
        ("class balance (label prior)", gap.prior, gap.prior_interval),
        ("everything else", gap.rest, gap.rest_interval),
        ("total", gap.total, gap.total_interval),
    )
    return {
        "header": ("Part of the gap", "Points", "95 % interval"),
        "rows": [[name, points(value), Interval(*ends).text("+.1f")] for name, value, ends in parts],
    }


def _differences(report: PrivateSetReport) -> Shown | None:
    if report.differences is None:
        return None
    found: list[Any] = list(report.differences.itertuples(index=False))
    return {
        "header": ("Measured on the faces", "Benchmark, median", "Private set, median", "Effect (-1 to 1)", "p, Holm"),
        "rows": [
            [str(d.statistic), f"{d.median_a:.3g}", f"{d.median_b:.3g}", f"{d.effect:+.2f}", p_value(d.p_adjusted)]
            for d in found
        ],
        "grey": [bool(d.p_adjusted > ALPHA) for d in found],
    }


def _pose(report: PrivateSetReport) -> str:
    if not report.faces["turn"].notna().any():
        return ""
    turned, tilted = ((report.faces[key] > most).mean() for key, most in (("turn", TURNED), ("tilt", TILTED)))
    return f"{percent(turned)} of the private faces are turned to the side, {percent(tilted)} are tilted."


def _adjusted(report: PrivateSetReport) -> pd.Series:
    """The p-value of each difference, corrected over all of them."""
    return report.shifts.set_index("what")["p_adjusted"]


def _features(report: PrivateSetReport) -> Shown | None:
    if report.distance is None or report.distance_within is None:
        return None
    found = (
        ("all faces", report.distance, report.distance.p),
        ("within each expression", report.distance_within, _adjusted(report)["what the network sees"]),
    )
    return {
        "header": ("Energy distance of the features", "Found", "By chance", "p", "Images"),
        "rows": [
            [name, f"{d.value:.3g}", f"{d.expected:.3g}", p_value(p), f"{d.n_a:,} and {d.n_b:,}"]
            for name, d, p in found
        ],
        "grey": [bool(p > ALPHA) for *_, p in found],
    }


def _variants(report: PrivateSetReport) -> Shown:
    found: list[Any] = list(report.variants.itertuples(index=False))
    return {
        "header": ("The private set again", "Accuracy, %", "Points", "p (McNemar)", "n"),
        "rows": [
            [
                str(v.change), share(v.accuracy), "" if v.change == AS_CHOSEN else points(v.difference), p_value(v.p),
                f"{v.n:,}",
            ]
            for v in found
        ],
        "grey": [bool(v.p > ALPHA) for v in found],
    }  # fmt: skip
