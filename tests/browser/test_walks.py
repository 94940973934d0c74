"""Three walks through the workbench, without a terminal: a student's, a teacher's and an engineer's."""

import re
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from dashboard.tour import SEEN
from fer_core.labels import FER7
from fer_core.runs import store
from tests.browser.conftest import Workbench, expect_no_error, settle
from tests.browser.test_train import TRAINING, start
from tests.faces import face

EACH = 3  # images of an expression in the engineer's set
# Clicks that a person makes, also across pages; what a page clicks by itself is not counted.
COUNT_CLICKS = """
if (self === top) addEventListener("click", (event) => {
  if (event.isTrusted && event.detail) sessionStorage.clicks = 1 + Number(sessionStorage.clicks ?? 0);
}, true);
"""


def go(page: Page, word: str) -> None:
    """Open a page by its word in the sidebar."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=word, exact=True).click()
    expect(page.get_by_role("heading", name=f"{word}:")).to_be_visible()
    settle(page)


def test_a_student_takes_the_tour_trains_on_rendered_heads_sees_errors_and_explains_one(
    page: Page, workbench: Workbench
) -> None:
    (workbench.home / SEEN).unlink(missing_ok=True)
    page.goto(workbench.link())
    main, tour = page.get_by_test_id("stMain"), page.locator(".st-key-tour")
    expect(tour).to_contain_text("Tour, step 1 of 5")
    expect(main.locator('img[alt^="Map of what speaks for"]')).to_be_visible()
    for number, word in enumerate(("Evaluate", "Gallery", "Explain", "Train"), 2):
        tour.get_by_role("link", name=f"Next: {word}").click()
        expect(page.get_by_role("heading", name=f"{word}:")).to_be_visible()
        expect(tour).to_contain_text(f"Tour, step {number} of 5")
        expect_no_error(page)
    tour.get_by_role("button", name="End the tour").click()
    expect(tour).to_have_count(0)

    start(page, "walk", epochs=1)
    expect(main.get_by_text(re.compile("Starting|Training with")).first).to_be_visible()
    expect(main.get_by_text("Finished with an accuracy of")).to_be_visible(timeout=TRAINING)
    expect(main.get_by_text("1 of 1 epochs")).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    expect_no_error(page)
    figures = store.find("walk").card.results["heads-val"]
    expect(main.get_by_text("Finished with an accuracy of")).to_contain_text(f"{100 * figures['accuracy']:.1f}")

    main.get_by_role("link", name="Evaluate this network").click()
    expect(page.get_by_role("heading", name="Evaluate: where does the network fail?")).to_be_visible()
    expect(page.locator('[aria-label$="of happy predicted as happy"]')).to_be_visible()
    expect(main).to_contain_text("n = 315")
    expect_no_error(page)
    wrong = page.locator(".fer-gallery img").first  # the page opens at the worst confusion
    told = re.search(r"id (\S+?)(?: of|,)", wrong.get_attribute("alt") or "")
    assert told is not None
    wrong.click()

    page.wait_for_url("**/explain**")
    expect(page.get_by_role("heading", name="Explain: what does the network look at?")).to_be_visible()
    expect(page.locator(f'img[alt*="image {told[1]}"]')).to_be_visible()
    maps = page.locator('img[alt^="Grad-CAM for "]')
    expect(maps).to_have_count(1)  # one large map; more are asked for in the drawer
    expect(maps.first).to_have_js_property("complete", True)
    assert maps.first.evaluate("image => image.naturalWidth") > 0
    expect(main.get_by_text("The network predicts")).to_be_visible()
    expect_no_error(page)
    main.get_by_text("Other expressions, methods, networks and parameters").click()
    main.get_by_role("button", name="Occlusion").click()
    expect(page.locator('img[alt^="Occlusion for "]')).to_have_count(1)
    settle(page)
    shown, said = page.url, main.get_by_text("The network predicts").inner_text()
    page.reload()
    expect(main.get_by_text("The network predicts")).to_have_text(said)
    expect(page.locator('img[alt^="Occlusion for "]')).to_have_count(1)  # the methods are in the link too
    assert page.url == shown
    expect_no_error(page)


def test_a_teacher_shows_a_face_and_a_map_in_two_clicks_and_then_the_camera_on_the_whole_screen(
    page: Page, workbench: Workbench
) -> None:
    (workbench.home / SEEN).touch()
    page.add_init_script(COUNT_CLICKS)
    page.goto(workbench.link())
    main = page.get_by_test_id("stMain")
    main.get_by_role("button", name="Show it: explain a face").click()
    expect(page.locator('img[alt^="The image as the network sees it"]')).to_be_in_viewport()
    expect(page.locator('img[alt^="Grad-CAM for "]')).to_be_in_viewport()
    settle(page)
    first = page.locator('img[alt^="Grad-CAM for "]').get_attribute("src") or ""
    main.get_by_role("button", name="Next").click()
    expect(page.locator('img[alt^="Grad-CAM for "]')).not_to_have_attribute("src", first)
    expect_no_error(page)
    assert page.evaluate("Number(sessionStorage.clicks)") == 2

    page.context.grant_permissions(["camera"])
    go(page, "Live")
    live = page.frame_locator('iframe[title="Live app"]')
    live.locator(".gallery-item").first.click()
    said = live.locator(".faces h3")
    expect(said).to_be_in_viewport()
    inside = next(frame for frame in page.frames if frame.parent_frame)
    expect(page.locator("iframe")).to_have_css("height", re.compile(r"^(?!900px)"))  # it has said how high it is
    assert inside.evaluate("document.documentElement.scrollHeight <= innerHeight + 1")  # only the page scrolls
    first = said.inner_text()
    live.get_by_role("listbox", name=re.compile("^Networks")).or_(
        live.get_by_label(re.compile("^Networks"))
    ).first.click()
    live.get_by_role("option", name=re.compile("^mini-Xception")).click()
    page.keyboard.press("Escape")
    expect(said).not_to_have_text(first)  # the same photo, by two networks
    expect(live.get_by_alt_text(re.compile("faces marked. 1 face"))).to_be_visible()

    live.get_by_role("tab", name="Camera").click()
    live.get_by_text("Click to Access Webcam").first.click()
    live.get_by_role("button", name="capture photo").click()  # Gradio calls it so, and shows “Record”
    expect(live.get_by_alt_text(re.compile("Camera image. 1 face"))).to_be_visible()
    page.keyboard.press("f")
    expect(live.get_by_role("tab", name="Camera")).to_be_hidden()
    expect(live.locator(".by:visible")).to_have_text("Small VGG (long)")  # the first of them alone
    large = live.locator(".faces:visible h3").evaluate("heading => parseFloat(getComputedStyle(heading).fontSize)")
    assert large >= 28
    assert page.evaluate("document.fullscreenElement?.title") == "Live app"
    page.keyboard.press("f")
    expect(live.get_by_role("tab", name="Camera")).to_be_visible()
    expect_no_error(page)


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    """Rendered heads in a zip of class folders."""
    path = tmp_path / "ours.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label in FER7.names:
            for number in range(EACH):
                buffer = BytesIO()
                Image.fromarray(face(label, 40 + number)).save(buffer, "PNG")
                archive.writestr(f"test/{label}/{number}.png", buffer.getvalue())
    return path


def test_an_engineer_brings_a_set_evaluates_two_networks_on_it_decides_and_exports(
    page: Page, workbench: Workbench, zipped: Path, tmp_path: Path
) -> None:
    (workbench.home / SEEN).touch()
    page.goto(workbench.link())
    settle(page)
    go(page, "Data")
    main = page.get_by_test_id("stMain")
    page.get_by_text("Add a data set").click()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator('[data-testid="stAlertContentError"]')).to_contain_text("Choose a file, or enter the path")
    settle(page)
    main.locator("input[type=file]").first.set_input_files(zipped)
    expect(main.get_by_text("ours.zip")).to_be_visible()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(main).to_contain_text(f"Added “ours”: {7 * EACH} images of 7 expressions")
    settle(page)

    main.get_by_role("button", name=re.compile("^Evaluate .* on it$")).click()
    page.wait_for_url("**measure=**")
    settle(page)
    for title in ("mini-Xception", "Small VGG"):
        box = main.get_by_role("combobox", name="Network to evaluate")
        box.click()
        box.fill(title)
        expect(page.get_by_role("option").first).to_have_text(title)
        box.press("Enter")
        expect(box).to_have_value(title)
        main.get_by_role("button", name="Start", exact=True).click()
        expect(main.get_by_text(f"Predictions and all figures: {title} on ours")).to_be_visible()
    expect(main.get_by_role("link", name="Open the result")).to_have_count(
        2
    )  # jobs take turns, and the page follows them
    settle(page)
    expect_no_error(page)
    main.get_by_role("link", name="Open the result").first.click()
    expect(main.get_by_text(re.compile(rf"Small VGG has an accuracy of .*n = {7 * EACH}"))).to_be_visible()

    go(page, "Decide")
    box = main.get_by_role("combobox", name="B, the other network")
    expect(box).to_have_value("mini-Xception")
    expect(main.get_by_role("table").first).to_contain_text("A: Small VGG")
    expect_no_error(page)
    with page.expect_download() as sent:
        main.get_by_role("button", name="Export for sign-off (HTML)").click()
    sent.value.save_as(tmp_path / "decision.html")
    exported = (tmp_path / "decision.html").read_text(encoding="utf-8")
    verdict = main.get_by_role("heading", level=3).first.inner_text()
    assert verdict in exported
    assert exported.count("mini-Xception") > 1
