"""Runs as tasks of a Ray cluster: two nodes on this machine, one of which is killed in the middle."""

import json
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from fer_core import recipe as recipes_of
from fer_core import workspace
from fer_core.datasets import open_dataset
from fer_core.errors import ConfigError, RunError
from fer_core.experiments.cluster import Cluster, connected, task
from fer_core.experiments.sweep_folder import SweepFolder
from fer_core.recipe import to_toml
from fer_core.runs.folder import RunFolder
from fer_core.training.loop import Trainer
from tests.tiny import PATIENCE, tiny
from trainers.cli import app

SPACE = """
recipe = "{recipe}"
pruner = "none"
[space]
seed = [0, 1]
optimizer.lr = [0.1, 0.01]
"""


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """The address of a cluster of two nodes with one processor each, and the process that is the second node."""
    pytest.importorskip("ray", reason='Ray is not installed; pip install "ferscope[cluster]" brings it')
    from ray import cluster_utils

    for name, value in {
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # Ray takes 15: beside other work the test would take long
        "RAY_health_check_initial_delay_ms": "0",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_failure_threshold": "10",  # fewer, and a living node is given up on a busy machine
    }.items():
        monkeypatch.setenv(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = cluster_utils.Cluster()
    try:
        cluster.add_node(**size, include_dashboard=False)
        yield cluster.address, cluster.add_node(**size).all_processes["raylet"][0].process.pid
    finally:
        cluster.shutdown()


def answered(*arguments: str) -> Any:
    """What a command prints with --json; run in this process."""
    ended = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_on_two_nodes_of_which_one_dies_every_trial_fold_seed_and_recipe_is_trained_once(
    nodes: tuple[str, int], learnable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, second = nodes
    recipe, file = tmp_path / "tiny.toml", tmp_path / "grid.toml"
    recipe.write_text(to_toml(tiny(epochs=60)), encoding="utf-8")
    file.write_text(SPACE.format(recipe=recipe.as_posix()), encoding="utf-8")
    command = [sys.executable, "-m", "trainers.cli", "sweep", str(file), "--data", str(learnable), "--on", address]
    sweep = subprocess.Popen([*command, "--json"], cwd=workspace.ROOT, stdout=subprocess.PIPE, text=True)

    folder, deadline = SweepFolder.named("grid"), time.monotonic() + PATIENCE

    def on_the_second() -> list[RunFolder]:
        """Trials that have saved an epoch and train in a process of the second node."""
        training = [trial for trial in folder.trials() if trial.status.state == "running" and trial.epochs > 1]
        return [trial.run for trial in training if psutil.Process(trial.status.pid).ppid() == second]

    while not (hit := on_the_second()):
        assert time.monotonic() < deadline
        assert sweep.poll() is None
        time.sleep(0.02)
    dying = [psutil.Process(second), *psutil.Process(second).children(recursive=True)]
    for process in dying:  # as where the machine is switched off
        process.kill()
    before = len(hit[0].metrics())
    out, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == 0
    trials = json.loads(out)["trials"]
    assert Counter((trial["seed"], trial["optimizer.lr"]) for trial in trials) == {
        (seed, lr): 1 for seed in (0, 1) for lr in (0.1, 0.01)
    }
    assert {(trial["state"], trial["epochs"]) for trial in trials} == {("finished", 60)}
    assert Counter(trial.state.name for trial in folder.study().trials) == {"COMPLETE": 4}
    log = hit[0].log.read_text()
    assert log.count("=== Started") == 2
    assert 2 <= before < 60
    # the trial that was begun anew continued from its save: its epochs before that are those of the dead process
    assert [result.epoch for result in hit[0].metrics()] == list(range(1, 61))

    recipe.write_text(to_toml(tiny(epochs=3)), encoding="utf-8")
    there = "--data", str(learnable), "--on", address
    told = answered("crossval", str(recipe), "--folds", "2", *there)
    assert [fold["n"] for fold in told["folds"]] == [32, 32]
    trained = answered("train", str(recipe), "--seeds", "2", *there)
    assert ([run["run"] for run in trained["runs"]], trained["seeds"]) == (["tiny-seed-5", "tiny-seed-6"], 2)
    # the same seed gives the same weights on the cluster and here
    here, seed_6 = RunFolder.create("here", tiny(epochs=3, seed=6), str(learnable)), RunFolder.named("tiny-seed-6")
    list(Trainer(here, open_dataset(learnable)).epochs())
    ours, theirs = (load_file(run.path / "last.safetensors") for run in (here, seed_6))
    assert ours.keys() == theirs.keys()
    assert all((ours[key] == theirs[key]).all() for key in ours)

    about = {"report": "made", "reported_accuracy": 0.01, "data": "heads"}
    (tmp_path / "recipes").mkdir()
    monkeypatch.setattr(recipes_of, "RECIPES", tmp_path / "recipes")
    for name, changes in {
        "made-a": {"about": about},
        "made-b": {"about": about, "seed": 6},
        "made-both": {"about": {**about, "members": ["made-a", "made-b"]}},
        "made-wrong": {"about": about, "arguments": {"widths": [4], "depth": 2}},
    }.items():
        (tmp_path / "recipes" / f"{name}.toml").write_text(to_toml(tiny(epochs=2, **changes)), encoding="utf-8")
    rows = {row["recipe"]: row for row in answered("reproduce", "--data", "heads", "--on", address)}
    assert {name: (row["state"], row["verdict"]) for name, row in rows.items()} == {
        "made-a": ("run", "better"), "made-b": ("run", "better"), "made-both": ("run", "better"), "made-wrong": ("not run", ""),
    }  # fmt: skip
    assert "=== Started" in RunFolder.named("made-b").log.read_text()  # by a task of the cluster


@pytest.mark.parametrize(
    ("on", "says"),
    [
        ("127.0.0.1:1", "No Ray cluster answers at 127.0.0.1:1 .*start one with: ray start --head"),
        ("ray://127.0.0.1:1", "No Ray cluster answers at 127.0.0.1:1"),
        ("somewhere", "expected HOST:PORT, ray://HOST:PORT or local"),
    ],
)
def test_a_cluster_that_does_not_answer_is_said_at_once(on: str, says: str) -> None:
    pytest.importorskip("ray", reason='Ray is not installed; pip install "ferscope[cluster]" brings it')
    with pytest.raises(ConfigError, match=says), connected(on):
        pass


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'pip install "ferscope\[cluster\]"'), connected("local"):
        pass


def test_a_node_that_does_not_share_the_workspace_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERSCOPE_HOME", os.environ["FERSCOPE_HOME"])  # the task sets it
    said = task(str(tmp_path / "elsewhere"), "run", "refuse")
    assert "does not see" in said
    assert "must share the workspace" in said


@pytest.mark.parametrize(
    ("cpus", "gpus", "places"),
    # by hand: nodes of 4 processors and 1 GPU, and of 9 processors and none
    [(1, 0, 13), (2, 0, 6), (5, 0, 1), (10, 0, 0), (1, 1, 1), (1, 0.25, 4), (2, 0.25, 2), (1, 2, 0)],
)
def test_a_cluster_has_room_for_as_many_runs_as_fit_on_its_living_nodes(cpus: float, gpus: float, places: int) -> None:
    class Ray:
        @staticmethod
        def nodes() -> list[dict[str, Any]]:
            return [
                {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}},
                {"Alive": True, "Resources": {"CPU": 9.0}},
                {"Alive": False, "Resources": {}},
            ]

    assert Cluster(Ray, cpus, None)._places(gpus) == places  # type: ignore[arg-type]


def test_a_run_claimed_by_another_process_is_not_taken_unless_that_is_known_to_be_dead() -> None:
    run = RunFolder.create("far", tiny(), "heads")
    far = replace(run.status(), state="running", pid=7, host="another-machine", heartbeat=time.time())
    run.write(far)
    run.request_stop()
    with pytest.raises(RunError, match="is stopping already, as process 7"):
        run.claim()
    run.claim(dead=True)
    assert (run.status().pid, run.status().host) == (os.getpid(), far.process.this().host)
    assert run.stop_requested  # it was asked of the run, whoever has it
