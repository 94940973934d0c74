"""The training loop: a generator of epochs that writes everything worth keeping into its run folder.

Every random number is a function of (seed, epoch, step): the order of the pictures, the augmentation, dropout. A run
that is resumed therefore needs only weights, optimizer and position, and ends as if it had never stopped.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import ValidationError

from fer_core import __version__
from fer_core.checkpoint import Card, Cost, Start, load_tensors, save_tensors, write_card
from fer_core.datasets import Dataset
from fer_core.datasets.leaks import leak_warning
from fer_core.errors import CheckpointError, ConfigError, RunError
from fer_core.evaluation.metrics import count_pairs
from fer_core.evaluation.predict import predict_split
from fer_core.evaluation.results import results
from fer_core.faces import FaceCrop
from fer_core.images import ImageSpec, Preparation, normalise, to_tensor
from fer_core.labels import VOCABULARIES
from fer_core.models import NETWORKS, build
from fer_core.models.layers import size_after
from fer_core.models.logits import predict_logits
from fer_core.recipe import TrainConfig
from fer_core.runs.folder import HEARTBEAT, EpochResult, RunFolder, RunStatus, Stopped, best_epoch
from fer_core.training.augment import Draws, augment, mix
from fer_core.training.distributed import ALONE, World, synchronised
from fer_core.training.losses import make_loss
from fer_core.training.optim import MovingAverage, make_optimizer, optimizer_tensors, restore_optimizer, taken_over
from fer_core.training.precision import choose_speed
from fer_core.training.schedules import factor
from fer_core.training.targets import make_targets
from fer_core.training.transfer import LoadedPart, start_from

if TYPE_CHECKING:
    from torch import nn

IN_MEMORY = 4e9  # bytes of pictures above which they stay on disk, memory-mapped
FIRST_FLIP = np.random.default_rng(0).integers(0, 2, 65_536)  # which pictures alternating flip mirrors first
SAVE_EVERY = 60.0  # seconds between two saves in the middle of an epoch
CHECK_EVERY = 20  # steps between two looks at whether the loss is still a number
NOTHING_CHOSE = "nothing: the last epoch is kept, and there is no validation figure"


class Diverged(Exception):
    """The loss is no number any more."""


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


def image_spec(config: TrainConfig, done: Preparation | None = None) -> ImageSpec:
    """What the recipe's network takes: its own spec, with what the recipe's `[image]` sets.

    Args:
        done: what the pictures that it learns went through before; every other picture is to go through it too.

    Raises:
        ConfigError: values that do not fit the network, or light evened out a second time.
    """
    base = NETWORKS.get(config.network).spec
    changes = {key: value for key, value in config.image.model_dump(exclude={"light"}).items() if value is not None}
    try:
        spec = ImageSpec.model_validate(base.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"[image] does not fit {config.network}: {first}.") from error
    if light := config.image.light:
        if done and done.light:
            raise ConfigError(
                f"[image] light = {', '.join(light)}, but the set was prepared with {', '.join(done.light)} already; "
                "leave one of them out."
            )
        before = done or Preparation(detector="none")
        done = before.model_copy(update={"light": light, "size": before.size or max(spec.height, spec.width)})
    return spec.model_copy(update={"preparation": done})


def seed_of(*parts: int) -> int:
    """A seed for torch from (seed, epoch, step, ...), well mixed."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


