"""How long every page takes from opening to drawn with many networks, against an empty Streamlit page, in real Chromium.

`python -m tests.benchmarks.pages [NETWORKS] [REPEATS] [PAGE...]`: the goal is at most 1.6 times the empty page for the pages that
draw tables of predictions, and 2.5 times for the others. The first opening, in brackets, includes what a page imports.
"""

import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser

from dashboard.tour import SEEN
from tests.app.examples import make_network, make_pictures, predictions_elsewhere
from tests.browser.conftest import Workbench, launch_chromium, serve, settle
from tests.dashboard.test_pages import sections

TABLES = ("overview", "evaluate", "compare", "confidence", "data")
GOAL, OTHERS = 1.6, 2.5
CHART = "[data-testid=stVegaLiteChart] svg"
MATRIX = "[aria-label*=' predicted as ']"
DRAWN = {"overview": CHART, "evaluate": MATRIX, "compare": CHART, "confidence": CHART, "data": CHART}  # else the title


def seconds(browser: Browser, url: str, drawn: str) -> float:
    """From opening to drawn, in a window that has been used before (its scripts lie in the browser's cache)."""
    page = browser.contexts[0].new_page()
    page.set_default_timeout(300_000)
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(drawn, state="attached")
    settle(page)
    taken = time.perf_counter() - start
    page.close()
    return taken


def main(networks: int = 50, repeats: int = 7, names: tuple[str, ...] = ()) -> int:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["FERSCOPE_HOME"] = str(home)
        from fer_core.datasets.known import add

        (home / SEEN).touch()  # the tour would lie over Home
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
            links = {"empty": nothing.link()} | {name: _link(bench, name) for name in names or sections()}
            first = {name: seconds(browser, link, DRAWN.get(name, "h1")) for name, link in links.items()}
            taken: dict[str, list[float]] = {name: [] for name in links}
            for _ in range(repeats):  # in turns, so that a busy moment of the machine meets all of them
                for name, link in links.items():
                    taken[name].append(seconds(browser, link, DRAWN.get(name, "h1")))
    base = median(taken["empty"])
    print(f"{networks} networks x 7,178 rows, median of {repeats}, first opening in brackets")
    missed = 0
    for name, times in taken.items():
        ratio, goal = median(times) / base, GOAL if name in TABLES else OTHERS
        missed += ratio > goal
        told = f"{name:12s} {median(times):6.2f} s  {ratio:5.2f} x of {goal} x  [{first[name]:.2f} s]"
        print(told + ("  above the goal" if ratio > goal else ""))
    return int(missed > 0)


def _link(bench: Workbench, name: str) -> str:
    return bench.link("" if name == "home" else name, data="faces")


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3]), names=tuple(sys.argv[3:])))
