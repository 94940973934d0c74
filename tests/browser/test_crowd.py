"""Ten people at once on one server: each sees pages without an error, and each keeps an address of their own."""

import re

from playwright.sync_api import Browser, expect

from tests.app.examples import make_network, predictions_elsewhere
from tests.browser.conftest import WAIT, Workbench, expect_no_error

PEOPLE = 10
VIEWS = ("overview", "evaluate", "compare", "confidence", "gallery")


def test_ten_browsers_at_once_each_see_what_they_asked_for(browser: Browser, workbench: Workbench) -> None:
    for name in ("crowd-one", "crowd-two"):
        make_network(name, predictions_elsewhere(skill=0.6 if name == "crowd-one" else 0.7))
    contexts = [browser.new_context() for _ in range(PEOPLE)]
    pages = []
    try:
        for context in contexts:
            context.set_default_timeout(1000 * WAIT)
            page = context.new_page()
            errors: list[str] = []
            page.on(
                "console",
                lambda message, errors=errors: errors.append(message.text) if message.type == "error" else None,
            )
            page.console_errors = errors
            pages.append(page)
        for turn in range(2):
            for number, page in enumerate(pages):  # all are asked for before any is looked at
                network = ("crowd-one", "crowd-two")[(number + turn) % 2]
                page.goto(workbench.link(VIEWS[(number + turn) % len(VIEWS)], network=network), wait_until="commit")
            for number, page in enumerate(pages):
                network = ("crowd-one", "crowd-two")[(number + turn) % 2]
                expect_no_error(page)
                expect(page).to_have_url(re.compile(f"network={network}"), timeout=1000 * WAIT)
                box = page.get_by_role("combobox", name="Network", exact=True)
                expect(box).to_have_value(network, timeout=1000 * WAIT)
    finally:
        for context in contexts:
            context.close()
