"""Measurements in processes of their own: real processes, one killed, one stopped, and files that were damaged."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from fer_core.errors import CheckpointError, UnknownName
from fer_core.experiments import jobs
from fer_core.experiments.jobs import Job
from fer_core.runs.store import find
from tests.untrained import untrained

pytestmark = pytest.mark.usefixtures("no_process_is_left")
PATIENCE = 240.0  # seconds; the test machine may be busy


def wait(job: Job, until: Callable[[jobs.Status], bool]) -> jobs.Status:
    end = time.monotonic() + PATIENCE
    while not until(status := job.status()):
        assert time.monotonic() < end, (status, (job.folder / "log.txt").read_text())
        time.sleep(0.05)
    return status


def ended(status: jobs.Status) -> bool:
    return status.state not in ("waiting", "running")


def test_a_network_is_evaluated_by_a_process_of_its_own_and_a_second_job_waits_for_its_turn() -> None:
    untrained("judged", tta="none")
    first = jobs.start("evaluate", "judged", "heads", "val")
    second = jobs.start("evaluate", "judged", "heads", "test")
    assert [job.name for job in jobs.jobs()] == [second.name, first.name]
    found = [wait(job, ended) for job in (first, second)]
    assert [status.state for status in found] == ["finished", "finished"]
    accuracy = find("judged").predictions("heads-val").correct.mean()
    assert found[0].message.startswith(f"Rendered heads, validation set: accuracy {accuracy:.2%}")
    assert len(find("judged").predictions("heads-test")) == 315


def test_a_job_that_is_killed_is_said_to_have_failed_and_one_that_is_stopped_to_be_stopped() -> None:
    untrained("slow", tta="ten-crop")
    job = jobs.start("robustness", "slow", "heads", "train", 400)
    status = wait(job, lambda status: status.state == "running" and status.pid is not None)
    assert status.pid is not None
    os.kill(status.pid, signal.SIGKILL)
    assert "The process ended" in wait(job, ended).message
    assert job.status().state == "failed"
    again = jobs.start("robustness", "slow", "heads", "train", 400)
    wait(again, lambda status: status.state == "running")
    again.stop()
    assert again.status().state == "stopped"
    again.stop()  # once more does nothing
    assert again.status().state == "stopped"


def test_bad_requests_are_refused_and_damaged_files_left_out() -> None:
    with pytest.raises(UnknownName, match="kind of job"):
        jobs.start("dance", "fer2013-best", "heads", "val")
    with pytest.raises((UnknownName, CheckpointError), match="nobody"):
        jobs.start("evaluate", "nobody", "heads", "val")
    assert jobs.jobs() == []
    untrained("one")
    job = jobs.start("evaluate", "one", "heads", "nowhere")
    said = wait(job, ended)
    assert said.state == "failed"
    assert "nowhere" in said.message  # which splits there are
    (job.folder / "status.json").write_text("{", encoding="utf-8")
    assert "cannot be read" in job.status().message
    (job.folder / "job.json").write_text('{"name": "../../x"}', encoding="utf-8")
    assert jobs.jobs() == []
