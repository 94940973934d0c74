"""Charts that reports and pages share: pure functions from a table to an Altair chart.

`svg` draws one for a report that stands alone; a page adds interaction. Altair costs time to import where no chart is
needed, so each function imports it itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

if TYPE_CHECKING:
    import altair as alt

ACCENT = "#3b7fb8"  # between the accents of the light and the dark theme: a figure does not know which is on
QUIET = "#8a9099"
SVG: dict[str, Any] = {"embedOptions": {"renderer": "svg"}}  # `usermeta` of a chart: its marks can then be read aloud
METRICS = {"accuracy": "Accuracy", "macro_f1": "Macro-F1"}
MARGIN = 44  # pixels for the words of the y axis, the same where charts stand below each other
LONGEST = 34  # letters of a network's title beside a chart
WHOLE = [0, 100]
INK = "currentColor"  # of the page that the figure stands in, light or dark
CONFIG = {  # of a figure in a report
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
             "gridColor": "#8a909955", "tickColor": QUIET, "domainColor": QUIET, "labelLimit": 260},
    "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "labelLimit": 320},
}  # fmt: skip

Shares = Literal["row", "column", "all", "counts"]
TITLES: dict[Shares, str] = {
    "row": "share of the label",
    "column": "share of the prediction",
    "all": "share of all images",
    "counts": "images",
}


def svg(chart: alt.LayerChart | alt.Chart, title: str, width: int = 300) -> Markup:
    """A chart as SVG text in the text colour of the page, without scripts or external files.

    Args:
        title: what the chart shows, for screen readers.
        width: of the plot, in pixels.
    """
    import vl_convert

    spec = chart.properties(width=width).to_dict() | {"background": "transparent", "config": CONFIG}
    drawn = vl_convert.vegalite_to_svg(json.dumps(spec, default=str))
    start, _, rest = drawn.partition('class="marks"')
    for prefix in (' xmlns="http://www.w3.org/2000/svg"', ' xmlns:xlink="http://www.w3.org/1999/xlink"'):
        start = start.replace(prefix, "")  # within HTML they are known
    return Markup(f'{start}role="img" aria-label="{escape(title)}"{rest}')


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
    matrix: NDArray[np.int64], expressions: Sequence[str], shares: Shares = "row", order: Sequence[str] | None = None
) -> alt.LayerChart:
    """A (k, k) confusion matrix: a layer of coloured squares and one of their numbers.

    Args:
        shares: what the colour shows: the share of the label's images (row), of the predictions (column), of all
            images, or counts.
        order: the order of the rows and columns; by default the network's.
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
    n = json.dumps({name: f"{total:,}" for name, total in zip(expressions, matrix.sum(axis=1), strict=True)})
    bare: dict[str, Any] = {"domain": False, "ticks": False}
    across = alt.Axis(orient="top", labelAngle=0, labelFlush=False, **bare)
    down = alt.Axis(labelExpr=f"datum.label + ', ' + {n}[datum.label]", **bare)
    base = alt.Chart(table).encode(
        x=alt.X("predicted:N", sort=order, title="prediction", axis=across),
        y=alt.Y("label:N", sort=order, title="label, n", axis=down),
    )
    scale = alt.Scale(scheme="cividis", domain=[0, top])
    squares = base.mark_rect().encode(
        color=alt.Color("colour:Q", title=TITLES[shares], scale=scale, legend=None),
        tooltip=[
            alt.Tooltip("label:N", title="label"),
            alt.Tooltip("predicted:N", title="prediction"),
            alt.Tooltip("count:Q", title="images", format=","),
            *(alt.Tooltip(f"{key}:Q", title=TITLES[key], format=".1%") for key in ("row", "column", "all")),
        ],
        description="alt:N",
    )
    text = base.mark_text(lineBreak="\n", fontSize=12, dy=-6 if shares != "counts" else 0, lineHeight=14).encode(
        text="text:N", color=alt.condition("datum.dark", alt.value("white"), alt.value("black"))
    )
    return alt.LayerChart(layer=[squares, text]).properties(height=58 * len(expressions) + 40, usermeta=SVG)


