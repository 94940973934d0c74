"""Whether the camera's server grows: `python -m tests.benchmarks.camera [MINUTES] [NETWORK]`.

The live app as a process of its own, and a real Chromium whose camera shows the public-domain portrait, with the overlay
switched on. The server's memory is read every ten seconds; the first half minute, in which networks and kernels are
loaded, does not count. Goal: from then to the end of the stream (at most five minutes) frames are shown and it grows by
at most 32 MB.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
import psutil
from playwright.sync_api import sync_playwright
from skimage.data import astronaut

from dashboard.live.camera import SECONDS
from fer_core.workspace import ROOT
from tests.browser.conftest import BROWSERS, QUIET

WARM, EVERY, GROWTH = 30, 10, 32  # seconds, seconds, megabytes
PATIENCE = 600_000  # milliseconds


def fake_camera(folder: Path) -> Path:
    """The portrait, moving to and fro by 40 pixels, as a video (y4m: plain YUV 4:2:0); no frame is like the one before."""
    picture = cv2.resize(astronaut(), (480, 480))
    shifts = [*range(0, 40, 2), *range(40, 0, -2)]
    frames = (cv2.cvtColor(np.roll(picture, shift, axis=1), cv2.COLOR_RGB2YUV_I420).tobytes() for shift in shifts)
    path = folder / "face.y4m"
    path.write_bytes(b"YUV4MPEG2 W480 H480 F30:1 Ip A1:1 C420jpeg\n" + b"".join(b"FRAME\n" + one for one in frames))
    return path


def megabytes(server: psutil.Process) -> float:
    return sum(one.memory_info().rss for one in (server, *server.children(recursive=True))) / 1e6


def main(minutes: float = 5.0, network: str = "small-vgg") -> int:
    seconds = min(60 * minutes, SECONDS - EVERY)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard.live"],
            cwd=ROOT, env={**os.environ, "FERSCOPE_HOME": folder}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            address, server = process.stdout.readline().strip(), psutil.Process(process.pid)
            fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                    f"--use-file-for-fake-video-capture={fake_camera(Path(folder))}")  # fmt: skip
            path = next(filter(None, map(shutil.which, BROWSERS)))
            page = playwright.chromium.launch(executable_path=path, args=[*QUIET, *fake]).new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(f"{address}?network={network}")
            page.get_by_text(f"({network})").wait_for()
            page.get_by_role("tab", name="Camera").click()
            page.get_by_label("Show Grad-CAM overlay").check()
            page.evaluate(  # the page changes the address of one image
                "window.shots = 0; new MutationObserver(all => window.shots += all.filter(one => one.target.matches('.shot'))"
                ".length).observe(document.body, {attributeFilter: ['src'], subtree: true})"
            )
            page.get_by_text("Click to Access Webcam").click()
            page.get_by_role("button", name="capture photo").click()
            page.get_by_alt_text(re.compile("Camera image. 1 face")).wait_for()
            start, read = time.monotonic(), []
            while (at := time.monotonic() - start) < seconds:
                read.append((at, megabytes(server)))
                page.wait_for_timeout(1000 * EVERY)
            shots = page.evaluate("window.shots")
        finally:
            process.stdin.close()
            process.wait(300)
    warm = [value for at, value in read if at >= WARM]
    few = max(1, len(warm) // 4)
    first, last = mean(warm[:few]), mean(warm[-few:])
    print(f"{seconds:.0f} s, {shots:,} frames shown; memory at the first frame {read[0][1]:.0f} MB")
    print(
        f"from {first:.0f} MB (after {WARM} s) to {last:.0f} MB at the end: {last - first:+.0f} MB; goal: at most {GROWTH}"
    )
    print("read every", EVERY, "s:", " ".join(f"{value:.0f}" for _, value in read))
    return int(last - first > GROWTH or not shots)


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:2]), *sys.argv[2:]))
