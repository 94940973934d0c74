"""Twenty at one machine: a workspace each, what is shared and read only, whose turn it is, and what the teacher stops."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fer_core import workspace as places
from fer_core.checkpoint import place_for, save_tensors
from fer_core.classroom import workbench
from fer_core.classroom.workbench import TEACHER, Desk, door, enter, place
from fer_core.datasets import known, open_dataset
from fer_core.errors import ClassError, ConfigError, DataError, RunError, UnknownName
from fer_core.images import ImageSpec
from fer_core.labels import FER7
from fer_core.models import build
from fer_core.runs import queue, store
from fer_core.runs.folder import RunFolder
from fer_core.training.transfer import start_from
from tests.tiny import tiny


@pytest.fixture
def sit(workspace: Path) -> Callable[[str], Path]:
    """Signs a student in and gives their workspace."""

    def make(nickname: str) -> Path:
        desk = enter(workspace, door(workspace).code, nickname)
        found = place(workspace, desk.ticket)
        assert found is not None
        return found

    return make


@pytest.fixture
def process() -> Iterator[Callable[[], int]]:
    """Starts processes that do nothing, and ends them after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> int:
        started.append(subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE))
        return started[-1].pid

    yield start
    for one in started:
        one.kill()
        one.wait()


def test_two_students_do_not_see_each_others_runs_and_the_teacher_sees_neither_as_their_own(
    workspace: Path, sit: Callable[[str], Path]
) -> None:
    ada, bo = sit("Ada"), sit("Bo")
    for home, name in ((ada, "mine"), (bo, "mine"), (bo, "second")):
        with places.at(home):
            RunFolder.create(name, tiny(), "heads")
    names = {}
    for home in (ada, bo, workspace):
        with places.at(home):
            names[home] = sorted(run.name for run in store.runs())
    assert names == {ada: ["mine"], bo: ["mine", "second"], workspace: []}
    with places.at(ada), pytest.raises(UnknownName):
        store.find(bo / "runs" / "second")  # nor by its path


