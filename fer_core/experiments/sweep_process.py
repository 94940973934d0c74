"""The process of a sweep on this machine: it waits for the device, starts the workers and restarts killed ones.

`python -m fer_core.experiments.sweep_process FILE DATA NAME WORKERS` makes the sweep first;
`... --resume NAME WORKERS` continues one. The Sweeps page starts it; `ferscope sweep` calls `run_workers`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fer_core.errors import ConfigError, FerError
from fer_core.experiments.sweep_folder import SweepFolder, Trial
from fer_core.runs import queue
from fer_core.runs.process import detached

RESTARTS = 3  # of a worker that was killed
POLL = 0.5  # seconds between two looks at the workers
RESUME = "--resume"


def launch(arguments: Sequence[str], folder: SweepFolder) -> None:
    """Start this module as a process of its own; its output goes to the sweep's `log.txt`."""
    folder.path.mkdir(parents=True, exist_ok=True)
    with (folder.path / "log.txt").open("ab") as log:
        detached([sys.executable, "-m", __name__, *arguments], log)


def run_workers(folder: SweepFolder, workers: int, say: Callable[[str], None]) -> None:
    """Run worker processes until the sweep has ended or a stop was asked for.

    Args:
        say: called with each line of the log.

    Raises:
        ConfigError: a stop was asked for before the sweep's turn came.
    """
    _wait_for_device(folder, say)
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}

    def begin(number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "fer_core.experiments.sweep_worker", folder.name, str(os.getpid())]
        with (folder.path / f"worker-{number}.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    processes = {number: begin(number) for number in range(workers)}
    left = dict.fromkeys(processes, RESTARTS)
    told: set[str] = set()
    while processes:
        time.sleep(POLL)
        report_ended(folder, told, say)
        for number, process in list(processes.items()):
            if process.poll() is None:
                continue
            if process.returncode < 0 and left[number] and not folder.stop_requested:
                left[number] -= 1  # it was killed: another takes its trial over from the last save
                processes[number] = begin(number)
                continue
            del processes[number]
            if process.returncode:
                tail = (folder.path / f"worker-{number}.log").read_text(errors="replace").splitlines()[-1:]
                say(f"Worker {number} ended with {process.returncode}: {' '.join(tail)}")
    report_ended(folder, told, say)


def report_ended(folder: SweepFolder, told: set[str], say: Callable[[str], None]) -> None:
    """A line for each trial that has ended and is not in `told`, which is filled."""
    for trial in folder.trials():
        if not trial.status.active and trial.run.name not in told:
            told.add(trial.run.name)
            say(_line(trial, folder.sweep.total))


def _line(trial: Trial, total: int) -> str:
    figure = f"{trial.accuracy:.2%}" if trial.accuracy is not None else "no epoch"
    values = ", ".join(f"{key} = {value}" for key, value in trial.values.items())
    return f"Trial {trial.number} of {total}: {figure} ({'pruned' if trial.pruned else trial.status.state}); {values}"


def _wait_for_device(folder: SweepFolder, say: Callable[[str], None]) -> None:
    told: set[str] = set()

    def look(first: queue.Ticket) -> None:
        if folder.stop_requested:
            raise ConfigError(f"The sweep “{folder.name}” was stopped before its turn came.")
        if first.name not in told:
            say(f"Waiting: {first.title} uses the device {first.device}.")
            told.add(first.name)

    queue.wait(queue.device_of(folder.sweep.config({}).device), folder.name, look)


def _opened(arguments: Sequence[str]) -> tuple[SweepFolder, int]:
    """The sweep that the arguments name, made where it is new, and the number of workers."""
    from fer_core.datasets import open_dataset

    if arguments[0] == RESUME:
        return SweepFolder.named(arguments[1]), int(arguments[2])
    file, data, name, workers = arguments
    open_dataset(data)  # what is wrong with it is said once, here; the workers read the cache
    absolute = str(Path(data).resolve()) if Path(data).exists() else data
    return SweepFolder.create(name, file, absolute), int(workers)


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, or 2 with a sentence where the input is at fault."""
    try:
        folder, workers = _opened(arguments)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: folder.request_stop())
        folder.begin()
        run_workers(folder, workers, lambda line: print(line, flush=True))
    except FerError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
