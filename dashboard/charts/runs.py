"""Charts of runs: learning rate and speed, settings side by side, cost against accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import ACCENT, QUIET, cycle, figure
from fer_core.runs.folder import EpochResult

if TYPE_CHECKING:
    import plotly.graph_objects as go

SCALE = ["#3b528b", "#21918c", "#5ec962", "#fde725"]  # viridis without its darkest quarter, unseen on a dark page


def pace(histories: Mapping[str, Sequence[EpochResult]]) -> go.Figure:
    """Learning rate and images a second by epoch, one colour a run."""
    from plotly.subplots import make_subplots

    chart = make_subplots(1, 2, subplot_titles=("Learning rate", "Images per second"), horizontal_spacing=0.08)
    for colour, (name, results) in zip(cycle(len(histories)), histories.items(), strict=True):
        for column, metric in ((1, "lr"), (2, "images_per_second")):
            chart.add_scatter(
                x=[result.epoch for result in results],
                y=[getattr(result, metric) for result in results],
                mode="lines+markers" if len(results) < 3 else "lines",
                line={"color": colour, "width": 2},
                name=name,
                legendgroup=name,
                showlegend=column == 1 and len(histories) > 1,
                hovertemplate="epoch %{x}: %{y:.3g}",
                row=1,
                col=column,
            )
    chart.update_xaxes(title="epoch", rangemode="tozero", zeroline=False)
    chart.update_yaxes(zeroline=False, rangemode="tozero")
    return chart.update_layout(
        height=240, margin={"l": 8, "r": 8, "t": 28, "b": 8}, dragmode=False, hovermode="x unified",
        legend={"orientation": "h", "y": -0.3, "yanchor": "top", "x": 0},
    )  # fmt: skip


def cost(table: pd.DataFrame) -> go.Figure:
    """Minutes of the processor (or GPU) against the best validation accuracy with its interval; a dot a run.

    Args:
        table: `run`, `minutes`, and `accuracy`, `low`, `high` as shares.
    """
    chart = figure(
        360,
        xaxis={"title": "CPU minutes (log scale)", "type": "log"},
        yaxis={"title": "best validation accuracy (%)", "zeroline": False},
    )
    for colour, values in zip(cycle(len(table)), table.to_dict("records"), strict=True):
        middle, low, high = (100 * values[name] for name in ("accuracy", "low", "high"))
        chart.add_scatter(
            x=[values["minutes"]],
            y=[middle],
            name=values["run"],
            mode="markers",
            marker={"color": colour, "size": 10},
            error_y={"symmetric": False, "array": [high - middle], "arrayminus": [middle - low], "color": colour},
            hovertemplate=f"{values['run']}: {middle:.1f} % ({low:.1f} to {high:.1f}) in %{{x:.2f}} min<extra></extra>",
        )
    return chart


def parallel(table: pd.DataFrame, metric: str, title: str) -> go.Figure:
    """Parallel coordinates: a line a run through its settings to its figure, which also colours it.

    Args:
        table: a column a setting, numbers, texts or lists, and the column `metric`, a share.
    """
    import plotly.graph_objects as go

    axes = []
    for name in table.columns.drop(metric):
        values = table[name].map(lambda value: value if isinstance(value, int | float | str) else str(value))  # lists
        numbers = pd.to_numeric(values, errors="coerce")
        if numbers.notna().all() and not _spread(numbers):
            axes.append({"label": name, "values": numbers})
            continue
        known = sorted(values.unique(), key=lambda value: (isinstance(value, str), value))
        axes.append(
            {
                "label": name,
                "values": [known.index(value) for value in values],
                "tickvals": list(range(len(known))),
                "ticktext": [f"{value:g}" if isinstance(value, float) else str(value) for value in known],
            }
        )
    axes.append({"label": title, "values": 100 * table[metric]})
    line = {"color": 100 * table[metric], "colorscale": SCALE, "showscale": False}
    quiet, none = {"color": QUIET}, {"color": "rgba(0, 0, 0, 0)"}  # the ends of an axis have ticks of their own
    chart = go.Figure(go.Parcoords(line=line, dimensions=axes, labelfont=quiet, tickfont=quiet, rangefont=none))
    return chart.update_layout(height=380, margin={"l": 64, "r": 48, "t": 48, "b": 16})


def _spread(numbers: pd.Series) -> bool:
    """Few values, or over orders of magnitude: equal steps on the axis show them better than their size."""
    return numbers.nunique() <= 6 or bool(numbers.min() > 0 and numbers.max() / numbers.min() > 50)


def sequence(values: Sequence[float], best: Sequence[float]) -> go.Figure:
    """The figure of each trial in the order of their start, and the best so far; shares."""
    numbers = list(range(1, len(values) + 1))
    chart = figure(
        300,
        xaxis={"title": "trial", "zeroline": False},
        yaxis={"title": "best validation accuracy (%)", "zeroline": False},
    )
    chart.add_scatter(
        x=numbers, y=[100 * value for value in values], mode="markers", name="trial", marker={"color": QUIET, "size": 7}
    )
    return chart.add_scatter(
        x=numbers,
        y=[100 * value for value in best],
        mode="lines",
        name="best so far",
        line={"color": ACCENT, "shape": "hv"},
    )


def importance(shares: Mapping[str, float]) -> go.Figure:
    """How much of the figure's variance each setting explains, a bar a setting."""
    names = sorted(shares, key=lambda name: shares[name])
    chart = figure(
        80 + 32 * len(names), xaxis={"title": "importance (%)", "range": [0, 108], "zeroline": False}, showlegend=False
    )
    return chart.add_bar(
        x=[100 * shares[name] for name in names],
        y=names,
        orientation="h",
        marker={"color": ACCENT},
        text=[f"{100 * shares[name]:.0f}" for name in names],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )
