"""Reported and reproduced accuracy side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dashboard.charts.base import ACCENT, QUIET, figure
from fer_core.experiments.reproduction import Row

if TYPE_CHECKING:
    import plotly.graph_objects as go


def reported_and_reproduced(rows: Sequence[Row]) -> go.Figure:
    """Accuracy by row: reported as a diamond, reproduced as a dot with its 95 % interval; a row that was not run has none."""
    chart = figure(
        110 + 30 * len(rows),
        xaxis={"title": "accuracy (%)", "zeroline": False},
        yaxis={
            "autorange": "reversed",
            "range": [len(rows) - 0.5, -0.5],
            "tickvals": list(range(len(rows))),
            "ticktext": [row.title for row in rows],
            "zeroline": False,
        },
    )
    told = [(place, row) for place, row in enumerate(rows) if row.reported is not None]
    chart.add_scatter(
        x=[100 * (row.reported or 0) for _, row in told],
        y=[place for place, _ in told],
        mode="markers",
        name="Reported",
        marker={"symbol": "diamond-open", "size": 10, "color": QUIET, "line": {"width": 2, "color": QUIET}},
        customdata=[[row.title, row.reported_on] for _, row in told],
        hovertemplate="%{customdata[0]}<br>reported %{x:.1f} % on %{customdata[1]}<extra></extra>",
    )
    run = [(place, row) for place, row in enumerate(rows) if row.accuracy is not None]
    centre = [100 * (row.accuracy or 0) for _, row in run]
    chart.add_scatter(
        x=centre,
        y=[place for place, _ in run],
        mode="markers",
        name="Reproduced, with 95 % confidence interval",
        marker={"size": 10, "color": ACCENT},
        error_x={
            "symmetric": False,
            "array": [100 * (row.high or 0) - x for x, (_, row) in zip(centre, run, strict=True)],
            "arrayminus": [x - 100 * (row.low or 0) for x, (_, row) in zip(centre, run, strict=True)],
            "color": ACCENT, "thickness": 2, "width": 4,
        },
        customdata=[[row.title, 100 * (row.low or 0), 100 * (row.high or 0), row.n, row.verdict] for _, row in run],
        hovertemplate="%{customdata[0]}<br>%{x:.1f} % (%{customdata[1]:.1f} to %{customdata[2]:.1f}), n = %{customdata[3]:,}"
        "<br>%{customdata[4]}<extra></extra>",
    )  # fmt: skip
    return chart
