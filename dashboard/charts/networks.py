"""Charts of networks: their figures with intervals, their learning curves, their probabilities for one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dashboard.charts.base import ACCENT, QUIET, cycle, figure
from fer_core.labels import COLOURS
from fer_core.runs.folder import EpochResult

if TYPE_CHECKING:
    import plotly.graph_objects as go


def networks(table: pd.DataFrame, picked: str) -> go.Figure:
    """Accuracy (dot) and macro-F1 (diamond) of networks with their 95 % intervals.

    Args:
        table: `name`, `title`, `n`, and `accuracy`, `macro_f1`, each with `_low` and `_high`, as shares.
        picked: the name of the network to emphasise.
    """
    chart = figure(
        90 + 46 * len(table),
        xaxis={"title": "per cent, with 95 % intervals", "zeroline": False},
        yaxis={
            "autorange": "reversed",
            "tickvals": list(range(len(table))),
            "ticktext": _with_n(table),
            "zeroline": False,
        },
    )
    for metric, title, symbol, shift in (
        ("accuracy", "Accuracy", "circle", -0.12),
        ("macro_f1", "Macro-F1", "diamond-open", 0.12),
    ):
        # an error bar takes its colour from its trace: one for the picked network, one for all others
        for own, colour in ((False, QUIET), (True, ACCENT)):
            rows = np.flatnonzero((table["name"] == picked) == own)
            if not len(rows):
                continue
            centre, low, high = (100 * table[metric + end].iloc[rows] for end in ("", "_low", "_high"))
            chart.add_scatter(
                x=centre,
                y=rows + shift,
                mode="markers",
                name=title,
                showlegend=own or picked not in set(table["name"]),
                legendgroup=metric,
                marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 2, "color": colour}},
                error_x={
                    "symmetric": False, "array": high - centre, "arrayminus": centre - low,
                    "color": colour, "thickness": 2, "width": 4,
                },
                customdata=np.column_stack([table["title"].iloc[rows], low, high, table["n"].iloc[rows]]),
                hovertemplate="%{customdata[0]}<br>" + title + " %{x:.1f} % (%{customdata[1]:.1f} to "
                "%{customdata[2]:.1f}), n = %{customdata[3]:,}<extra></extra>",
            )  # fmt: skip
    return chart


def _with_n(table: pd.DataFrame) -> list[str]:
    return [f"{title}, n = {n:,}" for title, n in zip(table["title"], table["n"], strict=True)]


def curves(histories: Mapping[str, Sequence[EpochResult]]) -> go.Figure:
    """Loss and accuracy of each epoch: validation solid, training dashed, one colour a network.

    Args:
        histories: a network's title to its epochs.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, subplot_titles=("Accuracy (%)", "Loss (nats)"), horizontal_spacing=0.08)
    for colour, (title, results) in zip(cycle(len(histories)), histories.items(), strict=True):
        epochs = [result.epoch for result in results]
        for part, dash in (("val", "solid"), ("train", "dot")):
            if part == "val" and all(result.val_loss is None for result in results):
                continue  # trained without a validation part
            for column, metric, scale in ((1, "accuracy", 100), (2, "loss", 1)):
                figure.add_scatter(
                    x=epochs,
                    y=[scale * getattr(result, f"{part}_{metric}") for result in results],
                    mode="lines+markers" if len(epochs) < 3 else "lines",
                    line={"color": colour, "dash": dash, "width": 2},
                    name=f"{title}, {'validation' if part == 'val' else 'training'}",
                    legendgroup=f"{title}{part}",
                    showlegend=column == 1,
                    hovertemplate=f"epoch %{{x}}: %{{y:.{1 if column == 1 else 3}f}}",
                    row=1,
                    col=column,
                )
    figure.update_xaxes(title="epoch", rangemode="tozero", zeroline=False)
    figure.update_yaxes(zeroline=False)
    return figure.update_layout(
        height=340,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0},
        dragmode=False,
        hovermode="x unified",
    )


def probabilities(probs: Mapping[str, float], given: str | None = None) -> go.Figure:
    """A network's probabilities for one picture, a bar an expression, in the network's order; the given one is named."""
    names, shares = list(probs), [100 * share for share in probs.values()]
    chart = figure(
        60 + 28 * len(names),
        xaxis={"title": "probability (%)", "range": [0, 118], "tickvals": [0, 25, 50, 75, 100], "zeroline": False},
        yaxis={"autorange": "reversed"},
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )
    return chart.add_bar(
        x=shares,
        y=[f"{name} (given)" if name == given else name for name in names],
        orientation="h",
        marker={"color": [COLOURS.get(name, QUIET) for name in names]},
        text=[f"{share:.1f}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
    )
