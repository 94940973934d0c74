"""Train and Explain in real Chromium: from a first run on the rendered heads to a map of what its network looks at."""

import re
import shutil
import time
from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Page, expect

from fer_core.runs import store
from fer_core.runs.folder import RunFolder
from tests.app.examples import make_network
from tests.browser.conftest import Workbench, expect_no_error, settle

TRAINING = 900_000  # milliseconds for a tiny run that first draws the rendered heads, on a busy machine


@pytest.fixture(autouse=True)
def no_run_is_left(workbench: Workbench) -> Iterator[None]:
    yield
    for run in store.runs():
        status = run.status()
        if status.active and status.pid:
            psutil.Process(status.pid).kill()


def start(page: Page, workbench: Workbench, name: str, epochs: int) -> None:
    """Fill in the form as a person does, with a network that trains in seconds, and press Start."""
    page.goto(workbench.link("train"))
    settle(page)
    expect(page.get_by_role("combobox", name="Recipe")).to_have_value(re.compile("heads"))
    page.get_by_label("Epochs", exact=True).fill(str(epochs))
    page.get_by_label("Epochs", exact=True).press("Enter")
    expect(page.get_by_test_id("stMain")).to_contain_text("changed, was")
    page.get_by_text("All settings").click()
    page.get_by_role("tab", name="Other").click()
    page.get_by_label("Network arguments", exact=True).fill("{widths = [8, 16]}")
    page.get_by_label("Network arguments", exact=True).press("Enter")
    page.get_by_label("Name of the run").fill(name)
    page.get_by_label("Name of the run").press("Enter")
    page.get_by_text("Recipe and command line").click()
    command = f"--name {name} --set epochs={epochs} --set 'arguments={{widths = [8, 16]}}'"
    expect(page.get_by_test_id("stCode").first).to_contain_text(command)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(f"**run={name}**")


def test_from_a_start_on_rendered_heads_to_the_matrix_and_a_grad_cam(page: Page, workbench: Workbench) -> None:
    start(page, workbench, "journey", epochs=1)
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text(re.compile("Starting|Training with")).first).to_be_visible()
    expect(main.get_by_text("Finished with an accuracy of")).to_be_visible(timeout=TRAINING)
    expect(main.get_by_text("1 of 1 epochs")).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    expect_no_error(page)
    figures = store.find("journey").card.results["heads-val"]
    expect(main.get_by_text("Finished with an accuracy of")).to_contain_text(f"{100 * figures['accuracy']:.1f}")

    main.get_by_role("link", name="Evaluate this network").click()
    expect(page.get_by_role("heading", name="Evaluate: where does the network fail?")).to_be_visible()
    expect(page.locator('[aria-label$="of happy predicted as happy"]')).to_be_visible()
    expect(main).to_contain_text("n = 315")
    expect_no_error(page)

    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Explain").click()
    expect(page.get_by_role("heading", name="Explain: what does the network look at?")).to_be_visible()
    maps = page.locator('img[alt^="Grad-CAM for "]')
    expect(maps).to_have_count(1)  # one large map; more are asked for in the drawer
    expect(maps.first).to_have_js_property("complete", True)
    assert maps.first.evaluate("image => image.naturalWidth") > 0
    expect(main.get_by_text("The network predicts")).to_be_visible()
    expect_no_error(page)

    main.get_by_text("Other expressions, methods, networks and parameters").click()
    main.get_by_role("button", name="Occlusion").click()
    expect(page.locator('img[alt^="Occlusion for "]')).to_have_count(1)
    first = maps.first.get_attribute("src")
    main.get_by_role("button", name="Next").click()
    page.wait_for_url(lambda url: "image=" in url)
    expect(maps.first).not_to_have_attribute("src", first or "")
    settle(page)  # until then the sentence is that of the image before
    shown = page.url
    main_text = main.get_by_text("The network predicts").inner_text()
    page.reload()
    expect(main.get_by_text("The network predicts")).to_have_text(main_text)
    expect(page.locator('img[alt^="Occlusion for "]')).to_have_count(1)  # the methods are in the link too
    assert page.url == shown
    expect_no_error(page)


