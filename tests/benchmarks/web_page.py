"""The web page beside the live app: `python -m tests.benchmarks.web_page [NETWORK]`.

How far the page's probabilities are from the library's on 200 rendered images, as PNG and as JPEG, which browser and library
decode on their own. How long the page takes from its opening to its first answer, from the local disk and without a cache. And
how many frames a second of the same fake camera the page and the live app answer on this machine, in turn; the camera shows the
public-domain portrait. Goals: the same boxes and at most 0.001 apart on all PNG images, a first answer within 3 s, and a ratio
above 1.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from fer_core.reports.web_page import write_page
from fer_core.runs.store import find
from fer_core.workspace import ROOT
from tests.benchmarks.camera import fake_camera
from tests.browser.conftest import BROWSERS, QUIET
from tests.browser.web_page_answers import answers
from tests.browser.web_page_server import served
from tests.heads_scenes import scenes

IMAGES, APART = 200, 1e-3
SECONDS, VISITS, ROUNDS = 20, 5, 3
RATE = re.compile(r"([0-9.]+) frames (a|per) second")
PATIENCE = 120_000  # milliseconds


def unlike(browser: Browser, site: Path, address: str, network: str, ending: str) -> int:
    """The number of images, as files with an ending, that the page answers otherwise than the library."""
    place = site / "images"
    place.mkdir(exist_ok=True)
    files = [f"images/{number}.{ending}" for number in range(IMAGES)]
    for file, image in zip(files, scenes(IMAGES), strict=True):
        Image.fromarray(image).save(site / file, **({"quality": 92} if ending == "jpg" else {}))
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("article tr", timeout=PATIENCE)
    found = answers(page, site, files, [network])
    page.close()
    same = [one for one in found if one.same_boxes]
    far = [one for one in same if one.apart > APART]
    worst = max(one.apart for one in same)
    print(
        f"{ending}: {len(same)} of {IMAGES} with the library's boxes, {len(far)} of them more than {APART} apart, "
        f"at most {worst:.1g}"
    )
    return IMAGES - len(same) + len(far)


def first_answer(browser: Browser, address: str) -> float:
    """Seconds from the page's opening to its first answer, in a context without a cache."""
    context = browser.new_context()
    page, start = context.new_page(), time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("article tr", timeout=PATIENCE)
    seconds = time.perf_counter() - start
    context.close()
    return seconds


def rate(shown: Locator, page: Page) -> float:
    """Frames a second, as the page says after a while."""
    shown.wait_for(timeout=PATIENCE)
    page.wait_for_timeout(1000 * SECONDS)
    return float(RATE.search(shown.inner_text())[1])  # type: ignore[index]


def of_page(browser: Browser, address: str) -> float:
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("article tr", timeout=PATIENCE)
    page.locator("#camera").click()
    found = rate(page.get_by_text(RATE), page)
    page.close()
    return found


def of_app(browser: Browser, address: str, network: str) -> float:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}?network={network}")
    page.get_by_text(f"({network})").wait_for()
    page.get_by_role("tab", name="Camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.get_by_role("button", name="capture photo").click()
    found = rate(page.get_by_text(RATE), page)
    page.close()
    return found


@contextmanager
def live_app(folder: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "dashboard.live"], cwd=ROOT, env={**os.environ, "FERSCOPE_HOME": folder}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(300)


def main(network: str = "small-vgg") -> int:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_page([find(network)], site := Path(folder) / "page", offline=True)
        fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={fake_camera(Path(folder))}")  # fmt: skip
        path = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, *fake])
        with served(site) as address:
            others = {ending: unlike(browser, site, address, network, ending) for ending in ("png", "jpg")}
            visits = [first_answer(browser, address) for _ in range(VISITS)]
            print(
                f"first answer: {median(visits):.2f} s (from {min(visits):.2f} to {max(visits):.2f}); goal: at most 3"
            )
            ratios = []
            for _ in range(ROUNDS):
                with live_app(folder) as app:  # alone while it is measured
                    theirs = of_app(browser, app, network)
                ours = of_page(browser, address)
                ratios.append(ours / theirs)
                print(f"frames a second: page {ours:.1f}, live app {theirs:.1f}, ratio {ratios[-1]:.2f}")
        browser.close()
    print(f"ratio: {median(ratios):.2f}, goal: above 1")
    return int(others["png"] > 0 or median(visits) > 3 or median(ratios) <= 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
