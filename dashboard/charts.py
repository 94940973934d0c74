"""From a table to a figure: pure functions, in the expressions' fixed colours, for light and dark alike.

Plotly for all charts but the matrix, which is clicked on and therefore Altair. Both cost seconds to import where they
are not needed, so each function imports its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.labels import COLOURS
from fer_core.runs.folder import EpochResult

if TYPE_CHECKING:
    import altair as alt
    import plotly.graph_objects as go

ACCENT = "#3b7fb8"  # between the accents of the light and the dark theme: a figure does not know which is on
QUIET = "#8a9099"
# One colour a network where several are drawn: Okabe and Ito's, without the grey.
SERIES = (ACCENT, "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
Shares = Literal["row", "column", "counts"]


def _figure(height: int, **layout: object) -> go.Figure:
    import plotly.graph_objects as go

    return go.Figure(
        layout={
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
            "hoverlabel": {"namelength": -1},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "dragmode": False,
            **layout,
        }
    )


def networks(table: pd.DataFrame, picked: str) -> go.Figure:
    """Accuracy (dot) and macro-F1 (diamond) of networks with their 95 % intervals.

    Args:
        table: `name`, `title`, `n`, and `accuracy`, `macro_f1`, each with `_low` and `_high`, as shares.
        picked: the name of the network to emphasise.
    """
    figure = _figure(
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
        colours = [ACCENT if name == picked else QUIET for name in table["name"]]
        # one trace a network: an error bar takes its colour from its trace
        for row, (colour, values) in enumerate(zip(colours, table.to_dict("records"), strict=True)):
            centre, low, high = (100 * values[metric + end] for end in ("", "_low", "_high"))
            figure.add_scatter(
                x=[centre],
                y=[row + shift],
                mode="markers",
                name=title,
                showlegend=row == 0,
                legendgroup=metric,
                marker={"symbol": symbol, "size": 10, "color": colour, "line": {"width": 2, "color": colour}},
                error_x={
                    "symmetric": False, "array": [high - centre], "arrayminus": [centre - low],
                    "color": colour, "thickness": 2, "width": 4,
                },
                hovertemplate=f"{values['title']}<br>{title} {centre:.1f} % ({low:.1f} to {high:.1f}), "
                f"n = {values['n']:,}<extra></extra>",
            )  # fmt: skip
    return figure


def _with_n(table: pd.DataFrame) -> list[str]:
    return [f"{title}, n = {n:,}" for title, n in zip(table["title"], table["n"], strict=True)]


def curves(histories: Mapping[str, Sequence[EpochResult]]) -> go.Figure:
    """Loss and accuracy of each epoch: validation solid, training dashed, one colour a network.

    Args:
        histories: a network's title to its epochs.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, subplot_titles=("Accuracy (%)", "Loss (nats)"), horizontal_spacing=0.08)
    for colour, (title, results) in zip(_cycle(len(histories)), histories.items(), strict=True):
        epochs = [result.epoch for result in results]
        for part, dash in (("val", "solid"), ("train", "dot")):
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


def _cycle(count: int) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(count)]


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


def cells(matrix: NDArray[np.int64], expressions: Sequence[str]) -> pd.DataFrame:
    """A (k, k) confusion matrix as one row a cell: `label`, `predicted`, `count` and its shares of the row and column."""
    given, predicted = matrix.sum(axis=1, keepdims=True), matrix.sum(axis=0, keepdims=True)
    rows, columns = np.indices(matrix.shape)
    names = np.array(expressions, dtype=object)
    return pd.DataFrame(
        {
            "label": names[rows.ravel()],
            "predicted": names[columns.ravel()],
            "count": matrix.ravel(),
            "row": (matrix / np.maximum(given, 1)).ravel(),
            "column": (matrix / np.maximum(predicted, 1)).ravel(),
        }
    )


def confusion(
    matrix: NDArray[np.int64], expressions: Sequence[str], shares: Shares, cell: tuple[str, str]
) -> alt.LayerChart:
    """A (k, k) confusion matrix to click on; the selection `cell` holds the `label` and `predicted` of a clicked cell.

    Args:
        shares: what the colour shows: the share of the label's pictures (row), of the predictions (column), or counts.
        cell: label and predicted of the cell to outline.
    """
    import altair as alt

    table = cells(matrix, expressions)
    colour = table["count"] if shares == "counts" else table[shares]
    top = float(colour.max()) or 1.0
    table["colour"] = colour
    table["dark"] = colour / top < 0.55
    table["text"] = [f"{n:,}" for n in table["count"]]
    if shares != "counts":
        table["text"] += [f"\n{100 * share:.0f} %" for share in colour]
    table["alt"] = [
        f"{c.count:,} of {c.label} read as {c.predicted}"
        for c in table[["label", "predicted", "count"]].itertuples(index=False, name="C")
    ]
    title = {"row": "share of the label", "column": "share of the prediction", "counts": "pictures"}[shares]
    order = list(expressions)
    n = ", ".join(f"'{name}': '{total:,}'" for name, total in zip(expressions, matrix.sum(axis=1), strict=True))
    base = alt.Chart(table).encode(
        x=alt.X(
            "predicted:N",
            sort=order,
            title="predicted",
            axis=alt.Axis(orient="top", labelAngle=0, labelFlush=False, domain=False, ticks=False),
        ),
        y=alt.Y(
            "label:N",
            sort=order,
            title="label given, n",
            axis=alt.Axis(domain=False, ticks=False, labelExpr=f"datum.label + ', ' + {{{n}}}[datum.label]"),
        ),
    )
    click = alt.selection_point("cell", fields=["label", "predicted"], on="click", toggle=False, empty=False)
    squares = (
        base.mark_rect(cursor="pointer")
        .encode(
            color=alt.Color(
                "colour:Q",
                title=title,
                scale=alt.Scale(scheme="cividis", domain=[0, top]),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("label:N", title="label"),
                alt.Tooltip("predicted:N"),
                alt.Tooltip("count:Q", title="pictures", format=","),
                alt.Tooltip("row:Q", title="share of the label", format=".1%"),
                alt.Tooltip("column:Q", title="share of the prediction", format=".1%"),
            ],
            description="alt:N",
        )
        .add_params(click)
    )
    text = base.mark_text(lineBreak="\n", fontSize=12, dy=-6 if shares != "counts" else 0, lineHeight=14).encode(
        text="text:N", color=alt.condition("datum.dark", alt.value("white"), alt.value("black"))
    )
    outline = base.transform_filter((alt.datum.label == cell[0]) & (alt.datum.predicted == cell[1])).mark_rect(
        fill=None, stroke="#D55E00", strokeWidth=3
    )
    return alt.layer(squares, text, outline).properties(
        height=58 * len(expressions) + 40, usermeta={"embedOptions": {"renderer": "svg"}}
    )


def probabilities(probs: Mapping[str, float], given: str | None = None) -> go.Figure:
    """A network's probabilities for one picture, a bar an expression, in the network's order; the given one is named."""
    names, shares = list(probs), [100 * share for share in probs.values()]
    figure = _figure(
        60 + 28 * len(names),
        xaxis={"title": "probability (%)", "range": [0, 118], "tickvals": [0, 25, 50, 75, 100], "zeroline": False},
        yaxis={"autorange": "reversed"},
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )
    return figure.add_bar(
        x=shares,
        y=[f"{name} (given)" if name == given else name for name in names],
        orientation="h",
        marker={"color": [COLOURS.get(name, QUIET) for name in names]},
        text=[f"{share:.1f}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
    )