def ended(process: psutil.Process) -> bool:
    """Gone, or a zombie that its parent has not yet collected."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_run_goes_on_without_its_tab_is_found_by_its_link_and_is_stopped(page: Page, workbench: Workbench) -> None:
    start(page, workbench, "left", epochs=5000)
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("Training with")).to_be_visible(timeout=TRAINING)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(
        timeout=TRAINING
    )  # the first epoch came without a reload
    process = psutil.Process(RunFolder.named("left").status().pid)
    page.reload()
    expect(main.get_by_text("Training with")).to_be_visible()
    assert process.is_running()
    main.get_by_role("button", name="Stop").click()
    expect(main.get_by_text("Stopped and saved; resume continues from here.")).to_be_visible()
    expect(main.get_by_role("button", name="Resume")).to_be_visible()
    expect_no_error(page)
    assert RunFolder.named("left").status().state == "stopped"
    deadline = time.monotonic() + 60
    while not ended(process) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ended(process)


def test_no_name_of_a_setting_is_broken_in_a_narrow_window(page: Page, workbench: Workbench) -> None:
    page.set_viewport_size({"width": 800, "height": 1000})
    page.goto(workbench.link("train"))
    settle(page)
    page.get_by_text("All settings").click()
    page.get_by_role("tab", name="Loss").click()
    labels = page.get_by_test_id("stWidgetLabel")
    line = labels.filter(has_text="Epochs").evaluate("label => label.offsetHeight")
    for name in ("Weight decay", "Temperature of the teachers"):
        assert labels.filter(has_text=name).evaluate("label => label.offsetHeight") == line


def test_the_whole_name_of_a_run_can_be_read_in_the_list(page: Page, workbench: Workbench) -> None:
    long = make_network("the_same_beginning_as_another_run_of_this_student_but_another_end", None)
    try:
        page.set_viewport_size({"width": 800, "height": 1000})
        page.goto(workbench.link("train"))
        settle(page)
        words = page.get_by_test_id("stMain").get_by_role("link", name=long.name).locator("span").first
        assert words.evaluate("words => words.scrollWidth - words.clientWidth") == 0
    finally:
        shutil.rmtree(long)


def test_what_was_set_outlives_a_reload_and_another_recipe_starts_at_its_own_values(
    page: Page, workbench: Workbench
) -> None:
    page.goto(workbench.link("train"))
    settle(page)
    main, recipe = page.get_by_test_id("stMain"), page.get_by_role("combobox", name="Recipe")
    task = page.get_by_role("combobox", name="Task")
    task.fill("on a processor")
    task.press("Enter")
    expect(recipe).to_have_value("Small VGG")
    settle(page)  # the recipes are those of the task now
    recipe.fill("mini-Xception")
    recipe.press("Enter")
    expect(recipe).to_have_value("mini-Xception")
    rate = page.get_by_role("spinbutton", name=re.compile("^Learning rate"))
    name = page.get_by_role("textbox", name="Name of the run")
    expect(name).to_have_value("mini-xception-2")
    settle(page)  # the fields below are that recipe's now
    for field, value in ((rate, "0.123"), (name, "mine")):
        field.fill(value)
        field.press("Enter")
    page.get_by_text("Recipe and command line").click()
    command = "ferscope train mini-xception --data heads --name mine --set optimizer.lr=0.123"
    expect(page.get_by_test_id("stCode").first).to_have_text(command)
    page.wait_for_url("**mine**")
    page.reload()
    settle(page)
    expect(rate).to_have_value("0.123")
    expect(main).to_contain_text("Learning rate changed, was 0.1")
    expect(name).to_have_value("mine")
    recipe.fill("Small VGG")
    recipe.press("Enter")
    expect(recipe).to_have_value("Small VGG")
    page.get_by_text("Recipe and command line").click()
    expect(page.get_by_test_id("stCode").first).to_have_text("ferscope train small-vgg --data heads --name small-vgg-2")
    expect(page).not_to_have_url(re.compile("mini-xception"))
    expect_no_error(page)
