"""Runs that train in a moment, and waiting for them."""

import time
from collections.abc import Callable

from fer_core.recipe import TrainConfig, parse
from fer_core.runs.folder import RunFolder

PATIENCE = 240.0  # seconds; the test machine may be busy


def tiny(**changes: object) -> TrainConfig:
    """A few steps of a few milliseconds; everything that is measured or chosen at the start is fixed."""
    values = {
        "arguments": {"widths": [4, 4]},
        "image": {"height": 16, "width": 16},
        "epochs": 2,
        "batch_size": 8,
        "seed": 5,
        "threads": 1,
        "precision": "fp32",
        "memory_format": "contiguous",
    }
    return parse(values | changes)


def wait_for(run: RunFolder, reached: Callable[[RunFolder], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not reached(run):
        log = run.log.read_text() if run.log.exists() else "no log"
        assert time.monotonic() < end, f"{run.status()}\n{log}"
        assert reached is ended or not ended(run), f"{run.status()}\n{log}"
        time.sleep(0.01)


def ended(run: RunFolder) -> bool:
    return not run.status().active
