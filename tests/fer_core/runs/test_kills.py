"""A run is killed at random moments and resumed each time; its weights at the end are those of a run that never stopped.

`FERSCOPE_KILLS=200 pytest tests/fer_core/runs/test_kills.py -n 0 -s` does it two hundred times and prints the count.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from fer_core.runs.folder import RunFolder
from fer_core.training.launch import launch
from tests.tiny import PATIENCE, ended, tiny, wait_for

KILLS = int(os.environ.get("FERSCOPE_KILLS", "12"))
pytestmark = pytest.mark.usefixtures("no_process_is_left")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def killed(run: RunFolder, after: float) -> bool:
    """Kill the run's process so many seconds after it has begun to train; whether it lived until then."""
    end = time.monotonic() + PATIENCE
    while (status := run.status()).state == "queued":
        assert time.monotonic() < end, status
        time.sleep(0.01)
    time.sleep(after)
    status = run.status()
    if status.state != "running":
        return False
    os.kill(status.pid, signal.SIGKILL)
    wait_for(run, ended)
    return run.status().state == "lost"


@pytest.mark.timeout(60 + 60 * KILLS)
def test_weights_are_equal_however_often_and_whenever_a_run_is_killed(learnable: Path) -> None:
    """Runs of 10 epochs (64 images in batches of 8), each killed a few times; all must end as the first, which is not."""
    config, chance = tiny(epochs=10), random.Random(0)
    through = RunFolder.create("through", config, str(learnable))
    launch(through)
    wait_for(through, ended)
    expected = {name: load_file(through.path / name) for name in ("last.safetensors", "best.safetensors")}
    epochs = [(one.train_loss, one.val_loss) for one in through.metrics()]
    took = sum(one.wall_seconds for one in through.metrics())
    kills = resumes = runs = 0
    while kills < KILLS:
        runs += 1
        run = RunFolder.create(f"broken-{runs}", config, str(learnable))
        launch(run)
        for _ in range(8):  # of one run; a kill before its first save costs it all that it has done
            if kills == KILLS or not killed(run, chance.uniform(0, took)):
                break
            kills += 1
            launch(run)
            resumes += 1
        wait_for(run, ended)
        assert run.status().state == "finished", run.status()
        for name, tensors in expected.items():
            found = load_file(run.path / name)
            assert found.keys() == tensors.keys()
            assert all((found[key] == tensors[key]).all() for key in tensors), (run.name, name)
        assert [(one.train_loss, one.val_loss) for one in run.metrics()] == epochs
    print(f"{kills} kills and {resumes} resumes of {runs} runs: all weights equal")
    assert kills >= KILLS
