"""One run folder: `config.toml`, `status.json`, `metrics.jsonl`, `log.txt`, weights, predictions, card."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from fer_core import workspace
from fer_core.durations import duration
from fer_core.errors import FULL, FerError, RunError, shortened
from fer_core.recipe import TrainConfig, load_recipe, to_toml
from fer_core.runs.process import Process
from fer_core.untrusted import read_json, read_text, reason
from fer_core.workspace import names_a_device, write_atomically

if TYPE_CHECKING:  # a run that waits for its turn should stay small
    import numpy as np
    from numpy.typing import NDArray

State = Literal["queued", "running", "stopping", "stopped", "finished", "failed", "lost"]
ACTIVE = ("queued", "running", "stopping")
FORMAT = 1  # of status.json; a run of a newer format is named and left alone
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
TRIAL = "trial.json"  # of a run that is a trial: its sweep, its number and its settings
OWN_SPLIT = "split.csv"  # where a run divides its data set in a way of its own (cross-validation)
STARTED = "=== Started "  # begins a line of the log where a process was started for the run
KILLED = "=== Killed "  # and one where it was killed
HEARTBEAT = 2.0  # seconds between two writes of the status
Count = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
FINITE = ConfigDict(extra="forbid", allow_inf_nan=False)
SILENCE = 900.0  # seconds without a heartbeat after which a process of another machine, which cannot be asked, is lost


@dataclass(frozen=True)
class EpochResult:
    """One line of `metrics.jsonl`. Losses in nats; accuracies 0..1; train figures are taken on augmented images. Those of
    the validation set are None where the run has none."""

    __pydantic_config__: ClassVar[ConfigDict] = FINITE

    epoch: Count
    train_loss: float
    train_accuracy: Share
    val_loss: float | None
    val_accuracy: Share | None
    lr: float
    images_per_second: Amount
    data_share: float
    cpu_seconds: Amount
    wall_seconds: Amount


def best_epoch(results: Sequence[EpochResult]) -> EpochResult | None:
    """The first epoch with the highest validation accuracy; None before one, and where nothing was validated."""
    return max(
        (result for result in results if result.val_accuracy is not None),
        key=lambda result: result.val_accuracy or 0.0,
        default=None,
    )


@dataclass(frozen=True)
class RunStatus:
    """The state of a run. `pid`, `pid_started`, `boot` and `host` uniquely identify a process.

    The file says queued, running, stopped, finished or failed. Stopping (a stop was requested, the process is alive)
    and lost (the process has vanished) are determined at each access.

    Attributes:
        processors: how many were busy with it between its last two heartbeats.
        memory, gpu_memory: bytes that its process holds.
    """

    __pydantic_config__: ClassVar[ConfigDict] = FINITE

    state: State = "queued"
    pid: Count = 0
    pid_started: float = 0.0
    boot: str = ""
    host: str = ""
    heartbeat: float = 0.0
    epoch: Count = 0
    epochs: Count = 0
    step: Count = 0
    steps: Count = 0
    images_per_second: Amount = 0.0
    seconds_left: Amount = 0.0
    processors: Amount = 0.0
    memory: Count = 0
    gpu_memory: Count = 0
    device: str = ""
    data: str = ""
    message: str = ""
    created: float = 0.0
    format: int = FORMAT

    @property
    def process(self) -> Process:
        return Process(self.pid, self.pid_started, self.boot, self.host)

    def of(self, process: Process) -> RunStatus:
        """The same status, now of another process, which lives at this moment."""
        return replace(
            self, pid=process.pid, pid_started=process.started, boot=process.boot, host=process.host,
            heartbeat=time.time(),
        )  # fmt: skip

    @property
    def active(self) -> bool:
        """Whether a process works on the run, or is about to."""
        return self.state in ACTIVE

    @property
    def progress(self) -> float:
        """Share of the run's steps that is done, 0..1; a finished run has none left, also where it stopped early."""
        if self.state == "finished":
            return 1.0
        total = self.epochs * self.steps
        return min(1.0, (self.epoch * self.steps + self.step) / total) if total else 0.0

    @property
    def time_left(self) -> str:
        """“3 min” while it trains, else empty."""
        return duration(self.seconds_left) if self.state == "running" and self.seconds_left else ""


@dataclass(frozen=True)
class Notes:
    """A user's tags and note on a run."""

    __pydantic_config__: ClassVar[ConfigDict] = FINITE

    tags: tuple[str, ...] = ()
    note: str = ""


_EPOCH, _STATUS, _NOTES = TypeAdapter(EpochResult), TypeAdapter(RunStatus), TypeAdapter(Notes)


class Stopped(Exception):
    """The run was asked to stop and has saved. Not an error."""


class NoRoom(RunError):
    """There is no space for a file of the run, which has paused at its last save."""


