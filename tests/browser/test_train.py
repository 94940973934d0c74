"""The form of Train in real Chromium."""

import re
import shutil

from playwright.sync_api import Page, expect

from tests.app.examples import make_network
from tests.browser.conftest import Workbench, expect_no_error, settle

TRAINING = 900_000  # milliseconds for a tiny run that first draws the rendered heads, on a busy machine


def start(page: Page, name: str, epochs: int) -> None:
    """Fill in the form of the page Train as a person does, with a network that trains in seconds, and press Start."""
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
