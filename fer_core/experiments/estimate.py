"""Estimate the time and memory of a recipe from a few steps of the real training loop."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from fer_core.datasets import Dataset, open_dataset
from fer_core.errors import ConfigError, FerError
from fer_core.recipe import About, TrainConfig, load_recipe, to_toml
from fer_core.runs.folder import RunFolder, RunStatus, Stopped
from fer_core.runs.process import environment
from fer_core.workspace import home, start_folder, write_atomically

if TYPE_CHECKING:
    import torch

    from fer_core.training.loop import Trainer

SECONDS = 2.0  # of measured steps, after the first, for each size of the images
STEPS = 40  # at most
IMAGES = 256  # of the validation set


@dataclass(frozen=True)
class Estimate:
    """Time and memory of a run on this machine at its current load.

    Attributes:
        cpu_seconds_per_epoch: of the processor, all threads together, however busy the machine is.
        seconds: of the whole run, all epochs: training steps and validations. Early stopping may end it before.
        memory: bytes; what the process holds after these steps, or the most that was allocated on the GPU.
        measured: steps that were measured.
    """

    seconds: float
    seconds_per_epoch: float
    cpu_seconds_per_epoch: float
    images_per_second: float
    memory: int
    device: str
    measured: int


@dataclass(frozen=True)
class Measured:
    """Seconds of the wall clock and of the processor, and how many steps they were taken from."""

    seconds: float
    cpu_seconds: float
    steps: int = 0


def estimate(config: TrainConfig, dataset: Dataset) -> Estimate:
    """Train a few steps of a recipe in a temporary folder, at each of its image sizes, frozen and not.

    Raises:
        ConfigError, DataError: recipe and data do not fit each other, as a start would say.
    """
    from fer_core.training.device import describe

    parts: list[Measured] = []
    for stage, share in _stages(config):
        trainer, measured = _few_steps(stage, dataset)
        steps = share * config.epochs * trainer.task.steps / measured.steps
        parts.append(Measured(steps * measured.seconds, steps * measured.cpu_seconds, measured.steps))
    parts.append(_validation(trainer))
    seconds = sum(part.seconds for part in parts)
    return Estimate(
        seconds=seconds,
        seconds_per_epoch=seconds / config.epochs,
        cpu_seconds_per_epoch=sum(part.cpu_seconds for part in parts) / config.epochs,
        images_per_second=trainer.task.total_steps * config.batch_size / seconds,
        memory=_memory(trainer.state.device),
        device=describe(trainer.state.device),
        measured=sum(part.steps for part in parts),
    )


def _stages(config: TrainConfig) -> Iterator[tuple[TrainConfig, float]]:
    """The recipe as it is in each part of a run whose steps cost the same, and the share of the run, 0..1."""
    frozen = config.transfer.freeze
    shares = sorted({0.0, *(share for share, _ in config.resolution), *([frozen] if frozen < 1 else [])})
    for share, end in pairwise([*shares, 1.0]):
        sides = [side for start, side in config.resolution if start <= share]
        changes = {
            "resolution": ((0.0, sides[-1]),) if sides else (),
            "transfer": config.transfer.model_copy(update={"freeze": float(share < frozen)}),
        }
        yield config.model_copy(update=changes), end - share


def _few_steps(config: TrainConfig, dataset: Dataset) -> tuple[Trainer, Measured]:
    """Train until there are enough steps to tell what one costs, after the first one, which loads everything."""
    from fer_core.training.loop import Trainer

    times: list[tuple[float, float]] = []

    def step(status: RunStatus) -> None:
        times.append((time.perf_counter(), time.process_time()))
        if len(times) > STEPS or times[-1][0] - times[0][0] > SECONDS:
            raise Stopped

    with tempfile.TemporaryDirectory(prefix="ferscope-estimate-") as folder:
        run = RunFolder(Path(folder) / "estimate")
        write_atomically(run.path / "config.toml", to_toml(config).encode())
        run.write(RunStatus())
        trainer = Trainer(run, dataset, on_step=step)
        with suppress(Stopped):
            for _ in trainer.epochs():
                break  # a set of a few steps: its one epoch was measured
    if len(times) < 2:  # one step an epoch: the time of a step is not separable from that of loading the data
        tally = trainer.state.position.tally
        times = [(times[0][0] - tally.step_seconds, times[0][1] - tally.cpu_seconds), *times]
    (start, cpu_start), (end, cpu_end) = times[0], times[-1]
    return trainer, Measured(end - start, cpu_end - cpu_start, len(times) - 1)


def _validation(trainer: Trainer) -> Measured:
    """What all the validations of a run cost."""
    from fer_core.models.logits import predict_logits

    images = trainer.batches.val_images
    held = images[:IMAGES]
    if not len(held):
        return Measured(0.0, 0.0)
    start, cpu_start = time.perf_counter(), time.process_time()
    predict_logits(trainer.state.served, held, trainer.task.spec)
    times = trainer.config.epochs * len(images) / len(held)
    return Measured(times * (time.perf_counter() - start), times * (time.process_time() - cpu_start))


def _memory(device: torch.device) -> int:
    import torch

    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss


def estimate_elsewhere(recipe: str, data: str, settings: Sequence[str] = ()) -> Estimate:
    """The same in a process of its own, for pages that are to stay free of torch. The answer is kept, see `kept`.

    Raises:
        ConfigError: with the sentence of whatever the other process refused.
    """
    command = [sys.executable, "-m", __name__, recipe, data, *settings]
    answer = subprocess.run(command, cwd=start_folder(), capture_output=True, text=True, check=False, env=environment())
    if answer.returncode:
        raise ConfigError(answer.stderr.strip()[-500:].removeprefix("Error: "))
    write_atomically(_kept_at(load_recipe(recipe, settings), data), answer.stdout.encode())
    return Estimate(**json.loads(answer.stdout))


def kept(config: TrainConfig, data: str) -> Estimate | None:
    """The last estimate of a recipe with a data set on this machine, if there was one."""
    try:
        return Estimate(**json.loads(_kept_at(config, data).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none yet, or of another version
        return None


def _kept_at(config: TrainConfig, data: str) -> Path:
    """Two recipes that differ in their words or seed only take equally long. A workspace may be shared by machines."""
    same = config.model_copy(update={"about": About(), "seed": 0})
    key = "\n".join((to_toml(same), data, platform.node(), str(os.cpu_count())))
    return home() / "estimates" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def main(recipe: str, data: str, *settings: str) -> int:
    """`python -m fer_core.experiments.estimate RECIPE DATA KEY=VALUE ...` prints an estimate as JSON.

    The Train page calls it, so that measuring brings torch into a process of its own. The exit code is 0, or 2 with a
    sentence where the input is at fault.
    """
    try:
        print(json.dumps(asdict(estimate(load_recipe(recipe, settings), open_dataset(data)))))
    except FerError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
