"""Turns on a device, waiting, stopping and killing: real processes, few of which load torch."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fer_core import workspace
from fer_core.errors import RunError
from fer_core.runs import queue
from fer_core.runs.folder import RunFolder
from fer_core.runs.process import Process
from fer_core.training.launch import kill, launch, stop
from tests.tiny import PATIENCE, tiny

pytestmark = pytest.mark.usefixtures("no_process_is_left")

# Takes its turn, says so, works for a moment and ends, as a training does.
WORKER = """
import sys, time
from pathlib import Path
from fer_core.runs import queue
queue.wait("cpu", sys.argv[1], lambda first: None)
with Path(sys.argv[2]).open("a") as file:
    file.write(f"begin {sys.argv[1]}\\n")
time.sleep(float(sys.argv[3]))
with Path(sys.argv[2]).open("a") as file:
    file.write(f"end {sys.argv[1]}\\n")
"""


@pytest.fixture
def device() -> queue.Ticket:
    """The device is this test's: whoever is launched has to wait."""
    return queue.ticket("cpu", "the test", os.getpid)


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


def enqueue(name: str, diary: Path, seconds: float = 0.02) -> tuple[subprocess.Popen[bytes], queue.Ticket]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> int:
        command = [sys.executable, "-c", WORKER, name, str(diary), str(seconds)]
        started.append(subprocess.Popen(command, cwd=workspace.ROOT))
        return started[0].pid

    ticket = queue.ticket("cpu", name, start)
    return started[0], ticket


def test_twenty_processes_have_the_device_one_at_a_time_in_the_order_of_their_start(
    tmp_path: Path, device: queue.Ticket
) -> None:
    diary = tmp_path / "diary.txt"
    queued = [enqueue(f"run-{number:02d}", diary) for number in range(20)]
    assert [ticket.name for ticket in queue.line("cpu")] == ["the test", *(f"run-{n:02d}" for n in range(20))]
    for number in (3, 11):  # two of them are killed while they wait: nobody waits for them
        queued[number][0].kill()
        queued[number][0].wait()
    assert not diary.exists()
    device.give_up()
    for process, _ in queued:
        process.wait(PATIENCE)
    names = [f"run-{number:02d}" for number in range(20) if number not in (3, 11)]
    assert diary.read_text().split("\n")[:-1] == [f"{word} {name}" for name in names for word in ("begin", "end")]
    assert queue.lines() == {}


