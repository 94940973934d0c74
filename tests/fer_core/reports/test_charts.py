"""Charts of reports show what their tables say, stand alone as SVG, and are the ones that pages show."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dashboard.charts import confusion as page
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.shift import per_expression
from fer_core.reports import charts
from tests.app.examples import predictions_elsewhere

MATRIX = np.array([[3, 1], [0, 4]])
NAMES = ("happy", "<b>sad</b>")


def test_a_drawing_is_well_formed_in_the_pages_ink_and_named_for_screen_readers() -> None:
    drawing = charts.svg(charts.confusion(MATRIX, NAMES), 'Matrix of "two" <networks>', 200)
    root = ET.fromstring(drawing)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'Matrix of "two" <networks>'
    assert 'fill="currentColor"' in drawing
    assert "<b>" not in drawing
    texts = {line.text for kind in ("text", "tspan") for line in root.iter(kind)}
    assert {"happy, 4", "<b>sad</b>, 4", "75 %", "100 %"} <= texts


def test_cells_of_a_matrix_worked_by_hand() -> None:
    table = charts.cells(MATRIX, NAMES)
    assert table["count"].tolist() == [3, 1, 0, 4]
    assert table["row"].tolist() == [0.75, 0.25, 0, 1]
    assert table["column"].tolist() == [1, 0.2, 0, 0.8]
    assert table["all"].tolist() == [0.375, 0.125, 0, 0.5]


def test_the_page_shows_the_reports_matrix_with_a_cell_to_click_on() -> None:
    report = charts.confusion(MATRIX, NAMES, "row").to_dict()
    clicked = page.confusion(MATRIX, NAMES, "row", ("happy", "happy")).to_dict()
    assert clicked["datasets"] == report["datasets"]
    for one, other in zip(report["layer"], clicked["layer"], strict=False):
        assert one["encoding"] == other["encoding"]
    assert clicked["params"][0]["name"] == "cell"
    assert clicked["layer"][2]["mark"]["stroke"] == "#D55E00"


def test_two_sets_side_by_side_show_what_the_table_says() -> None:
    a = predictions_elsewhere(70)
    table = per_expression(a, Predictions(a.table))
    (rows,) = charts.two_sets(table, ("benchmark", "private set")).to_dict()["datasets"].values()
    for name in ("benchmark", "private set"):
        assert [row["recall"] for row in rows if row["set"] == name] == pytest.approx(100 * table["recall_a"])
        assert [row["high"] for row in rows if row["set"] == name] == pytest.approx(100 * table["high_a"])
