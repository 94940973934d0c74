"""Sweeps: what a file may say, and real worker processes that share one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fer_core import workspace
from fer_core.datasets import open_dataset
from fer_core.errors import ConfigError, FerError, RunError
from fer_core.experiments import sweep_folder, sweep_worker
from fer_core.experiments.sweep_file import load_sweep
from fer_core.experiments.sweep_folder import SweepFolder
from fer_core.experiments.sweep_worker import work
from fer_core.runs.folder import RunFolder
from fer_core.runs.process import Process
from fer_core.training.batches import Batches
from tests.tiny import PATIENCE, tiny

pytestmark = pytest.mark.usefixtures("no_process_is_left")

TINY = """
recipe = "heads"
{how}
[settings]
arguments = {{ widths = [4, 4] }}
image = {{ height = 16, width = 16 }}
batch_size = 8
threads = 1
precision = "fp32"
memory_format = "contiguous"
epochs = {epochs}
[space]
{space}
"""


RANDOM = 'sampler = "random"\ntrials = 2'


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(how: str = "", space: str = "seed = [0, 1]", epochs: int = 2) -> Path:
        path = tmp_path / "tiny.toml"
        path.write_text(TINY.format(how=how, space=space, epochs=epochs), encoding="utf-8")
        return path

    return write


def test_every_shipped_sweep_is_valid_and_the_grid_of_the_source_is_whole() -> None:
    for name in sweep_folder.sweep_files():
        assert load_sweep(name).total > 0
    grid = load_sweep("lmu-grid")
    # 4 learning rates, 4 batch sizes, 3 lengths, with and without early stopping
    assert grid.total == len(grid.grid) == 4 * 4 * 3 * 2
    assert len({tuple(values.items()) for values in grid.grid}) == 96
    config = grid.config(grid.grid[1])
    assert (config.optimizer.lr, config.batch_size, config.epochs, config.early_stopping) == (0.1, 8, 10, 5)
    assert (config.network, config.arguments["dropout"]) == ("lmu-cnn", 0.5)


def test_a_value_written_twice_is_one_trial_of_a_grid(written: Callable[..., Path]) -> None:
    assert load_sweep(written(space="seed = [0, 1, 0]\nepochs = [1, 2]")).total == 4


@pytest.mark.parametrize(
    ("how", "space", "says"),
    [
        ("", "optimizer.lr = [0.1, -1]", "optimizer.lr = -1: Input should be greater than 0"),
        ("", "epohs = [1]", "did you mean “epochs”"),
        ("", "epochs = []", "each at least one value"),
        ("", "", "needs a setting"),
        ("", "optimizer.lr = { low = 0.1, high = 1 }", "a grid needs lists"),
        ('sampler = "tpe"', "epochs = [1]", "needs trials"),
        (
            RANDOM,
            "optimizer.lr = { low = 0.1, high = 0.01 }",
            "toml: space.optimizer.lr: low = 0.1 is above high = 0.01",
        ),
        (RANDOM, "ema = { low = 0, high = 0.9, log = true }", "low = 0 has no order of magnitude"),
        (RANDOM, "epochs = { low = 1.0, high = 3.0 }", "epochs = 2.*a number with a fractional part"),
        ('sampler = "best"', "epochs = [1]", "'grid', 'random' or 'tpe'"),
        ("trails = 3", "epochs = [1]", "Extra inputs are not permitted"),
        ("trials = ", "epochs = [1]", "no valid TOML"),
    ],
)
def test_a_sweep_that_is_no_sense_is_refused_before_anything_is_made(
    written: Callable[..., Path], how: str, space: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        SweepFolder.create("tiny", written(how, space), "heads")
    assert not (workspace.home() / "sweeps").exists()


def test_a_name_never_leaves_the_sweeps_folder_and_is_not_taken_twice(written: Callable[..., Path]) -> None:
    with pytest.raises(RunError, match="cannot name a sweep"):
        SweepFolder.create("../tiny", written(), "heads")
    first = SweepFolder.create("tiny", written(), "heads")
    assert SweepFolder.create("tiny", written(), "heads").path == first.path  # the same sweep goes on
    with pytest.raises(RunError, match="already another sweep called “tiny”"):
        SweepFolder.create("tiny", written(space="seed = [0, 1, 2]"), "heads")
    RunFolder.create("old-0007", tiny(), "heads")  # of a sweep whose folder was deleted
    with pytest.raises(RunError, match="runs old-0007 to old-0007 of another sweep called “old” are still there"):
        SweepFolder.create("old", written(), "heads")
    with pytest.raises(FerError, match="no sweep “none”"):
        SweepFolder.named("none").begin()


def test_a_recipe_that_is_changed_or_moved_does_not_change_the_trials_of_a_sweep(
    written: Callable[..., Path], tmp_path: Path
) -> None:
    recipe, file = tmp_path / "own.toml", written()
    recipe.write_text('network = "small-vgg"\nepochs = 3\n')
    file.write_text(file.read_text().replace('"heads"', f'"{recipe.as_posix()}"', 1))
    SweepFolder.create("kept", file, "heads")
    assert SweepFolder.create("kept", file, "heads").sweep.config({"seed": "1"}).network == "small-vgg"
    recipe.write_text('network = "mini-xception"\nepochs = 3\n')
    with pytest.raises(RunError, match="already another sweep called “kept”"):
        SweepFolder.create("kept", file, "heads")
    recipe.unlink()
    assert SweepFolder.named("kept").sweep.config({"seed": "1"}).network == "small-vgg"


def test_two_workers_of_which_one_is_killed_try_each_setting_once_and_miss_none(
    written: Callable[..., Path], learnable: Path
) -> None:
    file = written(space="seed = [0, 1, 2]\noptimizer.lr = [0.1, 0.01]", epochs=6)
    command = [sys.executable, "-m", "trainers.cli", "sweep", str(file), "--data", str(learnable), "--workers", "2"]
    process = subprocess.Popen([*command, "--json"], cwd=workspace.ROOT, stdout=subprocess.PIPE, text=True)
    folder, deadline = SweepFolder.named("tiny"), time.monotonic() + PATIENCE
    while not (training := [t for t in folder.trials() if t.status.state == "running" and t.epochs]):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(training[0].status.pid, signal.SIGKILL)
    out, _ = process.communicate(timeout=PATIENCE)
    told = json.loads(out)
    tried = Counter((row["seed"], row["optimizer.lr"]) for row in told["trials"])
    assert tried == {(seed, lr): 1 for seed in (0, 1, 2) for lr in (0.1, 0.01)}
    assert {row["state"] for row in told["trials"]} == {"finished"}
    assert all(row["epochs"] == 6 and row["n"] == 32 for row in told["trials"])
    study = folder.study()
    assert Counter(trial.state.name for trial in study.trials) == {"COMPLETE": 6}
    # the figure that Optuna was told is the best of the run's own history, also of the one that was killed
    for trial, frozen in zip(folder.trials(), study.trials, strict=True):
        assert trial.accuracy == frozen.value == max(r.val_accuracy for r in trial.run.metrics())


def test_a_stopped_sweep_goes_on_with_the_trial_it_had_begun(written: Callable[..., Path], learnable: Path) -> None:
    folder = SweepFolder.create("tiny", written(space="seed = [0, 1]", epochs=3), str(learnable))
    dataset = open_dataset(learnable)
    original = RunFolder.write_metrics

    def stop_after_one(run: RunFolder, results: list[object]) -> None:
        original(run, results)  # type: ignore[arg-type]
        folder.request_stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "write_metrics", stop_after_one)
        assert work(folder, dataset) == 0
    (trial,) = folder.trials()
    assert (trial.status.state, trial.epochs) == ("stopped", 1)
    assert work(folder, dataset) == 0  # it was not told to go on
    folder.begin()
    assert work(folder, dataset) == 2
    assert [(t.status.state, t.epochs) for t in folder.trials()] == [("finished", 3)] * 2
    assert work(folder, dataset) == 0


def test_the_interval_of_a_trial_is_that_of_the_pictures_it_was_validated_on(
    written: Callable[..., Path], learnable: Path
) -> None:
    (learnable / "val" / "happy").rename(learnable / "val" / "neutral")
    file = written(space="seed = [0]", epochs=1)
    file.write_text(file.read_text().replace("[space]", 'expressions = "rafdb6"\nleave_out = ["neutral"]\n[space]'))
    folder = SweepFolder.create("tiny", file, str(learnable))
    assert work(folder, open_dataset(learnable)) == 1
    (trial,) = folder.trials()
    assert trial.n == int(trial.run.confusion().sum()) == 16


def test_settings_that_do_not_go_together_are_refused_in_a_grid_and_not_drawn_else(
    written: Callable[..., Path], learnable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_worker, "TRIES", 30)
    space = "ema = [0.0, 0.9]\nswa = [0.0, 0.5]"
    with pytest.raises(ConfigError, match="ema and swa both average"):
        SweepFolder.create("grid", written(space=space), str(learnable))
    assert not (workspace.home() / "sweeps").exists()
    file = written('sampler = "random"\ntrials = 4', space, epochs=1)
    folder = SweepFolder.create("drawn", file, str(learnable))
    assert work(folder, open_dataset(learnable)) == 3
    assert all(trial.values["ema"] * trial.values["swa"] == 0 for trial in folder.trials())


def test_a_trial_that_torch_has_no_memory_for_does_not_end_the_sweep(
    written: Callable[..., Path], learnable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SweepFolder.create("tiny", written(space="batch_size = [32, 8]", epochs=1), str(learnable))
    batch = Batches.batch

    def full(batches: Batches, rows: Any, *others: Any) -> Any:
        if len(rows) == 32:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return batch(batches, rows, *others)

    monkeypatch.setattr(Batches, "batch", full)
    assert work(folder, open_dataset(learnable)) == 2
    assert [trial.status.state for trial in folder.trials()] == ["failed", "finished"]
    assert folder.trials()[0].status.message == "OutOfMemoryError: CUDA out of memory."


def test_bad_trials_are_pruned_failed_ones_are_told_and_a_random_search_repeats_no_setting(
    written: Callable[..., Path], learnable: Path
) -> None:
    how = 'sampler = "random"\npruner = "halving"\ntrials = 6\nseed = 3'
    folder = SweepFolder.create("tiny", written(how, "batch_size = [8, 16, 1000]\nseed = [0, 1]", 4), str(learnable))
    ended = work(folder, open_dataset(learnable))
    trials = folder.trials()
    assert ended == len(trials) == 6
    assert len({(t.values["batch_size"], t.values["seed"]) for t in trials}) == 6  # the whole small space, none twice
    failed = [trial for trial in trials if trial.status.state == "failed"]
    assert [t.values["batch_size"] for t in failed] == [1000, 1000]
    assert all("larger than the training set" in t.status.message for t in failed)
    rest = [trial for trial in trials if trial not in failed]
    assert all(t.pruned or t.status.state == "finished" for t in rest)
    assert any(t.status.state == "finished" for t in rest)
    for trial in rest:
        assert trial.pruned == (trial.epochs < 4)
        assert trial.bounds is not None
        assert trial.bounds.low <= (trial.accuracy or 0) <= trial.bounds.high


def test_importance_finds_the_setting_that_matters(written: Callable[..., Path]) -> None:
    folder = SweepFolder.create("tiny", written(space="seed = [0, 1, 2, 3]\nepochs = [1, 9]"), "heads")
    from tests.app.examples import _epoch

    for number, values in enumerate(folder.sweep.grid):
        run = RunFolder.create(f"tiny-{number:04d}", folder.sweep.config(values), "heads")
        told = {"sweep": "tiny", "number": number, "values": values, "n": 100}
        (run.path / sweep_folder.TRIAL).write_text(json.dumps(told))
        run.write_metrics([replace(_epoch(1), val_accuracy=0.3 + 0.05 * int(values["epochs"]))])
        run.write(replace(run.status(), state="finished").of(Process.this()))
    shares = folder.importance()
    assert list(shares) == ["epochs", "seed"]
    assert shares["epochs"] > 0.9