def test_the_next_goes_on_when_the_one_that_has_the_device_is_killed(tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    first, second = enqueue("first", diary, 1000), enqueue("second", diary)
    until(lambda: diary.exists() and bool(diary.read_text()))
    assert [ticket.name for ticket in queue.line("cpu")] == ["first", "second"]
    first[0].kill()
    second[0].wait(PATIENCE)
    assert diary.read_text().split("\n")[:-1] == ["begin first", "begin second", "end second"]


def test_a_ticket_of_a_recycled_process_id_or_a_damaged_one_is_thrown_away(device: queue.Ticket) -> None:
    values = json.loads(device.path.read_text())
    values["owner"]["started"] -= 60
    device.path.write_text(json.dumps(values))
    (device.path.parent / "00000002").write_text("{")
    assert queue.line("cpu") == []
    assert not device.path.exists()


def test_devices_have_lines_of_their_own(device: queue.Ticket) -> None:
    other = queue.ticket("cuda-0", "elsewhere", os.getpid)
    assert {name: [ticket.name for ticket in line] for name, line in queue.lines().items()} == {
        "cpu": ["the test"],
        "cuda-0": ["elsewhere"],
    }
    other.give_up()
    assert list(queue.lines()) == ["cpu"]
    assert [queue.device_of(name) for name in ("cpu", "cuda", "cuda:1", "mps")] == ["cpu", "cuda-0", "cuda-1", "mps"]


def test_a_launched_run_waits_small_and_a_stop_takes_it_out_of_the_line(device: queue.Ticket) -> None:
    run = RunFolder.create("waits", tiny(device="cpu"), "heads")
    launch(run)
    assert run.status().state == "queued"
    assert [ticket.name for ticket in queue.line("cpu")] == ["the test", "waits"]
    with pytest.raises(RunError, match="is starting"):
        launch(run)
    stop(run)
    stop(run)
    until(lambda: not run.status().active)
    assert (run.status().state, run.status().message) == ("stopped", "Stopped before its turn came.")
    until(lambda: len(queue.line("cpu")) == 1)
    with pytest.raises(RunError, match="is stopped; there is nothing to stop"):
        stop(run)


def test_a_run_whose_process_is_killed_while_it_waits_is_lost_and_can_be_launched_again(device: queue.Ticket) -> None:
    run = RunFolder.create("killed", tiny(device="cpu"), "heads")
    launch(run)
    os.kill(run.status().pid, signal.SIGKILL)
    until(lambda: run.status().state == "lost")
    assert "ended before it could train" in run.status().message
    launch(run)
    assert run.status().state == "queued"
    kill(run)
    assert run.status().state == "stopped"


def test_of_many_launches_in_the_same_moment_one_gets_the_run(device: queue.Ticket) -> None:
    run = RunFolder.create("once", tiny(device="cpu"), "heads")
    code = (
        "from fer_core.runs import folder; from fer_core.training import launch; "
        f"launch.launch(folder.RunFolder.named({run.name!r}))"
    )
    starters = [
        subprocess.Popen([sys.executable, "-c", code], cwd=workspace.ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [starter.communicate(timeout=PATIENCE)[1] for starter in starters]
    assert sorted(starter.returncode for starter in starters) == [0, 1, 1, 1]
    assert sum("is starting" in text for text in said) == 3
    assert [ticket.name for ticket in queue.line("cpu")] == ["the test", "once"]
    kill(run)


def test_a_process_that_does_not_answer_a_stop_is_killed_with_all_it_started_after_the_grace_time() -> None:
    run = RunFolder.create("deaf", tiny(), "heads")
    sleep = "import time; time.sleep(1000)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}]); {sleep}"
    deaf = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until(lambda: len(psutil.Process(deaf.pid).children()) == 1)
    child = Process.of(psutil.Process(deaf.pid).children()[0].pid)
    status, process = run.status(), Process.of(deaf.pid)
    assert process is not None
    assert child is not None
    run.write(type(status)(**vars(status) | {"state": "running"}).of(process))
    stop(run, grace=0.3)
    assert run.status().state == "stopping"
    until(lambda: run.status().state == "stopped")
    until(lambda: "had not ended 0.3 s after the stop" in run.status().message)
    assert not process.lives()
    until(lambda: not child.lives())
    assert not run.stop_requested


def test_the_command_line_shows_stops_tags_and_deletes(
    device: queue.Ticket, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainers.commands import runs as commands

    run = RunFolder.create("mine", tiny(device="cpu"), "heads")
    commands.runs_resume("mine")
    capsys.readouterr()
    commands.runs_queue(as_json=True)
    assert json.loads(capsys.readouterr().out) == {"cpu": ["the test", "mine"]}
    commands.runs_stop("mine", now=True)
    commands.runs_tag("mine", ["good"], note="for the report")
    commands.runs_clone("mine", "copy")
    capsys.readouterr()
    commands.runs_show("mine", as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["state"], shown["tags"], shown["note"]) == ("stopped", ["good"], "for the report")
    assert shown["recipe"]["batch_size"] == run.config().batch_size
    commands.runs_list(tag="good", state="", as_json=True)
    assert list(json.loads(capsys.readouterr().out)) == ["mine"]
    commands.runs_rm(["mine"])
    capsys.readouterr()
    commands.runs_list(tag="", state="", as_json=True)
    assert list(json.loads(capsys.readouterr().out)) == ["copy"]
    commands.runs_restore("mine")
    commands.runs_rename("mine", "yours")
    assert RunFolder.named("yours").notes().tags == ("good",)
    commands.runs_watch("yours")
    assert "stopped" in capsys.readouterr().out
