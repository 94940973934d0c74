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
from fer_core.runs import store
from fer_core.runs.folder import HEARTBEAT, RunFolder
from fer_core.runs.launch import launch
from fer_core.training.config import load_recipe
from tests.browser.conftest import launch_chromium, serve
from tests.tiny import ended, tiny


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
    config = tiny(epochs=max(40, 25 * count))
    broken, through = (RunFolder.create(name, config, str(data)) for name in ("broken", "through"))
    lost, chance, done = 0, random.Random(0), 0
    for _ in range(count):
        launch(broken)
        begun = time.monotonic()
        pause = chance.uniform(0.0, 1.5)
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
    first = RunFolder.create("many-0", tiny(), "synthetic")
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
    run = RunFolder.create("watched", tiny(), "synthetic")
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
    """What a live page costs the run that it shows: runs in turn without and with the Train page open in Chromium.

    Processor seconds of the training process, because those of the clock tell more about what else the machine does.
    """
    config = load_recipe("synthetic", ["epochs=2", "threads=1", "precision=fp32", "memory_format=contiguous"])
    seconds: dict[bool, list[float]] = {False: [], True: []}
    with (
        contextmanager(serve)(workspace.home()) as bench,
        contextmanager(launch_chromium)() as browser,
    ):
        page = browser.new_page()
        page.set_default_timeout(600_000)
        for number in range(pairs):
            for watched in (False, True) if number % 2 else (True, False):
                run = RunFolder.create(f"page-{number}-{'with' if watched else 'without'}", config, "synthetic")
                launch(run)
                page.goto(bench.link("train", run=run.name) if watched else "about:blank")
                while not ended(run):
                    page.wait_for_timeout(500)
                seconds[watched].append(sum(result.cpu_seconds for result in run.metrics()))
                print(f"{run.name}: {seconds[watched][-1]:.2f} s of processor time", flush=True)
    without, along = (float(np.median(seconds[watched])) for watched in (False, True))
    print(
        f"Processor time of a run, median of {pairs}: {without:.2f} s without a page, {along:.2f} s with one open "
        f"({along / without - 1:+.2%}); lowest {min(seconds[False]):.2f} and {min(seconds[True]):.2f} s, highest "
        f"{max(seconds[False]):.2f} and {max(seconds[True]):.2f} s"
    )
    return int(along > 1.02 * without)


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


def main(count: int = 50, folders: int = 1000, pairs: int = 5, queued: int = 20) -> int:
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
