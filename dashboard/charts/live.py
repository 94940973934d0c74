"""Charts of the live app. Its page is light or dark and a figure cannot know, so they are drawn on nothing in greys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import ACCENT, QUIET
from fer_core.labels import COLOURS

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK = "#7d838b"  # read on white and on near-black alike (4.0 and 4.6 to 1)
MOST_FACES = 6  # rows of the timeline; faces seen longest come first

_LAYOUT = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": INK, "size": 12},
    "margin": {"l": 8, "r": 8, "t": 56, "b": 8},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None},
    "hoverlabel": {"namelength": -1},
}
_BARE = {"showgrid": False, "zeroline": False}  # Gradio's dark template would draw them white


def timeline(table: pd.DataFrame, gap: float) -> go.Figure:
    """Smoothed probabilities over time, stacked to 1, one row a face.

    Args:
        table: one row a face and frame: `seconds`, `face` and `smoothed_<expression>` columns.
        gap: seconds without the face after which the area is broken.
    """
    from plotly.subplots import make_subplots

    faces = list(table["face"].value_counts().index[:MOST_FACES])
    names = [column.removeprefix("smoothed_") for column in table.columns if column.startswith("smoothed_")]
    figure = make_subplots(len(faces), 1, shared_xaxes=True, vertical_spacing=0.04)
    for row, face in enumerate(faces, 1):
        part = table[table["face"] == face].sort_values("seconds")
        pieces = (part["seconds"].diff() > gap).cumsum()
        for number, piece in part.groupby(pieces):
            for name in names:
                figure.add_scatter(
                    x=piece["seconds"],
                    y=piece[f"smoothed_{name}"],
                    name=name,
                    legendgroup=name,
                    showlegend=row == 1 and number == 0,
                    stackgroup=f"{face}-{number}",
                    mode="lines" if len(piece) > 1 else "lines+markers",
                    line={"width": 0.5, "color": COLOURS.get(name, QUIET)},
                    hovertemplate=f"{name} %{{y:.0%}}, %{{x:.2f}} s<extra>face {face}</extra>",
                    row=row,
                    col=1,
                )
        figure.update_yaxes(title=f"face {face}", range=[0, 1], tickformat=".0%", nticks=3, row=row, col=1, **_BARE)
    figure.update_xaxes(**_BARE)
    figure.update_xaxes(title="seconds", row=len(faces), col=1)
    return figure.update_layout(height=110 + 150 * len(faces), **_LAYOUT)


def accuracy_beside(table: pd.DataFrame, names: Sequence[str] = ("benchmark", "private set")) -> go.Figure:
    """Recall of each expression on two sets, side by side, with 95 % intervals; overall accuracy first.

    Args:
        table: `expression`, and for a and b: `recall_a`, `low_a`, `high_a`, `n_a`, ...; 0..1.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for key, name, colour, symbol in (("a", names[0], QUIET, "circle"), ("b", names[1], ACCENT, "diamond")):
        known = table[table[f"n_{key}"] > 0]
        figure.add_scatter(
            x=known["expression"],
            y=known[f"recall_{key}"],
            name=name,
            mode="markers",
            marker={"color": colour, "size": 11, "symbol": symbol},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": known[f"high_{key}"] - known[f"recall_{key}"],
                "arrayminus": known[f"recall_{key}"] - known[f"low_{key}"],
                "color": colour,
                "thickness": 2,
                "width": 6,
            },
            customdata=known[[f"n_{key}", f"low_{key}", f"high_{key}"]],
            hovertemplate="%{x}: %{y:.1%} (%{customdata[1]:.1%} to %{customdata[2]:.1%}), n = %{customdata[0]}"
            f"<extra>{name}</extra>",
            offsetgroup=key,
        )
    figure.update_yaxes(
        title="recall", range=[0, 1.02], tickformat=".0%", zeroline=False, gridcolor="rgba(128,128,128,.25)"
    )
    figure.update_xaxes(categoryorder="array", categoryarray=list(table["expression"]), **_BARE)
    return figure.update_layout(height=380, scattermode="group", **_LAYOUT)
