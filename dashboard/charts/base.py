"""The look that all charts share: two colours, one colour a network, and an empty Plotly figure.

The charts beside this file are pure functions from a table to a figure, in the expressions' fixed colours, for light and
dark alike. What a table page shows on opening is Altair, whose script a browser has read in a third of Plotly's time
(docs/design/0013); Plotly draws the rest. Both cost time to import where they are not needed, so each function imports
its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.reports.charts import ACCENT

if TYPE_CHECKING:
    import altair as alt
    import plotly.graph_objects as go

# One colour a network where several are drawn: Okabe and Ito's, without the grey.
SERIES = (ACCENT, "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def expressions_colour(field: str) -> alt.Color:
    """Each expression in its own colour, without a legend: its name always stands beside it."""
    import altair as alt

    from fer_core.labels import COLOURS

    return alt.Color(field, scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())), legend=None)


def figure(height: int, **layout: object) -> go.Figure:
    import plotly.graph_objects as go

    return go.Figure(
        layout={
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
            "hoverlabel": {"namelength": -1},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
            "dragmode": False,
            **layout,
        }
    )


def cycle(count: int) -> list[str]:
    return [SERIES[i % len(SERIES)] for i in range(count)]
