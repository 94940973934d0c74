"""How long a recipe will take and how much memory it needs, from a few steps of the real loop, before it is started."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import psutil

from fer_core.datasets import Dataset, open_dataset
from fer_core.errors import ConfigError, FerError
from fer_core.recipe import TrainConfig, load_recipe, to_toml
from fer_core.runs.folder import RunFolder, RunStatus, Stopped
from fer_core.workspace import ROOT, write_atomically

SECONDS = 2.0  # of measured steps, after the first, for each size of the pictures
STEPS = 40  # at most
PICTURES = 256  # of the validation part


@dataclass(frozen=True)
class Estimate:
    """What a run will cost on this machine as busy as it is now.

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


def estimate(config: TrainConfig, dataset: Dataset) -> Estimate:
    """Train a few steps of a recipe in a folder that is thrown away, at each of its picture sizes, frozen and not.

    Raises:
        ConfigError, DataError: recipe and data do not fit each other, as a start would say.
    """
    import torch

    from fer_core.models.logits import predict_logits
    from fer_core.training.loop import Trainer, describe

    frozen = config.transfer.freeze
    shares = sorted({0.0, *(share for share, _ in config.resolution), *([frozen] if frozen < 1 else [])})
    seconds, cpu_seconds, measured = 0.0, 0.0, 0
    for share, end in pairwise([*shares, 1.0]):
        sides = [side for start, side in config.resolution if start <= share]
        transfer = config.transfer.model_copy(update={"freeze": float(share < frozen)})
        one = config.model_copy(
            update={"resolution": ((0.0, sides[-1]),) if sides else (), "transfer": transfer},
        )
        with tempfile.TemporaryDirectory(prefix="ferscope-estimate-") as folder:
            run = RunFolder(Path(folder) / "estimate")
            write_atomically(run.path / "config.toml", to_toml(one).encode())
            run.write(RunStatus())
            times: list[float] = []
            cpu_times: list[float] = []

            def step(status: RunStatus, times: list[float] = times, cpu_times: list[float] = cpu_times) -> None:
                times.append(time.perf_counter())
                cpu_times.append(time.process_time())
                if len(times) > STEPS or times[-1] - times[0] > SECONDS:
                    raise Stopped

            trainer = Trainer(run, dataset, on_step=step)
            try:
                for _ in trainer.epochs():
                    raise Stopped  # a set of a few steps: its one epoch was measured
            except Stopped:
                pass
        if len(times) < 2:  # one step an epoch: its time and that of all that is loaded first cannot be told apart
            times = [times[0] - trainer.position.tally.step_seconds, *times]
            cpu_times = [cpu_times[0] - trainer.position.tally.cpu_seconds, *cpu_times]
        steps = (end - share) * config.epochs * trainer.steps / (len(times) - 1)
        seconds += steps * (times[-1] - times[0])
        cpu_seconds += steps * (cpu_times[-1] - cpu_times[0])
        measured += len(times) - 1
    held = trainer.val_images[:PICTURES]
    if len(held):
        start, cpu_start = time.perf_counter(), time.process_time()
        predict_logits(trainer.served, held, trainer.spec)
        batches = config.epochs / len(held) * len(trainer.val_images)
        seconds += batches * (time.perf_counter() - start)
        cpu_seconds += batches * (time.process_time() - cpu_start)
    if trainer.device.type == "cuda":
        memory = torch.cuda.max_memory_allocated(trainer.device)
    else:
        memory = psutil.Process().memory_info().rss
    return Estimate(
        seconds=seconds,
        seconds_per_epoch=seconds / config.epochs,
        cpu_seconds_per_epoch=cpu_seconds / config.epochs,
        images_per_second=config.epochs * trainer.steps * config.batch_size / seconds,
        memory=memory,
        device=describe(trainer.device),
        measured=measured,
    )


def estimate_elsewhere(recipe: str, data: str, settings: Sequence[str]) -> Estimate:
    """The same in a process of its own, for pages that are to stay free of torch.

    Raises:
        ConfigError: with the sentence of whatever the other process refused.
    """
    command = [sys.executable, "-m", __name__, recipe, data, *settings]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise ConfigError(answer.stderr.strip()[-500:].removeprefix("Error: "))
    return Estimate(**json.loads(answer.stdout))


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
