"""A wrong answer looked into, in real Chromium: both maps, the contrast, the regions, the badge, and the link to it."""

import re

import numpy as np
from playwright.sync_api import Page, expect

from fer_core.checkpoint import load_network
from fer_core.datasets import open_dataset
from fer_core.evaluation.predict import predict_split
from fer_core.explanation import region_report
from tests.app.test_explain_pages import made_report
from tests.browser.conftest import Workbench, expect_no_error, settle
from tests.untrained import untrained


def test_a_wrong_case_is_explained_and_its_link_shows_the_same_elsewhere(page: Page, workbench: Workbench) -> None:
    folder = untrained("looked-into")
    model, card = load_network(folder)
    predictions = predict_split(
        model, open_dataset("heads"), "val", spec=card.image, expressions=card.vocabulary, tta=card.tta
    )
    predictions.write(folder / "predictions-heads-val.parquet")
    first = int(np.flatnonzero(~predictions.correct)[0])  # what the page begins with
    involved = {predictions.table["label"].iloc[first], predictions.predicted[first]}
    third = next(name for name in predictions.expressions.names if name not in involved)
    report = made_report(folder)
    report.methods.loc[0, ["method", "title"]] = ["grad-cam", "Grad-CAM"]  # the method that Explain begins with
    region_report.write(folder, report)
    page.goto(
        workbench.link("explain", network="looked-into", table="heads-val", only="wrong", explain="both", against=third)
    )
    settle(page)
    main = page.get_by_test_id("stMain")
    maps = page.locator('img[alt^="Grad-CAM for "]')
    expect(maps).to_have_count(2)
    expect(maps.first).to_have_attribute("alt", re.compile(f"in contrast to {third}"))
    expect(main.get_by_text("Strong evidence that this map is faithful").first).to_be_visible()
    main.get_by_text("Share of each map in each region of the face").click()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    expect(main.get_by_role("button", name="Download maps")).to_be_visible()
    expect_no_error(page)
    link, said = page.url, main.get_by_text("The network predicts").inner_text()
    shown = maps.first.get_attribute("alt")
    page.goto("about:blank")
    page.goto(link)
    settle(page)
    expect(main.get_by_text("The network predicts")).to_have_text(said)
    expect(maps.first).to_have_attribute("alt", shown or "")

    page.goto(workbench.link("regions", network="looked-into"))
    settle(page)
    expect(main.get_by_text("Eyes, nose and mouth matter, the background does not.")).to_be_visible()
    expect(main.locator(".js-plotly-plot")).to_have_count(3)
    expect_no_error(page)
