"""Charts of data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import QUIET, figure
from fer_core.labels import COLOURS

if TYPE_CHECKING:
    import plotly.graph_objects as go


def counts(table: pd.DataFrame) -> go.Figure:
    """Pictures of each expression in each split.

    Args:
        table: one row an expression (its name as index), one column a split, counts.
    """
    from plotly.subplots import make_subplots

    titles = [f"{split}, n = {table[split].sum():,}" for split in table.columns]
    figure = make_subplots(1, len(table.columns), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04)
    for column, split in enumerate(table.columns, 1):
        figure.add_bar(
            x=table[split],
            y=table.index,
            orientation="h",
            marker={"color": [COLOURS.get(name, QUIET) for name in table.index]},
            text=[f"{count:,}" for count in table[split]],
            textposition="outside",
            cliponaxis=False,
            showlegend=False,
            hovertemplate="%{y}: %{x:,} pictures<extra>" + split + "</extra>",
            row=1,
            col=column,
        )
        figure.update_xaxes(
            title="pictures", tickformat=",", range=[0, 1.2 * max(1, int(table[split].max()))], row=1, col=column
        )
    figure.update_yaxes(autorange="reversed")
    return figure.update_layout(height=90 + 30 * len(table), margin={"l": 8, "r": 24, "t": 28, "b": 8}, dragmode=False)


def spread(table: pd.DataFrame, column: str, unit: str, expressions: Sequence[str]) -> go.Figure:
    """How a figure of the pictures is spread in each expression: quartiles as a box, whiskers at 5 and 95 per cent.

    Args:
        table: one row a picture with `label` and the figure.
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
    """Labels (rows) against what the voters' majority is (columns): shares of the label's pictures, with counts.

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
        hovertemplate="labelled %{y}, voted %{x}: %{text}<extra></extra>",
    )
