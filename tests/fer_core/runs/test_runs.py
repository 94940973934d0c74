"""Runs as real processes: started, killed, stopped, resumed, found again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from typer.testing import CliRunner

from fer_core import workspace
from fer_core.checkpoint import read_card, write_card
from fer_core.datasets import open_dataset
from fer_core.errors import RunError
from fer_core.runs import store
from fer_core.runs.diagnosis import diagnose
from fer_core.runs.folder import SILENCE, EpochResult, Notes, RunFolder
from fer_core.runs.process import Process, detached
from fer_core.training.launch import command, kill, launch
from fer_core.training.loop import Trainer
from tests.app.examples import make_network
from tests.tiny import ended, tiny, wait_for
from trainers import console
from trainers.cli import app

pytestmark = pytest.mark.usefixtures("no_process_is_left")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def in_the_middle(run: RunFolder) -> bool:
    return run.status().state == "running" and len(run.metrics()) >= 1


def test_a_launched_run_finishes_by_itself_and_leaves_the_files_of_a_checkpoint(learnable: Path) -> None:
    run = RunFolder.create("first", tiny(), str(learnable))
    assert run.status().state == "queued"
    starter = (
        "from fer_core.runs import folder; from fer_core.training import launch; "
        f"launch.launch(folder.RunFolder.named({run.name!r}))"
    )
    subprocess.run([sys.executable, "-c", starter], check=True, cwd=workspace.ROOT)  # it ends, the run goes on
    with pytest.raises(RunError, match="is starting"):
        launch(run)
    wait_for(run, ended)
    status = run.status()
    assert (status.state, status.epoch, status.epochs, status.progress) == ("finished", 2, 2, 1.0)
    # 64 training images in batches of 8 make 8 steps an epoch
    assert status.steps == 8
    assert [result.epoch for result in run.metrics()] == [1, 2]
    assert {path.name for path in run.path.iterdir()} >= {
        "config.toml", "status.json", "metrics.jsonl", "log.txt", "last.safetensors", "best.safetensors", "card.json",
        "predictions-learnable-val.parquet",
    }  # fmt: skip
    assert "Epoch   2" in run.log.read_text()
    found = store.checkpoints()["first"]
    assert len(found.predictions("learnable-val")) == 32
    assert found.card.results["learnable-val"]["n"] == 32
    with pytest.raises(RunError, match="is finished; start a new one"):
        launch(run)


def test_a_workspace_named_from_the_folder_one_is_in_is_the_launched_processs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERSCOPE_HOME", "here")
    ask = [sys.executable, "-c", "from fer_core import workspace; print(workspace.home().resolve())"]
    with (tmp_path / "log.txt").open("ab") as log:
        assert detached(ask, log).wait(60) == 0
    assert (tmp_path / "log.txt").read_text().strip() == str((tmp_path / "here").resolve())


def test_a_killed_run_is_lost_at_the_next_look_and_resumed_ends_as_if_never_stopped(learnable: Path) -> None:
    config = tiny(epochs=12)
    through, broken = (RunFolder.create(name, config, str(learnable)) for name in ("through", "broken"))
    launch(broken)
    wait_for(broken, in_the_middle)
    os.kill(broken.status().pid, signal.SIGKILL)
    wait_for(broken, ended)
    assert broken.status().state == "lost"
    assert "resume" in broken.status().message
    assert 1 <= len(broken.metrics()) < 12
    launch(broken)
    launch(through)
    for run in (broken, through):
        wait_for(run, ended)
        assert run.status().state == "finished"
    for file in ("last.safetensors", "best.safetensors"):
        expected, found = (load_file(run.path / file) for run in (through, broken))
        assert expected.keys() == found.keys()
        assert all((expected[key] == found[key]).all() for key in expected), file
    losses = [[result.val_loss for result in run.metrics()] for run in (through, broken)]
    assert losses[0] == losses[1]


def test_a_stop_saves_and_ends_the_run_and_resume_finishes_it(learnable: Path) -> None:
    run = RunFolder.create("stopped", tiny(epochs=12), str(learnable))
    launch(run)
    wait_for(run, in_the_middle)
    run.request_stop()
    run.request_stop()
    wait_for(run, ended)
    assert run.status().state == "stopped"
    assert not run.stop_requested
    assert (run.path / "last.safetensors").exists()
    launch(run)
    wait_for(run, ended)
    assert run.status().state == "finished"
    assert [result.epoch for result in run.metrics()] == list(range(1, 13))


def test_a_training_tells_what_it_uses_of_the_machine(learnable: Path) -> None:
    trainer = Trainer(RunFolder.create("uses", tiny(), str(learnable)), open_dataset(learnable))
    trainer.recorder.looked = time.process_time() - 6.0, time.monotonic() - 4.0
    uses = trainer.recorder.use()
    assert uses["processors"] == pytest.approx(1.5, abs=0.1)  # by hand: 6 s of processor time in 4 s
    assert uses["memory"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert uses["gpu_memory"] == 0 or trainer.state.device.type == "cuda"
    assert trainer.recorder.use() == {}  # a moment later there is nothing to tell yet


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of a file's size stands for the full disk")
def test_a_full_disk_pauses_the_run_whose_last_save_stays_whole(learnable: Path) -> None:
    import resource

    run = RunFolder.create("full", tiny(epochs=8), str(learnable))
    launch(run)
    wait_for(run, in_the_middle)
    run.request_stop()
    wait_for(run, ended)
    last = run.path / "last.safetensors"
    saved, room = last.read_bytes(), last.stat().st_size // 2
    paused = subprocess.run(
        command(run), cwd=workspace.ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )  # fmt: skip
    assert paused.returncode == 2
    assert "There is no room for a file of the run" in paused.stderr
    assert run.status().state == "stopped"
    assert "Make room; resume continues from there." in run.status().message
    assert last.read_bytes() == saved
    assert not list(run.path.glob(".last*"))  # the half that was written takes no room
    launch(run)
    wait_for(run, ended)
    assert run.status().state == "finished"
    assert [result.epoch for result in run.metrics()] == list(range(1, 9))


def test_a_stop_asked_for_while_the_run_still_loads_is_not_forgotten(learnable: Path) -> None:
    run = RunFolder.create("early", tiny(epochs=2000), str(learnable))
    launch(run)
    run.request_stop()
    wait_for(run, ended)
    assert run.status().state == "stopped"


def test_a_run_killed_while_it_loads_is_stopped_whatever_it_had_said(learnable: Path) -> None:
    run = RunFolder.create("killed", tiny(), str(learnable))
    launch(run)
    assert (run.status().state, run.status().pid > 0) == ("queued", True)
    with run.log.open("a") as log:
        log.write("UserWarning: this may be slow\n")
    kill(run)
    assert (run.status().state, run.status().message) == ("stopped", "Killed; resume continues from the last save.")


def test_what_a_killed_process_had_half_saved_is_thrown_away_by_the_next(learnable: Path) -> None:
    run = RunFolder.create("killed", tiny(epochs=1), str(learnable))
    write = "from fer_core import workspace; import os; os.replace = lambda *_: os.kill(os.getpid(), 9); "
    write += f"workspace.write_atomically(workspace.Path({str(run.path)!r}) / 'last.safetensors', bytes(1000))"
    subprocess.run([sys.executable, "-c", write], check=False, cwd=workspace.ROOT)
    assert [path.stat().st_size for path in run.path.glob(".last.safetensors.*")] == [1000]
    list(Trainer(run, open_dataset(learnable)).epochs())
    assert not list(run.path.glob(".last.safetensors.*"))


def test_a_stop_left_behind_by_a_killed_run_does_not_stop_the_resumed_one(learnable: Path) -> None:
    run = RunFolder.create("left", tiny(), str(learnable))
    run.request_stop()
    launch(run)
    wait_for(run, ended)
    assert run.status().state == "finished"


def test_a_run_that_ends_before_it_trains_has_failed_with_its_reason(learnable: Path) -> None:
    run = RunFolder.create("gone", tiny(batch_size=1000), str(learnable))
    launch(run)
    wait_for(run, ended)
    assert run.status().state == "failed"
    assert "batch_size = 1000 is larger than the training set (64 images)" in run.status().message


def test_of_two_runs_with_one_name_the_first_gets_it(learnable: Path) -> None:
    RunFolder.create("taken", tiny(), str(learnable))
    with pytest.raises(RunError, match="already a run called “taken”; choose another name"):
        RunFolder.create("taken", tiny(), str(learnable))


@pytest.mark.parametrize(
    "name", ["", "..", ".hidden", "../outside", "/tmp/outside", "a/b", "a\\b", "a\n", "x" * 81, "é"]
)
def test_a_name_that_would_leave_the_runs_folder_is_refused(name: str) -> None:
    with pytest.raises(RunError, match="cannot name a run"):
        RunFolder.create(name, tiny(), "heads")
    assert not workspace.runs().exists()


def test_a_process_that_only_has_the_number_of_the_trainer_does_not_keep_a_run_alive() -> None:
    run = RunFolder.create("recycled", tiny(), "heads")
    me = Process.this()
    alive = replace(run.status(), state="running").of(me)
    run.write(alive)
    assert run.status().state == "running"
    run.write(alive.of(replace(me, started=me.started - 60)))  # the number was another process's a minute before
    assert run.status().state == "lost"
    run.write(alive.of(replace(me, boot=me.boot + "x")))  # the same number and second, before the machine was restarted
    assert run.status().state == "lost"


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="only Linux tells the seconds since the machine's start"
)
def test_a_clock_that_is_set_anew_loses_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create("clock", tiny(), "heads")
    run.write(replace(run.status(), state="running").of(Process.this()))
    now = time.time()
    for jump in (-86_400, 86_400):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        assert run.status().state == "running"
        # what psutil tells moves with the clock, and is therefore not asked
        assert Process.this() == run.status().process


def test_a_child_that_has_ended_but_was_not_collected_does_not_live() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    process = Process.of(child.pid)
    deadline = time.monotonic() + 60
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
    assert Process.of(child.pid) is None
    assert process is None or not process.lives()
    child.wait()


def test_a_run_of_another_machine_is_believed_while_its_heart_beats() -> None:
    run = RunFolder.create("elsewhere", tiny(), "heads")
    elsewhere = replace(
        run.status(), state="running", heartbeat=time.time(), pid=1, pid_started=1.0, host="another-machine"
    )
    run.write(elsewhere)
    assert run.status().state == "running"
    run.write(replace(elsewhere, heartbeat=time.time() - SILENCE - 1))
    assert run.status().state == "lost"
    assert "No sign of life from another-machine" in run.status().message
    run.write(replace(elsewhere, host=socket.gethostname()))
    assert run.status().state == "lost"


def test_a_cut_last_line_of_the_metrics_is_left_out() -> None:
    run = RunFolder.create("cut", tiny(), "heads")
    line = (
        '{"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "lr": 0.1, '
        '"images_per_second": 10.0, "data_share": 0.1, "cpu_seconds": 1.0, "wall_seconds": 1.0}\n'
    )
    (run.path / "metrics.jsonl").write_text(line + line[:40])
    assert [result.epoch for result in run.metrics()] == [1]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: (path / "status.json").write_text("{"), r"status.json is damaged"),
        (lambda path: (path / "status.json").write_bytes(b""), r"status.json is damaged"),
        (lambda path: (path / "status.json").write_text("[]"), r"status.json is damaged"),
        (lambda path: (path / "status.json").write_text('{"format": 2}'), r"has the format 2, this version.*reads 1"),
        (lambda path: (path / "status.json").unlink(), r"holds no status.json, only config.toml; delete the run"),
        (lambda path: [entry.unlink() for entry in path.iterdir()], r"holds no status.json, only nothing; delete"),
    ],
)
def test_a_spoilt_run_is_named_listed_beside_the_others_and_can_be_deleted(
    spoil: Callable[[Path], object], says: str
) -> None:
    whole, broken = (RunFolder.create(name, tiny(), "heads") for name in ("whole", "broken"))
    spoil(broken.path)
    with pytest.raises(RunError, match=says):
        broken.status()
    assert {run.name: run.look().state for run in store.runs()} == {"whole": "queued", "broken": "failed"}
    with pytest.raises(RunError, match="already a run called “broken”"):
        RunFolder.create("broken", tiny(), "heads")
    store.trash("broken")
    assert [run.name for run in store.runs()] == [whole.name]
    RunFolder.create("broken", tiny(), "heads")


def test_names_tags_and_the_trash() -> None:
    run = RunFolder.create("first", tiny(seed=7), "heads")
    run.write_notes(Notes(("good", "old"), "kept for the report"))
    copy = store.clone("first", "second")
    assert copy.config() == run.config()
    assert copy.status().data == "heads"
    with pytest.raises(RunError, match="already a run called “second”"):
        store.rename("first", "second")
    with pytest.raises(RunError, match="cannot name a run"):
        store.rename("first", "../first")
    renamed = store.rename("first", "third")
    assert not run.path.exists()
    assert renamed.notes() == Notes(("good", "old"), "kept for the report")
    place = store.trash("third")
    assert place.parent == workspace.home() / "trash"
    with pytest.raises(RunError, match="no run “third”"):
        store.trash("third")
    assert store.restore("third").notes().note == "kept for the report"
    for act in (store.trash, store.restore):
        with pytest.raises(RunError, match="cannot name a run"):
            act("../runs")
    copy.write(replace(copy.status(), state="running").of(Process.this()))
    for act in (store.trash, lambda name: store.rename(name, "fourth")):
        with pytest.raises(RunError, match="is running and cannot be"):
            act("second")


def test_an_installed_package_ships_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    RunFolder.create("mine", tiny(), "heads")
    monkeypatch.setattr(workspace, "CHECKOUT", False)
    with pytest.raises(RunError, match="shipped from a checkout"):
        store.promote("mine")


def test_no_run_is_given_the_name_of_a_shipped_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "CHECKPOINTS", tmp_path)
    (tmp_path / "small-vgg").mkdir()
    RunFolder.create("mine", tiny(), "heads")
    assert store.free_name("small-vgg") == "small-vgg-2"  # a recipe has this name too
    for act in (
        lambda: RunFolder.create("small-vgg", tiny(), "heads"),
        lambda: store.clone("mine", "small-vgg"),
        lambda: store.rename("mine", "small-vgg"),
    ):
        with pytest.raises(RunError, match="“small-vgg” is a shipped network"):
            act()


def test_a_folder_of_pictures_does_not_stand_before_the_network_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_network("kdef", None)
    (tmp_path / "kdef").mkdir()
    monkeypatch.chdir(tmp_path)
    assert store.find("kdef").folder == workspace.runs() / "kdef"
    write_card(tmp_path / "kdef", read_card(workspace.runs() / "kdef"))
    assert store.find("kdef").folder == (tmp_path / "kdef").resolve()


def test_a_listing_shows_brackets_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create("first", tiny(), "/data/[old]")
    run.write_notes(Notes(("[wip]",)))
    run.write(replace(run.status(), state="failed", message="[image] does not fit; see [/home/me]."))
    monkeypatch.setattr(console.out, "width", 200)
    printed = CliRunner().invoke(app, ["runs", "list"]).output
    assert all(text in printed for text in ("/data/[old]", "[wip]", "[image] does not fit; see [/home/me]."))


def test_a_renamed_network_has_its_new_name_on_its_card() -> None:
    make_network("old", None)
    store.rename("old", "new")
    assert read_card(workspace.runs() / "new").name == "new"


def test_a_listing_reads_each_status_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        RunFolder.create(f"run-{number}", tiny(), "heads")
    read, count = Path.read_text, Counter[str]()

    def counting(path: Path, *args: Any, **kwargs: Any) -> str:
        count[path.name] += 1
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", counting)
    states = [run.look().state for run in store.runs()]
    assert len(states) == 30
    assert count["status.json"] == 30
    assert count.total() == 30  # nothing else is read for a list


@given(st.text(max_size=100))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_leaves_the_runs_folder(name: str) -> None:
    try:
        path = RunFolder.named(name).path
    except RunError:
        return
    assert path.resolve().parent == workspace.runs().resolve()


def epochs(
    train: list[float], val: list[float], train_accuracy: list[float], val_accuracy: list[float]
) -> list[EpochResult]:
    return [
        EpochResult(number, *figures, lr=0.1, images_per_second=1, data_share=0, cpu_seconds=1, wall_seconds=1)
        for number, figures in enumerate(zip(train, train_accuracy, val, val_accuracy, strict=True), 1)
    ]


@pytest.mark.parametrize(
    ("history", "verdict", "val_slope"),
    [
        # validation loss 1.0 1.1 1.2 1.3: least squares by hand, 0.1 an epoch, while the training loss falls
        (
            epochs([1.0, 0.8, 0.6, 0.4], [1.0, 1.1, 1.2, 1.3], [0.6, 0.7, 0.8, 0.9], [0.6, 0.6, 0.6, 0.6]),
            "overfits",
            0.1,
        ),
        (epochs([0.5, 0.5, 0.5], [0.9, 0.9, 0.9], [0.9, 0.9, 0.9], [0.7, 0.7, 0.7]), "overfits", 0.0),
        (epochs([1.9, 1.9, 1.9], [1.9, 1.9, 1.9], [0.2, 0.2, 0.2], [0.2, 0.2, 0.2]), "underfits", 0.0),
        (epochs([1.2, 1.0, 0.8], [1.2, 1.0, 0.8], [0.5, 0.6, 0.7], [0.5, 0.6, 0.7]), "still improves", -0.2),
        (epochs([0.8, 0.8, 0.8], [0.8, 0.8, 0.8], [0.7, 0.7, 0.7], [0.7, 0.7, 0.7]), "converged", 0.0),
    ],
)
def test_curves_are_put_in_words_with_their_evidence(
    history: list[EpochResult], verdict: str, val_slope: float
) -> None:
    said = diagnose(history)
    assert said is not None
    assert said.verdict == verdict
    assert said.val_slope == pytest.approx(val_slope)
    assert f"{val_slope:+.3f}" in said.sentence
    assert "training accuracy is" in said.sentence
    # training images are said to be memorised only where the two accuracies, which are named, are far apart
    assert ("memorises" in said.sentence) == (said.gap > 0.1 and "loss rises" not in said.sentence)
    assert diagnose(history[:2]) is None


def test_nothing_is_judged_in_the_middle_of_a_schedule_and_noise_is_no_trend() -> None:
    # the recommended demonstration: a jumping validation loss while the learning rate is high, which fell in the end
    jumping = [1.9, 1.2, 1.5, 1.1, 1.35, 1.2, 1.45, 1.5, 1.55]
    falling = [1.8 - 0.1 * i for i in range(9)]
    middle = epochs(falling, jumping, [0.3 + 0.05 * i for i in range(9)], [0.3] * 9)
    said = diagnose(middle, planned=24)
    assert said is not None
    assert said.verdict == "too early to say"
    assert "9 of 24 epochs" in said.sentence
    # 1.0 1.2 1.0 1.2 1.1: slope 0.02 by hand, standard error 0.033; it does not rise by more than its noise
    noisy = diagnose(epochs([0.9, 0.8, 0.7, 0.6, 0.5], [1.0, 1.2, 1.0, 1.2, 1.1], [0.6] * 5, [0.6] * 5))
    assert noisy is not None
    assert noisy.val_slope == pytest.approx(0.02)
    assert noisy.verdict != "overfits"
    rising = diagnose(epochs([0.9, 0.8, 0.7, 0.6, 0.5], [1.0, 1.1, 1.2, 1.35, 1.4], [0.6] * 5, [0.6] * 5))
    assert rising is not None
    assert rising.verdict == "overfits"
