"""WCAG 2.2 AA on every page, as axe-core checks it: no serious and no critical violation in a new workspace."""

from collections.abc import Iterator

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from dashboard.tour import SEEN
from fer_core.workspace import ROOT
from tests.browser.conftest import Workbench, settle

LEVELS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
MAIN = "[data-testid=stMain]"
# What Streamlit itself draws and no page can change: the rule, a part of the element's HTML, and why.
STREAMLITS = [
    ("list", 'data-testid="stSidebarNavItems"', "Streamlit lays each section of the sidebar's list into a div"),
    ("listitem", '<li class="st-emotion-cache-', "so that the links of the pages are no children of their list"),
]


def violations(page: Page, within: str | None) -> Iterator[str]:
    """The serious and critical violations of the page, or of a part of it, that are ours; each with its element."""
    options = {"runOnly": {"type": "tag", "values": LEVELS}, "resultTypes": ["violations"]}
    for rule in Axe().run(page, within, options).response["violations"]:
        if rule["impact"] in ("serious", "critical"):
            for node in rule["nodes"]:
                if not any(rule["id"] == known and part in node["html"] for known, part, _ in STREAMLITS):
                    yield f"{rule['id']}: {node['html'][:300]} {node['failureSummary']}"


def test_no_page_has_a_serious_violation(page: Page, workbench: Workbench) -> None:
    (workbench.home / SEEN).touch()
    found = {}
    for name in sorted(path.stem for path in (ROOT / "dashboard" / "views").glob("[a-z]*.py")):
        page.goto(workbench.link("" if name == "home" else name))
        settle(page)
        # the frame of all pages, with the sidebar, is looked at once
        if told := list(violations(page, None if name == "home" else MAIN)):
            found[name] = told
    assert found == {}