class Trainer:
    """One run of a recipe on a data set, from a fresh start or from the folder's last save.

    Args:
        world: this process among those that train the run together; only its leader writes files.

    Raises:
        ConfigError: recipe and data do not fit each other; said before any time is spent.
        CheckpointError: the last save is missing, damaged, of another recipe or of other pictures.
    """

    def __init__(
        self,
        run: RunFolder,
        dataset: Dataset,
        on_step: Callable[[RunStatus], None] | None = None,
        world: World = ALONE,
    ) -> None:
        self.run, self.dataset, self.on_step, self.world = run, dataset, on_step, world
        self.config = config = run.config()
        if config.threads:
            torch.set_num_threads(config.threads)
        self.device = pick_device(config.device)
        torch.backends.cudnn.deterministic = True  # a run on a GPU can be repeated to the bit too
        self.expressions = VOCABULARIES[config.expressions]
        self.spec = image_spec(config, dataset.preparation)
        self.asked = asked = dataset.without(config.leave_out)
        self.rows = asked.rows(config.train_split)
        if config.train_share < 1:
            count = max(2, round(config.train_share * len(self.rows)))
            self.rows = np.sort(np.random.default_rng(config.seed).permutation(self.rows)[:count])
        self.val_rows = asked.rows(config.val_split) if config.val_split else np.zeros(0, np.int64)
        self.left_out = int(dataset.index["split"].notna().sum() - asked.index["split"].notna().sum())
        self.labels = dataset.label_index(self.expressions, self.rows)
        self.val_labels = dataset.label_index(self.expressions, self.val_rows)
        if config.batch_size > len(self.rows):
            raise ConfigError(
                f"batch_size = {config.batch_size} is larger than the training part ({len(self.rows):,} pictures); "
                "take a smaller batch."
            )
        self.steps = len(self.rows) // config.batch_size  # the rest of each epoch is left out, another one each time
        torch.manual_seed(seed_of(config.seed))
        model = build(config.network, classes=len(self.expressions), spec=self.spec, arguments=config.arguments)
        channels, *sides = self.spec.shape
        for height, width in (sides, *(self._sides(side) for _, side in config.resolution)):
            try:
                size_after(model, (channels, height, width))
            except RuntimeError as error:
                raise ConfigError(
                    f"{config.network} with these arguments cannot take pictures of {height} x {width}: {error}; take larger "
                    "pictures ([image], resolution) or fewer stages."
                ) from error
        self.start = self._start(model)
        images = dataset.images(self.spec)
        in_memory = images.nbytes < IN_MEMORY
        self.images = images[self.rows] if in_memory else images  # larger sets stay memory-mapped
        self.places = np.arange(len(self.rows)) if in_memory else self.rows  # where each training picture lies in it
        # A GPU keeps the pictures itself: a batch then crosses no bus.
        self.resident = (
            torch.from_numpy(self.images).to(self.device) if in_memory and self.device.type == "cuda" else None
        )
        self.val_images = images[self.val_rows]
        speed = choose_speed(model, self.spec, len(self.expressions), self.device, config) if world.leads else None
        precision, layout, self.speed_note = world.gather(speed)[0]
        self.model: nn.Module = synchronised(model, world, self.device).to(self.device)
        self._compute_in(precision, layout)
        self.forward = torch.compile(self.model) if config.compile else self.model
        self.loss = make_loss(config.loss, self.expressions, self.labels).to(self.device)
        self.loaded = LoadedPart.of(self.model, config, self.start) if self.start else LoadedPart()
        self.optimizer = self._make_optimizer()
        self.average = MovingAverage(self.model, config.ema, config.swa) if config.ema or config.swa else None
        self.targets = make_targets(config.loss, dataset, self.rows, self.expressions, self.device)
        self.position = Position()
        self.looked = time.process_time(), time.monotonic()
        self.results: list[EpochResult] = []
        self._restore()
        if world.leads and config.val_split and (text := leak_warning(asked, config.val_split, config.train_split)):
            run.write_warning(text)

    def _start(self, model: nn.Module) -> Start | None:
        """Fill a fresh network with the weights that the recipe names; of a run that goes on, only say which."""
        path = self.run.path / "last.safetensors"
        if not self.config.transfer.weights:
            return None
        if path.exists():
            text = load_tensors(path)[1].get("start")
            return Start.model_validate_json(text) if text else None  # of another recipe, which `_restore` refuses
        start = start_from(model, self.config, self.spec, self.expressions) if self.world.leads else None
        self.world.wait()  # a download is the leader's; the others find the file
        return start or start_from(model, self.config, self.spec, self.expressions)

    def _make_optimizer(self, progress: float = 0.0) -> torch.optim.Optimizer:
        share = self.config.transfer.backbone_lr
        return make_optimizer(self.model, self.config.optimizer, progress, self.loaded.parameters, share)

    def _compute_in(self, precision: str, layout: str, scale: float = 65_536.0) -> None:
        """Set the precision of the network's arithmetic and the order of its tensors in memory."""
        self.precision, self.layout_name = precision, layout
        self.layout = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        self.model.to(memory_format=self.layout)
        torch.backends.cudnn.allow_tf32 = precision != "fp32"  # else a GPU's convolutions round to 10 bits
        self.scaler = torch.amp.GradScaler(self.device.type, init_scale=scale, enabled=precision == "fp16")

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
        with self._running() as status:
            self.status = status
            try:
                if not self.position.epoch and not self.position.step:
                    self._save()  # a run that fails in its first minute has a state to go back to
                while self.position.epoch < self.config.epochs and not self._ran_dry():
                    try:
                        result = self._epoch()
                    except Diverged:
                        self._fall_back()
                        continue
                    yield result
                self._finish()
            except KeyboardInterrupt:  # perhaps in the middle of an update, which is no state to go on from
                self._beat(state="stopped", message="Interrupted; resume goes on from the last save.")
                raise
            except (Stopped, GeneratorExit):
                self._save()
                self._beat(state="stopped", message="Stopped and saved; resume goes on from here.")
                raise
            self._beat(state="finished", epoch=self.position.epoch, step=0, seconds_left=0.0)

    def _running(self) -> AbstractContextManager[RunStatus]:
        known = {"epochs": self.config.epochs, "steps": self.steps, "device": self._computes()}
        return self.run.running(**known) if self.world.leads else nullcontext(replace(self.run.status(), **known))  # type: ignore[arg-type]

    def _fall_back(self) -> None:
        """Go back to the last save and on in fp32, once, if the precision was the program's choice.

        Raises:
            RunError: it was not, or fp32 diverges too.
        """
        if self.precision == "fp32" or self.config.precision != "auto":
            lr = self.config.optimizer.lr
            raise RunError(
                f"The loss is no number any more (epoch {self.position.epoch + 1}, step {self.position.step}): the training "
                f"diverged. Take a smaller optimizer.lr than {lr:g}, or optimizer.clip = 1. "
                f"The last good state is {self.run.path / 'last.safetensors'}."
            )
        note = f"The loss was no number in {self.precision}; went back to the last save and on in fp32."
        self._restore()
        self._compute_in("fp32", "contiguous")  # on processors fp32 in channels_last can end the process (precision.py)
        self._beat(message=note)

    def _ran_dry(self) -> bool:
        patience = self.config.early_stopping
        if not patience or not self.results:
            return False
        best = best_epoch(self.results)
        return best is not None and len(self.results) - best.epoch >= patience

    def _epoch(self) -> EpochResult:
        config, position = self.config, self.position
        tally = position.tally
        order = torch.randperm(
            len(self.rows), generator=torch.Generator().manual_seed(seed_of(config.seed, position.epoch))
        ).numpy()
        self.model.train()
        self.loaded.hold_norms()
        before = tally.cpu_seconds, tally.wall_seconds
        cpu, wall = time.process_time(), time.perf_counter()
        sums = torch.tensor([tally.loss, tally.correct], dtype=torch.float64).to(self.device, torch.float32)
        last_save = last_beat = time.monotonic()
        while position.step < self.steps:
            sums += self._step(order[position.step * config.batch_size : (position.step + 1) * config.batch_size])
            position.step += 1
            tally.seen += config.batch_size
            now = time.monotonic()
            look = position.step % CHECK_EVERY == 0 or position.step == self.steps
            stop = self.run.stop_requested
            if self.world.size > 1:  # they stop at the same step, and to ask all of them is to wait for the devices
                stop = look and any(self.world.gather(stop))
            if stop or look or now - last_save > SAVE_EVERY:
                tally.loss, tally.correct = sums.tolist()
                if not np.isfinite(tally.loss):
                    raise Diverged
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

    def _step(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """One update on a batch; returns (sum of losses, count of right ones).

        Nothing in it waits for a GPU, so that the next step is prepared while this one is computed.
        """
        config, position, world = self.config, self.position, self.world
        start = time.perf_counter()
        seed = seed_of(config.seed, position.epoch, position.step)
        torch.manual_seed(seed if world.size == 1 else seed_of(seed, world.rank))  # dropout
        inputs, targets = self._batch(rows, torch.Generator().manual_seed(seed))
        position.tally.data_seconds += time.perf_counter() - start
        progress = self._progress()
        if taken_over(config.optimizer, progress) and not isinstance(self.optimizer, torch.optim.SGD):
            self.optimizer = self._make_optimizer(progress)
        self.loaded.hold(progress < config.transfer.freeze)
        rate = factor(config.schedule, progress, [r.val_loss for r in self.results if r.val_loss is not None])
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"] * self.optimizer.defaults["lr"]
        enabled = self.precision != "fp32"
        dtype = torch.float16 if self.precision == "fp16" else torch.bfloat16
        with torch.autocast(self.device.type, dtype=dtype, enabled=enabled):
            logits = self.forward(inputs)
        loss, weight = self.loss(logits, targets)
        weight = world.add_up(weight)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss / weight).backward()
        world.add_up_gradients(self.model)
        if config.optimizer.clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            step = position.epoch * self.steps + position.step
            self.average.update(self.model, step, config.epochs * self.steps)
        right = (logits.detach().argmax(1) == targets.argmax(1)).sum()
        sums = world.add_up(torch.stack([loss.detach() / weight * len(rows), right.float()]))
        position.tally.step_seconds += time.perf_counter() - start
        return sums

    def _batch(self, rows: NDArray[np.int64], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's part of a batch, augmented and normalised, with its targets (n, K)."""
        config, count = self.config, len(rows)
        part = self.world.part(count)
        mixing = config.augment.mixup > 0 or config.augment.cutmix > 0
        if not mixing:  # else the whole batch is prepared by every process, because each picture needs another one
            rows = rows[part]
        places = torch.from_numpy(rows).to(self.device, non_blocking=True)
        if self.resident is not None:
            pictures = to_tensor(self.resident[places], self.device)
        else:
            pictures = to_tensor(self.images[self.places[rows]], self.device)
        mirrored = None
        if config.augment.alternating:
            mirrored = torch.from_numpy((FIRST_FLIP[rows % len(FIRST_FLIP)] + self.position.epoch) % 2 == 1)
        pictures = augment(pictures, config.augment, Draws(generator, count, slice(None) if mixing else part), mirrored)
        targets = self.targets[places]
        if mixing:
            pictures, targets = mix(pictures, targets, config.augment, Draws(generator, count))
            pictures, targets = pictures[part], targets[part]
        side = self._side()
        if side and side < self.spec.height:
            pictures = F.interpolate(pictures, size=self._sides(side), mode="bilinear", antialias=True)
        return normalise(pictures, self.spec).contiguous(memory_format=self.layout), targets

    def _progress(self) -> float:
        """Share of the run's steps that is done, 0..1."""
        return (self.position.epoch * self.steps + self.position.step) / (self.config.epochs * self.steps)

    def _side(self) -> int:
        sides = [side for share, side in self.config.resolution if share <= self._progress()]
        return sides[-1] if sides else 0

    def _sides(self, height: int) -> tuple[int, int]:
        """Height and width of a picture that is made smaller in its own proportions."""
        return height, round(height * self.spec.width / self.spec.height)

    def _close_epoch(self, before: tuple[float, float], cpu: float, wall: float) -> EpochResult:
        """Validate, record and save; the best weights so far are kept as the run's checkpoint, else the last ones."""
        position, tally = self.position, self.position.tally
        val_loss = val_accuracy = None
        if len(self.val_rows):
            part = self.world.part(len(self.val_images))
            logits = np.concatenate(self.world.gather(predict_logits(self.served, self.val_images[part], self.spec)))
            val_loss = float(F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(self.val_labels)))
            if not np.isfinite(val_loss):  # the last update ruined it, after the last loss was taken
                raise Diverged
            val_accuracy = float((logits.argmax(1) == self.val_labels).mean())
            if self.world.leads:
                self.run.write_confusion(count_pairs(self.val_labels, logits.argmax(1), len(self.expressions)))
        result = EpochResult(
            epoch=position.epoch + 1,
            train_loss=tally.loss / tally.seen,
            train_accuracy=tally.correct / tally.seen,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=self.optimizer.param_groups[0]["lr"],
            images_per_second=tally.seen / tally.step_seconds,
            data_share=tally.data_seconds / tally.step_seconds,
            cpu_seconds=sum(self.world.gather(before[0] + time.process_time() - cpu)),
            wall_seconds=before[1] + time.perf_counter() - wall,
        )
        self.results.append(result)
        if self.world.leads:
            self.run.write_metrics(self.results)
            if best_epoch(self.results) in (None, result):
                self._keep_best()
        self.position = Position(epoch=position.epoch + 1)
        self._save()
        return result

    def _keep_best(self) -> None:
        save_tensors(self.run.path / "best.safetensors", dict(self.served.state_dict()))
        write_card(self.run.path, self._card({}))

    def _finish(self) -> None:
        """Load the best weights and write the validation table and the final card; without validation, only the card."""
        self.world.wait()
        if not self.world.leads:
            return
        if not self.config.val_split:
            return write_card(self.run.path, self._card({}))
        tensors, _ = load_tensors(self.run.path / "best.safetensors")
        self.served.load_state_dict(tensors)
        split = self.config.val_split
        predictions = predict_split(
            self.served, self.asked, split, spec=self.spec, expressions=self.expressions, tta=self.config.tta
        )
        predictions.write(self.run.path / f"predictions-{self.dataset.name}-{split}.parquet")
        figures = results(predictions, self.dataset, split, self.config.train_split)
        write_card(self.run.path, self._card({f"{self.dataset.name}-{split}": figures}))

    def _card(self, results: dict[str, dict[str, object]]) -> Card:
        config = self.config
        best = best_epoch(self.results) or self.results[-1]
        chosen_on = f"{self.dataset.title}, {config.val_split} ({len(self.val_rows):,} pictures)"
        prepared = self.spec.preparation
        return Card(
            name=self.run.name,
            title=config.about.title or NETWORKS.get(config.network).title,
            network=config.network,
            arguments=config.arguments,
            parameters=sum(p.numel() for p in self.model.parameters()),
            expressions_name=self.expressions.name,
            expressions=self.expressions.names,
            image=self.spec,
            face=prepared.framing if prepared and prepared.detector != "none" else FaceCrop(),
            tta=config.tta,
            leave_out=config.leave_out,
            data=self.dataset.title,
            train_images=len(self.rows),
            chosen_on=chosen_on if config.val_split else NOTHING_CHOSE,
            best_epoch=best.epoch,
            start=self.start,
            epochs=len(self.results),
            seed=config.seed,
            recipe=config.model_dump(mode="json", exclude_defaults=True),
            versions={"ferscope": __version__, "torch": torch.__version__, "python": platform.python_version()},
            cost=Cost(
                cpu_minutes=round(sum(r.cpu_seconds for r in self.results) / 60, 2),
                wall_minutes=round(sum(r.wall_seconds for r in self.results) / 60, 2),
                device=self._computes(),
                images_per_second=round(float(np.median([r.images_per_second for r in self.results])), 1),
            ),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            results=results,
        )

    def _computes(self) -> str:
        """On what and how it computes, for status and card."""
        return f"{describe(self.device)}, {self.precision}, {self.layout_name}"

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

    def _use(self) -> dict[str, object]:
        """What of the machine this process uses; nothing new within a second of the last look."""
        now = time.process_time(), time.monotonic()
        busy, since = now[0] - self.looked[0], now[1] - self.looked[1]
        if since < 1.0:
            return {}
        self.looked = now
        on_gpu = torch.cuda.memory_reserved(self.device) if self.device.type == "cuda" else 0
        return {
            "processors": busy / since,
            "memory": psutil.Process().memory_info().rss,
            "gpu_memory": on_gpu,
        }

    def _beat(self, **changes: object) -> None:
        self.status = self._describe(**self._use(), **changes)
        if self.world.leads:
            self.run.write(self.status)

    def _save(self) -> None:
        """Weights, moving average, optimizer and position as one file: they cannot get out of step with each other."""
        if not self.world.leads:
            return
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if self.average:
            tensors |= {f"average.{key}": value for key, value in self.average.model.state_dict().items()}
        tensors |= {f"optimizer.{key}": value for key, value in optimizer_tensors(self.optimizer).items()}
        position = self.position
        metadata = {"recipe": self._identity(), "pictures": self._pictures}
        metadata |= {"epoch": str(position.epoch), "step": str(position.step)}
        metadata |= {f"tally.{key}": repr(value) for key, value in vars(position.tally).items()}
        metadata |= {"precision": self.precision, "scale": repr(self.scaler.get_scale())}
        metadata |= {"growth": str(self.scaler.state_dict().get("_growth_tracker", 0))}
        metadata |= {"layout": self.layout_name, "optimizer": type(self.optimizer).__name__}
        metadata |= {"start": self.start.model_dump_json()} if self.start else {}
        save_tensors(self.run.path / "last.safetensors", tensors, metadata)

    def _restore(self) -> None:
        path = self.run.path / "last.safetensors"
        if not path.exists():
            if self.run.metrics():
                raise CheckpointError(
                    f"{path} is missing, so the run cannot go on from its epoch {len(self.run.metrics())}; put the file "
                    "back, or start a new run of the recipe."
                )
            return
        tensors, metadata = load_tensors(path)
        if metadata.get("recipe") != self._identity():
            raise CheckpointError(
                f"{path} was saved by another recipe than {self.run.path / 'config.toml'} now holds; put the recipe back, "
                "or start a new run with the changed one."
            )
        if metadata.get("pictures", self._pictures) != self._pictures:
            raise CheckpointError(
                f"{path} was saved while other pictures, or other labels, were learned than {self.dataset.title} now holds in "
                f"{self.config.train_split} ({len(self.rows):,}); give it the data that it began with, or start a new run."
            )

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

        self._compute_in(metadata["precision"], metadata["layout"], float(metadata["scale"]))
        self.speed_note = f"{self.precision}, {self.layout_name}: as it was before"
        if self.scaler.is_enabled():
            grown = {"_growth_tracker": int(metadata.get("growth", 0))}  # steps since the scale was changed
            self.scaler.load_state_dict(self.scaler.state_dict() | grown)
        self.model.load_state_dict(part("model."))
        if self.average:
            self.average.model.load_state_dict(part("average."))
        tally = Tally(**{name: type(value)(float(metadata[f"tally.{name}"])) for name, value in vars(Tally()).items()})
        self.position = Position(int(metadata["epoch"]), int(metadata["step"]), tally)
        sgd = metadata["optimizer"] == "SGD"  # it may have taken over from Adam
        self.optimizer = self._make_optimizer(progress=1.0 if sgd else 0.0)
        restore_optimizer(self.optimizer, part("optimizer."))
        self.results = self.run.metrics()[: self.position.epoch]
        if self.world.leads:
            self.run.write_metrics(self.results)

    @cached_property
    def _pictures(self) -> str:
        """What is learned, in few letters: the order of an epoch, and the card, hold for these pictures alone."""
        index = self.dataset.index.iloc[self.rows][["id", "label"]]
        return hashlib.sha256(index.to_csv(index=False).encode()).hexdigest()

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
    threads = torch.get_num_threads()
    words = f"{platform.machine()} processor, {threads} thread{'s' if threads != 1 else ''}"
    return words if device.type == "cpu" else "Apple GPU"
