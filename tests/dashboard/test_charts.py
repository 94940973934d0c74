"""Charts are pure functions of tables: what they draw is what the tables hold."""

import pandas as pd

from dashboard.charts.runs import parallel


def test_a_setting_that_is_a_list_has_an_axis_too() -> None:
    table = pd.DataFrame({"milestones": [[0.5, 0.75], [0.6], [0.5, 0.75]], "accuracy": [0.5, 0.6, 0.7]})
    (axis, _) = parallel(table, "accuracy", "accuracy, %").data[0].dimensions
    assert list(axis.ticktext) == ["[0.5, 0.75]", "[0.6]"]
    assert list(axis["values"]) == [0, 1, 0]
