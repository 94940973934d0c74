"""The live tab in a real browser, as a process of its own, with a camera that shows the public-domain portrait."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import expect
from skimage.data import astronaut

from fer_core.labels import FER7
from fer_core.workspace import ROOT
from tests.browser.conftest import WAIT
from tests.untrained import untrained

PATIENCE = 2000 * WAIT  # milliseconds; importing torch and Gradio takes a minute beside a training
LABEL = re.compile("|".join(FER7.names))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace with one network."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERSCOPE_HOME", str(folder))
        untrained()
    return folder


def start(home: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "dashboard.live"],
        cwd=ROOT, env={**os.environ, "FERSCOPE_HOME": str(home)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    return process, process.stdout.readline().strip()


@pytest.fixture(scope="module")
def address(home):
    process, url = start(home)
    assert url.startswith("http://127.0.0.1:"), "the live tab did not start"
    yield f"{url}?network=untrained"
    process.stdin.close()
    process.wait(300)


@pytest.fixture
def tab(browser, address):
    """The live tab, opened; at the end nothing of it may have asked another host, or failed in the console."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000}, permissions=["camera"])
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    elsewhere, errors = [], []
    page.on("request", lambda request: elsewhere.append(request.url) if leaves(request.url) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    expect(page.get_by_text("(untrained)")).to_be_visible()
    yield page
    page.close()
    assert elsewhere == []
    assert errors == []


def leaves(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))


def upload(page, path: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(path)


def portrait(tmp_path: Path) -> Path:
    Image.fromarray(astronaut()).save(tmp_path / "portrait.png")
    return tmp_path / "portrait.png"


def test_an_uploaded_photo_shows_its_face_with_probabilities_and_on_demand_what_was_looked_at(tab, tmp_path):
    upload(tab, portrait(tmp_path))
    face = tab.locator(".faces section")
    expect(face).to_have_count(1)
    expect(face.get_by_role("heading")).to_have_text(LABEL)
    expect(face.get_by_role("row")).to_have_count(7)
    expect(tab.get_by_alt_text(re.compile("faces marked. 1 face"))).to_be_visible()
    before = tab.get_by_alt_text(re.compile("faces marked")).get_attribute("src")
    tab.get_by_label("Show Grad-CAM overlay").check()
    expect(tab.get_by_text("Grad-CAM of the predicted expression")).to_be_visible()
    expect(tab.get_by_alt_text(re.compile("faces marked"))).not_to_have_attribute("src", before)


def test_a_group_of_rendered_heads_is_offered_and_all_are_found(tab):
    tab.get_by_text("rendered heads").wait_for()
    tab.locator(".gallery-item").last.click()
    expect(tab.locator(".faces section")).to_have_count(3)
    expect(tab.locator(".faces section").first.get_by_role("heading")).to_have_text(re.compile("Face 1: "))


def test_a_damaged_picture_and_one_without_a_face_get_a_sentence(tab, tmp_path):
    damaged, empty = tmp_path / "damaged.png", tmp_path / "grey.png"
    damaged.write_bytes(portrait(tmp_path).read_bytes()[:9000])
    Image.fromarray(np.full((200, 300), 120, np.uint8)).save(empty)
    upload(tab, damaged)
    expect(tab.get_by_role("alert").filter(has_text="damaged")).to_be_visible()
    tab.get_by_label("Remove Image").or_(tab.get_by_label("Clear")).first.click()
    upload(tab, empty)
    expect(tab.get_by_text("No face was found. Try another detector")).to_be_visible()


def test_photos_that_are_sent_while_others_are_looked_at_are_shown_and_in_their_place_once_those_are_removed(
    tab, tmp_path
):
    Image.fromarray(np.full((200, 300), 120, np.uint8)).save(tmp_path / "grey.png")
    several = tab.locator("input[type=file]").nth(1)
    several.set_input_files([portrait(tmp_path), portrait(tmp_path)])
    several.set_input_files([tmp_path / "grey.png"])  # there is no second input until the first upload has come up
    expect(tab.get_by_text("3 photos, 2 faces; 1 without a face.")).to_be_visible()
    expect(tab.locator(".faces section")).to_have_count(1)  # the first is the large one
    tab.get_by_label("Show Grad-CAM overlay").check()  # all are looked at again, and meanwhile
    tab.get_by_label("Clear").click()
    several.set_input_files([tmp_path / "grey.png"])
    expect(tab.get_by_text("1 photo, 0 faces; 1 without a face.")).to_be_visible()
    expect(tab.locator(".photos .caption-label")).to_have_text(["grey.png: No face was found."])
    expect(tab.get_by_text("No face was found. Try another detector")).to_be_visible()  # it is the large one too


def test_the_camera_shows_a_label_and_the_overlay_can_be_switched_while_it_runs(tab):
    tab.get_by_role("tab", name="Camera").click()
    tab.get_by_text("Click to Access Webcam").click()
    tab.get_by_role("button", name="capture photo").click()  # Gradio calls it so, and shows “Record”
    shot = tab.get_by_alt_text(re.compile("Camera image. 1 face"))
    expect(shot).to_be_visible()
    expect(tab.locator(".faces section").get_by_role("heading")).to_have_text(LABEL)
    expect(tab.get_by_text(re.compile(r"[0-9.]+ frames per second"))).to_be_visible()
    tab.get_by_label("Show Grad-CAM overlay").check()
    expect(tab.get_by_text("Grad-CAM of the predicted expression")).to_be_visible()
    tab.get_by_label("Show Grad-CAM overlay").uncheck()
    expect(tab.get_by_text("Grad-CAM of the predicted expression")).not_to_be_visible()
    tab.get_by_text("Stop", exact=True).click()


def test_without_permission_the_page_says_how_to_give_it_and_goes_on_once_it_is_given(tab):
    tab.context.clear_permissions()
    tab.get_by_role("tab", name="Camera").click()
    tab.get_by_text("Click to Access Webcam").click()
    problem = tab.get_by_role("alert").filter(has_text="may not use the camera. Allow it in the address bar")
    expect(problem).to_be_visible()
    tab.context.grant_permissions(["camera"])
    tab.get_by_text("Click to Access Webcam").click()
    expect(tab.get_by_role("button", name="capture photo")).to_be_visible()
    expect(problem).to_have_count(0)


def test_the_process_ends_when_the_one_that_started_it_is_killed(home):
    parent = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys\n"
         "child = subprocess.Popen([sys.executable, '-m', 'dashboard.live'], stdin=subprocess.PIPE)\n"
         "print(child.pid, flush=True)\n"
         "child.wait()"],
        cwd=ROOT, env={**os.environ, "FERSCOPE_HOME": str(home)}, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    child = psutil.Process(int(parent.stdout.readline()))
    assert parent.stdout.readline().startswith("http://127.0.0.1:")
    parent.kill()
    parent.wait()
    psutil.wait_procs([child], timeout=120)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
