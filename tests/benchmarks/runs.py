"""Runs under stress, with the figures printed: kill/resume cycles, a long list of runs, the cost of being watched.

`python -m tests.benchmarks.runs [CYCLES] [FOLDERS]`: the goals are no lost run in 50 random kill/resume cycles, a run that
ends with the weights of one that was never killed, 1,000 run folders listed in under a second, and a heartbeat that costs
under 2 % of a run's time.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from fer_core.runs import store
from fer_core.runs.folder import HEARTBEAT, RunFolder
from fer_core.runs.launch import launch
from tests.tiny import ended, tiny, wait_for


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
    launch(broken)
    launch(through)
    for run in (broken, through):
        wait_for(run, ended)
    same = all(
        (load_file(broken.path / name)[key] == value).all()
        for name in ("last.safetensors", "best.safetensors")
        for key, value in load_file(through.path / name).items()
    )
    states = broken.status().state, through.status().state
    print(f"{done} kill/resume cycles: {lost} not found as they were; ended as {states}; equal weights: {same}")
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


def main(count: int = 50, folders: int = 1000) -> int:
    with tempfile.TemporaryDirectory() as home:
        os.environ["FERSCOPE_HOME"] = home
        return watched() + listing(folders) + cycles(count, pictures(Path(home) / "stripes"))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
