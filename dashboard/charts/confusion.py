"""The confusion matrix to click on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    import altair as alt

Shares = Literal["row", "column", "counts"]


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
