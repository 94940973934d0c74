"""Compare and Confidence in real Chromium: a comparison, a threshold, and their links in a new window."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fer_core.datasets import open_dataset
from fer_core.evaluation.calibration import at_threshold
from fer_core.evaluation.comparison import compare
from fer_core.runs.store import find
from tests.app.examples import make_network, predictions_on
from tests.browser.conftest import WAIT, Workbench, expect_no_error, known_faces, settle
from tests.browser.test_tables import address, shown_ids

KEY = "twins-val"


@pytest.fixture(scope="session")
def twins(workbench: Workbench) -> Path:
    """A weak and a strong network on images that the workspace knows."""
    with known_faces(workbench, "twins", each=12) as place:
        for seed, (name, title, skill) in enumerate((("weak", "Weak network", 0.3), ("strong", "Strong network", 0.9))):
            make_network(name, predictions_on(open_dataset(place), "val", seed=seed, skill=skill), title=title)
    return place


@pytest.fixture
def other_window(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(1000 * WAIT)
    yield context.new_page()
    context.close()


def sentences(page: Page) -> list[str]:
    settle(page)
    return page.get_by_test_id("stMain").get_by_test_id("stMarkdown").all_inner_texts()


@pytest.mark.usefixtures("twins")
def test_two_networks_are_compared_and_the_link_shows_the_same_in_a_new_window(
    page: Page, other_window: Page, workbench: Workbench
) -> None:
    a, b = (find(name).predictions(KEY) for name in ("weak", "strong"))
    found = compare(a, b)
    page.goto(workbench.link("compare", network="weak", table=KEY))
    settle(page)
    page.get_by_role("combobox", name="Compare Weak network with").click()
    page.get_by_role("option", name="Strong network").click()
    main = page.get_by_test_id("stMain")
    expect(main).to_contain_text(found.sentence("Weak network", "Strong network"))
    expect(main).to_contain_text(f"Strong network is right on {found.test.only_b} images that Weak network gets wrong")
    main.get_by_text("Newly wrong", exact=True).click()
    page.wait_for_url("**change=**")
    broken = found.changed[found.changed["change"] == "broken"]
    expect(page.locator(".fer-gallery img")).to_have_count(min(12, len(broken)))
    assert shown_ids(page) == set(broken["id"])
    happy = found.difference.recall.set_index("expression").loc["happy"]
    points = f"happy: {100 * happy['difference']:+.1f} points ("
    expect(page.locator(f'[aria-label^="{points}"]').first).to_be_attached()
    told = found.cells[found.cells["p_adjusted"] <= 0.05].iloc[0]
    words = f"{told['label']} predicted as {told['predicted']}: Weak network {told['a']}, Strong network {told['b']}"
    expect(page.locator(f'[aria-label="{words}"]')).to_be_attached()
    expect_no_error(page)
    assert address(page)["other"] == "strong"
    other_window.goto(page.url)
    expect(other_window.get_by_role("radio", name="Newly wrong")).to_be_checked()
    assert shown_ids(other_window) == set(broken["id"])
    assert sentences(other_window) == sentences(page)


@pytest.mark.usefixtures("twins")
def test_the_threshold_moves_by_keyboard_and_the_link_shows_the_same(
    page: Page, other_window: Page, workbench: Workbench
) -> None:
    table = find("weak").predictions(KEY)
    page.goto(workbench.link("confidence", network="weak", table=KEY, threshold="90"))
    main = page.get_by_test_id("stMain")
    first = at_threshold(table, 0.90)
    expect(main).to_contain_text(f"({first.answered:,} of {first.n:,})")
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    page.wait_for_url("**threshold=93**")
    moved = at_threshold(table, 0.93)
    assert moved.answered != first.answered
    expect(main).to_contain_text(f"({moved.answered:,} of {moved.n:,})")
    expect(main).to_contain_text(
        f"It gives no answer for {moved.abstained:,}, of which {moved.abstained_errors:,} would"
    )
    expect(main).to_contain_text("Which expressions lose most at a threshold of 93 %?")
    expect_no_error(page)
    other_window.goto(page.url)
    expect(other_window.get_by_test_id("stMain")).to_contain_text(f"({moved.answered:,} of {moved.n:,})")
    assert sentences(other_window) == sentences(page)
    assert shown_ids(other_window) == shown_ids(page) != set()
