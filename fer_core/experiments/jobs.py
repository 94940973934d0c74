"""Measurements that take minutes, as processes of their own: they outlive the page that started them.

A job is a folder of the workspace, `jobs/<name>/`: `job.json` (what was asked for), `status.json` (how far it is) and `log.txt`.
Jobs take turns, for two at once would each take twice as long.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

import psutil
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field

from fer_core import workspace
from fer_core.datasets.titles import table_title
from fer_core.errors import DataError, FerError, UnknownName
from fer_core.runs.process import Process, detached
from fer_core.runs.store import find
from fer_core.untrusted import read_json
from fer_core.workspace import write_atomically

State = Literal["waiting", "running", "finished", "failed", "stopped"]
BREATH = 120.0  # seconds that a new process may take to load before it first reports
SAMPLE = 500  # images of a region report or a robustness table where no other number is asked for
METHODS_ON = 128  # images on which a region report compares the attribution methods


class Job(BaseModel):
    """What was asked for.

    Attributes:
        what: a name in `KINDS`.
        data: a data set as `open_dataset` takes it.
        limit: images drawn by a fixed seed; 0 means the whole split.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"[a-z0-9-]+")
    what: str
    network: str
    data: str
    split: str
    limit: int = Field(0, ge=0)

    @property
    def folder(self) -> Path:
        return _jobs() / self.name

    def status(self) -> Status:
        """How far it is. A job whose process ended without reporting is “failed”, with the last line of its log."""
        try:
            status = Status.model_validate(read_json(self.folder / "status.json"))
        except (OSError, ValueError) as error:  # pydantic's and JSON's errors are ValueErrors
            return Status(state="failed", message=f"Its status cannot be read ({error}). Start it again.")
        if status.state in ("waiting", "running") and not self._lives(status):
            end = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            words = f"The process ended. {end[-1] if end else ''}".strip()
            return status.model_copy(update={"state": "failed", "message": words})
        return status

    def _lives(self, status: Status) -> bool:
        """Whether its process is alive, as far as this machine can tell. A process that has not reported yet is given two
        minutes to load."""
        if status.pid is None:
            return time.time() - (self.folder / "status.json").stat().st_mtime < BREATH
        process = Process(status.pid, status.started, status.boot, status.host)
        return not process.here or process.lives()

    def stop(self) -> None:
        """End its process. What was measured stays in the cache, so a new job of the same kind continues there."""
        status = self.status()
        if status.state not in ("waiting", "running"):
            return
        if status.pid is not None and self._lives(status):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                process = psutil.Process(status.pid)
                process.kill()
                process.wait(10)
        self._write(status.model_copy(update={"state": "stopped", "message": "Stopped by hand."}))

    def _write(self, status: Status) -> None:
        write_atomically(self.folder / "status.json", status.model_dump_json().encode())


class Status(BaseModel):
    """How far a job is: `done` of `total` steps of `step`; at its end a `message` and the `key` of what it made (“<data
    set>-<split>”)."""

    model_config = ConfigDict(extra="forbid")

    state: State = "waiting"
    step: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    key: str = ""
    pid: int | None = None
    started: float = 0.0
    boot: str = ""
    host: str = ""

    def of(self, process: Process) -> Status:
        values = {"pid": process.pid, "started": process.started, "boot": process.boot, "host": process.host}
        return self.model_copy(update=values)


