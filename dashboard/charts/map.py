"""The map of faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import figure
from fer_core.labels import COLOURS
from fer_core.reports.charts import ACCENT, QUIET

if TYPE_CHECKING:
    import plotly.graph_objects as go

# An expression is told by its symbol too, never by colour alone.
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "hexagon")
RIGHT, WRONG = "right", "wrong"


def embedding(table: pd.DataFrame, colour: str, axes: tuple[str, str]) -> go.Figure:
    """Points to click on or to draw a lasso around; the selection's `customdata` begins with a row of the table.

    Args:
        table: `x`, `y`, `id`, `label`, `predicted`, `confidence`, `correct`.
        colour: “label”, “predicted” or “correct”.
        axes: titles of the axes.
    """
    import plotly.graph_objects as go

    groups = table["correct"].map({True: RIGHT, False: WRONG}) if colour == "correct" else table[colour]
    chart = figure(
        620,
        dragmode="pan",  # Streamlit passes clicks on only where dragging selects nothing
        xaxis={"title": axes[0], "zeroline": False, "showticklabels": axes[0] != ""},
        yaxis={"title": axes[1], "zeroline": False, "showticklabels": axes[1] != ""},
        hovermode="closest",
        legend={"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0},  # above it would lie under Plotly's tools
    )
    names = [name for name in (*COLOURS, RIGHT, WRONG) if (groups == name).any()]
    for number, name in enumerate([*names, *sorted(set(groups) - set(names))]):
        rows = (groups == name).to_numpy().nonzero()[0]
        part = table.iloc[rows]
        custom = part[["id", "label", "predicted", "confidence"]].assign(row=rows)[
            ["row", "id", "label", "predicted", "confidence"]
        ]
        chart.add_trace(
            go.Scattergl(
                x=part["x"],
                y=part["y"],
                mode="markers",
                name=f"{name}, n = {len(part):,}",
                customdata=custom,
                marker={
                    "color": {RIGHT: QUIET, WRONG: "#D55E00"}.get(name, COLOURS.get(name, ACCENT)),
                    "symbol": SYMBOLS[number % len(SYMBOLS)],
                    "size": 6,
                    "opacity": 0.7,
                },
                unselected={"marker": {"opacity": 0.15}},
                hovertemplate="%{customdata[2]} → %{customdata[3]}, %{customdata[4]:.1%}, id %{customdata[1]}"
                "<extra></extra>",
            )
        )
    return chart
