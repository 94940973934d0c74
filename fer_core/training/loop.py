"""The training loop: a generator of epochs that writes everything worth keeping into its run folder.

Every random number is a function of (seed, epoch, step): the order of the pictures, the augmentation, dropout. A run
that is resumed therefore needs only weights, optimizer and position, and ends as if it had never stopped.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from fer_core import __version__
from fer_core.checkpoint import Card, Cost, load_tensors, save_tensors, write_card
from fer_core.datasets import Dataset
from fer_core.errors import CheckpointError, ConfigError, RunError
from fer_core.evaluation.metrics import evaluate
from fer_core.evaluation.predict import predict_split
from fer_core.faces import FaceCrop
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.inference import predict_logits
from fer_core.labels import VOCABULARIES
from fer_core.models import NETWORKS, build
from fer_core.runs.folder import HEARTBEAT, EpochResult, RunFolder, RunStatus, Stopped
from fer_core.training.augment import augment
from fer_core.training.config import TrainConfig
from fer_core.training.losses import make_loss
from fer_core.training.optim import MovingAverage, make_optimizer, optimizer_tensors, restore_optimizer
from fer_core.training.precision import choose_speed
from fer_core.training.schedules import factor

if TYPE_CHECKING:
    from torch import nn

SAVE_EVERY = 60.0  # seconds between two saves in the middle of an epoch
CHECK_EVERY = 20  # steps between two looks at whether the loss is still a number


@dataclass
class Tally:
    """What an epoch has added up so far; saved with the weights, so that a resumed epoch reports as a whole one."""

    loss: float = 0.0
    correct: float = 0.0
    seen: int = 0
    data_seconds: float = 0.0
    step_seconds: float = 0.0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass
class Position:
    """Where a run stands: the next step to take."""

    epoch: int = 0
    step: int = 0
    tally: Tally = field(default_factory=Tally)


def image_spec(config: TrainConfig) -> ImageSpec:
    """What the recipe's network takes: its own spec, with what the recipe's `[image]` sets."""
    base = NETWORKS.get(config.network).spec
    changes = {key: value for key, value in config.image.model_dump().items() if value is not None}
    try:
        return ImageSpec.model_validate(base.model_dump() | changes)
    except ValueError as error:
        raise ConfigError(f"[image] does not fit {config.network}: {error}") from error


def seed_of(*parts: int) -> int:
    """A seed for torch from (seed, epoch, step, ...), well mixed."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


