"""Charts of confidence and accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from fer_core.reports.charts import ACCENT, MARGIN, QUIET, SVG, WHOLE

if TYPE_CHECKING:
    import altair as alt


def histogram(table: pd.DataFrame) -> alt.Chart:
    """How many images have which confidence.

    Args:
        table: of `calibration.reliability`.
    """
    import altair as alt

    rows = table.assign(low=100 * table["low"], high=100 * table["high"])
    chart: alt.Chart = (
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
    return chart
