"""Charts of confidence and accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import ACCENT, QUIET, SVG

if TYPE_CHECKING:
    import altair as alt

MARGIN = 44  # pixels for the words of the y axis, the same where charts stand below each other
WHOLE = [0, 100]


def reliability(tables: Mapping[str, pd.DataFrame], shown: str) -> alt.LayerChart:
    """Accuracy against confidence with 95 % intervals, beside the line where both are equal.

    Args:
        tables: a name to the table of `calibration.reliability`.
        shown: the name to emphasise.
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
        x=alt.X("confidence:Q", title=None, scale=alt.Scale(domain=WHOLE)),
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
    return alt.layer(equal.encode(x="x:Q", y="x:Q"), bars, lines, dots).properties(height=370, usermeta=SVG)


def histogram(table: pd.DataFrame) -> alt.Chart:
    """How many images have which confidence.

    Args:
        table: of `calibration.reliability`.
    """
    import altair as alt

    rows = table.assign(low=100 * table["low"], high=100 * table["high"])
    return (
        alt.Chart(rows)
        .mark_rect(color=ACCENT, stroke=QUIET, strokeWidth=0.5)
        .encode(
            x=alt.X("low:Q", title="confidence (%)", scale=alt.Scale(domain=WHOLE)),
            x2="high:Q",
            y2=alt.datum(0),
            y=alt.Y("n:Q", title="images", axis=alt.Axis(minExtent=MARGIN, tickCount=3)),
            tooltip=[
                alt.Tooltip("low:Q", title="from (%)", format=".1f"),
                alt.Tooltip("high:Q", title="to (%)", format=".1f"),
                alt.Tooltip("n:Q", title="images", format=","),
            ],
        )
        .properties(height=130, usermeta=SVG)
    )


def risk_coverage(table: pd.DataFrame, coverage: float) -> alt.LayerChart:
    """Accuracy of the answers against the share of images that is answered, with a mark where the threshold is.

    Args:
        table: of `calibration.risk_coverage`.
        coverage: the share answered at the chosen threshold, 0..1.
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
    near = base.mark_circle(size=200, opacity=0).encode(
        y=alt.Y("accuracy:Q", scale=y),
        tooltip=[
            alt.Tooltip("coverage:Q", title="answered (%)", format=".1f"),
            alt.Tooltip("accuracy:Q", title="accuracy (%)", format=".1f"),
            alt.Tooltip("threshold:Q", title="threshold (%)", format=".1f"),
        ],
    )
    mark = alt.Chart(pd.DataFrame({"x": [100 * coverage]})).mark_rule(color="#D55E00", strokeWidth=2).encode(x="x:Q")
    return alt.layer(band, line, mark, near).properties(height=420, usermeta=SVG)
