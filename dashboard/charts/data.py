"""Charts of data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dashboard.charts.base import QUIET
from fer_core.labels import COLOURS

if TYPE_CHECKING:
    import plotly.graph_objects as go


def counts(table: pd.DataFrame) -> go.Figure:
    """Pictures of each expression in each split.

    Args:
        table: one row an expression (its name as index), one column a split, counts.
    """
    from plotly.subplots import make_subplots

    titles = [f"{split}, n = {table[split].sum():,}" for split in table.columns]
    figure = make_subplots(1, len(table.columns), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04)
    for column, split in enumerate(table.columns, 1):
        figure.add_bar(
            x=table[split],
            y=table.index,
            orientation="h",
            marker={"color": [COLOURS.get(name, QUIET) for name in table.index]},
            text=[f"{count:,}" for count in table[split]],
            textposition="outside",
            cliponaxis=False,
            showlegend=False,
            hovertemplate="%{y}: %{x:,} pictures<extra>" + split + "</extra>",
            row=1,
            col=column,
        )
        figure.update_xaxes(
            title="pictures", tickformat=",", range=[0, 1.2 * max(1, int(table[split].max()))], row=1, col=column
        )
    figure.update_yaxes(autorange="reversed")
    return figure.update_layout(height=90 + 30 * len(table), margin={"l": 8, "r": 24, "t": 28, "b": 8}, dragmode=False)
