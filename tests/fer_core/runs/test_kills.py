"""A run is killed at random moments and resumed each time; its weights at the end are those of a run that never stopped.

`FERSCOPE_KILLS=200 pytest tests/fer_core/runs/test_kills.py -n 0 -s` does it two hundred times and prints the count. That the
workbench is killed too is tested in tests/browser/test_crashes.py.
"""

import os
import random
import signal
import time
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from fer_core.runs.folder import RunFolder
from fer_core.runs.process import LINUX
from tests.tiny import PATIENCE, tiny

KILLS = int(os.environ.get("FERSCOPE_KILLS", "6"))
EPOCHS = 10  # of 8 steps
pytestmark = pytest.mark.skipif(not LINUX, reason="processes are forked from one that has loaded torch")


def trained(name: str, home: str) -> None:
    """What `python -m fer_core.training NAME` does."""
    os.environ |= {"FERSCOPE_HOME": home, "OMP_NUM_THREADS": "1"}
    from fer_core.training.__main__ import main

    os._exit(main(name))


@pytest.fixture
def start(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    """Starts the process that trains a run, or resumes it, without the seconds that loading torch takes each time."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    context = get_context("forkserver")
    context.set_forkserver_preload(["fer_core.training.__main__"])
    started: list[BaseProcess] = []

    def begin(run: RunFolder) -> BaseProcess:
        started.append(context.Process(target=trained, args=(run.name, str(workspace))))
        started[-1].start()
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.join()


def begun(run: RunFolder, process: BaseProcess) -> None:
    """Wait until the process trains; one that has ended by then says why in its exit code."""
    end = time.monotonic() + PATIENCE
    while (status := run.status()).process.pid != process.pid or status.state == "queued":
        assert process.is_alive() or process.exitcode == 0, (process.exitcode, status)
        assert time.monotonic() < end, status
        time.sleep(0.002)


@pytest.mark.timeout(600 + 20 * KILLS)
def test_weights_are_equal_however_often_and_whenever_a_run_is_killed(learnable: Path, start, capsys) -> None:
    config, chance = tiny(epochs=EPOCHS), random.Random(0)
    through = RunFolder.create("through", config, str(learnable))
    whole = start(through)
    begun(through, whole)
    since = time.monotonic()
    whole.join()
    took = time.monotonic() - since
    expected = {name: load_file(through.path / name) for name in ("last.safetensors", "best.safetensors")}
    epochs = [(one.train_loss, one.val_loss) for one in through.metrics()]
    assert len(epochs) == EPOCHS
    kills = runs = 0
    while kills < KILLS:
        runs += 1
        run = RunFolder.create(f"broken-{runs}", config, str(learnable))
        process = start(run)
        for _ in range(6):  # of one run, which begins again where it has not saved yet
            if kills == KILLS:
                break
            begun(run, process)
            process.join(chance.uniform(0, took))
            if not process.is_alive():
                break
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += process.exitcode == -signal.SIGKILL
            if run.status().state == "finished":  # killed after its last word
                break
            assert run.status().state == "lost"
            process = start(run)
        process.join()
        assert run.status().state == "finished", run.status()
        for name, tensors in expected.items():
            found = load_file(run.path / name)
            assert found.keys() == tensors.keys()
            assert all((found[key] == tensors[key]).all() for key in tensors), (run.name, name)
        assert [(one.train_loss, one.val_loss) for one in run.metrics()] == epochs
    with capsys.disabled():
        print(f"\n{kills} kills of {runs} runs, resumed each time: all weights equal")
