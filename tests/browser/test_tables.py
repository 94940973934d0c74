"""Overview, Evaluate and Data in real Chromium, as someone meets them who has never seen them."""

import re
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Browser, Page, expect

from fer_core.datasets import open_dataset
from fer_core.evaluation.predictions import Predictions
from fer_core.runs.store import find
from tests.app.examples import make_network, predictions_on
from tests.browser.conftest import WAIT, Workbench, expect_no_error, known_faces, settle

KEY = "faces-val"
TITLES = {
    "Overview": "Overview: how good are the networks?",
    "Evaluate": "Evaluate: where does the network fail?",
    "Gallery": "Gallery: which images are wrong?",
    "Data": "Data: what is in the data set?",
}


@pytest.fixture(scope="session")
def two_networks(workbench: Workbench) -> Path:
    """Two networks with predictions on a folder of images that the workspace knows."""
    with known_faces(workbench, "faces", each=12) as place:
        for seed, (name, title) in enumerate((("first", "First network"), ("second", "Second network"))):
            make_network(name, predictions_on(open_dataset(place), "val", seed=seed), title=title)
    return place


def answer(page: Page) -> str:
    """The sentence under the title."""
    return page.get_by_test_id("stMain").get_by_test_id("stMarkdown").first.inner_text()


def cell_ids(table: Predictions, label: str, predicted: str) -> set[str]:
    return set(table.table["id"][(table.table["label"] == label) & (table.predicted == predicted)])


def shown_ids(page: Page) -> set[str]:
    texts = page.locator(".fer-gallery img").evaluate_all("images => images.map(image => image.alt)")
    return {match[1] for text in texts if (match := re.search(r"id (\S+?)(?: of|,)", text))}


def address(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


@pytest.mark.usefixtures("two_networks")
def test_a_long_name_pushes_no_figure_out_of_the_table(page: Page, workbench: Workbench, two_networks: Path) -> None:
    title = "A network whose student wrote everything into its name, " + "_and_then_some_more" * 3
    long = make_network("long", predictions_on(open_dataset(two_networks), "val", seed=2), title=title)
    try:
        page.goto(workbench.link("overview", network="first", table=KEY))
        settle(page)
        table = page.locator(".fer-scroll").first
        expect(table).to_contain_text(title)
        assert table.evaluate("table => table.scrollWidth - table.clientWidth") == 0
        page.set_viewport_size({"width": 800, "height": 1000})
        name = table.get_by_role("rowheader", name=title)
        left = table.evaluate("table => { table.scrollLeft = 200; return table.getBoundingClientRect().left }")
        assert table.evaluate("table => table.scrollLeft") > 0
        assert name.evaluate("name => name.getBoundingClientRect().left") == left  # the name stays beside its figures
    finally:
        shutil.rmtree(long)


@pytest.mark.usefixtures("two_networks")
def test_the_overview_is_also_found_by_its_name(page: Page, workbench: Workbench) -> None:
    page.goto(workbench.link("overview", network="second", table=KEY))
    expect(page.get_by_role("heading", name=TITLES["Overview"])).to_be_visible()
    expect(page.get_by_role("table").first).to_contain_text("Second network")
    expect(page.locator('[aria-label^="First network, n = "][aria-label*=": Accuracy "]').first).to_be_attached()
    expect_no_error(page)  # “Page not found” is an error in the console too
    assert answer(page).startswith("Second network has an accuracy of")
    expect(page.get_by_test_id("stSidebarNav").get_by_role("link", name="Overview")).to_have_count(1)
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.usefixtures("two_networks")
def test_each_press_of_back_undoes_one_step(page: Page, workbench: Workbench) -> None:
    page.goto(workbench.link("overview", network="first", table=KEY))
    settle(page)
    for name in ("Evaluate", "Gallery", "Data"):
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=TITLES[name])).to_be_visible()
        settle(page)  # the page has completed its address
    page.go_back()
    expect(page.get_by_role("heading", name=TITLES["Gallery"])).to_be_visible()
    settle(page)
    page.go_back()
    expect(page.get_by_role("heading", name=TITLES["Evaluate"])).to_be_visible()
    settle(page)
    before = page.url
    box = page.get_by_role("combobox", name="Label")
    box.focus()
    box.press_sequentially("angry")
    box.press("Enter")
    page.wait_for_url("**true=angry**")
    settle(page)
    page.go_back()
    page.wait_for_url(before)
    expect_no_error(page)


