"""One run folder: `config.toml`, `status.json`, `metrics.jsonl`, `log.txt`, weights, predictions, card."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from fer_core import workspace
from fer_core.errors import FerError, RunError
from fer_core.training.config import TrainConfig, load_recipe, to_toml
from fer_core.workspace import write_atomically

State = Literal["queued", "running", "stopped", "finished", "failed", "lost"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
HEARTBEAT = 2.0  # seconds between two writes of the status


@dataclass(frozen=True)
class EpochResult:
    """One line of `metrics.jsonl`. Losses in nats; accuracies 0..1; train figures are taken on augmented pictures."""

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    lr: float
    images_per_second: float
    data_share: float
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class RunStatus:
    """What a run is doing. `pid`, `pid_started` and `host` name one process of one machine, for ever."""

    state: State = "queued"
    pid: int = 0
    pid_started: float = 0.0
    host: str = ""
    heartbeat: float = 0.0
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    images_per_second: float = 0.0
    seconds_left: float = 0.0
    device: str = ""
    data: str = ""
    message: str = ""
    created: float = 0.0

    @property
    def progress(self) -> float:
        """Share of the run's steps that is done, 0..1."""
        total = self.epochs * self.steps
        return min(1.0, (self.epoch * self.steps + self.step) / total) if total else 0.0

    @property
    def time_left(self) -> str:
        """“3 min 05 s” while it trains, else empty."""
        if self.state != "running" or not self.seconds_left:
            return ""
        minutes, seconds = divmod(round(self.seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        if hours:
            return f"{hours} h {minutes:02d} min"
        return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


class Stopped(Exception):
    """The run was asked to stop, has saved and ends. Not an error."""


class RunFolder:
    """A run's files. Reading never changes them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @classmethod
    def create(cls, name: str, config: TrainConfig, data: str) -> RunFolder:
        """A new folder for a run; of two starts with one name in the same moment, one gets it.

        Raises:
            RunError: the name is taken or would leave the runs folder.
        """
        run = cls.named(name)
        try:
            run.path.mkdir(parents=True)
        except FileExistsError:
            raise RunError(f"There is already a run called “{name}”; choose another name or resume that one.") from None
        write_atomically(run.path / "config.toml", to_toml(config).encode())
        run.write(RunStatus(data=data, epochs=config.epochs, created=time.time()))
        return run

    @classmethod
    def named(cls, name: str) -> RunFolder:
        """The folder of a run's name, whether it exists or not.

        Raises:
            RunError: the name would leave the runs folder.
        """
        if not NAME.fullmatch(name):
            raise RunError(f"“{name}” cannot name a run; use up to 80 letters, digits, dots, hyphens and underscores.")
        return cls(workspace.runs() / name)

    def config(self) -> TrainConfig:
        return load_recipe(self.path / "config.toml")

    def status(self) -> RunStatus:
        """The truth about the run: a run whose process is gone is `lost`, whatever its file says.

        Raises:
            RunError: there is no such run, or its status was damaged.
        """
        try:
            values = json.loads((self.path / "status.json").read_text(encoding="utf-8"))
            known = {field.name for field in fields(RunStatus)}
            status = RunStatus(**{key: value for key, value in values.items() if key in known})
        except FileNotFoundError:
            raise RunError(
                f"There is no run “{self.name}” in {self.path.parent}; `ferscope runs` lists them."
            ) from None
        except (ValueError, TypeError, AttributeError) as error:
            raise RunError(f"{self.path / 'status.json'} is damaged ({error}); resume or delete the run.") from error
        if (
            status.state not in ("queued", "running")
            or not status.pid
            or status.host != socket.gethostname()
            or _alive(status)
        ):
            return status
        if status.state == "queued":
            return replace(
                status, state="failed", message=self._last_words() or "The process ended before it could train."
            )
        return replace(
            status, state="lost", message="The process ended without a word; resume goes on from the last save."
        )

    @property
    def starting(self) -> bool:
        """A process was started for it and lives, but does not train yet: it loads the program and the data."""
        status = self.status()
        return status.state == "queued" and status.pid > 0

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n") if self.log.exists() else []
        return next((line.strip().removeprefix("Error: ") for line in reversed(lines) if line.strip()), "")

    def write(self, status: RunStatus) -> None:
        """Write the status; an end, however it came, answers a stop that was asked for."""
        if status.state not in ("queued", "running"):
            (self.path / "stop").unlink(missing_ok=True)
        write_atomically(self.path / "status.json", json.dumps(asdict(status)).encode())

    def metrics(self) -> list[EpochResult]:
        """The finished epochs; a last line cut by a crash is left out."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        results = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                results.append(EpochResult(**json.loads(line)))
            except (ValueError, TypeError):
                break
        return results

    def write_metrics(self, results: list[EpochResult]) -> None:
        text = "".join(json.dumps(asdict(result)) + "\n" for result in results)
        write_atomically(self.path / "metrics.jsonl", text.encode())

    def request_stop(self) -> None:
        """Ask the run to finish its step, save and end; asking twice changes nothing."""
        (self.path / "stop").touch()

    @property
    def stop_requested(self) -> bool:
        return (self.path / "stop").exists()

    @contextmanager
    def running(self, **known: Any) -> Iterator[RunStatus]:
        """Mark the run as running in this process; on leaving with an error, as failed with its reason.

        Raises:
            RunError: another live process runs it.
        """
        status = self.status()
        if status.state == "running" and status.pid != os.getpid():
            raise RunError(f"The run “{self.name}” is running already, as process {status.pid}.")
        me = psutil.Process()
        stop = self.path / "stop"
        # A stop from before this process was meant for the last one; the two clocks differ by up to a second.
        if stop.exists() and stop.stat().st_mtime < me.create_time() - 2.0:
            stop.unlink()
        status = replace(
            status, state="running", pid=me.pid, pid_started=me.create_time(), host=socket.gethostname(),
            heartbeat=time.time(), message="", **known,
        )  # fmt: skip
        self.write(status)
        try:
            yield status
        except Stopped:
            raise
        except FerError as error:
            self.write(replace(self.status(), state="failed", message=str(error)))
            raise
        except Exception as error:
            self.write(replace(self.status(), state="failed", message=f"{type(error).__name__}: {error}"))
            raise


def _alive(status: RunStatus) -> bool:
    try:
        process = psutil.Process(status.pid)
        # a second of tolerance: the boot time that Linux counts from moves a little with the clock
        return bool(abs(process.create_time() - status.pid_started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