class Tell(Protocol):
    """Called with what is done, how many steps of it are, and of how many."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


def start(what: str, network: str, data: str, split: str, limit: int = 0) -> Job:
    """Start a job in a process of its own.

    Raises:
        UnknownName: no such kind of job, or no such network.
    """
    if what not in KINDS:
        raise UnknownName("kind of job", what, KINDS)
    find(network)
    moment = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    job = Job(name=f"{what}-{moment}", what=what, network=network, data=data, split=split, limit=limit)
    write_atomically(job.folder / "job.json", job.model_dump_json().encode())
    job._write(Status())
    with (job.folder / "log.txt").open("wb") as log:
        detached([sys.executable, "-m", "fer_core.experiments.jobs", job.name], log)
    return job


def jobs() -> list[Job]:
    """All jobs of the workspace, the newest first; one whose file is damaged is left out."""
    found = []
    for path in _jobs().glob("*/job.json"):
        try:
            job = Job.model_validate(read_json(path))
        except (OSError, ValueError):
            continue
        if job.name == path.parent.name:
            found.append(job)
    return sorted(found, key=lambda job: job.name.rpartition("-")[0][-15:] + job.name[-6:], reverse=True)


def named(name: str) -> Job:
    """A job by its name.

    Raises:
        DataError: there is none, or its file is damaged.
    """
    for job in jobs():
        if job.name == name:
            return job
    raise DataError(f"There is no job “{name}” in {_jobs()}.")


def work(job: Job) -> None:
    """Do a job in this process, when those before it are done."""
    own = Process.this()
    job._write(Status().of(own))
    try:
        turn = workspace.shared() / "jobs" / "turn.lock"  # one at a time on this machine, whoever asked
        turn.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(turn):

            def tell(step: str, done: int, total: int) -> None:
                job._write(Status(state="running", step=step, done=done, total=total).of(own))

            tell("Loading the data set and the network", 0, 1)
            message, key = KINDS[job.what](job, tell)
    except FerError as error:
        job._write(Status(state="failed", message=str(error)))
        return
    job._write(Status(state="finished", done=1, total=1, message=message, key=key))


def _evaluate(job: Job, tell: Tell) -> tuple[str, str]:
    from fer_core.datasets import open_dataset
    from fer_core.evaluation.predict import answers, how_obtained, keep, stronger_table
    from fer_core.evaluation.results import in_words, results, trained_on

    found, dataset = find(job.network), open_dataset(job.data)
    total = len(dataset.without(found.card.leave_out).rows(job.split))
    predictions, card = answers(
        found.folder, dataset, job.split, lambda done: tell("Predicting the images", done, total)
    )
    how = how_obtained(found.folder, card, dataset, job.split)
    key = f"{dataset.name}-{job.split}"
    if not stronger_table(found.folder, dataset, job.split):
        key = keep(found.folder, predictions, how).key
    return in_words(table_title(key), results(predictions, dataset, job.split, trained_on(card), how)), key


def _regions(job: Job, tell: Tell) -> tuple[str, str]:
    from fer_core.checkpoint import load_network
    from fer_core.datasets import open_dataset
    from fer_core.explanation import region_report
    from fer_core.models import attribution_layer

    found, dataset = find(job.network), open_dataset(job.data)
    model, card = load_network(found.folder)
    report = region_report.make(
        model, card, found.folder, dataset, job.split, layer=attribution_layer(card.network, model), limit=job.limit,
        methods_on=METHODS_ON, on_progress=tell,
    )  # fmt: skip
    region_report.write(found.folder, report)
    return str(report.about["verdict"]), f"{dataset.name}-{job.split}"


def _robustness(job: Job, tell: Tell) -> tuple[str, str]:
    from fer_core.datasets import open_dataset
    from fer_core.evaluation import robustness

    found = find(job.network)
    dataset = open_dataset(job.data).without(found.card.leave_out)
    chosen = robustness.sample(dataset, job.split, job.limit or None)
    table = robustness.measure(
        found.name, found.folder, dataset, job.split, chosen, (), lambda done, total: tell("Corruptions", done, total)
    )
    robustness.keep(found.folder, dataset, job.split, chosen, table)
    clean = table.loc[table["severity"] == 0, "accuracy"].iloc[0]
    words = f"Accuracy {clean:.1%} uncorrupted, {robustness.overall(table):.1%} on average over all corruptions."
    return words, f"{dataset.name}-{job.split}"


KINDS: dict[str, Callable[[Job, Tell], tuple[str, str]]] = {
    "evaluate": _evaluate,
    "regions": _regions,
    "robustness": _robustness,
}


def _jobs() -> Path:
    return workspace.home() / "jobs"


if __name__ == "__main__":
    from fer_core.experiments import jobs as module  # one copy of the classes, whatever this file is run as

    module.work(module.named(sys.argv[1]))