def networks(table: pd.DataFrame, picked: str) -> alt.LayerChart:
    """Accuracy (dot) and macro-F1 (diamond) of networks with their 95 % intervals.

    Args:
        table: `name`, `title`, `n`, and `accuracy`, `macro_f1`, each with `_low` and `_high`, as shares.
        picked: the name of the network to emphasise.
    """
    import altair as alt

    long = pd.concat(
        pd.DataFrame(
            {
                "network": [f"{fitting(t)}\nn = {n:,}" for t, n in zip(table["title"], table["n"], strict=True)],
                "figure": title,
                "picked": table["name"] == picked,
                **{end: 100 * table[f"{metric}{end}"] for end in ("", "_low", "_high")},
            }
        )
        for metric, title in METRICS.items()
    ).rename(columns={"": "value", "_low": "low", "_high": "high"})
    long["words"] = [
        f"{row.network}: {row.figure} {row.value:.1f} % ({row.low:.1f} to {row.high:.1f})".replace("\n", ", ")
        for row in long.itertuples()
    ]
    names = alt.Axis(labelExpr="split(datum.label, '\\n')", labelLimit=260, ticks=False, domain=False)
    base = alt.Chart(long).encode(
        y=alt.Y("network:N", sort=None, title=None, axis=names),
        yOffset=alt.YOffset("figure:N", sort=list(METRICS.values())),
        color=alt.condition("datum.picked", alt.value(ACCENT), alt.value(QUIET)),
        tooltip=alt.Tooltip("words:N", title=" "),
        description="words:N",
    )
    ends = base.mark_errorbar(ticks=True, thickness=2).encode(
        x=alt.X("low:Q", title="per cent, with 95 % confidence intervals", scale=alt.Scale(zero=False)), x2="high:Q"
    )
    shapes = alt.Scale(domain=list(METRICS.values()), range=["circle", "diamond"])
    dots = base.mark_point(size=90, filled=True, opacity=1).encode(
        x="value:Q", shape=alt.Shape("figure:N", scale=shapes, legend=alt.Legend(orient="top", title=None))
    )
    return alt.LayerChart(layer=[ends, dots]).properties(height=110 + 46 * len(table), usermeta=SVG)


def fitting(title: str) -> str:
    """Both ends of a long title, because similar titles differ at their end."""
    return title if len(title) <= LONGEST else f"{title[:15]}…{title[-18:]}"


def reliability(tables: Mapping[str, pd.DataFrame], shown: str, x: str | None = None) -> alt.LayerChart:
    """Accuracy against confidence with 95 % intervals, beside the line where both are equal.

    Args:
        tables: a name to the table of `calibration.reliability`.
        shown: the name to emphasise.
        x: title of the axis; none where another chart of confidence stands below.
    """
    import altair as alt

    percent = ["confidence", "accuracy", "accuracy_low", "accuracy_high"]
    rows = pd.concat([table.assign(name=name) for name, table in tables.items()], ignore_index=True)
    rows = rows[rows["n"] > 0].assign(**{column: 100 * rows[column] for column in percent})
    names = list(tables)
    own = [name == shown for name in names]
    colours = alt.Scale(domain=names, range=[ACCENT if one else QUIET for one in own])
    dashes = alt.Scale(domain=names, range=[[1, 0] if one else [5, 4] for one in own])
    legend = alt.Legend(orient="top", title=None, columns=1, symbolType="stroke", symbolStrokeWidth=2)
    base = alt.Chart(rows).encode(
        x=alt.X("confidence:Q", title=x, scale=alt.Scale(domain=WHOLE)),
        color=alt.Color("name:N", scale=colours, legend=legend),
    )
    y = alt.Y("accuracy:Q", title="accuracy (%)", scale=alt.Scale(domain=WHOLE), axis=alt.Axis(minExtent=MARGIN))
    tooltip = [
        alt.Tooltip("name:N", title="confidence"),
        *(alt.Tooltip(f"{column}:Q", title=f"{column.replace('_', ', ')} (%)", format=".1f") for column in percent),
        alt.Tooltip("n:Q", format=","),
    ]
    equal = alt.Chart(pd.DataFrame({"x": WHOLE})).mark_line(color=QUIET, strokeWidth=1, strokeDash=[2, 3])
    bars = base.mark_rule().encode(y=alt.Y("accuracy_low:Q"), y2="accuracy_high:Q")
    lines = base.mark_line(strokeWidth=2).encode(y=y, strokeDash=alt.StrokeDash("name:N", scale=dashes, legend=legend))
    dots = base.mark_point(size=45, filled=True, opacity=1).encode(y=y, tooltip=tooltip)
    return alt.LayerChart(layer=[equal.encode(x="x:Q", y="x:Q"), bars, lines, dots]).properties(
        height=370, usermeta=SVG
    )


