"""The chart of slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import ACCENT, QUIET, figure

if TYPE_CHECKING:
    import plotly.graph_objects as go


def slices(table: pd.DataFrame, overall: float, alpha: float) -> go.Figure:
    """Accuracy of slices with 95 % intervals (dot) beside what their labels would give (bar); grey: not significant.

    Args:
        table: rows of `slices.Slices.table`.
        overall: the accuracy on all images, 0..1, drawn as a line.
        alpha: the adjusted p-value from which a slice is grey.
    """
    chart = figure(
        110 + 30 * len(table),
        xaxis={"title": "accuracy (%), with 95 % confidence intervals", "zeroline": False},
        yaxis={
            "autorange": "reversed",
            "tickvals": list(range(len(table))),
            "ticktext": [f"{name}, n = {n:,}" for name, n in zip(table["slice"], table["n"], strict=True)],
            "zeroline": False,
        },
    )
    for significant, name in ((True, "accuracy, significant difference"), (False, "accuracy, not significant")):
        rows = [i for i, p in enumerate(table["p_adjusted"]) if (p <= alpha) == significant]
        part, colour = table.iloc[rows], ACCENT if significant else QUIET
        if not rows:
            continue
        chart.add_scatter(
            x=100 * part["accuracy"],
            y=rows,
            mode="markers",
            name=name,
            marker={"size": 9, "color": colour, "symbol": "circle" if significant else "circle-open"},
            error_x={
                "symmetric": False,
                "array": 100 * (part["high"] - part["accuracy"]),
                "arrayminus": 100 * (part["accuracy"] - part["low"]),
                "color": colour,
                "thickness": 1.5,
                "width": 3,
            },
            customdata=part[["slice", "n", "p_adjusted"]],
            hovertemplate="%{customdata[0]}: %{x:.1f} % of %{customdata[1]:,}, p = %{customdata[2]:.2g} (Holm)"
            "<extra></extra>",
        )
    chart.add_scatter(
        x=100 * table["expected"],
        y=list(range(len(table))),
        mode="markers",
        name="expected from its mix of expressions",
        marker={"symbol": "line-ns-open", "size": 14, "color": "#D55E00", "line": {"width": 2}},
        hovertemplate="expected %{x:.1f} %<extra></extra>",
    )
    chart.add_vline(x=100 * overall, line={"color": QUIET, "dash": "dot", "width": 1})
    return chart
