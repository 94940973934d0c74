"""The workbench as people meet it: a real server with a workspace of its own, and a real Chromium."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import cv2
import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright
from skimage.data import astronaut

from fer_core.datasets.known import add
from fer_core.workspace import ROOT
from tests.app.examples import make_pictures
from tests.conftest import free_port

WAIT = 300.0  # seconds for anything to appear; the machine may be busy with a training
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# Streamlit slides a drawer open for half a second. A robot clicks within it, and hits what slides under its pointer.
AT_ONCE = """
const animate = Element.prototype.animate;
Element.prototype.animate = function (...how) {
  const animation = animate.apply(this, how);
  if (this.matches('details')) animation.finish();
  return animation;
};
"""


@dataclass(frozen=True)
class Workbench:
    """A running server: its address, its workspace and the file with all it has printed."""

    url: str
    home: Path
    output: Path

    def link(self, view: str = "", /, **address: str) -> str:
        return f"{self.url}/{view}" + (f"?{urlencode(address)}" if address else "")


def start_server(
    home: Path, port: int = 0, script: Path = ROOT / "dashboard" / "Home.py"
) -> tuple[Workbench, subprocess.Popen[bytes]]:
    """Start a Streamlit server on a port, or on a free one, and wait until it answers."""
    home.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    output = home / f"server-{port}.txt"
    with output.open("wb") as log:  # a file: nobody reads a pipe while tests run
        server = subprocess.Popen(
            [*command, "--server.headless", "true"],
            cwd=ROOT,
            env={**os.environ, "FERSCOPE_HOME": str(home)},
            stdout=log,
            stderr=log,
        )
    bench = Workbench(f"http://localhost:{port}", home, output)
    _wait_until_healthy(bench, server)
    return bench, server


def serve(home: Path, script: Path = ROOT / "dashboard" / "Home.py") -> Iterator[Workbench]:
    """Run a Streamlit server on a free port until the iterator is closed."""
    bench, server = start_server(home, script=script)
    try:
        yield bench
    finally:
        server.terminate()
        server.wait(30)


def _wait_until_healthy(bench: Workbench, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + WAIT
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(f"{bench.url}/_stcore/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)  # between two questions, not instead of one
    raise RuntimeError(f"The server did not start:\n{bench.output.read_text()}")


@pytest.fixture(scope="session")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    yield from serve(tmp_path_factory.mktemp("workbench"))


@contextmanager
def known_faces(workbench: Workbench, name: str, each: int) -> Iterator[Path]:
    """A folder of rendered heads, `each` of an expression and split, that the workbench's workspace knows; it is the one in use
    within."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERSCOPE_HOME", str(workbench.home))
        place = make_pictures(workbench.home / name, each=each)
        add(place)
        yield place


@pytest.fixture(autouse=True)
def workspace(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In these tests the library's workspace is the server's, so that a test can put something there."""
    monkeypatch.setenv("FERSCOPE_HOME", str(workbench.home))
    return workbench.home


@pytest.fixture(scope="session")
def camera_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's camera shows: the public-domain portrait as a video of three equal frames (y4m: plain YUV 4:2:0)."""
    frame = cv2.cvtColor(cv2.resize(astronaut(), (480, 480)), cv2.COLOR_RGB2YUV_I420)
    path = tmp_path_factory.mktemp("camera") / "face.y4m"
    path.write_bytes(b"YUV4MPEG2 W480 H480 F10:1 Ip A1:1 C420jpeg\n" + 3 * (b"FRAME\n" + frame.tobytes()))
    return path


def launch_chromium(camera_image: Path | None = None) -> Iterator[Browser]:
    """A Chromium whose camera shows a video; pages still need the permission to use it."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser is installed; looked for {', '.join(BROWSERS)}")
    camera = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera_image}"]
    expect.set_options(timeout=1000 * WAIT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*QUIET, *(camera if camera_image else [])], timeout=1000 * WAIT
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def browser(camera_image: Path) -> Iterator[Browser]:
    yield from launch_chromium(camera_image)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A newcomer's tab: no cookie, no history; it remembers the errors of its console in `page.console_errors`."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(1000 * WAIT)
    context.add_init_script(AT_ONCE)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.console_errors = errors
    yield page
    context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure is told with the words that the page showed: what failed once on a busy machine may not fail again."""
    report = yield
    page = item.funcargs.get("page")
    if report.failed and call.when == "call" and isinstance(page, Page):
        try:
            words = page.locator("body").inner_text(timeout=5000)
        except Error as error:  # the tab has crashed, or the browser
            words = str(error)
        report.sections.append(("The page", f"{page.url}\n{words}\nConsole: {page.console_errors}"))
    return report


def settle(page: Page) -> None:
    """Wait until the page has been drawn: connected, no script running, nothing stale."""
    page.wait_for_function(
        """() => {
            const app = document.querySelector('[data-testid="stApp"]');
            return app && app.dataset.testScriptState === 'notRunning' && document.querySelector('h1')
                && !document.querySelector('[data-stale="true"], [data-testid="stSkeleton"], [data-testid="stSpinner"]');
        }"""
    )


def expect_no_error(page: Page) -> None:
    """Fail if the page shows an exception or an error box, or if its console does."""
    settle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.locator('[data-testid="stAlertContentError"]')).to_have_count(0)
    # Streamlit finds the server's root by asking below the page's path first; those answers are 404
    assert [error for error in page.console_errors if "404" not in error] == []
