"""A class beside a network: how often each person is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from fer_core.evaluation.intervals import bounded
from fer_core.reports.charts import ACCENT, QUIET, SVG

if TYPE_CHECKING:
    import altair as alt

PER_PERSON = 26  # pixels


def right(table: pd.DataFrame, network: str, accuracy: float) -> alt.LayerChart:
    """Each person's share of right answers (%) with its 95 % interval, a row each; a dashed line is the network's accuracy.

    Args:
        table: with `nickname`, `answered`, and `right`, `right_low`, `right_high` in shares.
        network: title of the network; “” for none.
        accuracy: of the network on the same images, as a share.
    """
    import altair as alt

    rows = pd.DataFrame(
        {
            "who": [f"{name}, n = {n}" for name, n in zip(table["nickname"], table["answered"], strict=True)],
            **{end: 100 * table[end] for end in ("right", "right_low", "right_high")},
            "words": [bounded(*row) for row in table[["right", "right_low", "right_high"]].to_numpy()],
        }
    )
    y = alt.Y("who:N", sort=None, title=None, axis=alt.Axis(labelLimit=240, ticks=False, domain=False))
    base = alt.Chart(rows).encode(
        y=y, color=alt.value(ACCENT), tooltip=["who:N", alt.Tooltip("words:N", title="right")]
    )
    whole = alt.Scale(domain=[0, 100])
    reach = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("right_low:Q", title="right answers (%), with 95 % confidence intervals", scale=whole),
        x2="right_high:Q",
    )
    layers: list[alt.Chart] = [reach, base.mark_circle(size=70, opacity=1).encode(x="right:Q")]
    if network:
        line = alt.Chart(pd.DataFrame({"x": [100 * accuracy], "words": [network]})).encode(x="x:Q", tooltip="words:N")
        layers.append(line.mark_rule(strokeDash=[4, 3], color=QUIET, strokeWidth=2))
    return alt.LayerChart(layer=layers).properties(
        height=alt.Step(PER_PERSON), description="How often each person is right", usermeta=SVG
    )