@pytest.mark.usefixtures("two_networks")
def test_picking_a_network_changes_the_answer_and_the_address(page: Page, workbench: Workbench) -> None:
    page.goto(workbench.link("evaluate", network="first", table=KEY))
    settle(page)
    before = answer(page)
    network = page.get_by_role("combobox", name="Network", exact=True)
    network.fill("Second network")  # other tests leave networks here, and a long list shows a part of them
    page.get_by_role("option", name="Second network").click()
    page.wait_for_url("**network=second**")
    expect(page.get_by_test_id("stMain").get_by_test_id("stMarkdown").first).to_contain_text(
        "Second network has an accuracy of"
    )
    assert before.startswith("First network has an accuracy of")
    page.reload()
    settle(page)
    assert answer(page).startswith("Second network has an accuracy of")
    expect_no_error(page)


@pytest.mark.usefixtures("two_networks")
def test_a_click_on_a_cell_shows_exactly_its_images(page: Page, workbench: Workbench) -> None:
    table = find("first").predictions(KEY)
    page.goto(workbench.link("evaluate", network="first", table=KEY, true="sad", predicted="sad"))
    settle(page)
    expect(page.locator(".fer-gallery img")).to_have_count(len(cell_ids(table, "sad", "sad")))
    assert shown_ids(page) == cell_ids(table, "sad", "sad")
    there = cell_ids(table, "happy", "happy")
    page.locator(f'[aria-label="{len(there)} images of happy predicted as happy"]').click()
    page.wait_for_url("**true=happy**")
    expect(page.get_by_test_id("stMain")).to_contain_text("labelled happy, correctly predicted as happy")
    settle(page)  # as many images of the cell before stand there until then
    expect(page.locator(".fer-gallery img")).to_have_count(len(there))
    assert shown_ids(page) == there
    assert page.locator(".fer-gallery img").evaluate_all("images => images.every(image => image.naturalWidth > 0)")
    expect_no_error(page)


@pytest.mark.usefixtures("two_networks")
def test_the_link_in_a_new_window_shows_the_same(page: Page, browser: Browser, workbench: Workbench) -> None:
    page.goto(workbench.link("evaluate", network="second", table=KEY, true="fear", predicted="fear"))
    settle(page)
    page.get_by_test_id("stMain").get_by_text("Counts", exact=True).click()
    page.wait_for_url("**shares=**")
    settle(page)
    other = browser.new_context().new_page()
    other.goto(page.url, timeout=1000 * WAIT)
    expect(other.locator(".fer-gallery img").first).to_be_visible()
    assert shown_ids(other) == shown_ids(page) == cell_ids(find("second").predictions(KEY), "fear", "fear")
    assert answer(other) == answer(page)
    expect(other.get_by_role("radio", name="Counts")).to_be_checked()
    other.context.close()


@pytest.mark.usefixtures("two_networks")
def test_the_cell_can_be_chosen_by_keyboard_alone(page: Page, workbench: Workbench) -> None:
    page.goto(workbench.link("evaluate", network="first", table=KEY, true="sad", predicted="sad"))
    settle(page)
    box = page.get_by_role("combobox", name="Label")
    box.focus()
    box.press_sequentially("angry")
    box.press("Enter")
    page.wait_for_url("**true=angry**")
    expect(page.get_by_test_id("stMain")).to_contain_text("labelled angry, predicted as sad")
    expect_no_error(page)
