"""Charts of regions of the face, and of how far each explanation method can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import figure
from fer_core.explanation.regions import significant
from fer_core.reports.charts import ACCENT, QUIET

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Blue-white-red as the maps have it, centred on nothing lost.
SIGNED = [[0.0, "rgb(33,102,172)"], [0.5, "rgb(255,255,255)"], [1.0, "rgb(178,24,43)"]]


def covering(table: pd.DataFrame) -> go.Figure:
    """Expression x region: points of accuracy that covering the region costs; red is lost, blue gained.

    Args:
        table: rows of `regions.covering_table` of one cover.
    """
    wide = _wide(table, "accuracy_cost", 100)
    shown = [[_cost(_row(table, expression, region)) for region in wide.columns] for expression in wide.index]
    limit = max(1.0, float(wide.abs().max().max()))
    return _matrix(wide, shown, _hover(table, wide, _covered), SIGNED, -limit, limit, "accuracy lost<br>(points)")


def density(table: pd.DataFrame) -> go.Figure:
    """Expression x region: how densely the attribution lies in the region; 1 is what a map that ignores the face has.

    Args:
        table: rows of `regions.attribution_table` of one method.
    """
    wide = _wide(table, "density", 1)
    shown = [[f"{value:.2f}" for value in row] for row in wide.to_numpy()]
    hover = _hover(
        table,
        wide,
        lambda cell: (
            f"<br>density {cell['density']:.2f} ({cell['density_low']:.2f} to {cell['density_high']:.2f})"
            f"<br>share {100 * cell['share']:.1f} %, area {100 * cell['area']:.1f} %<br>n = {cell['n']:,}"
        ),
    )
    top = max(2.0, float(wide.max().max()))
    even = [[0.0, SIGNED[0][1]], [1 / top, SIGNED[1][1]], [1.0, SIGNED[2][1]]]  # white at 1; a density is not below 0
    return _matrix(wide, shown, hover, even, 0.0, top, "density<br>(1 = even)")


def methods(table: pd.DataFrame) -> go.Figure:
    """How much better than another image's map each method ranks the pixels: deletion (dot) and insertion (diamond).

    Args:
        table: `leaderboard.leaderboard`, the rows that were measured.
    """
    names = [f"{row['title']}{' (control)' if row['control'] else ''}" for row in table.to_dict("records")]
    chart = figure(
        90 + 30 * len(table),
        xaxis={"title": "advantage over another image's map (points of probability)", "zeroline": True},
        yaxis={"autorange": "reversed", "tickvals": list(range(len(table))), "ticktext": names, "zeroline": False},
    )
    for kind, title, symbol, colour, shift in (
        ("deletion", "deletion", "circle", ACCENT, -0.14),
        ("insertion", "insertion", "diamond-open", QUIET, 0.14),
    ):
        centre = 100 * table[f"{kind}_gain"]
        chart.add_scatter(
            x=centre,
            y=[place + shift for place in range(len(table))],
            mode="markers",
            name=title,
            marker={"symbol": symbol, "size": 9, "color": colour},
            error_x={
                "symmetric": False,
                "array": 100 * table[f"{kind}_gain_high"] - centre,
                "arrayminus": centre - 100 * table[f"{kind}_gain_low"],
                "color": colour,
                "thickness": 1.5,
                "width": 3,
            },
            customdata=[f"{name}, n = {n:,}" for name, n in zip(names, table["n"], strict=True)],
            hovertemplate=f"%{{customdata}}<br>{title}: %{{x:.1f}} points<extra></extra>",
        )
    return chart


def _row(table: pd.DataFrame, expression: object, region: object) -> pd.Series:
    return table[(table["expression"] == expression) & (table["region"] == region)].iloc[0]


def _wide(table: pd.DataFrame, figure_: str, scale: float) -> pd.DataFrame:
    known = table[table["n"] > 0]
    wide = scale * known.set_index(["expression", "region"])[figure_].unstack()  # noqa: PD010
    return wide.loc[known["expression"].unique(), known["region"].unique()]


def _cost(cell: pd.Series) -> str:
    """The figure; in brackets where it is not significant, in a table without a correction where its interval holds 0."""
    text = f"{100 * cell['accuracy_cost']:.1f}"
    return text if significant(cell) else f"({text})"


def _hover(table: pd.DataFrame, wide: pd.DataFrame, says: Callable[[pd.Series], str]) -> list[list[str]]:
    return [
        [f"{expression}, {region}{says(_row(table, expression, region))}" for region in wide.columns]
        for expression in wide.index
    ]


def _covered(cell: pd.Series) -> str:
    return (
        f" covered<br>accuracy lost: {100 * cell['accuracy_cost']:.1f} points "
        f"({100 * cell['accuracy_cost_low']:.1f} to {100 * cell['accuracy_cost_high']:.1f})<br>probability of the "
        f"given label lost: {100 * cell['probability_cost']:.1f} points ({100 * cell['probability_cost_low']:.1f} to "
        f"{100 * cell['probability_cost_high']:.1f})<br>{100 * cell['area']:.0f} % of the image, so "
        f"{10 * cell['accuracy_cost'] / cell['area']:.1f} points per tenth of it; n = {cell['n']:,}"
    )


def _matrix(
    wide: pd.DataFrame,
    shown: Sequence[Sequence[str]],
    hover: Sequence[Sequence[str]],
    colours: list[list[object]],
    low: float,
    high: float,
    title: str,
) -> go.Figure:
    chart = figure(
        120 + 34 * len(wide),
        xaxis={"side": "top", "automargin": True},  # in a narrow window Plotly turns the names
        yaxis={"autorange": "reversed", "automargin": True},
    )
    return chart.add_heatmap(
        z=wide.to_numpy(),
        x=[str(name).replace(" and ", " and<br>").replace(", ", ",<br>") for name in wide.columns],
        y=list(wide.index),
        text=shown,
        texttemplate="%{text}",
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
        colorscale=colours,
        zmin=low,
        zmax=high,
        xgap=2,
        ygap=2,
        colorbar={"title": {"text": title}, "thickness": 10},
    )
