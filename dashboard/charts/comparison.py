"""Charts of two networks side by side. A positive difference speaks for B."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import QUIET, figure
from fer_core.evaluation.comparison import ALPHA, p_in_words
from fer_core.labels import COLOURS

if TYPE_CHECKING:
    import plotly.graph_objects as go


def recall_differences(table: pd.DataFrame, a: str, b: str) -> go.Figure:
    """The difference of two networks' recall for each expression; what is not significant is grey.

    Args:
        table: the `recall` of a `Difference`.
        a, b: the networks' titles.
    """
    chart = figure(
        130 + 34 * len(table),
        xaxis={"title": f"percentage points<br>← {a} better  |  {b} better →", "zeroline": False},
        yaxis={
            "autorange": "reversed",
            "tickvals": list(range(len(table))),
            "ticktext": [f"{name}, n = {n:,}" for name, n in zip(table["expression"], table["support"], strict=True)],
            "zeroline": False,
        },
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
    )
    chart.add_vline(x=0, line={"color": QUIET, "width": 1})
    for place, row in enumerate(table.to_dict("records")):
        told = row["p_adjusted"] <= ALPHA
        colour = COLOURS.get(row["expression"], QUIET) if told else QUIET
        centre, low, high = (100 * row[end] for end in ("difference", "low", "high"))
        chart.add_scatter(
            x=[centre],
            y=[place],
            mode="markers",
            marker={"size": 10, "color": colour, "symbol": "circle" if told else "circle-open", "line": {"width": 2}},
            error_x={
                "symmetric": False, "array": [high - centre], "arrayminus": [centre - low],
                "color": colour, "thickness": 2, "width": 4,
            },
            hovertemplate=f"{row['expression']}: {centre:+.1f} points ({low:.1f} to {high:.1f})<br>"
            f"{a} {100 * row['a']:.1f} %, {b} {100 * row['b']:.1f} %, {p_in_words(row['p_adjusted'])}<extra></extra>",
        )  # fmt: skip
    return chart