def risk_coverage(table: pd.DataFrame, coverage: float | None = None) -> alt.LayerChart:
    """Accuracy against coverage: the share of images kept, the most confident first.

    Args:
        table: of `calibration.risk_coverage`.
        coverage: the share answered at a threshold, 0..1, which is marked; a pointer then finds the values.
    """
    import altair as alt

    percent = ["coverage", "accuracy", "accuracy_low", "accuracy_high", "threshold"]
    rows = table.assign(**{column: 100 * table[column] for column in percent})
    bottom = max(0.0, float(rows["accuracy"].min()) - 5)
    base = alt.Chart(rows).encode(x=alt.X("coverage:Q", title="images answered (%)", scale=alt.Scale(domain=WHOLE)))
    y = alt.Scale(domain=[bottom, 100], clamp=True)
    band = base.mark_area(color=ACCENT, opacity=0.18).encode(
        y=alt.Y("accuracy_low:Q", title="accuracy of the answers (%)", scale=y), y2="accuracy_high:Q"
    )
    line = base.mark_line(color=ACCENT, strokeWidth=2).encode(y=alt.Y("accuracy:Q", scale=y))
    chart = alt.LayerChart(layer=[band, line])
    if coverage is None:
        return chart.properties(height=420, usermeta=SVG)
    near = base.mark_circle(size=200, opacity=0).encode(  # unseen: what a pointer finds
        y=alt.Y("accuracy:Q", scale=y),
        tooltip=[
            alt.Tooltip("coverage:Q", title="answered (%)", format=".1f"),
            alt.Tooltip("accuracy:Q", title="accuracy (%)", format=".1f"),
            alt.Tooltip("threshold:Q", title="threshold (%)", format=".1f"),
        ],
    )
    mark = alt.Chart(pd.DataFrame({"x": [100 * coverage]})).mark_rule(color="#D55E00", strokeWidth=2).encode(x="x:Q")
    return alt.LayerChart(layer=[chart, mark, near]).properties(height=420, usermeta=SVG)


def two_sets(table: pd.DataFrame, names: tuple[str, str]) -> alt.LayerChart:
    """Recall of each expression on two sets, side by side, with 95 % intervals; overall accuracy first.

    Args:
        table: of `shift.per_expression`: `expression`, and for a and b: `recall_a`, `low_a`, `high_a`, `n_a`, ...; 0..1.
        names: of the sets.
    """
    import altair as alt

    rows = pd.concat(
        pd.DataFrame(
            {
                "expression": table["expression"],
                "set": name,
                **{end: 100 * table[f"{end}_{key}"] for end in ("recall", "low", "high")},
                "n": table[f"n_{key}"],
            }
        )
        for key, name in zip("ab", names, strict=True)
    )
    rows = rows[rows["n"] > 0]
    rows["words"] = [
        f"{row.set}, {row.expression}: {row.recall:.1f} % ({row.low:.1f} to {row.high:.1f}), n = {row.n:,}"
        for row in rows.itertuples()
    ]
    order, domain = list(table["expression"]), list(names)
    legend = alt.Legend(orient="top", title=None)
    base = alt.Chart(rows).encode(
        x=alt.X("expression:N", sort=order, title=None, axis=alt.Axis(labelAngle=0, ticks=False)),
        xOffset=alt.XOffset("set:N", sort=domain),
        color=alt.Color("set:N", scale=alt.Scale(domain=domain, range=[QUIET, ACCENT]), legend=legend),
        description="words:N",
        tooltip=alt.Tooltip("words:N", title=" "),
    )
    y = alt.Y("low:Q", title="recall (%), with 95 % confidence intervals", scale=alt.Scale(domain=WHOLE))
    ends = base.mark_errorbar(ticks=True, thickness=2).encode(y=y, y2="high:Q")
    shapes = alt.Scale(domain=domain, range=["circle", "diamond"])
    dots = base.mark_point(size=90, filled=True, opacity=1).encode(
        y="recall:Q", shape=alt.Shape("set:N", scale=shapes, legend=legend)
    )
    return alt.LayerChart(layer=[ends, dots]).properties(height=320, usermeta=SVG)
