"""Charts of networks: their figures with intervals, their learning curves, their probabilities for one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from dashboard.charts.base import cycle, figure
from fer_core.labels import COLOURS
from fer_core.reports.charts import QUIET, SVG
from fer_core.runs.folder import EpochResult

if TYPE_CHECKING:
    import altair as alt
    import plotly.graph_objects as go

Over = Literal["epoch", "minutes"]
OVER: dict[Over, str] = {"epoch": "Over epochs", "minutes": "Over CPU minutes"}


def curves(
    histories: Mapping[str, Sequence[EpochResult]], epochs: int = 0, over: Over = "epoch"
) -> tuple[alt.LayerChart, alt.LayerChart]:
    """Accuracy and loss after each epoch: validation solid, training dotted, one colour a network.

    Args:
        histories: a network's title to its epochs.
        epochs: of a run that goes on; the axes then reach so far, and over all accuracies and losses, from the start,
            so that the curves grow and nothing else moves.
        over: the epoch, or the processor's time until its end, which compares what networks cost.
    """
    import altair as alt

    rows = pd.DataFrame(
        {
            "network": title,
            "part": part,
            "few": len(results) <= 3,  # hardly a line, or none: its epochs are drawn as dots
            "epoch": result.epoch,
            "minutes": spent / 60,
            "accuracy": None if accuracy is None else 100 * accuracy,
            "loss": loss,
        }
        for title, results in histories.items()
        for result, spent in zip(results, accumulate(result.cpu_seconds for result in results), strict=True)
        for part, accuracy, loss in (
            ("validation", result.val_accuracy, result.val_loss),
            ("training", result.train_accuracy, result.train_loss),
        )
    ).dropna(subset=["loss"])  # trained without a validation set
    last = max([epochs, *(len(results) for results in histories.values())])
    if over == "epoch":
        x = alt.X("epoch:Q", scale=alt.Scale(domain=[0, last], nice=False), axis=alt.Axis(tickMinStep=1, grid=False))
    else:
        x = alt.X("minutes:Q", title="CPU minutes", scale=alt.Scale(zero=True), axis=alt.Axis(grid=False))
    colours = alt.Scale(domain=list(histories), range=cycle(len(histories)))
    dashes = alt.Scale(domain=["validation", "training"], range=[[1, 0], [2, 3]])
    strokes: dict[str, Any] = {"title": None, "columns": 2, "labelLimit": 320, "symbolType": "stroke"}
    legend = alt.Legend(**strokes, orient="bottom", symbolStrokeWidth=3) if len(histories) > 1 else None
    parts = alt.Legend(**strokes, orient="top", symbolStrokeColor=QUIET, symbolStrokeWidth=2)  # beside the other: cut

    def chart(figure: str, title: str, digits: int, domain: list[int] | None = None) -> alt.LayerChart:
        base = alt.Chart(rows).encode(
            x=x,
            y=alt.Y(
                f"{figure}:Q", title=title, scale=alt.Scale(domain=domain) if domain else alt.Scale(zero=bool(epochs))
            ),
            color=alt.Color("network:N", scale=colours, legend=legend),
        )
        lines = base.mark_line(strokeWidth=2).encode(strokeDash=alt.StrokeDash("part:N", scale=dashes, legend=parts))
        points = base.mark_circle().encode(  # unseen on a line: what a pointer finds
            size=alt.condition("datum.few", alt.value(60), alt.value(200)),
            opacity=alt.condition("datum.few", alt.value(1), alt.value(0)),
            tooltip=[
                "network:N",
                "part:N",
                "epoch:Q",
                alt.Tooltip("minutes:Q", title="CPU minutes", format=".1f"),
                alt.Tooltip(f"{figure}:Q", title=title, format=f".{digits}f"),
            ],
        )
        described = f"{title} of each epoch: {', '.join(histories)}"
        return alt.LayerChart(layer=[lines, points]).properties(height=320, description=described, usermeta=SVG)

    return chart("accuracy", "accuracy (%)", 1, [0, 100] if epochs else None), chart("loss", "loss (nats)", 3)


def probabilities(probs: Mapping[str, float], given: str | None = None) -> go.Figure:
    """A network's probabilities for one image, a bar an expression, in the network's order; the given one is named."""
    names, shares = list(probs), [100 * share for share in probs.values()]
    chart = figure(
        60 + 28 * len(names),
        xaxis={"title": "probability (%)", "range": [0, 118], "tickvals": [0, 25, 50, 75, 100], "zeroline": False},
        yaxis={"autorange": "reversed"},
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )
    return chart.add_bar(
        x=shares,
        y=[f"{name} (label)" if name == given else name for name in names],
        orientation="h",
        marker={"color": [COLOURS.get(name, QUIET) for name in names]},
        text=[f"{share:.1f}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
    )
