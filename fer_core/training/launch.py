"""Start and stop a training run as a separate process, which continues when the page, the tab or the server is
closed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import psutil
from filelock import FileLock

from fer_core.errors import RunError
from fer_core.runs import queue
from fer_core.runs.folder import KILLED, STARTED, RunFolder, Stopped
from fer_core.runs.process import Process, detached

BREATH = 60.0  # seconds between two heartbeats of a run that waits, for those who see it from another machine
GRACE = 60.0  # seconds that a run has to finish its step and save, before it is killed


def command(run: RunFolder) -> list[str]:
    """The command line that trains, or resumes, a run at once."""
    return [sys.executable, "-m", "fer_core.training", run.name]


def launch(run: RunFolder) -> None:
    """Start or resume a run in a detached process; its output goes to the run's `log.txt`.

    Of two starts at the same moment, one fails. The process waits for its turn on the recipe's device, in the order of
    the launches. Until it trains, the run is “queued” with its process, so an early end is noticed too.

    Raises:
        RunError: it is starting, running or has finished already.
    """
    with _alone(run):
        status = run.status()
        if (status.active and status.pid) or status.state == "finished":
            state = "starting" if status.state == "queued" else status.state
            raise RunError(f"The run “{run.name}” is {state}; start a new one from its recipe instead.")
        (run.path / "stop").unlink(missing_ok=True)

        def start() -> int:
            with run.log.open("ab") as log:  # a file, not a pipe: nobody has to read it
                log.write(f"{STARTED}{datetime.now():%Y-%m-%d %H:%M:%S}\n".encode())
                log.flush()
                waiter = [sys.executable, "-m", "fer_core.training.wait", run.name]
                return detached(waiter, log).pid

        ticket = queue.ticket(queue.device_of(run.config().device), run.name, start)
        run.write(replace(status, state="queued", message="").of(ticket.owner))


def await_turn(run: RunFolder, look: Callable[[queue.Ticket], None] = lambda first: None) -> None:
    """Wait in this process until the device of a run is free; the turn ends with the process.

    Args:
        look: called at each look with whoever has the device.

    Raises:
        Stopped: a stop was asked for while it waited.
        RunError: another process has the run.
    """
    with _alone(run):  # whoever started this process has to write so first
        if run.status().process != Process.this():
            run.claim()

    last = time.monotonic()

    def wait(first: queue.Ticket) -> None:
        nonlocal last
        if time.monotonic() - last > BREATH:
            last = time.monotonic()
            run.write(replace(run.status(), state="queued", heartbeat=time.time()))
        if run.stop_requested:
            run.write(replace(run.status(), state="stopped", message="Stopped before its turn came."))
            raise Stopped
        look(first)

    queue.wait(queue.device_of(run.config().device), run.name, wait)


def stop(run: RunFolder, grace: float = GRACE) -> None:
    """Ask a run to finish its step, save and end. If it has not ended after the grace time, a detached process kills
    it. Repeating the request has no effect.

        Raises:
            RunError: no process works on it.
    """
    with _alone(run):
        status = run.status()
        if not status.active or not status.pid:
            raise RunError(f"The run “{run.name}” is {status.state}; there is nothing to stop.")
        if run.stop_requested:
            return
        run.request_stop()
    if status.process.here:
        with run.log.open("ab") as log:
            detached([sys.executable, "-m", __name__, run.name, str(status.pid), str(grace)], log)


def kill(run: RunFolder) -> None:
    """Kill a run's process and its child processes at once. The work since its last save is lost.

    Raises:
        RunError: no process of this machine works on it.
    """
    status = run.status()
    if not status.active or not status.pid or not status.process.here:
        raise RunError(
            f"The run “{run.name}” has no process on this machine that could be killed; it is {status.state}."
        )
    try:
        started = psutil.Process(status.pid).children(recursive=True)
        # a run in a terminal may share the group of a script, which is none of ours
        if os.name == "posix" and os.getpgid(status.pid) == status.pid:
            os.killpg(status.pid, signal.SIGKILL)
        for process in (psutil.Process(status.pid), *started):
            process.kill()
    except (ProcessLookupError, psutil.NoSuchProcess):  # it has ended in this moment
        pass
    while status.process.lives():
        time.sleep(0.01)
    if run.log.exists():  # so that its last line is not taken for the reason of an end before the training
        with run.log.open("a", encoding="utf-8") as log:
            log.write(f"{KILLED}{datetime.now():%Y-%m-%d %H:%M:%S}\n")
    if (now := run.status()).state == "lost":
        run.write(replace(now, state="stopped", message="Killed; resume continues from the last save."))


def _alone(run: RunFolder) -> FileLock:
    """A lock: only one start or stop of a run at a time."""
    run.status()  # there is one: a lock would make its folder
    return FileLock(run.path / ".launch.lock")


def _kill_after(name: str, pid: int, grace: float) -> None:
    run, end = RunFolder.named(name), time.monotonic() + grace
    process = Process.of(pid)
    while time.monotonic() < end:
        if process is None or not process.lives() or run.status().process != process:
            return
        time.sleep(0.1)
    if run.status().state == "stopping":
        kill(run)
        run.write(replace(run.status(), message=f"Killed: it had not ended {grace:g} s after the stop was asked for."))


if __name__ == "__main__":
    _kill_after(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
