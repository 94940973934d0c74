"""Charts of data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import expressions_colour, figure
from fer_core.datasets.titles import split_title
from fer_core.labels import COLOURS
from fer_core.reports.charts import QUIET, SVG

if TYPE_CHECKING:
    import altair as alt
    import plotly.graph_objects as go


def counts(split: pd.Series[int], *, named: bool) -> alt.LayerChart:
    """Images of each expression in one split.

    Args:
        split: counts, the expressions' names as index, the split's as name.
        named: whether the expressions stand on the axis; splits beside each other need it once.
    """
    import altair as alt

    rows = pd.DataFrame({"expression": split.index, "images": split.to_numpy()})
    axis = alt.Axis(ticks=False, domain=False) if named else None
    base = alt.Chart(rows).encode(
        x=alt.X(
            "images:Q",
            title="images",
            scale=alt.Scale(domain=[0, 1.25 * max(1, int(split.max()))], nice=False),
            axis=alt.Axis(format=",d", tickCount=3),
        ),
        y=alt.Y("expression:N", sort=list(split.index), title=None, axis=axis),
        tooltip=["expression:N", alt.Tooltip("images:Q", format=",")],
    )
    bars = base.mark_bar().encode(color=expressions_colour("expression:N"))
    figures = base.mark_text(align="left", dx=4, color=QUIET).encode(text=alt.Text("images:Q", format=","))
    lines = [
        split_title(str(split.name)).capitalize(),
        f"n = {split.sum():,}",
    ]  # one would be cut off in a narrow window
    title = alt.Title(lines, anchor="start", fontSize=14)
    return alt.LayerChart(layer=[bars, figures]).properties(height=70 + 30 * len(rows), title=title, usermeta=SVG)


def spread(table: pd.DataFrame, column: str, unit: str, expressions: Sequence[str]) -> go.Figure:
    """How a figure of the images is spread in each expression: quartiles as a box, whiskers at 5 and 95 per cent.

    Args:
        table: one row an image with `label` and the figure.
    """
    present = [name for name in expressions if (table["label"] == name).any()]
    chart = figure(90 + 34 * len(present), xaxis={"title": f"{column}: {unit}"}, yaxis={"autorange": "reversed"})
    for name in present:
        values = table[column][table["label"] == name]
        low, first, middle, third, high = values.quantile([0.05, 0.25, 0.5, 0.75, 0.95])
        colour = COLOURS.get(name, QUIET)
        chart.add_box(
            y=[f"{name}, n = {len(values):,}"],
            lowerfence=[low],
            q1=[first],
            median=[middle],
            q3=[third],
            upperfence=[high],
            orientation="h",
            marker={"color": colour},
            line={"color": colour, "width": 2},
            showlegend=False,
            name=name,
            hoverinfo="x+name",
        )
    return chart


def votes(cross: pd.DataFrame) -> go.Figure:
    """Labels (rows) against what the voters' majority is (columns): shares of the label's images, with counts.

    Args:
        cross: counts, labels as index, choices as columns.
    """
    shares = cross.div(cross.sum(axis=1).clip(lower=1), axis=0)
    words = [
        [f"{count:,}<br>{100 * share:.0f} %" for count, share in zip(counts, row, strict=True)]
        for counts, row in zip(cross.to_numpy(), shares.to_numpy(), strict=True)
    ]
    chart = figure(
        90 + 46 * len(cross),
        xaxis={"title": "majority of the voters", "side": "top", "showgrid": False},
        yaxis={"title": "label", "autorange": "reversed", "showgrid": False},
        margin={"l": 8, "r": 8, "t": 60, "b": 8},
    )
    return chart.add_heatmap(
        z=shares.to_numpy(),
        x=list(cross.columns),
        y=[f"{name}, n = {n:,}" for name, n in cross.sum(axis=1).items()],
        text=words,
        texttemplate="%{text}",
        colorscale="cividis",
        zmin=0,
        zmax=1,
        xgap=2,
        ygap=2,
        showscale=False,
        hovertemplate="label %{y}, majority %{x}: %{text}<extra></extra>",
    )
