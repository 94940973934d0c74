"""Charts are pure functions of tables: what they draw is what the tables hold."""

import pandas as pd

from dashboard.charts import labels
from dashboard.charts.runs import parallel


def test_a_setting_that_is_a_list_has_an_axis_too() -> None:
    table = pd.DataFrame({"milestones": [[0.5, 0.75], [0.6], [0.5, 0.75]], "accuracy": [0.5, 0.6, 0.7]})
    (axis, _) = parallel(table, "accuracy", "accuracy, %").data[0].dimensions
    assert list(axis.ticktext) == ["[0.5, 0.75]", "[0.6]"]
    assert list(axis["values"]) == [0, 1, 0]


def test_a_legend_has_the_order_of_its_bars() -> None:
    causes = pd.DataFrame({"network wrong": [3], "label contested": [2], "label probably wrong": [1]}, index=["sad"])
    chart = labels.verdicts(causes)
    assert [bar.name for bar in chart.data] == list(causes.columns)
    assert chart.layout.legend.traceorder == "normal"  # Plotly turns the legend of stacked bars round
