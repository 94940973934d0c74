"""Runs on several machines: trials, folds and seeds as tasks of a Ray cluster, with their processors and GPUs.

All nodes share the workspace and the data under the same paths (NFS or the like). A task trains in its run's folder,
like a local process, so every page and command can show and stop it. If a node dies, Ray restarts its tasks on another
node, where they continue from the last save of their runs.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from fer_core import workspace
from fer_core.datasets import OnBad, open_dataset
from fer_core.errors import ConfigError, FerError
from fer_core.runs.folder import OWN_SPLIT, STARTED, TRIAL, NoRoom, RunFolder, Stopped

AGAIN = 3  # times that a task whose node or process died is begun anew
LOOK = 0.5  # seconds between two looks at the tasks
PATIENCE = 10.0  # seconds for a cluster to answer at its port


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        cpus, gpus: of a node, for each run; a quarter of a GPU lets four runs share it. None gives a run one GPU where
            the cluster has any and the recipe's device may be one.
    """

    ray: ModuleType
    cpus: float
    gpus: float | None

    def train(
        self, take: Callable[[frozenset[str]], RunFolder | None], *, on_bad: OnBad | None = None,
        stop: Callable[[], bool] = lambda: False, look: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Train runs as tasks until there are no more, as many at a time as the cluster has room for.

        Args:
            take: the next run, told the names of those in work; None where there is none.
            on_bad: what to do with images that cannot be read.
            stop: asked at each look; once it says yes, nothing more is taken and the runs in work save and end.
            look: called at each look.

        Raises:
            ConfigError: no node has enough processors or GPUs, or a node cannot read the workspace.
            RunError: another process has a run.
        """
        tasks: dict[Any, RunFolder] = {}
        home, blind = str(workspace.home().resolve()), ""
        while True:
            stopping = bool(blind) or stop()
            busy = frozenset(run.name for run in tasks.values())
            while not stopping and (not tasks or self._room(tasks)) and (run := take(busy)):
                gpus = self._gpus(run)
                if not tasks and not self._places(gpus):
                    raise ConfigError(
                        f"No node of the cluster has {self.cpus:g} processors and {gpus:g} GPUs; the nodes have "
                        f"{'; '.join(map(_described, self._nodes()))}. Ask for less with --cpus and --gpus."
                    )
                run.claim()
                options = {"num_cpus": self.cpus, "num_gpus": gpus, "max_retries": AGAIN, "name": run.name}
                tasks[self.ray.remote(**options)(task).remote(home, run.name, on_bad)] = run
                busy |= {run.name}
            if not tasks:
                break
            for ended in self.ray.wait(list(tasks), timeout=LOOK)[0]:
                blind = self._collect(ended, tasks.pop(ended)) or blind
            if stopping:
                for reference, run in tasks.items():
                    self._end(reference, run)
            look()
        if blind:
            raise ConfigError(blind)

    def _collect(self, reference: Any, run: RunFolder) -> str:
        """Check how a task ended. If the task could not write its own status, write it into the run."""
        try:
            return str(self.ray.get(reference))
        except self.ray.exceptions.TaskCancelledError:
            run.write(replace(run.status(), state="stopped", message="Stopped before its turn came."))
        except self.ray.exceptions.RayTaskError as error:
            run.write(replace(run.status(), state="failed", message=f"{type(error.cause).__name__}: {error.cause}"))
        except self.ray.exceptions.RayError as error:
            message = f"Its process or node died {AGAIN + 1} times ({type(error).__name__}); see the cluster's logs."
            run.write(replace(run.status(), state="failed", message=message))
        return ""

    def _end(self, reference: Any, run: RunFolder) -> None:
        """Ask a run to save and end. A run that has not started yet is cancelled."""
        if run.status().state in ("running", "stopping"):
            run.request_stop()
        else:
            self.ray.cancel(reference)

    def _nodes(self) -> list[dict[str, float]]:
        """What each living node has: CPU, GPU, ..."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _gpus(self, run: RunFolder) -> float:
        if self.gpus is not None:
            return self.gpus
        wanted = run.config().device.startswith(("auto", "cuda"))
        return float(wanted and any(node.get("GPU", 0) >= 1 for node in self._nodes()))

    def _places(self, gpus: float) -> int:
        """The number of such runs that an idle cluster can train at a time."""
        return sum(
            min(int(node.get("CPU", 0) / self.cpus), int(node.get("GPU", 0) / gpus) if gpus else 1 << 30)
            for node in self._nodes()
        )

    def _room(self, tasks: dict[Any, RunFolder]) -> bool:
        return len(tasks) < self._places(self._gpus(next(iter(tasks.values()))))


def _described(node: dict[str, float]) -> str:
    return f"{node.get('CPU', 0):g} and {node.get('GPU', 0):g}"


@contextmanager
def connected(on: str, cpus: float = 1.0, gpus: float | None = None) -> Iterator[Cluster]:
    """Connect to a cluster.

    Args:
        on: HOST:PORT of a cluster that this machine is a node of, ray://HOST:PORT of one that it is not, or “local”: this
            machine alone, with all its GPUs, for as long as the connection lasts.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # a run without a GPU does not see one
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ConfigError('--on needs Ray; install it with: pip install "ferscope[cluster]"') from error
    if on != "local":
        host, _, port = on.removeprefix("ray://").rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigError(f"--on {on}: expected HOST:PORT, ray://HOST:PORT or local.")
        try:  # Ray itself would wait for minutes
            socket.create_connection((host, int(port)), PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"No Ray cluster answers at {host}:{port} ({error}); start one with: ray start --head"
            ) from error
    try:
        ray.init(
            address=on,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if on == "local" else None,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"No connection to the Ray cluster at {on}: {error}") from error
    try:
        with redirect_stdout(sys.stderr):  # Ray prints what happens to its nodes, which is nobody's result
            yield Cluster(ray, cpus, gpus)
    finally:
        ray.shutdown()


def task(home: str, name: str, on_bad: OnBad | None) -> str:
    """Train a run to its end in a process of the cluster. Called again after a crash, it continues from the last save.

    Returns:
        what is wrong with the node; empty where nothing is. What is wrong with the run is written into it.
    """
    os.environ["FERSCOPE_HOME"] = home
    run, host = RunFolder.named(name), socket.gethostname()
    if not (run.path / "status.json").exists():
        return (
            f"The node {host} does not see {run.path}. All nodes of the cluster must share the workspace {Path(home)} under "
            "this path (set FERSCOPE_HOME to a folder that they share)."
        )
    with run.log.open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        print(f"{STARTED}{datetime.now():%Y-%m-%d %H:%M:%S} on {host}", flush=True)
        try:
            _train(run, on_bad)
        except Stopped:
            pass
        except NoRoom as error:
            print(error)
        except FerError as error:
            run.write(replace(run.status(), state="failed", message=f"{error} (On {host}.)"))
            print(error)
        except Exception:
            traceback.print_exc()
            raise
    return ""


def _train(run: RunFolder, on_bad: OnBad | None) -> None:
    from fer_core.experiments.crossval import train_fold
    from fer_core.experiments.sweep_worker import train_trial
    from fer_core.training.loop import Trainer

    dataset = open_dataset(run.status().data, on_bad=on_bad)
    if (run.path / TRIAL).exists():
        train_trial(run, dataset)
        return
    if run.status().state != "finished":
        run.claim(dead=True)  # Ray has begun the task anew: whoever had the run before has died
    if (run.path / OWN_SPLIT).exists():
        train_fold(run, dataset)
    elif run.status().state != "finished":
        for _ in Trainer(run, dataset).epochs():
            pass
