"""Charts of labels compared with votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import ACCENT, QUIET, figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

# One colour a verdict: the network's is the accent, the label's an orange, what nobody decides is grey.
VERDICT_COLOURS = {"network wrong": ACCENT, "label contested": QUIET, "label probably wrong": "#D55E00"}


def verdicts(table: pd.DataFrame) -> go.Figure:
    """Errors of each given label by verdict.

    Args:
        table: one row a label (its name as index), one column a verdict, counts.
    """
    total = table.sum(axis=1)
    chart = figure(
        100 + 30 * len(table),
        barmode="stack",
        xaxis={"title": "errors", "tickformat": ",", "zeroline": False},
        yaxis={
            "autorange": "reversed",
            "tickvals": list(table.index),
            "ticktext": [f"{label}, n = {n:,}" for label, n in total.items()],
        },
    )
    for verdict in table.columns:
        chart.add_bar(
            x=table[verdict],
            y=table.index,
            orientation="h",
            name=verdict,
            marker={"color": VERDICT_COLOURS.get(verdict, QUIET)},
            text=[f"{n:,}" if n else "" for n in table[verdict]],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate=f"label %{{y}}: %{{x:,}} errors, {verdict}<extra></extra>",
        )
    return chart


def agreement(table: pd.DataFrame) -> go.Figure:
    """Accuracy against the voters' agreement, with 95 % intervals.

    Args:
        table: what `label_quality.by_agreement` gives.
    """
    chart = figure(
        340,
        xaxis={
            "title": "share of the most frequent vote (%), with n",
            "tickvals": 100 * table["agreement"],
            "ticktext": [f"{100 * a:.0f}<br>{n:,}" for a, n in zip(table["agreement"], table["n"], strict=True)],
            "zeroline": False,
        },
        yaxis={"title": "agreement (%)", "range": [0, 102], "zeroline": False},
    )
    for metric, title, n, colour, symbol, shift in (
        ("accuracy", "agreement with the label", "n", ACCENT, "circle", -0.6),
        ("reading", "agreement with the majority of the voters", "decided", "#D55E00", "diamond", 0.6),
    ):
        rows = table[table[n] > 0]
        chart.add_scatter(
            x=100 * rows["agreement"] + shift,
            y=100 * rows[metric],
            mode="lines+markers",
            name=title,
            line={"color": colour, "width": 2},
            marker={"symbol": symbol, "size": 8},
            error_y={
                "symmetric": False,
                "array": 100 * (rows[f"{metric}_high"] - rows[metric]),
                "arrayminus": 100 * (rows[metric] - rows[f"{metric}_low"]),
                "thickness": 1.5,
                "width": 3,
            },
            customdata=rows[[n]],
            hovertemplate="%{y:.1f} % of %{customdata[0]:,} images<extra>" + title + "</extra>",
        )
    return chart
