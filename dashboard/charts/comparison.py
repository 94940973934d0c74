"""Charts of two networks side by side. A positive difference is in favour of B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from dashboard.charts.base import expressions_colour
from fer_core.evaluation.comparison import ALPHA, p_in_words
from fer_core.evaluation.intervals import bounded
from fer_core.reports.charts import QUIET, SVG

if TYPE_CHECKING:
    import altair as alt


def recall_differences(table: pd.DataFrame, a: str, b: str) -> alt.LayerChart:
    """The difference of two networks' recall for each expression; what is not significant is grey.

    Args:
        table: the `recall` of a `Difference`.
        a, b: the networks' titles.
    """
    import altair as alt

    found: list[Any] = list(table.itertuples())
    rows = pd.DataFrame(
        {
            "expression": [f"{name}, n = {n:,}" for name, n in zip(table["expression"], table["support"], strict=True)],
            "colour": table["expression"].where(table["p_adjusted"] <= ALPHA, ""),
            **{end: 100 * table[end] for end in ("difference", "low", "high")},
            "words": [
                f"{row.expression}: {bounded(row.difference, row.low, row.high, ' points', form='+.1f')}; "
                f"{a} {100 * row.a:.1f} %, {b} {100 * row.b:.1f} %, {p_in_words(row.p_adjusted)}"
                for row in found
            ],
        }
    )
    base = alt.Chart(rows).encode(
        y=alt.Y("expression:N", sort=None, title=None, axis=alt.Axis(labelLimit=240, ticks=False, domain=False)),
        color=alt.condition("datum.colour", expressions_colour("colour:N"), alt.value(QUIET)),
        tooltip=alt.Tooltip("words:N", title=" "),
        description="words:N",
    )
    title = ["difference in recall (points)", f"← {a} better", f"{b} better →"]  # two lines, as names may be long
    ends = base.mark_errorbar(ticks=True, thickness=2).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    dots = base.mark_point(size=110, strokeWidth=2, opacity=1).encode(
        x="difference:Q", fill=alt.condition("datum.colour", expressions_colour("colour:N"), alt.value("transparent"))
    )
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(color=QUIET).encode(x="x:Q")
    return alt.LayerChart(layer=[zero, ends, dots]).properties(height=106 + 34 * len(table), usermeta=SVG)
