"""Make the images of the documentation anew, in Chromium, from a workbench with an empty workspace:

    python -m tests.browser.pictures [PAGE...]

Only what ships is there, and pages with images show the set that is there: every face is a rendered one.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from dashboard.tour import SEEN
from fer_core.workspace import ROOT
from tests.browser.conftest import WAIT, launch_chromium, serve, settle
from tests.dashboard.test_pages import sections

PLACE = ROOT / "docs" / "pages" / "images"
WINDOW = {"width": 1280, "height": 860}


PREPARED: dict[str, Callable[[Page], None]] = {  # what shows more than the first look
    "map": lambda page: page.locator(".js-plotly-plot .nsewdrag").first.wait_for(),
    "live": lambda page: page.frame_locator('iframe[title="Live app"]').get_by_role("tab", name="Photo").wait_for(),
}
QUALITY = 60  # of WebP: text stays sharp


def main(*names: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / SEEN).touch()  # the tour would lie over Home
        with contextmanager(serve)(Path(folder)) as bench, contextmanager(launch_chromium)() as browser:
            for name in names or sections():
                page = browser.new_page(viewport=WINDOW)
                page.set_default_timeout(1000 * WAIT)
                page.goto(bench.link(name, network="small-vgg"))
                settle(page)
                if prepare := PREPARED.get(name):
                    prepare(page)
                    settle(page)
                page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
                image = Image.open(io.BytesIO(page.screenshot()))
                image.save(PLACE / f"{name}.webp", quality=QUALITY, method=6)
                print(name, image.size, (PLACE / f"{name}.webp").stat().st_size)
                page.close()


if __name__ == "__main__":
    PLACE.mkdir(parents=True, exist_ok=True)
    main(*sys.argv[1:])