class NamedFolder:
    """A named folder of the workspace: a run, a sweep or a cross-validation."""

    KIND: ClassVar[str]
    PLACE: ClassVar[str]  # the folder in the workspace
    LONGEST: ClassVar[int]  # letters of a name

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return self.path.name

    @classmethod
    def named(cls, name: str) -> Self:
        """The folder of a name, whether it exists or not.

        Raises:
            RunError: the name would leave its place.
        """
        if not NAME.fullmatch(name) or len(name) > cls.LONGEST:
            raise RunError(
                f"“{shortened(name)}” cannot name {cls.KIND}; use up to {cls.LONGEST} of the letters a to z and A to Z, digits, "
                "dots, hyphens and underscores, the first a letter or digit."
            )
        if names_a_device(name):
            raise RunError(f"“{name}” cannot name {cls.KIND}: Windows keeps that name for itself; choose another.")
        return cls(workspace.home() / cls.PLACE / name)


class RunFolder(NamedFolder):
    """A run's files. Reading never changes them."""

    KIND, PLACE, LONGEST = "a run", "runs", 80

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @classmethod
    def create(cls, name: str, config: TrainConfig, data: str) -> RunFolder:
        """Create the folder of a new run in one step. If two processes use the same name at once, one of them fails.

        Raises:
            RunError: the name is taken, by a run or a shipped network, or would leave the runs folder.
        """
        run = cls.named(name)
        run.refuse_taken()
        run.path.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=run.path.parent, prefix=".new-"))
        try:
            write_atomically(new / "config.toml", to_toml(config).encode())
            cls(new).write(RunStatus(data=data, epochs=config.epochs, created=time.time()))
            new.chmod(0o755)
            os.rename(new, run.path)  # refuses a folder that holds anything
        except OSError as error:
            if isinstance(error, FileExistsError) or error.errno == errno.ENOTEMPTY:
                raise RunError(f"There is already a run called “{name}”; choose another name.") from None
            raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return run

    @property
    def shipped(self) -> bool:
        """Whether a shipped network, or one of the teacher's, has this name."""
        return any((root / self.name).exists() for root in workspace.read_only())

    def refuse_taken(self) -> None:
        """
        Raises:
            RunError: a run or a shipped network has the name.
        """
        if self.path.exists():
            raise RunError(f"There is already a run called “{self.name}”; choose another name.")
        if self.shipped:
            raise RunError(
                f"“{self.name}” is a shipped network, for which the run would be taken; choose another name."
            )

    def config(self) -> TrainConfig:
        """The run's recipe.

        Raises:
            RunError: there is none.
            FerError: as `load_recipe`.
        """
        path = self.path / "config.toml"
        if not path.exists():
            raise RunError(
                f"The run “{self.name}” has no config.toml in {self.path}; copy the folder again or delete it."
            )
        return load_recipe(path)

    def status(self) -> RunStatus:
        """The real status: a run whose process is gone is `lost`, whatever its file says.

        Raises:
            RunError: there is no such run, its status was damaged, or a newer version wrote it.
        """
        try:
            values = read_json(self.path / "status.json")
            if (version := values.get("format", FORMAT)) != FORMAT:
                raise RunError(
                    f"{self.path / 'status.json'} has the format {version!r}, this version of FERscope reads {FORMAT}; "
                    "use the version that wrote it."
                )
            known = {field.name for field in fields(RunStatus)}
            status = _STATUS.validate_python({key: value for key, value in values.items() if key in known})
        except FileNotFoundError:
            if self.path.is_dir():
                raise RunError(
                    f"The folder of the run “{self.name}” holds no status.json, only "
                    f"{', '.join(sorted(entry.name for entry in self.path.iterdir())[:6]) or 'nothing'}; delete the run."
                ) from None
            raise RunError(
                f"There is no run “{self.name}” in {self.path.parent}; `ferscope runs list` shows them."
            ) from None
        except (ValueError, AttributeError) as error:
            raise RunError(f"{self.path / 'status.json'} is damaged ({reason(error)}); delete the run.") from error
        if status.state not in ACTIVE or not status.pid:
            return status
        process = status.process
        if process.lives() if process.here else time.time() - status.heartbeat < SILENCE:
            return replace(status, state="stopping") if self.stop_requested else status
        if not process.here:
            message = f"No sign of life from {status.host} for {SILENCE / 60:.0f} minutes"
        elif status.state == "running":
            message = "The process ended without a word"
        elif words := self._last_words():
            return replace(status, state="failed", message=words)
        else:
            message = "The process ended before it could train"
        return replace(status, state="lost", message=f"{message}; resume continues from the last save.")

    def _last_words(self) -> str:
        """The last lines of the log, for the reason of an end before training began."""
        lines = self.log_end().splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return "" if last.startswith((STARTED, KILLED)) else last.removeprefix("Error: ")

    def log_end(self, most: int = 8192) -> str:
        """The last bytes of the log as text, “” where there is none; a log may grow without bound."""
        if not self.log.is_file():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - most))
            return file.read(most).decode("utf-8", "replace")

    def look(self) -> RunStatus:
        """The status for lists: a run that cannot be read counts as failed, with the reason."""
        try:
            return self.status()
        except RunError as error:
            return RunStatus(state="failed", message=str(error))

    def write(self, status: RunStatus) -> None:
        """Write the status. Any end also clears a requested stop."""
        if status.state not in ACTIVE:
            (self.path / "stop").unlink(missing_ok=True)
        write_atomically(self.path / "status.json", json.dumps(asdict(status)).encode())

    def metrics(self) -> list[EpochResult]:
        """The finished epochs, up to the first line that cannot be read; a crash may cut the last one."""
        return self._history()[0]

    def _history(self) -> tuple[list[EpochResult], str]:
        """The epochs before the first damaged line, and what is wrong with that line where more lines follow it."""
        try:
            lines = read_text(self.path / "metrics.jsonl").splitlines()
        except FileNotFoundError:
            return [], ""
        except ValueError as error:
            return [], str(error)
        results = []
        for number, line in enumerate(lines, 1):
            try:
                results.append(_EPOCH.validate_json(line))
            except ValidationError as error:
                return results, f"line {number}: {reason(error)}" if number < len(lines) else ""
        return results, ""

    def problems(self) -> list[str]:
        """What is wrong with the run's files, a sentence each. A file that has not been written yet is no problem."""
        found = []
        for look in (self.status, self.config):
            try:
                look()
            except FerError as error:
                found.append(str(error))
        for name, problem in (("metrics.jsonl", self._history()[1]), ("notes.json", self._notes()[1])):
            if problem:
                found.append(f"{self.path / name} is damaged ({problem}); what comes before the damage is shown.")
        return found

    def write_metrics(self, results: list[EpochResult]) -> None:
        text = "".join(json.dumps(asdict(result)) + "\n" for result in results)
        write_atomically(self.path / "metrics.jsonl", text.encode())

    def confusion(self) -> NDArray[np.int64] | None:
        """(k, k) counts of the last validation, rows the given label; None before the first or where it is damaged."""
        import numpy as np

        try:
            matrix = np.array(read_json(self.path / "confusion.json"), dtype=np.int64)
        except (FileNotFoundError, ValueError, TypeError, OverflowError):  # words, a table, numbers beyond 64 bits
            return None
        square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
        return matrix if square and matrix.size and (matrix >= 0).all() else None

    def write_warning(self, text: str) -> None:
        """Store a warning about the run's data."""
        write_atomically(self.path / "warning.txt", text.encode())

    def warning(self) -> str:
        """The warning about the run's data; “” if there is none."""
        try:
            return read_text(self.path / "warning.txt", largest=2**16)
        except (FileNotFoundError, ValueError):
            return ""

    def write_confusion(self, matrix: NDArray[np.int64]) -> None:
        write_atomically(self.path / "confusion.json", json.dumps(matrix.tolist()).encode())

    def notes(self) -> Notes:
        """Tags and note; empty where none were written, or where they cannot be read."""
        return self._notes()[0]

    def _notes(self) -> tuple[Notes, str]:
        try:
            return _NOTES.validate_python(read_json(self.path / "notes.json")), ""
        except FileNotFoundError:
            return Notes(), ""
        except ValueError as error:
            return Notes(), reason(error)

    def write_notes(self, notes: Notes) -> None:
        write_atomically(self.path / "notes.json", json.dumps(asdict(notes), ensure_ascii=False).encode())

    def request_stop(self) -> None:
        """Ask the run to finish its step, save and end; asking twice changes nothing."""
        (self.path / "stop").touch()

    @property
    def stop_requested(self) -> bool:
        return (self.path / "stop").exists()

    def claim(self, *, dead: bool = False) -> None:
        """Reserve the run for this process, which will train it or pass it on.

        Args:
            dead: whoever has the run is known to have died, also where that cannot be seen from here.

        Raises:
            RunError: another live process has it.
        """
        status, me = self.status(), Process.this()
        if status.process != me and not dead:
            if status.active and status.pid:
                raise RunError(f"The run “{self.name}” is {status.state} already, as process {status.pid}.")
            (self.path / "stop").unlink(missing_ok=True)  # it was meant for the process before this one
        self.write(replace(status, state="queued", message="").of(me))

    @contextmanager
    def running(self, **known: Any) -> Iterator[RunStatus]:
        """Mark the run as running in this process and, if an error occurs, as failed with its reason.

        Raises:
            RunError: another live process runs it.
            NoRoom: a file could not be written because the disk is full. The run pauses; its last save is whole.
        """
        if self.status().process != Process.this():
            self.claim()
        status = replace(self.status(), state="running", message="", **known).of(Process.this())
        self.write(status)
        for left in self.path.glob(".*.safetensors.*"):  # half of a save in which a process was killed; it may be large
            left.unlink(missing_ok=True)
        try:
            yield status
        except Stopped:
            raise
        except FerError as error:
            self._fail(str(error))
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                message = (
                    f"There is no room for a file of the run ({error.strerror}): {self.path}. It has paused, its last save "
                    "is whole. Make room; resume continues from there."
                )
                with suppress(OSError):  # then the process is found to be gone, which says to resume too
                    self.write(replace(self.status(), state="stopped", message=message))
                raise NoRoom(message) from error
            self._fail(f"{type(error).__name__}: {error}")
            raise

    def _fail(self, message: str) -> None:
        self.write(replace(self.status(), state="failed", message=message))
