"""How long the table pages take from opening to drawn, against an empty Streamlit page, in one run in real Chromium.

`python -m tests.benchmarks.pages [NETWORKS] [REPEATS]`: the goal is at most three times the empty page.
"""

import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser

from tests.app.examples import make_network, make_pictures, predictions_elsewhere
from tests.browser.conftest import Workbench, launch_chromium, serve, settle

GOAL = 3.0
CHART = "[data-testid=stVegaLiteChart] svg"
DRAWN = {
    "empty": "h1",
    "overview": CHART,
    "evaluate": "[aria-label*=' read as ']",
    "compare": "[aria-label*=' read as ']",
    "confidence": CHART,
    "data": CHART,
}


def seconds(browser: Browser, url: str, drawn: str) -> float:
    """From opening to drawn, in a window that has been used before (its scripts lie in the browser's cache)."""
    page = browser.contexts[0].new_page()
    page.set_default_timeout(120_000)
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(drawn, state="attached")
    settle(page)
    taken = time.perf_counter() - start
    page.close()
    return taken


def main(networks: int = 50, repeats: int = 7) -> int:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["FERSCOPE_HOME"] = str(home)
        from fer_core.datasets.known import add

        add(make_pictures(home / "faces"))
        for number in range(networks):
            make_network(f"network-{number:02d}", predictions_elsewhere(7178, seed=number))
        empty = home / "empty.py"
        empty.write_text('import streamlit as st\n\nst.title("Empty")\n', encoding="utf-8")
        with (
            closing(serve(home)) as benches,
            closing(serve(home / "empty", empty)) as empties,
            closing(launch_chromium()) as browsers,
        ):
            bench, nothing, browser = next(benches), next(empties), next(browsers)
            browser.new_context()
            links = {"empty": nothing.link()} | {name: _link(bench, name) for name in DRAWN if name != "empty"}
            first = {name: seconds(browser, link, DRAWN[name]) for name, link in links.items()}
            taken: dict[str, list[float]] = {name: [] for name in links}
            for _ in range(repeats):  # in turns, so that a busy moment of the machine meets all of them
                for name, link in links.items():
                    taken[name].append(seconds(browser, link, DRAWN[name]))
    base = median(taken["empty"])
    print(f"{networks} networks x 7,178 rows, median of {repeats}, first opening in brackets")
    for name, times in taken.items():
        print(f"{name:10s} {median(times):6.2f} s  {median(times) / base:5.2f} x  [{first[name]:.2f} s]")
    worst = max(median(times) / base for times in taken.values())
    print(f"goal: at most {GOAL} x; the slowest took {worst:.2f} x")
    return int(worst > GOAL)


def _link(bench: Workbench, name: str) -> str:
    return bench.link("" if name == "home" else name, data="faces")


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
