"""`python -m fer_core.training NAME`: the process that trains a run in the background, started by `launch`."""

from __future__ import annotations

import signal
import sys

from fer_core.datasets import open_dataset
from fer_core.errors import FerError
from fer_core.runs.folder import RunFolder, Stopped
from fer_core.training.work import outcome, train


def main(name: str) -> int:
    """Train a run from its last save. `kill` makes it save first. The exit code is 0, 2 for bad input, 130 when
    stopped."""
    try:
        run = RunFolder.named(name)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: run.request_stop())
        train(run, open_dataset(run.status().data), say=lambda line: print(line, flush=True))
    except Stopped:
        print("Stopped and saved.", flush=True)
        return 130
    except FerError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return 2
    print(outcome(run), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
