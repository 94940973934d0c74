"""The Lab page in a browser: the head follows the settings, a link holds it, and an experiment can be stopped."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Workbench, expect_no_error

MAIN = "stMain"


def test_a_slider_moves_the_head_and_a_link_shows_the_same_one(workbench: Workbench, page: Page) -> None:
    page.goto(workbench.link("lab", networks="mini-xception", person="9"))
    main = page.get_by_test_id(MAIN)
    answer = main.get_by_text("mini-Xception predicts happy")
    expect(answer).to_be_visible()
    head, map_ = (main.get_by_role("img", name=name) for name in ("The rendered head", "Map for"))
    before = [one.get_attribute("src") for one in (head, map_)]
    page.get_by_role("slider", name="Intensity").press("Home")  # at rest
    expect(main.get_by_text(re.compile("mini-Xception predicts (?!happy)"))).to_be_visible()
    expect(page).to_have_url(re.compile("intensity=0"))
    for one, src in zip((head, map_), before, strict=True):
        expect(one).not_to_have_attribute("src", src or "")
    said, shown = main.get_by_text("mini-Xception predicts").inner_text(), head.get_attribute("src")
    assert page.context.browser is not None
    with page.context.browser.new_context() as elsewhere:
        other = elsewhere.new_page()
        other.goto(page.url)
        expect(other.get_by_text(said)).to_be_visible()
        expect(other.get_by_role("img", name="The rendered head")).to_have_attribute("src", shown or "")


def test_a_curve_shows_its_progress_and_can_be_stopped(workbench: Workbench, page: Page) -> None:
    page.goto(workbench.link("lab", networks="mini-xception", experiment="Response curve", shows="surprise"))
    main = page.get_by_test_id(MAIN)
    main.get_by_role("button", name="Measure now").click()
    expect(main.get_by_text(re.compile(r"[1-9]\d? of 12 people"))).to_be_visible()
    main.get_by_role("button", name="Stop").click()
    expect(main.get_by_role("button", name="Stop")).to_have_count(0)
    expect(main.get_by_text("Not measured yet: mini-Xception.")).to_be_visible()
    stored = list((workbench.home / "lab").rglob("*.npy"))
    assert 0 < len(stored) < 12
    main.get_by_role("button", name="Measure now").click()
    expect(main.get_by_text(re.compile("12 people"))).to_be_visible()
    expect(main.get_by_text("Not measured yet")).to_have_count(0)
    expect_no_error(page)
