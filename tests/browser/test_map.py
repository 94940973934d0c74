"""The map of faces in real Chromium: a lasso around points shows their images, and the gallery shows the same."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import FloatRect, Page, expect

from fer_core.datasets import open_dataset
from fer_core.evaluation import selections
from fer_core.evaluation.embedding import features_of
from fer_core.evaluation.predict import predict_checkpoint
from tests.browser.conftest import Workbench, expect_no_error, known_faces, settle
from tests.untrained import untrained


@pytest.fixture(scope="module")
def network(workbench: Workbench) -> str:
    """A network whose features of 14 images are kept."""
    with known_faces(workbench, "map-faces", each=2) as place:
        dataset, folder = open_dataset(place), untrained("map-network", title="Map network")
        predict_checkpoint(folder, dataset, "val")
        features_of(folder, dataset, "val")
    return "map-network"


def place_of_map(page: Page, workbench: Workbench, network: str) -> FloatRect:
    """Open the page, scroll to its map and say where that is, in pixels of the window."""
    page.goto(workbench.link("map", network=network, table="map-faces-val", among="val"))
    settle(page)
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    return box


def test_a_lasso_around_all_points_shows_all_pictures(
    page: Page, workbench: Workbench, network: str, workspace: Path
) -> None:
    box = place_of_map(page, workbench, network)
    page.mouse.move(box["x"] + 9, box["y"] + 9)
    page.locator('.modebar-btn[data-title="Lasso Select"]').click()
    left, top, right, bottom = box["x"] + 2, box["y"] + 2, box["x"] + box["width"] - 2, box["y"] + box["height"] - 2
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top)):
        page.mouse.move(x, y, steps=5)
    page.mouse.up()
    expect(page.get_by_role("heading", name="Selected images")).to_be_visible()
    expect(page.get_by_test_id("stMain")).to_contain_text("14 images,")
    page.get_by_role("button", name="Open in Gallery").click()
    page.wait_for_url(re.compile("/gallery.*selection=map-"))
    expect(page.get_by_test_id("stMain")).to_contain_text("14 matching images")
    expect_no_error(page)
    kept = [name for name in selections.names() if name.startswith("map-")]
    assert [len(selections.read(name)) for name in kept] == [14]


def test_the_picture_of_the_point_under_the_pointer_is_shown(page: Page, workbench: Workbench, network: str) -> None:
    box = place_of_map(page, workbench, network)
    picture = page.get_by_test_id("stBidiComponentIsolated").locator('div[style*="data:image/jpeg"]')
    expect(picture).to_have_count(1)
    expect(picture).to_be_hidden()
    rows = page.evaluate(
        """() => document.querySelector('.js-plotly-plot').data.map(trace => trace.customdata.map(each => each[0]))"""
    )
    assert sorted(row for trace in rows for row in trace) == list(range(14))
    where = page.evaluate(
        """() => {
            const plot = document.querySelector('.js-plotly-plot'), { xaxis, yaxis } = plot._fullLayout;
            const trace = plot._fullData.at(-1), area = plot.querySelector('.nsewdrag').getBoundingClientRect();
            const at = (axis, value) => axis.l2p(value);
            return [area.x + at(xaxis, trace.x[0]), area.y + at(yaxis, trace.y[0]), trace.customdata[0][0]];
        }"""
    )
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.move(where[0], where[1], steps=4)
    expect(picture).to_be_visible()
    column, line = where[2] % 64, where[2] // 64
    expect(picture).to_have_css("background-position", f"{-96 * column}px {-96 * line}px")
    page.mouse.click(where[0], where[1])
    chosen = page.evaluate("() => document.querySelector('.js-plotly-plot')._fullData.at(-1).customdata[0][1]")
    page.wait_for_url(f"**picture={quote(chosen, safe='')}**")
    page.mouse.move(box["x"] + 1, box["y"] - 40, steps=4)
    expect(picture).to_be_hidden()
    expect_no_error(page)
