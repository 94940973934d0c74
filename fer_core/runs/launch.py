"""Start a training run as a process of its own, which goes on when the page, the tab or the server is closed."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import replace

import psutil
from filelock import FileLock

from fer_core import workspace
from fer_core.errors import RunError
from fer_core.runs.folder import RunFolder


def command(run: RunFolder) -> list[str]:
    """The command line that trains, or resumes, a run."""
    return [sys.executable, "-m", "trainers.cli", "train", "--resume", run.name]


def launch(run: RunFolder) -> None:
    """Start or resume a run in a detached process; its output goes to the run's `log.txt`.

    Of two starts in the same moment one gets it. Until the process has loaded the data and trains, the run is “queued”
    with its pid, so that an end before that is seen too.

    Raises:
        RunError: it is starting, running or has finished already.
    """
    with FileLock(run.path / ".launch.lock"):
        status = run.status()
        if status.state in ("running", "finished") or run.starting:
            state = "starting" if run.starting else status.state
            raise RunError(f"The run “{run.name}” is {state}; start a new one from its recipe instead.")
        (run.path / "stop").unlink(missing_ok=True)
        with run.log.open("ab") as log:  # a file, not a pipe: nobody has to read it
            process = subprocess.Popen(
                command(run),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=workspace.ROOT,
                start_new_session=True,
            )
        # The process needs seconds to load torch and then writes a status of its own, again every two seconds.
        run.write(
            replace(
                status, state="queued", pid=process.pid, pid_started=psutil.Process(process.pid).create_time(),
                host=socket.gethostname(), heartbeat=time.time(), message="",
            )
        )  # fmt: skip
