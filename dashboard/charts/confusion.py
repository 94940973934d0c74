"""The confusion matrix to click on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.charts.base import SVG
from fer_core.evaluation.comparison import ALPHA

if TYPE_CHECKING:
    import altair as alt

Shares = Literal["row", "column", "all", "counts"]
TITLES = {
    "row": "share of the label",
    "column": "share of the prediction",
    "all": "share of all images",
    "counts": "images",
}


def cells(matrix: NDArray[np.int64], expressions: Sequence[str]) -> pd.DataFrame:
    """A (k, k) confusion matrix as one row a cell: `label`, `predicted`, `count` and its shares of the row, the
    column and the whole."""
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
            "all": (matrix / max(int(matrix.sum()), 1)).ravel(),
        }
    )


def confusion(
    matrix: NDArray[np.int64],
    expressions: Sequence[str],
    shares: Shares,
    cell: tuple[str, str],
    order: Sequence[str] | None = None,
) -> alt.LayerChart:
    """A (k, k) confusion matrix to click on; the selection `cell` holds the `label` and `predicted` of a clicked cell.

    Args:
        shares: what the colour shows: the share of the label's images (row), of the predictions (column), of all
            images, or counts.
        order: the expressions as the rows and columns show them; the network's order when not given.
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
        digits = 1 if shares == "all" else 0
        table["text"] += [f"\n{100 * share:.{digits}f} %" for share in colour]
    table["alt"] = [
        f"{c.count:,} images of {c.label} predicted as {c.predicted}"
        for c in table[["label", "predicted", "count"]].itertuples(index=False, name="C")
    ]
    order = list(order or expressions)
    n = ", ".join(f"'{name}': '{total:,}'" for name, total in zip(expressions, matrix.sum(axis=1), strict=True))
    base = alt.Chart(table).encode(
        x=alt.X(
            "predicted:N",
            sort=order,
            title="prediction",
            axis=alt.Axis(orient="top", labelAngle=0, labelFlush=False, domain=False, ticks=False),
        ),
        y=alt.Y(
            "label:N",
            sort=order,
            title="label, n",
            axis=alt.Axis(domain=False, ticks=False, labelExpr=f"datum.label + ', ' + {{{n}}}[datum.label]"),
        ),
    )
    click = alt.selection_point("cell", fields=["label", "predicted"], on="click", toggle=False, empty=False)
    squares = (
        base.mark_rect(cursor="pointer")
        .encode(
            color=alt.Color(
                "colour:Q",
                title=TITLES[shares],
                scale=alt.Scale(scheme="cividis", domain=[0, top]),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("label:N", title="label"),
                alt.Tooltip("predicted:N", title="prediction"),
                alt.Tooltip("count:Q", title="images", format=","),
                alt.Tooltip("row:Q", title="share of the label", format=".1%"),
                alt.Tooltip("column:Q", title="share of the prediction", format=".1%"),
                alt.Tooltip("all:Q", title="share of all images", format=".1%"),
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
    return alt.layer(squares, text, outline).properties(height=58 * len(expressions) + 40, usermeta=SVG)


def difference(table: pd.DataFrame, a: str, b: str) -> alt.LayerChart:
    """The confusion matrix of B minus that of A: cells that differ significantly are coloured, the others grey.

    Args:
        table: of `comparison.cell_differences`.
        a, b: the networks' titles.
    """
    import altair as alt

    order = list(dict.fromkeys(table["label"]))
    told = table["p_adjusted"] <= ALPHA
    # on the diagonal more is better, elsewhere less is; the colour says more or fewer, the sign in the cell says it too
    top = float(table.loc[told, "difference"].abs().max()) if told.any() else 1.0
    cells = table.assign(
        told=told,
        text=[f"{d:+,}" if d else "0" for d in table["difference"]],
        dark=told & (table["difference"].abs() / top > 0.55),
        alt=[
            f"{c.label} predicted as {c.predicted}: {a} {c.a:,}, {b} {c.b:,}"
            + ("" if c.p_adjusted <= ALPHA else ", not significant")
            for c in table.itertuples(index=False)
        ],
    )
    base = alt.Chart(cells).encode(
        x=alt.X(
            "predicted:N",
            sort=order,
            title="prediction",
            axis=alt.Axis(orient="top", labelAngle=0, labelFlush=False, domain=False, ticks=False),
        ),
        y=alt.Y("label:N", sort=order, title="label", axis=alt.Axis(domain=False, ticks=False)),
    )
    tooltip = [
        alt.Tooltip("label:N"),
        alt.Tooltip("predicted:N", title="prediction"),
        alt.Tooltip("a:Q", title=a, format=","),
        alt.Tooltip("b:Q", title=b, format=","),
        alt.Tooltip("p_adjusted:Q", title="p (Holm)", format=".3f"),
    ]
    grey = base.transform_filter("!datum.told").mark_rect(color="#8a9099", opacity=0.18)
    coloured = (
        base.transform_filter("datum.told")
        .mark_rect()
        .encode(
            color=alt.Color(
                "difference:Q",
                title=f"images: {b} minus {a}",
                scale=alt.Scale(scheme="redblue", reverse=True, domain=[-top, top], domainMid=0),
                legend=alt.Legend(orient="bottom", gradientLength=240),
            )
        )
    )
    quiet = base.transform_filter("!datum.told").mark_text(color="#8a9099", fontSize=12).encode(text="text:N")
    loud = (
        base.transform_filter("datum.told")
        .mark_text(fontSize=13, fontWeight="bold")
        .encode(text="text:N", color=alt.condition("datum.dark", alt.value("white"), alt.value("black")))
    )
    layers = [layer.encode(tooltip=tooltip, description="alt:N") for layer in (grey, coloured)]
    return alt.layer(*layers, quiet, loud).properties(height=46 * len(order) + 70, usermeta=SVG)
