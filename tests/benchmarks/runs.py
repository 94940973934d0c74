"""Runs under stress, with the figures printed: kill/resume cycles, a long list of runs, the cost of being watched.

`python -m tests.benchmarks.runs [CYCLES] [FOLDERS] [PAIRS] [QUEUED]`: the goals are no lost run in 50 random kill/resume
cycles, a run that ends with the weights of one that was never killed, 1,000 run folders listed in under a second, a
heartbeat and an open page that cost under 2 % of a run's processor time, and 20 queued runs that finish in their order.
0 leaves a part out.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from fer_core import workspace
from fer_core.recipe import load_recipe
from fer_core.runs import store
from fer_core.runs.folder import HEARTBEAT, RunFolder
from fer_core.training.launch import launch
from tests.browser.conftest import launch_chromium, serve, settle
from tests.tiny import ended, tiny

BLOCK = 4  # epochs, some ten seconds, between opening and closing the page


def pictures(root: Path) -> Path:
    """Two expressions told apart by the direction of stripes."""
    draw = np.random.default_rng(1)
    for split, count in (("train", 32), ("val", 16)):
        for label in ("happy", "sad"):
            (root / split / label).mkdir(parents=True)
            for number in range(count):
                stripes = np.arange(48) // 3 % 2 * draw.integers(60, 150)
                picture = draw.integers(0, 100, (48, 48)) + (stripes if label == "happy" else stripes[:, None])
                Image.fromarray(picture.astype(np.uint8)).save(root / split / label / f"{number:02d}.png")
    return root


def cycles(count: int, data: Path) -> int:
    """Kill a run at random moments, look, resume; at the end compare its weights with an undisturbed run's."""
    config = tiny(epochs=max(40, 12 * count))
    broken, through = (RunFolder.create(name, config, str(data)) for name in ("broken", "through"))
    lost, chance, done = 0, random.Random(0), 0
    for _ in range(count):
        launch(broken)
        begun = time.monotonic()
        pause = chance.uniform(0.0, 0.8)
        while broken.status().state == "queued" and time.monotonic() - begun < 120:
            time.sleep(0.01)
        time.sleep(pause)
        status = broken.status()
        if status.state == "finished":
            break
        os.kill(status.pid, signal.SIGKILL)
        while status.process.lives():
            time.sleep(0.01)
        done += 1
        lost += broken.status().state != "lost" or not broken.look().pid
    print(f"{done} kill/resume cycles: {lost} not found as they were", flush=True)
    launch(broken)
    launch(through)
    while not (ended(broken) and ended(through)):  # without an end: a busy machine may take long
        time.sleep(0.5)
    same = all(
        (load_file(broken.path / name)[key] == value).all()
        for name in ("last.safetensors", "best.safetensors")
        for key, value in load_file(through.path / name).items()
    )
    states = broken.status().state, through.status().state
    print(f"They and a run that was never killed ended as {states}; equal weights: {same}")
    return int(lost or not same or states != ("finished", "finished"))


def listing(count: int) -> int:
    """List many run folders, as `ferscope runs list` does."""
    first = RunFolder.create("many-0", tiny(), "heads")
    for number in range(1, count):
        shutil.copytree(first.path, first.path.with_name(f"many-{number}"))
    first.write(replace(first.status(), state="finished"))
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        states = [run.look().state for run in store.runs()]
        taken.append(time.perf_counter() - start)
    print(f"{len(states):,} run folders: listed in {sorted(taken)[2]:.3f} s (median of 5)")
    return int(sorted(taken)[2] > 1)


def watched() -> int:
    """What the status, written every two seconds, and one look a second from outside cost."""
    run = RunFolder.create("watched", tiny(), "heads")
    status = run.status()
    times: dict[str, list[float]] = {"write": [], "stop?": [], "look": []}
    for _ in range(200):
        for name, act in (
            ("write", lambda: run.write(status)),
            ("stop?", lambda: run.stop_requested),
            ("look", run.status),
        ):
            start = time.process_time()
            act()
            times[name].append(time.process_time() - start)
    cost = {name: float(np.median(values)) for name, values in times.items()}
    share = cost["write"] / HEARTBEAT + cost["look"] + cost["stop?"] * 50  # 50 steps a second ask for a stop
    print(
        f"Heartbeat {1e3 * cost['write']:.2f} ms, look {1e3 * cost['look']:.2f} ms, a step's question for a stop "
        f"{1e6 * cost['stop?']:.0f} us of processor time: {share:.2%} of one processor at 50 steps a second"
    )
    return int(share > 0.02)


def page_open(pairs: int) -> int:
    """What a live page costs the run that it shows: one run, with the Train page open in Chromium for every other block
    of epochs. Each block is compared with its neighbour, not with another time of a machine that has more to do.

    Processor seconds of the training process, because those of the clock tell more about what else the machine does.
    """
    settings = ["train_share=0.4", "threads=1", "precision=fp32", "memory_format=contiguous"]
    run = RunFolder.create(
        "watched-at-times", load_recipe("heads", [f"epochs={2 * BLOCK * pairs + 1}", *settings]), "heads"
    )
    with (
        contextmanager(serve)(workspace.home()) as bench,
        contextmanager(launch_chromium)() as browser,
    ):
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.goto(bench.link("train", run=run.name))
        settle(page)  # the server has loaded what it needs
        launch(run)
        shown = True
        while not ended(run):
            block = (len(run.metrics()) - 1) // BLOCK  # the first epoch warms up and is in none
            if shown != (block % 4 in (1, 2)):  # without, with, with, without: what drifts falls on both
                shown = not shown
                page.goto(bench.link("train", run=run.name) if shown else "about:blank")
            page.wait_for_timeout(200)
    blocks = np.array([result.cpu_seconds for result in run.metrics()][1:]).reshape(pairs, 2, BLOCK).sum(axis=2)
    blocks[1::2] = blocks[1::2, ::-1]
    without, along = blocks.T
    low, middle, high = 100 * (np.quantile(along / without, (0.25, 0.5, 0.75)) - 1)
    print(
        f"An open page costs the run {middle:+.1f} % of its processor time (median of {pairs} pairs, quartiles {low:+.1f} and "
        f"{high:+.1f} %); in all {without.sum():.1f} s without and {along.sum():.1f} s with one"
    )
    return int(middle > 2)


def queue(count: int, data: Path) -> int:
    """Launch many runs at once on one device; they have to train one at a time, in the order of the launches."""
    runs = [RunFolder.create(f"queued-{number:02d}", tiny(device="cpu"), str(data)) for number in range(count)]
    for run in runs:
        launch(run)
    while not all(map(ended, runs)):
        time.sleep(0.5)
    order = sorted(runs, key=lambda run: (run.path / "last.safetensors").stat().st_mtime)
    finished = sum(run.status().state == "finished" for run in runs)
    print(f"{count} queued runs: {finished} finished; in the order of their launches: {order == runs}")
    return int(finished < count or order != runs)


def main(count: int = 50, folders: int = 1000, pairs: int = 10, queued: int = 20) -> int:
    with tempfile.TemporaryDirectory() as home:
        os.environ["FERSCOPE_HOME"] = home
        data = pictures(Path(home) / "stripes")
        return (
            watched()
            + (listing(folders) if folders else 0)
            + (page_open(pairs) if pairs else 0)
            + (queue(queued, data) if queued else 0)
            + (cycles(count, data) if count else 0)
        )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
