"""Charts of the lab: the answers of networks to one head, response curves, effects with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import cycle, expressions_colour
from fer_core.labels import COLOURS
from fer_core.reports.charts import ACCENT, QUIET, SVG

if TYPE_CHECKING:
    import altair as alt

PER_BAR = 26  # pixels


def answers(probs: Mapping[str, Mapping[str, float]]) -> alt.LayerChart:
    """Probabilities (%) by expression: a bar a network (by its title), and the figure beside it."""
    import altair as alt

    rows = pd.DataFrame(
        [
            {"network": title, "expression": name, "probability": 100 * p}
            for title, by in probs.items()
            for name, p in by.items()
        ]
    )
    names = list(dict.fromkeys(rows["expression"]))
    several = len(probs) > 1
    base = alt.Chart(rows).encode(
        y=alt.Y("expression:N", sort=names, title=None),
        x=alt.X("probability:Q", title="probability (%)", scale=alt.Scale(domain=[0, 112]), axis=alt.Axis(values=[0, 50, 100])),
        tooltip=["network:N", "expression:N", alt.Tooltip("probability:Q", format=".1f")],
    )  # fmt: skip
    if several:
        base = base.encode(yOffset=alt.YOffset("network:N", sort=list(probs)))
    colours = alt.Scale(domain=list(probs), range=cycle(len(probs)))
    legend = alt.Legend(orient="bottom", title=None, columns=2, labelLimit=260)
    colour = alt.Color("network:N", scale=colours, legend=legend) if several else expressions_colour("expression:N")
    bars = base.mark_bar().encode(color=colour)
    figures = base.mark_text(align="left", dx=4, color=QUIET, fontSize=10).encode(
        text=alt.Text("probability:Q", format=".1f")
    )
    height = len(names) * (PER_BAR if not several else 10 + 14 * len(probs)) + (
        110 if several else 50
    )  # axis and legend
    return alt.LayerChart(layer=[bars, figures]).properties(
        height=height, description="Probability of each expression", usermeta=SVG
    )


def response(table: pd.DataFrame, lines: pd.DataFrame, shown: str) -> alt.LayerChart:
    """Share of answers that name the expression shown against its intensity: points with 95 % intervals, fitted lines.

    Args:
        table: of `Curve.table`, with a column `network`.
        lines: of `Curve.tables`, the fit, with a column `network`.
        shown: the expression.
    """
    import altair as alt

    own = table[table["expression"] == shown]
    names = list(dict.fromkeys(own["network"]))
    points = pd.DataFrame(
        {
            "network": own["network"],
            "intensity": 100 * own["intensity"],
            "predicted": 100 * own["predicted"],
            "low": 100 * own["predicted_low"],
            "high": 100 * own["predicted_high"],
        }
    )
    colours = alt.Scale(domain=names, range=cycle(len(names)))
    legend = None if len(names) == 1 else alt.Legend(orient="bottom", title=None, columns=2, labelLimit=320)
    colour = alt.Color("network:N", scale=colours, legend=legend)
    x = alt.X("intensity:Q", title="intensity of the expression (%)", axis=alt.Axis(grid=False))
    y = alt.Y("predicted:Q", title=f"answers of {shown} (%)", scale=alt.Scale(domain=[0, 100]))
    fitted = pd.DataFrame(
        {"network": lines["network"], "intensity": 100 * lines["intensity"], "predicted": 100 * lines["predicted"]}
    )
    base = alt.Chart(points).encode(x=x, color=colour)
    bars = base.mark_rule(opacity=0.5).encode(y=alt.Y("low:Q", title=""), y2="high:Q")
    tips = [
        "network:N",
        *(alt.Tooltip(f"{name}:Q", format=".0f") for name in ("intensity", "predicted", "low", "high")),
    ]
    dots = base.mark_circle(size=50, opacity=1).encode(y=y, tooltip=tips)
    line = alt.Chart(fitted).mark_line(strokeWidth=2).encode(x=x, y=y, color=colour)
    half = alt.Chart(pd.DataFrame({"predicted": [50]})).mark_rule(strokeDash=[2, 3], color=QUIET).encode(y=y)
    described = f"Share of the answer {shown} against intensity: {', '.join(names)}"
    return alt.LayerChart(layer=[half, bars, line, dots]).properties(height=320, description=described, usermeta=SVG)


def mix(table: pd.DataFrame) -> alt.LayerChart:
    """Mean probability of each expression against intensity, with the 95 % band, of one network."""
    import altair as alt

    rows = table.copy()
    for name in ("intensity", "probability", "low", "high"):
        rows[name] *= 100
    names = list(dict.fromkeys(rows["expression"]))
    base = alt.Chart(rows).encode(
        x=alt.X("intensity:Q", title="intensity of the expression (%)", axis=alt.Axis(grid=False)),
        color=alt.Color(
            "expression:N",
            scale=alt.Scale(domain=names, range=[COLOURS.get(name, QUIET) for name in names]),
            legend=alt.Legend(orient="bottom", title=None, columns=4, symbolOpacity=1),
        ),
    )
    bands = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", title="mean probability (%)"), y2="high:Q")
    tips = ["expression:N", *(alt.Tooltip(f"{name}:Q", format=".1f") for name in ("intensity", "probability"))]
    lines = base.mark_line(strokeWidth=2).encode(y="probability:Q", tooltip=tips)
    return alt.LayerChart(layer=[bands, lines]).properties(
        height=320, description="Mean probability of each expression against intensity", usermeta=SVG
    )


def effects(table: pd.DataFrame, label: str, axis: str) -> alt.LayerChart:
    """Effects in points with 95 % intervals, a row each; grey where not significant after Holm's correction.

    Args:
        table: with `difference`, `low`, `high`, `p_adjusted` in shares.
        label: its column that names the rows.
        axis: title of the axis.
    """
    import altair as alt

    rows = pd.DataFrame({"row": table[label], "significant": table["p_adjusted"] <= 0.05})
    for name in ("difference", "low", "high"):
        rows[name] = 100 * table[name]
    colour = alt.condition("datum.significant", alt.value(ACCENT), alt.value(QUIET))
    y = alt.Y("row:N", sort=list(rows["row"]), title=None, axis=alt.Axis(labelLimit=320))
    base = alt.Chart(rows).encode(y=y, color=colour)
    reach = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=axis, axis=alt.Axis(tickCount=8)), x2="high:Q")
    tips = ["row:N", *(alt.Tooltip(f"{name}:Q", format="+.1f") for name in ("difference", "low", "high"))]
    dots = base.mark_circle(size=70, opacity=1).encode(x="difference:Q", tooltip=tips)
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(strokeDash=[2, 3], color=QUIET).encode(x=alt.X("x:Q"))
    return alt.LayerChart(layer=[zero, reach, dots]).properties(
        height=alt.Step(PER_BAR), description=f"{axis}, by {label}", usermeta=SVG
    )


def against(table: pd.DataFrame, axis: str, usual: float, bands: bool = True) -> alt.LayerChart:
    """Accuracy (%) against a setting: a line a network, with its 95 % band; the usual value is marked.

    Args:
        table: with `network`, `value`, `accuracy`, `accuracy_low`, `accuracy_high`, `p_adjusted`.
        axis: title of the axis of the values.
    """
    import altair as alt

    rows = table[["network", "value", "p_adjusted"]].copy()
    for name, column in (("accuracy", "accuracy"), ("low", "accuracy_low"), ("high", "accuracy_high")):
        rows[name] = 100 * table[column]
    rows["significant"] = rows["p_adjusted"] <= 0.05
    names = list(dict.fromkeys(rows["network"]))
    known = set(names) <= set(COLOURS)
    colours = alt.Scale(domain=names, range=[COLOURS[name] for name in names] if known else cycle(len(names)))
    legend = (
        None if len(names) == 1 else alt.Legend(orient="bottom", title=None, columns=4 if known else 2, labelLimit=320)
    )
    base = alt.Chart(rows).encode(
        x=alt.X("value:Q", title=axis, axis=alt.Axis(grid=False, tickCount=9)),
        color=alt.Color("network:N", scale=colours, legend=legend),
    )
    y = alt.Y("accuracy:Q", title="accuracy (%)", scale=alt.Scale(domain=[0, 100]))
    tips = ["network:N", *(alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("value", "accuracy", "low", "high"))]
    line = base.mark_line(strokeWidth=2).encode(y=y)
    dots = base.mark_point(size=60, opacity=1).encode(
        y=y,
        tooltip=tips,
        fill=alt.condition(
            "datum.significant", alt.Color("network:N", scale=colours, legend=None), alt.value("transparent")
        ),
    )
    mark = alt.Chart(pd.DataFrame({"value": [usual]})).mark_rule(strokeDash=[2, 3], color=QUIET).encode(x="value:Q")
    band = [base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title="accuracy (%)"), y2="high:Q")] if bands else []
    return alt.LayerChart(layer=[mark, *band, line, dots]).properties(
        height=320 if len(names) == 1 else 400,  # with the legend
        description=f"Accuracy against {axis}: {', '.join(names)}",
        usermeta=SVG,
    )


def path(probs: pd.DataFrame) -> alt.LayerChart:
    """Probability (%) of each expression along a movement; `share` of it, `expression`, `probability`."""
    import altair as alt

    rows = probs.assign(share=100 * probs["share"], probability=100 * probs["probability"])
    names = list(dict.fromkeys(rows["expression"]))
    base = alt.Chart(rows).encode(
        x=alt.X("share:Q", title="share of the movement (%)", axis=alt.Axis(grid=False, tickCount=6)),
        y=alt.Y("probability:Q", title="probability (%)"),
        color=alt.Color(
            "expression:N",
            scale=alt.Scale(domain=names, range=[COLOURS.get(name, QUIET) for name in names]),
            legend=alt.Legend(orient="bottom", title=None, columns=4, symbolOpacity=1),
        ),
    )
    tips = ["expression:N", *(alt.Tooltip(f"{name}:Q", format=".1f") for name in ("share", "probability"))]
    return alt.LayerChart(
        layer=[base.mark_line(strokeWidth=2), base.mark_circle(size=40).encode(tooltip=tips)]
    ).properties(height=360, description="Probability of each expression along the movement", usermeta=SVG)
