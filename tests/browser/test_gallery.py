"""The gallery in real Chromium: filter, turn the page by key, and open the link in a new window."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fer_core.datasets import open_dataset
from fer_core.runs.store import find
from tests.app.examples import make_network, predictions_on
from tests.browser.conftest import WAIT, Workbench, expect_no_error, known_faces, settle


@pytest.fixture(scope="module")
def network(workbench: Workbench) -> str:
    """A network with predictions on 252 images that the workspace knows."""
    with known_faces(workbench, "gallery-faces", each=36) as place:
        make_network("gallery-network", predictions_on(open_dataset(place), "val"), title="Gallery network")
    return "gallery-network"


def shown(page: Page) -> list[str]:
    texts = page.locator(".fer-gallery img").evaluate_all("images => images.map(image => image.alt)")
    return [match[1] for text in texts if (match := re.search(r"id (\S+) of", text))]


def test_filter_turn_the_page_and_share_the_link(
    page: Page, browser: Browser, workbench: Workbench, network: str, workspace: Path
) -> None:
    table = find(network).predictions("gallery-faces-val")
    sad = table.table.assign(loss=table.loss)[(table.table["label"] == "sad")]
    order = sad.sort_values("loss", ascending=False, kind="stable")["id"].tolist()
    assert 24 < len(order) <= 48
    page.goto(workbench.link("gallery", network=network, table="gallery-faces-val", outcome="all"))
    settle(page)
    box = page.get_by_role("combobox", name="Label", exact=True)
    box.click()
    page.get_by_role("option", name="sad", exact=True).click()
    page.wait_for_url("**labels=sad**")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stMain")).to_contain_text(f"{len(order)} matching images")
    settle(page)
    assert shown(page) == order[:24]
    page.get_by_role("heading", name="Gallery: which images are wrong?").click()  # out of the box, as a reader would
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**page=2**")
    expect(page.locator(".fer-gallery img")).to_have_count(len(order) - 24)
    assert shown(page) == order[24:]
    assert page.locator(".fer-gallery img").evaluate_all("images => images.every(image => image.naturalWidth > 0)")
    expect_no_error(page)
    other = browser.new_context().new_page()
    other.goto(page.url, timeout=1000 * WAIT)
    expect(other.locator(".fer-gallery img")).to_have_count(len(order) - 24)
    assert shown(other) == order[24:]
    other.context.close()


def test_ticked_images_are_still_ticked_after_back(page: Page, workbench: Workbench, network: str) -> None:
    page.goto(workbench.link("gallery", network=network, table="gallery-faces-val", outcome="all"))
    settle(page)
    page.get_by_text("Select images", exact=True).click()
    boxes = page.get_by_test_id("stMain").locator(".st-key-ticks").get_by_test_id("stCheckbox")
    for number in (0, 2):
        boxes.nth(number).locator("label").click()
        expect(page.get_by_text("you selected")).to_contain_text(f"{1 + number // 2} image")
        settle(page)
    page.locator(".fer-gallery img").first.click()
    page.wait_for_url("**/explain**")
    settle(page)
    page.go_back()
    expect(page.get_by_text("you selected")).to_contain_text("2 images")
    settle(page)
    assert [boxes.nth(number).locator("input").is_checked() for number in range(3)] == [True, False, True]
    expect_no_error(page)
