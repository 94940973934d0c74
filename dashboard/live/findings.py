"""A private set beside its benchmark, as HTML: on the Compare tab and in the report that can be downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.charts.live import accuracy_beside
from dashboard.live.drawing import data_url
from dashboard.live.html import light, table
from dashboard.live.theme import CSS
from dashboard.text import interval, percent
from fer_core.evaluation.comparison import p_value
from fer_core.evaluation.intervals import Interval
from fer_core.experiments.private_set import AS_CHOSEN, PrivateSetReport
from fer_core.images.quality import TILTED, TURNED

ALPHA = 0.05


def signed(points: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * points:+.1f}"


def overview(reports: Sequence[PrivateSetReport]) -> str:
    """The answer in a sentence for the first network, and a row for each."""
    rows, grey = [], []
    for report in reports:
        row = report.per_expression.iloc[0]
        rows.append(
            [
                report.network,
                f"{percent(row.recall_a)} ({_bounds(row, 'a')})",
                f"{percent(row.recall_b)} ({_bounds(row, 'b')})",
                signed(row.difference),
                p_value(row.p),
                f"{int(row.n_b):,}",
            ]
        )
        grey.append(bool(row.p > ALPHA))
    header = ["network", "benchmark, 95 %", "private set, 95 %", "gap, points", "p", "n"]
    verdict = escape(reports[0].sentence())
    return f'<p class="say" role="status">{verdict}</p>' + (table(header, rows, grey) if len(reports) > 1 else "")


def why(report: PrivateSetReport) -> str:
    """The gap taken apart: what differs, what the class balance explains, what changes if something is matched."""
    parts = [f"<h3>Why?</h3><p>{_shift_sentence(report)}</p>"]
    gap = report.gap
    parts.append("<h3>How much is the class balance?</h3>")
    parts.append(
        table(
            ["part of the gap", "points", "95 %"],
            [
                ["class balance (label prior)", signed(gap.prior), _points(gap.prior_interval)],
                ["everything else", signed(gap.rest), _points(gap.rest_interval)],
                ["total", signed(gap.total), _points(gap.total_interval)],
            ],
        )
    )
    balance, told = report.balance, report.shifts.set_index("what")["p_adjusted"]
    parts.append(
        light(
            f"{percent(balance.distance)} of the labels would have to change to have the benchmark's balance "
            f"(chi-squared, p {_p(told['class balance'])}, adjusted)."
        )
    )
    if report.differences is not None:
        rows = [
            [str(d.statistic), f"{d.median_a:.3g}", f"{d.median_b:.3g}", f"{d.effect:+.2f}", p_value(d.p_adjusted)]
            for d in report.differences.itertuples(index=False)
        ]
        parts.append("<h3>How do the pictures differ?</h3>")
        header = ["measured on the faces", "benchmark, median", "private, median", "effect (-1 to 1)", "p, adjusted"]
        parts.append(table(header, rows, [bool(p > ALPHA) for p in report.differences["p_adjusted"]]))
    else:
        parts.append(
            light(
                f"The pictures of {escape(report.benchmark_name)} are not at hand, so light, sharpness and what the "
                "network sees are not compared. For that, add the set with “ferscope data add” and open this app on "
                "the machine that has it."
            )
        )
    turned, tilted = ((report.faces[key] > most).mean() for key, most in (("turn", TURNED), ("tilt", TILTED)))
    if report.faces["turn"].notna().any():
        parts.append(light(f"{percent(turned)} of the private faces are turned to the side, {percent(tilted)} tilted."))
    if report.distance is not None and report.distance_within is not None:
        rows = [
            [name, f"{d.value:.3g}", f"{d.expected:.3g}", p_value(p), f"{d.n_a:,} and {d.n_b:,}"]
            for name, d, p in (
                ("all faces", report.distance, report.distance.p),
                ("within each expression", report.distance_within, told["what the network sees"]),
            )
        ]
        parts.append("<h3>Does the network see something else?</h3>")
        grey = [report.distance.p > ALPHA, bool(told["what the network sees"] > ALPHA)]
        parts.append(table(["energy distance of the features", "found", "by chance", "p", "pictures"], rows, grey))
    parts.append("<h3>What would change it?</h3>")
    rows = [
        [
            str(v.change),
            percent(v.accuracy),
            "" if v.change == AS_CHOSEN else signed(v.difference),
            p_value(v.p),
            f"{v.n:,}",
        ]
        for v in report.variants.itertuples(index=False)
    ]
    parts.append(
        table(
            ["the private set again", "accuracy", "points", "p (McNemar)", "n"],
            rows,
            [bool(p > ALPHA) for p in report.variants["p"]],
        )
    )
    return "".join(parts)


def _shift_sentence(report: PrivateSetReport) -> str:
    found = report.shifted
    if found:
        return f"The private set differs from {escape(report.benchmark_name)} in {', '.join(map(escape, found))}."
    measured = "" if report.differences is not None else " Only the class balance could be compared."
    return f"No difference from {escape(report.benchmark_name)} was found.{measured}"


def expressions(report: PrivateSetReport) -> str:
    """Recall of each expression on both sets, and the significance of each gap."""
    rows, grey = [], []
    for row in report.per_expression.itertuples(index=False):
        cells = [str(row.expression)]
        for key in "ab":
            n = int(getattr(row, f"n_{key}"))
            cells += [f"{percent(getattr(row, f'recall_{key}'))} ({_bounds(row, key)})" if n else "none", f"{n:,}"]
        rows.append([*cells, "" if np.isnan(row.difference) else signed(row.difference), p_value(row.p_adjusted)])
        grey.append(not row.p_adjusted <= ALPHA)
    header = ["expression", "benchmark, 95 %", "n", "private set, 95 %", "n", "gap, points", "p, adjusted"]
    return table(header, rows, grey)


def matrices(report: PrivateSetReport) -> str:
    """Both confusion matrices, coloured by the share of the label."""
    benchmark, private = report.confusion
    return (
        f"<h3>{escape(report.benchmark_name)}</h3>{_matrix(benchmark, report.benchmark.expressions.names)}"
        f"<h3>private set</h3>{_matrix(private, report.private.expressions.names)}"
        + light("Rows: label given. Columns: predicted. Share of the label, and the count.")
    )


def _matrix(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """Cividis, dark to light, with ink that is read on each; the count stands in the cell's title too."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for name, row in zip(names, counts, strict=True):
        total = int(row.sum())
        cells = "".join(_cell(int(n), n / total if total else 0.0) for n in row)
        rows.append(f"<tr><th>{escape(name)}, {total:,}</th>{cells}</tr>")
    return (
        f'<table class="figures matrix"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _cell(count: int, share: float) -> str:
    stops = np.array([[0, 34, 78], [50, 75, 108], [124, 123, 120], [188, 174, 109], [254, 232, 56]], float)
    at = share * (len(stops) - 1)
    i = min(int(at), len(stops) - 2)
    red, green, blue = (stops[i] + (at - i) * (stops[i + 1] - stops[i])).round().astype(int)
    ink = "#fff" if share < 0.55 else "#000"
    return f'<td style="background:rgb({red},{green},{blue});color:{ink}">{100 * share:.0f} %<br><small>{count:,}</small></td>'


def errors(report: PrivateSetReport) -> str:
    """The surest errors, each beside its nearest training faces; nothing where those are not at hand."""
    if not report.errors:
        return ""
    shown = []
    for error in report.errors:
        near = "".join(
            f'<img src="{data_url(picture, "PNG")}" alt="training face labelled {escape(label)}" title="{escape(label)}">'
            for label, picture in error.nearest
        )
        labels = ", ".join(escape(label) for label, _ in error.nearest)
        own = data_url(error.picture, "PNG")
        shown.append(
            f'<figure style="margin:0"><img src="{own}" alt="private face labelled {escape(error.label)}">{near}'
            f"<figcaption>{escape(error.label)} taken for <b>{escape(error.predicted)}</b>; nearest: {labels}"
            f'<br><span class="light">{escape(error.id)}</span></figcaption></figure>'
        )
    return (
        "<h3>The surest errors, and the training faces nearest to them</h3>"
        + light("First the private face as the network sees it, then three training faces with the nearest features.")
        + f'<div class="pairs" style="grid-template-columns:repeat(auto-fill,minmax(20rem,1fr))">{"".join(shown)}</div>'
    )


def left_out(report: PrivateSetReport) -> str:
    if not report.skipped:
        return ""
    reasons = pd.Series([skipped.reason.partition(" (")[0] for skipped in report.skipped]).value_counts()
    said = "; ".join(f"{count:,} x {escape(str(reason))}" for reason, count in reasons.head(5).items())
    return f'<p class="warn">{len(report.skipped):,} files were left out: {said}. First: {escape(report.skipped[0].id)}.</p>'


def page(reports: Sequence[PrivateSetReport]) -> str:
    """The whole report as one file that needs no network."""
    parts = [overview(reports)]
    for number, report in enumerate(reports):
        figure = accuracy_beside(report.per_expression).to_html(
            full_html=False, include_plotlyjs=number == 0, config={"displayModeBar": False}
        )
        parts.append(f"<h2>{escape(report.network)}</h2>{left_out(report)}{figure}{expressions(report)}{why(report)}")
        parts.append(matrices(report) + errors(report))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Private set beside the benchmark</title>'
        f"<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}}{CSS}</style>"
        f"<h1>Why is the private set different?</h1>{''.join(parts)}</html>"
    )


def _bounds(row: object, key: str) -> str:
    return interval(Interval(getattr(row, f"low_{key}"), getattr(row, f"high_{key}")))


def _points(bounds: Interval) -> str:
    return f"{signed(bounds.low)} to {signed(bounds.high)}"


def _p(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