class Trainer:
    """One run of a recipe on a data set, from a fresh start or from the folder's last save.

    Raises:
        ConfigError: recipe and data do not fit each other; said before any time is spent.
        CheckpointError: the last save is damaged or of another recipe.
    """

    def __init__(self, run: RunFolder, dataset: Dataset, on_step: Callable[[RunStatus], None] | None = None) -> None:
        self.run, self.dataset, self.on_step = run, dataset, on_step
        self.config = config = run.config()
        if config.threads:
            torch.set_num_threads(config.threads)
        self.device = pick_device(config.device)
        self.expressions = VOCABULARIES[config.expressions]
        self.spec = image_spec(config)
        self.rows = dataset.rows(config.train_split)
        self.val_rows = dataset.rows(config.val_split)
        self.labels = dataset.label_index(self.expressions, self.rows)
        self.val_labels = dataset.label_index(self.expressions, self.val_rows)
        if config.batch_size > len(self.rows):
            raise ConfigError(
                f"batch_size = {config.batch_size} is larger than the training part ({len(self.rows):,} pictures); "
                "take a smaller batch."
            )
        self.steps = len(self.rows) // config.batch_size  # the rest of each epoch is left out, another one each time
        images = dataset.images(self.spec)
        self.images = images[self.rows] if images.nbytes < 4e9 else images  # larger sets stay memory-mapped
        self.in_memory = self.images is not images
        self.val_images = images[self.val_rows]
        torch.manual_seed(seed_of(config.seed))
        model = build(config.network, classes=len(self.expressions), spec=self.spec, arguments=config.arguments)
        self.precision, layout, self.speed_note = choose_speed(
            model, self.spec, len(self.expressions), self.device, config
        )
        self.layout = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        self.model: nn.Module = model.to(self.device).to(memory_format=self.layout)
        self.loss = make_loss(config.loss, self.expressions, self.labels).to(self.device)
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self.average = MovingAverage(self.model, config.ema) if config.ema else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.targets = torch.from_numpy(self.labels).to(self.device)
        self.position = Position()
        self.results: list[EpochResult] = []
        self._restore()

    @property
    def served(self) -> nn.Module:
        """The network that is evaluated and kept: the moving average where there is one."""
        return self.average.model if self.average else self.model

    def epochs(self) -> Iterator[EpochResult]:
        """Train, yielding each finished epoch; at the end the card and the validation table are written.

        Raises:
            Stopped: a stop was asked for; everything is saved.
            RunError: the loss is no number any more; the last good save is kept and named.
        """
        with self.run.running(epochs=self.config.epochs, steps=self.steps, device=describe(self.device)) as status:
            self.status = status
            try:
                while self.position.epoch < self.config.epochs and not self._ran_dry():
                    result = self._epoch()
                    yield result
                self._finish()
            except (Stopped, KeyboardInterrupt, GeneratorExit):
                self._save()
                self._beat(state="stopped", message="Stopped and saved; resume goes on from here.")
                raise
            self._beat(state="finished", epoch=self.position.epoch, step=0, seconds_left=0.0)

    def _ran_dry(self) -> bool:
        patience = self.config.early_stopping
        if not patience or not self.results:
            return False
        best = max(range(len(self.results)), key=lambda i: self.results[i].val_accuracy)
        return len(self.results) - 1 - best >= patience

    def _epoch(self) -> EpochResult:
        config, position = self.config, self.position
        tally = position.tally
        order = torch.randperm(
            len(self.rows), generator=torch.Generator().manual_seed(seed_of(config.seed, position.epoch))
        ).numpy()
        self.model.train()
        before = tally.cpu_seconds, tally.wall_seconds
        cpu, wall = time.process_time(), time.perf_counter()
        sums = torch.tensor([tally.loss, tally.correct], dtype=torch.float64).to(self.device, torch.float32)
        last_save = last_beat = time.monotonic()
        while position.step < self.steps:
            sums += self._step(order[position.step * config.batch_size : (position.step + 1) * config.batch_size])
            position.step += 1
            tally.seen += config.batch_size
            now = time.monotonic()
            stop = self.run.stop_requested
            if stop or position.step % CHECK_EVERY == 0 or position.step == self.steps or now - last_save > SAVE_EVERY:
                tally.loss, tally.correct = sums.tolist()
                if not np.isfinite(tally.loss):
                    raise RunError(
                        f"The loss is no number any more (epoch {position.epoch + 1}, step {position.step}): the training "
                        f"diverged. Take a smaller optimizer.lr than {config.optimizer.lr:g}, or optimizer.clip = 1. "
                        f"The last good state is {self.run.path / 'last.safetensors'}."
                    )
            tally.cpu_seconds = before[0] + time.process_time() - cpu
            tally.wall_seconds = before[1] + time.perf_counter() - wall
            if now - last_beat > HEARTBEAT or position.step == self.steps:
                last_beat = now
                self._beat()
            if self.on_step:
                self.on_step(self._describe())
            if stop:
                raise Stopped
            if now - last_save > SAVE_EVERY and position.step < self.steps:
                last_save = now
                self._save()
        return self._close_epoch(before, cpu, wall)

    def _step(self, rows: np.ndarray) -> torch.Tensor:
        """One update; returns (sum of losses, count of right ones)."""
        config, position = self.config, self.position
        start = time.perf_counter()
        seed = seed_of(config.seed, position.epoch, position.step)
        torch.manual_seed(seed)  # dropout
        where = rows if self.in_memory else self.rows[rows]
        pictures = to_tensor(self.images[where], self.device)
        pictures = augment(pictures, config.augment, torch.Generator().manual_seed(seed))
        side = self._side()
        if side and side < self.spec.height:
            pictures = F.interpolate(pictures, size=side, mode="bilinear", antialias=True)
        inputs = normalise(pictures, self.spec).contiguous(memory_format=self.layout)
        targets = self.targets[torch.from_numpy(rows).to(self.device)]
        position.tally.data_seconds += time.perf_counter() - start
        progress = (position.epoch * self.steps + position.step) / (config.epochs * self.steps)
        rate = config.optimizer.lr * factor(config.schedule, progress, [result.val_loss for result in self.results])
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        enabled = self.precision != "fp32"
        dtype = torch.float16 if self.precision == "fp16" else torch.bfloat16
        with torch.autocast(self.device.type, dtype=dtype, enabled=enabled):
            logits = self.model(inputs)
            loss = self.loss(logits, targets)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if config.optimizer.clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update(self.model, position.epoch * self.steps + position.step)
        position.tally.step_seconds += time.perf_counter() - start
        right = (logits.detach().argmax(1) == targets).sum()
        return torch.stack([loss.detach().float() * len(rows), right.float()])

    def _side(self) -> int:
        progress = (self.position.epoch + self.position.step / self.steps) / self.config.epochs
        sides = [side for share, side in self.config.resolution if share <= progress]
        return sides[-1] if sides else 0

    def _close_epoch(self, before: tuple[float, float], cpu: float, wall: float) -> EpochResult:
        """Validate, record and save; the best weights so far are kept as the run's checkpoint."""
        position, tally = self.position, self.position.tally
        logits = predict_logits(self.served, self.val_images, self.spec)
        scored = torch.from_numpy(logits), torch.from_numpy(self.val_labels)
        result = EpochResult(
            epoch=position.epoch + 1,
            train_loss=tally.loss / tally.seen,
            train_accuracy=tally.correct / tally.seen,
            val_loss=float(F.cross_entropy(*scored)),
            val_accuracy=float((logits.argmax(1) == self.val_labels).mean()),
            lr=self.optimizer.param_groups[0]["lr"],
            images_per_second=tally.seen / tally.step_seconds,
            data_share=tally.data_seconds / tally.step_seconds,
            cpu_seconds=before[0] + time.process_time() - cpu,
            wall_seconds=before[1] + time.perf_counter() - wall,
        )
        best = max((r.val_accuracy for r in self.results), default=-1.0)
        self.results.append(result)
        self.run.write_metrics(self.results)
        if result.val_accuracy > best:
            self._keep_best()
        self.position = Position(epoch=position.epoch + 1)
        self._save()
        return result

    def _keep_best(self) -> None:
        save_tensors(self.run.path / "best.safetensors", dict(self.served.state_dict()))
        write_card(self.run.path, self._card({}))

    def _finish(self) -> None:
        """Load the best weights and write the validation table and the final card."""
        tensors, _ = load_tensors(self.run.path / "best.safetensors")
        self.served.load_state_dict(tensors)
        split = self.config.val_split
        predictions = predict_split(
            self.served, self.dataset, split, spec=self.spec, expressions=self.expressions, tta=self.config.tta
        )
        predictions.write(self.run.path / f"predictions-{self.dataset.name}-{split}.parquet")
        write_card(self.run.path, self._card({f"{self.dataset.name}-{split}": evaluate(predictions).to_json()}))

    def _card(self, results: dict[str, dict[str, object]]) -> Card:
        config = self.config
        best = max(self.results, key=lambda result: result.val_accuracy)
        return Card(
            name=self.run.name,
            title=config.about.title or NETWORKS.get(config.network).title,
            network=config.network,
            arguments=config.arguments,
            parameters=sum(p.numel() for p in self.model.parameters()),
            expressions_name=self.expressions.name,
            expressions=self.expressions.names,
            image=self.spec,
            face=FaceCrop(),
            tta=config.tta,
            data=self.dataset.title,
            train_images=len(self.rows),
            chosen_on=f"{self.dataset.title}, {config.val_split} ({len(self.val_rows):,} pictures)",
            best_epoch=best.epoch,
            epochs=len(self.results),
            seed=config.seed,
            recipe=config.model_dump(mode="json", exclude_defaults=True),
            versions={"ferscope": __version__, "torch": torch.__version__, "python": platform.python_version()},
            cost=Cost(
                cpu_minutes=round(sum(r.cpu_seconds for r in self.results) / 60, 2),
                wall_minutes=round(sum(r.wall_seconds for r in self.results) / 60, 2),
                device=describe(self.device),
                images_per_second=round(float(np.median([r.images_per_second for r in self.results])), 1),
            ),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            results=results,
        )

    def _describe(self, **changes: object) -> RunStatus:
        position = self.position
        seen, seconds = position.tally.seen, position.tally.step_seconds
        done = position.epoch * self.steps + position.step
        left = self.config.epochs * self.steps - done
        rate = seen / seconds if seconds else self.results[-1].images_per_second if self.results else 0.0
        values = {
            "epoch": position.epoch,
            "step": position.step,
            "images_per_second": rate,
            "seconds_left": left * self.config.batch_size / rate if rate else 0.0,
            "heartbeat": time.time(),
        }
        return replace(self.status, **(values | changes))  # type: ignore[arg-type]

    def _beat(self, **changes: object) -> None:
        self.status = self._describe(**changes)
        self.run.write(self.status)

    def _save(self) -> None:
        """Weights, moving average, optimizer and position as one file: they cannot get out of step with each other."""
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if self.average:
            tensors |= {f"average.{key}": value for key, value in self.average.model.state_dict().items()}
        tensors |= {f"optimizer.{key}": value for key, value in optimizer_tensors(self.optimizer).items()}
        position = self.position
        metadata = {"recipe": self._identity(), "epoch": str(position.epoch), "step": str(position.step)}
        metadata |= {f"tally.{key}": repr(value) for key, value in vars(position.tally).items()}
        metadata |= {"precision": self.precision, "scale": repr(self.scaler.get_scale())}
        save_tensors(self.run.path / "last.safetensors", tensors, metadata)

    def _restore(self) -> None:
        path = self.run.path / "last.safetensors"
        if not path.exists():
            return
        tensors, metadata = load_tensors(path)
        if metadata.get("recipe") != self._identity():
            raise CheckpointError(
                f"{path} was saved by another recipe than {self.run.path / 'config.toml'} now holds; put the recipe back, "
                "or start a new run with the changed one."
            )

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

        self.model.load_state_dict(part("model."))
        if self.average:
            self.average.model.load_state_dict(part("average."))
        restore_optimizer(self.optimizer, part("optimizer."))
        tally = Tally(**{name: type(value)(float(metadata[f"tally.{name}"])) for name, value in vars(Tally()).items()})
        self.position = Position(int(metadata["epoch"]), int(metadata["step"]), tally)
        self.results = self.run.metrics()[: self.position.epoch]
        self.run.write_metrics(self.results)

    def _identity(self) -> str:
        return self.config.model_dump_json(exclude={"about", "device", "threads"}, exclude_defaults=True)


def pick_device(name: str) -> torch.device:
    """The device of a setting; “auto” takes CUDA, then Apple's MPS, then the processor.

    Raises:
        ConfigError: the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.mps.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device = “{name}”, but torch finds no CUDA device here; take auto or cpu.")
    if name == "mps" and not torch.mps.is_available():
        raise ConfigError("device = “mps”, but this machine has no such device; take auto or cpu.")
    return torch.device(name)


def describe(device: torch.device) -> str:
    """A device in words, for status and card."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} processor, {torch.get_num_threads()} threads" if device.type == "cpu" else "Apple GPU"