def test_sessions_of_one_server_have_workspaces_of_their_own_at_the_same_time(
    workspace: Path, sit: Callable[[str], Path]
) -> None:
    homes = {name: sit(name) for name in ("Ada", "Bo")}
    session = threading.local()
    places.by_session(lambda: session.home)
    try:
        seen: dict[str, Path] = {}
        both = threading.Barrier(2)

        def work(name: str) -> None:
            session.home = homes[name]
            both.wait()
            RunFolder.create(f"of-{name}", tiny(), "heads")
            seen[name] = places.home()

        threads = [threading.Thread(target=work, args=(name,)) for name in homes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pytest.raises(AttributeError):  # nobody is signed in here: never the teacher's by mistake
            places.home()
    finally:
        places.by_session(None)
    assert seen == homes
    assert [path.name for path in (homes["Ada"] / "runs").glob("of-*")] == ["of-Ada"]


def test_the_teachers_networks_are_read_and_not_changed_by_students(
    workspace: Path, sit: Callable[[str], Path], tmp_path: Path
) -> None:
    shipped = next(path for path in sorted(places.CHECKPOINTS.glob("*/")) if (path / "weights.safetensors").exists())
    shutil.copytree(shipped, workspace / "runs" / "ours")
    before = {path: path.stat().st_mtime_ns for path in (workspace / "runs" / "ours").iterdir()}
    with places.at(sit("Ada")) as _:
        network = store.find("ours")
        assert network.shipped
        assert "ours" in store.checkpoints()
        assert place_for(network.folder).is_relative_to(places.home())  # figures about it go to the student's workspace
        for change in (lambda: store.trash("ours"), lambda: store.rename("ours", "theirs")):
            with pytest.raises(RunError):
                change()
        with pytest.raises(RunError, match="choose another name"):
            RunFolder.create("ours", tiny(), "heads")
    assert before == {path: path.stat().st_mtime_ns for path in (workspace / "runs" / "ours").iterdir()}


def test_students_open_the_data_of_the_class_and_their_own_and_no_other_files(
    workspace: Path, sit: Callable[[str], Path], tmp_path: Path
) -> None:
    row = " ".join(["7"] * 48 * 48)
    csv = f"emotion,pixels,Usage\n0,{row},Training\n3,{row},PublicTest\n"
    (tmp_path / "class.csv").write_text(csv)
    (tmp_path / "secret.csv").write_text(csv)
    known.add(tmp_path / "class.csv", "ours")
    ada, bo = sit("Ada"), sit("Bo")
    with places.at(ada):
        assert len(open_dataset("ours").index) == 2
        (ada / "own.csv").write_text(csv)
        known.add(ada / "own.csv", "own")
        assert set(known.known()) == {"ours", "own"}
        assert set(known.own()) == {"own"}
        with pytest.raises(DataError, match="upload your own"):
            open_dataset(tmp_path / "secret.csv")
    with places.at(bo):
        assert set(known.known()) == {"ours"}
        with pytest.raises(DataError):
            open_dataset(ada / "own.csv")
    assert set(known.known()) == {"ours"}


def test_a_training_of_a_student_starts_from_no_weights_outside_their_workspace(
    sit: Callable[[str], Path], tmp_path: Path
) -> None:
    spec, arguments = ImageSpec(channels=1, height=16, width=16), {"widths": [4, 4]}
    model, ada = build("small-vgg", classes=7, spec=spec, arguments=arguments), sit("Ada")
    for folder in (tmp_path, ada):
        save_tensors(folder / "start.safetensors", model.state_dict())

    def start(folder: Path) -> None:
        config = tiny(transfer={"weights": str(folder / "start.safetensors")})
        start_from(build("small-vgg", classes=7, spec=spec, arguments=arguments), config, spec, FER7)

    start(tmp_path)  # the teacher may
    with places.at(ada):
        start(ada)
        with pytest.raises(ConfigError, match="there is no file"):
            start(tmp_path)


def test_students_take_turns_and_nobody_who_trains_is_interrupted(
    workspace: Path, sit: Callable[[str], Path], process: Callable[[], int]
) -> None:
    ada, bo, cy = sit("Ada"), sit("Bo"), sit("Cy")

    def ask(home: Path, name: str) -> queue.Ticket:
        with places.at(home):
            return queue.ticket("cpu", name, process)

    first = ask(ada, "a1")
    for name in ("a2", "a3", "a4"):
        ask(ada, name)
    for name in ("b1", "b2"):
        ask(bo, name)

    def order() -> list[str]:
        return [ticket.name for ticket in queue.line("cpu")]

    assert order() == ["a1", "b1", "a2", "b2", "a3", "a4"]  # first come, first served would be a1 to a4, b1, b2
    ask(cy, "c1")
    assert order() == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    first.give_up()
    queue.line("cpu")[0].give_up()
    ask(bo, "b3")  # later than Bo's second, though two of Bo's have been counted already
    assert order() == ["c1", "a2", "b2", "a3", "b3", "a4"]
    with places.at(cy):
        assert [ticket.title for ticket in queue.line("cpu")][:2] == ["c1", "another person's run"]


def test_without_students_the_queue_is_first_come_first_served(workspace: Path, process: Callable[[], int]) -> None:
    for name in "abc":
        queue.ticket("cpu", name, process)
    assert [ticket.name for ticket in queue.line("cpu")] == ["a", "b", "c"]


def test_the_teacher_stops_a_students_waiting_run(
    workspace: Path, sit: Callable[[str], Path], no_process_is_left: None
) -> None:
    from fer_core.training import launch

    queue.ticket("cpu", "the teacher's", os.getpid)  # has the device, so the run waits
    ada = sit("Ada")
    with places.at(ada):
        run = RunFolder.create("mine", tiny(), "heads")
        launch.launch(run)
    ticket = queue.line("cpu")[1]
    assert (ticket.student, ticket.name) == (ada.name, "mine")
    workbench.stop(ticket)
    while ticket.owner.lives():
        pass
    assert run.status().state == "stopped"


def test_return_word_ticket_and_code(workspace: Path) -> None:
    code = door(workspace).code
    desk = enter(workspace, f" {code.lower()}", "Ada L.")
    assert enter(workspace, code, "ada l.", desk.word.lower()) == desk
    assert place(workspace, desk.ticket) == workspace / "students" / desk.name
    for bad in (
        (code, "ada L.", ""),
        (code, "Ada L.", "XXXXX"),
        ("AAAA", "Bo", ""),
        (code, "../x", ""),
        (code, "<b>", ""),
    ):
        with pytest.raises(ClassError):
            enter(workspace, *bad)
    forged = (
        f"{desk.name}.",
        f"{desk.name}.x",
        "..",
        "../x.y",
        f"{TEACHER}.",
        "",
        Desk("no", "", "s", "w").ticket,
        "é.é",
    )
    assert [place(workspace, ticket) for ticket in forged] == [None] * len(forged)
    assert place(workspace, f"{TEACHER}.{door(workspace).key}") == workspace
    assert door(workspace) == door(workspace)
