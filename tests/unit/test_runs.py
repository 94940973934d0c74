"""Runs as real processes: started, killed, stopped, resumed, found again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file

from fer_core import workspace
from fer_core.errors import RunError
from fer_core.runs import store
from fer_core.runs.folder import RunFolder
from fer_core.runs.launch import launch
from fer_core.training.config import TrainConfig, parse

PATIENCE = 240.0  # seconds; the test machine may be busy


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    for child in psutil.Process().children(recursive=True):
        child.kill()
        child.wait(10)


def tiny(**changes: object) -> TrainConfig:
    """A few steps of a few milliseconds; everything that is measured or chosen at the start is fixed."""
    values = {
        "arguments": {"widths": [4, 4]},
        "image": {"height": 16, "width": 16},
        "epochs": 2,
        "batch_size": 8,
        "seed": 5,
        "threads": 1,
        "precision": "fp32",
        "memory_format": "contiguous",
    }
    return parse(values | changes)


def wait_for(run: RunFolder, reached: Callable[[RunFolder], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not reached(run):
        log = run.log.read_text() if run.log.exists() else "no log"
        assert time.monotonic() < end, f"{run.status()}\n{log}"
        assert reached is ended or not ended(run), f"{run.status()}\n{log}"
        time.sleep(0.01)


def ended(run: RunFolder) -> bool:
    return run.status().state not in ("queued", "running")


def in_the_middle(run: RunFolder) -> bool:
    return run.status().state == "running" and len(run.metrics()) >= 1


def test_a_launched_run_finishes_by_itself_and_leaves_the_files_of_a_checkpoint(learnable: Path) -> None:
    run = RunFolder.create("first", tiny(), str(learnable))
    assert run.status().state == "queued"
    starter = f"from fer_core.runs import folder, launch; launch.launch(folder.RunFolder.named({run.name!r}))"
    subprocess.run([sys.executable, "-c", starter], check=True, cwd=workspace.ROOT)  # it ends, the run goes on
    with pytest.raises(RunError, match="is starting"):
        launch(run)
    wait_for(run, ended)
    status = run.status()
    assert (status.state, status.epoch, status.epochs, status.progress) == ("finished", 2, 2, 1.0)
    # 64 training pictures in batches of 8 make 8 steps an epoch
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


def test_a_stop_asked_for_while_the_run_still_loads_is_not_forgotten(learnable: Path) -> None:
    run = RunFolder.create("early", tiny(epochs=2000), str(learnable))
    launch(run)
    run.request_stop()
    wait_for(run, ended)
    assert run.status().state == "stopped"


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
    assert "batch_size = 1000 is larger than the training part (64 pictures)" in run.status().message


def test_of_two_runs_with_one_name_the_first_gets_it(learnable: Path) -> None:
    RunFolder.create("taken", tiny(), str(learnable))
    with pytest.raises(RunError, match="already a run called “taken”; choose another name"):
        RunFolder.create("taken", tiny(), str(learnable))


@pytest.mark.parametrize(
    "name", ["", "..", ".hidden", "../outside", "/tmp/outside", "a/b", "a\\b", "a\n", "x" * 81, "é"]
)
def test_a_name_that_would_leave_the_runs_folder_is_refused(name: str) -> None:
    with pytest.raises(RunError, match="cannot name a run"):
        RunFolder.create(name, tiny(), "synthetic")
    assert not workspace.runs().exists()


def test_a_process_that_only_has_the_number_of_the_trainer_does_not_keep_a_run_alive() -> None:
    run = RunFolder.create("recycled", tiny(), "synthetic")
    me = psutil.Process()
    alive = replace(run.status(), state="running", pid=me.pid, pid_started=me.create_time(), host=socket.gethostname())
    run.write(alive)
    assert run.status().state == "running"
    run.write(replace(alive, pid_started=me.create_time() - 60))  # the number was another process's a minute before
    assert run.status().state == "lost"


def test_a_run_of_another_machine_is_believed() -> None:
    run = RunFolder.create("elsewhere", tiny(), "synthetic")
    run.write(replace(run.status(), state="running", pid=1, pid_started=1.0, host="another-machine"))
    assert run.status().state == "running"
    run.write(replace(run.status(), host=socket.gethostname()))
    assert run.status().state == "lost"


def test_a_cut_last_line_of_the_metrics_is_left_out() -> None:
    run = RunFolder.create("cut", tiny(), "synthetic")
    line = (
        '{"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "lr": 0.1, '
        '"images_per_second": 10.0, "data_share": 0.1, "cpu_seconds": 1.0, "wall_seconds": 1.0}\n'
    )
    (run.path / "metrics.jsonl").write_text(line + line[:40])
    assert [result.epoch for result in run.metrics()] == [1]


def test_a_damaged_status_is_named(learnable: Path) -> None:
    run = RunFolder.create("damaged", tiny(), str(learnable))
    (run.path / "status.json").write_text("{")
    with pytest.raises(RunError, match=r"status\.json is damaged"):
        run.status()
