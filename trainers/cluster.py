"""What the commands that train on a Ray cluster share: their options, signals, and the turn on this machine's device."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fer_core.errors import RunError

if TYPE_CHECKING:
    from fer_core.experiments.cluster import Cluster

On = Annotated[
    str,
    typer.Option(
        "--on",
        help="Train on a Ray cluster: HOST:PORT, ray://HOST:PORT, or local for all processors and GPUs of this machine.",
    ),
]
Cpus = Annotated[float, typer.Option("--cpus", min=0.01, help="With --on: processors for each run.")]
Gpus = Annotated[
    float | None,
    typer.Option(
        "--gpus",
        min=0,
        help="With --on: GPUs for each run; 0.25 lets four runs share one. Default: one, if there are any.",
    ),
]


@contextmanager
def joined(
    on: str, cpus: float, gpus: float | None, *, name: str, device: str, stop: Callable[[], None]
) -> Iterator[Cluster]:
    """A connection to a cluster, on which Ctrl-C calls `stop`. A cluster of this machine alone waits until the device is free."""
    from fer_core.experiments.cluster import connected
    from fer_core.runs import queue

    if on == "local":
        queue.wait(queue.device_of(device), name, lambda first: None)
    with connected(on, cpus, gpus) as cluster:
        signs = (signal.SIGINT, signal.SIGTERM)
        # after the connection: Ray sets one of its own
        before = [signal.signal(sign, lambda *_: stop()) for sign in signs]
        try:
            yield cluster
        finally:
            for sign, handler in zip(signs, before, strict=True):
                signal.signal(sign, handler)


def spread(
    runs: Sequence[Any], name: str, on: str, cpus: float, gpus: float | None, console: Console, on_bad: Any = None
) -> None:
    """Train runs on a cluster. Each continues from its last save, if it has one.

    Raises:
        Stopped: after Ctrl-C, when all runs have saved.
        RunError: a run failed; the message has the reason of the first failure.
    """
    from fer_core.runs.folder import Stopped

    left, asked = list(runs), []
    told: set[str] = set()

    def look() -> None:
        for run in runs:
            status = run.status()
            if run.name not in told and run not in left and not status.active:
                told.add(run.name)
                console.print(
                    f"{run.name}: {status.state} after {len(run.metrics())} epochs. {status.message}".rstrip(),
                    markup=False,
                )

    if left:
        device = left[0].config().device
        with joined(on, cpus, gpus, name=name, device=device, stop=lambda: asked.append(True)) as cluster:
            cluster.train(
                lambda busy: left.pop(0) if left else None, on_bad=on_bad, stop=lambda: bool(asked), look=look
            )
    if asked:
        raise Stopped
    if failed := {run.name: status for run in runs if (status := run.status()).state != "finished"}:
        first = next(iter(failed))
        raise RunError(f"{', '.join(failed)}: not finished. {failed[first].message or failed[first].state}")
