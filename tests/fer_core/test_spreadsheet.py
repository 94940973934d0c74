"""What strangers name their files runs in no spreadsheet and in no reader of Markdown."""

import csv
import io
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import evaluate
from fer_core.labels import FER7
from fer_core.reports.evaluation_report import model_card
from fer_core.runs import store
from fer_core.spreadsheet import FORMULA, as_csv, inert
from tests.app.examples import make_network, predictions_elsewhere


@pytest.mark.parametrize("cell", ['=HYPERLINK("http://x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1"])
def test_a_formula_is_shown_and_not_run(cell: str) -> None:
    shown = f"'{cell}".replace("\r", " ")
    assert inert(cell) == shown
    table = as_csv(pd.DataFrame({"file": [cell, "good.png"], cell: [-1.5, 2.0]}))
    rows = list(csv.reader(io.StringIO(table, newline="")))
    assert rows == [["file", shown], [shown, "-1.5"], ["good.png", "2.0"]]


@given(st.lists(st.tuples(st.text(max_size=8), st.floats(allow_nan=False)), max_size=5))
def test_no_text_of_a_sheet_begins_like_a_formula_and_numbers_are_as_they_were(rows: list[tuple[str, float]]) -> None:
    frame = pd.DataFrame(rows, columns=["name", "figure"]).astype({"figure": "float64"})
    for name, figure in list(csv.reader(io.StringIO(as_csv(frame), newline="")))[1:]:
        assert not name.startswith(FORMULA)
        float(figure)


def test_a_card_brings_neither_html_nor_links_into_the_model_card() -> None:
    make_network(
        "one", predictions_elsewhere(), title="<img src=x onerror=alert(1)> [click](http://evil) | `x`\n# Head"
    )
    network = store.checkpoints()["one"]
    text = model_card(network, "elsewhere-val", evaluate(network.predictions("elsewhere-val")))
    first = text.splitlines()[0]
    assert first == r"# &lt;img src=x onerror=alert(1)&gt; \[click\](http://evil) \| \`x\` \# Head"
    assert "<img" not in text


def test_a_table_of_a_million_rows_opens_in_seconds(tmp_path) -> None:
    random, n = np.random.default_rng(0), 1_000_000
    label = random.integers(0, 7, n)
    logits = random.normal(size=(n, 7)).astype(np.float32)
    logits[np.arange(n), label] += 2
    names = np.array(FER7.names, dtype=object)[label].tolist()
    Predictions.from_logits(range(n), "x", "val", names, logits, FER7).write(tmp_path / "t.parquet")
    before = time.process_time()
    report = evaluate(Predictions.read(tmp_path / "t.parquet"))
    assert report.n == n
    assert time.process_time() - before < 20  # 5 s on one idle core
