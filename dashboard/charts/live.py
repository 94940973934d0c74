"""Charts of the live app. Its page is light or dark and a figure cannot know, so they are drawn on nothing in greys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from fer_core.labels import COLOURS
from fer_core.reports.charts import QUIET

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
