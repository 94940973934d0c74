"""The confusion matrix to click on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.evaluation.comparison import ALPHA
from fer_core.reports import charts
from fer_core.reports.charts import SVG, Shares

if TYPE_CHECKING:
    import altair as alt


def confusion(
    matrix: NDArray[np.int64],
    expressions: Sequence[str],
    shares: Shares,
    cell: tuple[str, str],
    order: Sequence[str] | None = None,
) -> alt.LayerChart:
    """A (k, k) confusion matrix to click on; the selection `cell` holds the `label` and `predicted` of a clicked cell.

    Args:
        shares, order: as `fer_core.reports.charts.confusion`.
        cell: label and prediction of the cell to outline.
    """
    import altair as alt

    shown = charts.confusion(matrix, expressions, shares, order)
    squares, text = shown.layer
    click = alt.selection_point("cell", fields=["label", "predicted"], on="click", toggle=False, empty=False)
    outline = (
        alt.Chart()
        .encode(x=squares.encoding.x, y=squares.encoding.y)
        .transform_filter((alt.datum.label == cell[0]) & (alt.datum.predicted == cell[1]))
        .mark_rect(fill=None, stroke="#D55E00", strokeWidth=3)
    )
    layers = [squares.mark_rect(cursor="pointer").add_params(click), text, outline]
    return alt.LayerChart(layer=layers, data=shown.data).properties(height=shown.height, usermeta=SVG)


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
    rows: list[Any] = list(table.itertuples(index=False))
    cells = table.assign(
        told=told,
        text=[f"{d:+,}" if d else "0" for d in table["difference"]],
        dark=told & (table["difference"].abs() / top > 0.55),
        alt=[
            f"{c.label} predicted as {c.predicted}: {a} {c.a:,}, {b} {c.b:,}"
            + ("" if c.p_adjusted <= ALPHA else ", not significant")
            for c in rows
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
                title="difference in images",
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
    return alt.LayerChart(layer=[*layers, quiet, loud]).properties(height=46 * len(order) + 70, usermeta=SVG)
