"""Predictions of another program in real Chromium: upload a csv, correct a column, see matrix and comparison."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Page, expect

from fer_core.datasets.heads import HEADS
from fer_core.evaluation.predictions import Predictions
from fer_core.runs.store import find, trash
from tests.browser.conftest import Workbench, expect_no_error, settle


def odd_csv(answers: Predictions, place: Path) -> Path:
    """Somebody else's csv: German words for the columns, a value column that says nothing, semicolons."""
    random = np.random.default_rng(0)
    values = answers.logits + random.normal(size=answers.logits.shape)
    table = pd.DataFrame(values, columns=[f"logit_{name}" for name in answers.expressions.names])
    table = table.rename(columns={"logit_happy": "Wert 4"}).assign(Bild=answers.table["id"])
    table.to_csv(place, sep=";", index=False)
    return place


def test_a_csv_with_odd_columns_becomes_a_network_that_is_compared(
    page: Page, workbench: Workbench, tmp_path: Path
) -> None:
    shipped = find("fer2013-best")
    key = next(name for name in shipped.tables if name.startswith(f"{HEADS}-"))
    answers = shipped.predictions(key)
    page.goto(workbench.link("data", data=HEADS))
    settle(page)
    page.get_by_text("Import predictions", exact=True).first.click()
    field = page.get_by_test_id("stFileUploader").filter(has_text="Predictions of another program")
    field.locator("input[type=file]").set_input_files(odd_csv(answers, tmp_path / "theirs.csv"))
    expect(page.get_by_text("No column names the image")).to_be_visible()

    def choose(label: str, option: str) -> None:
        box = page.get_by_test_id("stMain").get_by_role("combobox", name=label, exact=True)
        box.click()
        box.fill(option)
        expect(page.get_by_role("option", name=option, exact=True)).to_be_visible()
        box.press("Enter")
        expect(box).to_have_value(option)
        settle(page)

    choose("File or id", "Bild")
    expect(page.get_by_text("No column holds the labels")).to_be_visible()
    choose("happy", "Wert 4")
    choose("Labels and images from", "Rendered heads (built in)")
    expect(page.get_by_text(f"{key.rpartition('-')[2]}: {len(answers):,} images")).to_be_visible()
    page.get_by_role("button", name="Import predictions").click()
    expect(page.get_by_text("Imported as “theirs”")).to_be_visible()
    try:
        expect_no_error(page)
        page.get_by_role("link", name="Open in Evaluate").click()
        expect(page.get_by_role("heading", name="Evaluate: where does the network fail?")).to_be_visible()
        expect(page.get_by_text(re.compile(rf"theirs has an accuracy of .*n = {len(answers):,}"))).to_be_visible()
        expect_no_error(page)
        page.goto(workbench.link("compare", network="theirs", table=key, other="fer2013-best"))
        settle(page)
        expect(page.get_by_text(f"on the same {len(answers):,} images").first).to_be_visible()
        expect_no_error(page)
    finally:
        trash("theirs")
