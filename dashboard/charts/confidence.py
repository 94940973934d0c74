"""Charts of what a confidence is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import ACCENT, QUIET, figure

if TYPE_CHECKING:
    import plotly.graph_objects as go


def reliability(tables: Mapping[str, pd.DataFrame], shown: str) -> go.Figure:
    """Accuracy against confidence with 95 % intervals, and below it how many pictures have which confidence.

    Args:
        tables: a name to the table of `calibration.reliability`.
        shown: the name to emphasise; its pictures are the ones counted below.
    """
    from plotly.subplots import make_subplots

    chart = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.74, 0.26], vertical_spacing=0.05)
    chart.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"color": QUIET, "width": 1, "dash": "dot"}, name="as sure as right",
        hoverinfo="skip",
    )  # fmt: skip
    for name, table in tables.items():
        colour = ACCENT if name == shown else QUIET
        accuracy, low, high = (100 * table[column] for column in ("accuracy", "accuracy_low", "accuracy_high"))
        chart.add_scatter(
            x=100 * table["confidence"],
            y=accuracy,
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2, "dash": "solid" if name == shown else "dash"},
            marker={"size": 7, "symbol": "circle" if name == shown else "circle-open"},
            error_y={
                "symmetric": False, "array": high - accuracy, "arrayminus": accuracy - low, "color": colour,
                "thickness": 1, "width": 3,
            },
            customdata=table[["n"]],
            hovertemplate="confidence %{x:.1f} %, accuracy %{y:.1f} %, n = %{customdata[0]:,}",
        )  # fmt: skip
    counted = tables[shown]
    chart.add_bar(
        x=50 * (counted["low"] + counted["high"]),
        y=counted["n"],
        width=100 * (counted["high"] - counted["low"]).clip(lower=0.002),
        marker={"color": ACCENT, "line": {"width": 1, "color": "rgba(128,128,128,0.5)"}},
        showlegend=False,
        name="pictures",
        hovertemplate="%{y:,} pictures",
        row=2,
        col=1,
    )
    chart.update_xaxes(range=[0, 101], zeroline=False)
    chart.update_xaxes(title="confidence (%)", row=2, col=1)
    chart.update_yaxes(title="accuracy (%)", range=[0, 101], zeroline=False, row=1, col=1)
    chart.update_yaxes(title="pictures", zeroline=False, row=2, col=1)
    return chart.update_layout(
        height=460,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        dragmode=False,
    )


def risk_coverage(table: pd.DataFrame, coverage: float) -> go.Figure:
    """Accuracy of the answers against the share of pictures that is answered, with a mark where the threshold is.

    Args:
        table: of `calibration.risk_coverage`.
        coverage: the share answered at the chosen threshold, 0..1.
    """
    chart = figure(
        460,
        xaxis={"title": "coverage: pictures answered (%)", "range": [0, 101], "zeroline": False},
        yaxis={
            "title": "accuracy of the answers (%)",
            "range": [max(0.0, 100 * float(table["accuracy"].min()) - 5), 100.5],
            "zeroline": False,
        },
        showlegend=False,
    )
    x = 100 * table["coverage"]
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    chart.add_scatter(x=x, y=100 * table["accuracy_high"], **band)
    chart.add_scatter(x=x, y=100 * table["accuracy_low"], fill="tonexty", fillcolor="rgba(59,127,184,0.18)", **band)
    chart.add_scatter(
        x=x,
        y=100 * table["accuracy"],
        mode="lines",
        line={"color": ACCENT, "width": 2},
        customdata=100 * table[["threshold"]],
        hovertemplate="%{x:.1f} % answered, accuracy %{y:.1f} %<br>confidence of %{customdata[0]:.1f} % or more"
        "<extra></extra>",
    )
    return chart.add_vline(x=100 * coverage, line={"color": "#D55E00", "width": 2})
