"""Charts of accuracy against severity."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import cycle
from fer_core.evaluation.robustness import CLEAN, CORRUPTIONS

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLUMNS = 2
DASHES = ("solid", "dash", "dot", "dashdot")  # a network is told by its line too, never by colour alone


def curves(tables: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Accuracy at each severity, one small chart per corruption, one line per network, with 95 % intervals.

    Args:
        tables: a network's title to its `robustness.summary`, of the same images.
    """
    from plotly.subplots import make_subplots

    found = {kind for table in tables.values() for kind in table["corruption"]}
    kinds = [kind for kind in CORRUPTIONS if kind in found]
    rows = ceil(len(kinds) / COLUMNS)
    figure = make_subplots(
        rows,
        COLUMNS,
        shared_yaxes=True,
        subplot_titles=[f"{CORRUPTIONS[kind].title} ({CORRUPTIONS[kind].unit})" for kind in kinds],
        horizontal_spacing=0.06,
        vertical_spacing=0.36 / max(rows, 1),
    )
    for number, (title, colour) in enumerate(zip(tables, cycle(len(tables)), strict=True)):
        table = tables[title]
        clean = table[table["corruption"] == CLEAN]
        for place, kind in enumerate(kinds):
            part = pd.concat([clean, table[table["corruption"] == kind]])
            figure.add_scatter(
                x=part["severity"],
                y=100 * part["accuracy"],
                mode="lines+markers",
                name=title,
                legendgroup=title,
                showlegend=place == 0,
                line={"color": colour, "width": 2, "dash": DASHES[number % len(DASHES)]},
                marker={"size": 6},
                error_y={
                    "symmetric": False,
                    "array": 100 * (part["high"] - part["accuracy"]),
                    "arrayminus": 100 * (part["accuracy"] - part["low"]),
                    "thickness": 1,
                    "width": 2,
                },
                customdata=100 * part[["drop", "drop_low", "drop_high"]],
                hovertemplate="%{y:.1f} %, %{customdata[0]:.1f} points below clean "
                "(%{customdata[1]:.1f} to %{customdata[2]:.1f})<extra>" + title + "</extra>",
                row=place // COLUMNS + 1,
                col=place % COLUMNS + 1,
            )
    for place, kind in enumerate(kinds):
        figure.update_xaxes(
            tickvals=list(range(6)),
            ticktext=["clean", *(f"{value:g}" for value in CORRUPTIONS[kind].values)],
            zeroline=False,
            row=place // COLUMNS + 1,
            col=place % COLUMNS + 1,
        )
    figure.update_yaxes(range=[0, 100], zeroline=False)
    figure.update_yaxes(title="accuracy (%)", col=1)
    figure.update_annotations(font_size=13)
    return figure.update_layout(
        height=80 + 230 * rows,
        margin={"l": 8, "r": 8, "t": 70, "b": 8},
        legend={"orientation": "h", "y": 1, "yanchor": "top", "yref": "container", "x": 0},
        dragmode=False,
    )
