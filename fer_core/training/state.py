"""The state of a training, saved and restored as one file: weights, moving average, optimizer, loss scale of half
precision, and position in the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fer_core.checkpoint import Start, load_tensors, save_tensors
from fer_core.errors import CheckpointError
from fer_core.training.distributed import World, synchronised
from fer_core.training.optim import MovingAverage, make_optimizer, optimizer_tensors, restore_optimizer, taken_over
from fer_core.training.precision import choose_speed
from fer_core.training.schedules import factor
from fer_core.training.task import Task
from fer_core.training.transfer import LoadedPart, start_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn


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
    """The position of a run: the next step."""

    epoch: int = 0
    step: int = 0
    tally: Tally = field(default_factory=Tally)


class TrainingState:
    """The network of a task in training.

    Args:
        path: of `last.safetensors`, from which `restore` continues.
        world: this process among those that train together; only its leader writes the file.

    Attributes:
        start: which weights it started from; None: fresh ones.
        speed_note: the precision and memory format in words, and why.

    Raises:
        ConfigError, CheckpointError: the task's network cannot be made, or not filled with the weights to start from.
    """

    def __init__(self, task: Task, path: Path, device: torch.device, world: World) -> None:
        self.task, self.path, self.device, self.world = task, path, device, world
        config = task.config
        model = task.network()
        self.start = self._filled(model)
        speed = choose_speed(model, task.spec, len(task.expressions), device, config) if world.leads else None
        precision, layout, self.speed_note = world.gather(speed)[0]
        self.model: nn.Module = synchronised(model, world, device).to(device)
        self.compute_in(precision, layout)
        self.forward = torch.compile(self.model) if config.compile else self.model
        self.loaded = LoadedPart.of(self.model, config, self.start) if self.start else LoadedPart()
        self.optimizer = self._make_optimizer()
        self.average = MovingAverage(self.model, config.ema, config.swa) if config.ema or config.swa else None
        self.position = Position()

    def _filled(self, model: nn.Module) -> Start | None:
        """Fill a fresh network with the weights that the recipe names; of a run that continues, only say which."""
        task = self.task
        if not task.config.transfer.weights:
            return None
        if self.path.exists():
            text = load_tensors(self.path)[1].get("start")
            return Start.model_validate_json(text) if text else None  # of another recipe, which `restore` refuses
        start = start_from(model, task.config, task.spec, task.expressions) if self.world.leads else None
        self.world.wait()  # a download is the leader's; the others find the file
        return start or start_from(model, task.config, task.spec, task.expressions)

    def _make_optimizer(self, progress: float = 0.0) -> torch.optim.Optimizer:
        config = self.task.config
        return make_optimizer(
            self.model, config.optimizer, progress, self.loaded.parameters, config.transfer.backbone_lr
        )

    def compute_in(self, precision: str, layout: str, scale: float = 65_536.0) -> None:
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

    @property
    def done(self) -> int:
        """Steps taken since the start of the run."""
        return self.position.epoch * self.task.steps + self.position.step

    @property
    def progress(self) -> float:
        """Share of the run's steps that is done, 0..1."""
        return self.done / self.task.total_steps

    def to_train(self) -> None:
        """Put the network into training mode."""
        self.model.train()
        self.loaded.hold_norms()

    def prepare_step(self, val_losses: Sequence[float]) -> None:
        """Set what the next step learns: the optimizer, the frozen part and the learning rates of this moment."""
        config, progress = self.task.config, self.progress
        if taken_over(config.optimizer, progress) and not isinstance(self.optimizer, torch.optim.SGD):
            self.optimizer = self._make_optimizer(progress)
        self.loaded.hold(progress < config.transfer.freeze)
        rate = factor(config.schedule, progress, val_losses)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"] * self.optimizer.defaults["lr"]

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """(n, C, H, W) -> (n, K), in the chosen precision."""
        dtype = torch.float16 if self.precision == "fp16" else torch.bfloat16
        with torch.autocast(self.device.type, dtype=dtype, enabled=self.precision != "fp32"):
            return self.forward(inputs)  # type: ignore[no-any-return]

    def update(self, loss: torch.Tensor) -> None:
        """One step of the optimizer down the gradient of a loss, added up over all processes."""
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.world.add_up_gradients(self.model)
        if clip := self.task.config.optimizer.clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update(self.model, self.done, self.task.total_steps)

    def save(self) -> None:
        """Write everything as one file, so its parts always match."""
        if not self.world.leads:
            return
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if self.average:
            tensors |= {f"average.{key}": value for key, value in self.average.model.state_dict().items()}
        tensors |= {f"optimizer.{key}": value for key, value in optimizer_tensors(self.optimizer).items()}
        position = self.position
        metadata = {
            "recipe": self.task.identity,
            "pictures": self.task.fingerprint,
            "epoch": str(position.epoch),
            "step": str(position.step),
            **{f"tally.{key}": repr(value) for key, value in vars(position.tally).items()},
            "precision": self.precision,
            "scale": repr(self.scaler.get_scale()),
            "growth": str(self.scaler.state_dict().get("_growth_tracker", 0)),  # steps since the scale was changed
            "layout": self.layout_name,
            "optimizer": type(self.optimizer).__name__,
        }
        metadata |= {"start": self.start.model_dump_json()} if self.start else {}
        save_tensors(self.path, tensors, metadata)

    def restore(self) -> bool:
        """Continue from the last save; False where there is none.

        Raises:
            CheckpointError: the save is damaged, of another recipe or of other images.
        """
        if not self.path.exists():
            return False
        tensors, metadata = load_tensors(self.path)
        self._refuse_another(metadata)

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

        self.compute_in(metadata["precision"], metadata["layout"], float(metadata["scale"]))
        self.speed_note = f"{self.precision}, {self.layout_name}: as before"
        if self.scaler.is_enabled():
            grown = {"_growth_tracker": int(metadata.get("growth", 0))}
            self.scaler.load_state_dict(self.scaler.state_dict() | grown)
        self.model.load_state_dict(part("model."))
        if self.average:
            self.average.model.load_state_dict(part("average."))
        tally = Tally(**{name: type(value)(float(metadata[f"tally.{name}"])) for name, value in vars(Tally()).items()})
        self.position = Position(int(metadata["epoch"]), int(metadata["step"]), tally)
        sgd = metadata["optimizer"] == "SGD"  # it may have taken over from Adam
        self.optimizer = self._make_optimizer(progress=1.0 if sgd else 0.0)
        restore_optimizer(self.optimizer, part("optimizer."))
        return True

    def _refuse_another(self, metadata: dict[str, str]) -> None:
        task = self.task
        if metadata.get("recipe") != task.identity:
            raise CheckpointError(
                f"{self.path} was saved by another recipe than {self.path.with_name('config.toml')} now holds; put the "
                "recipe back, or start a new run with the changed one."
            )
        if metadata.get("pictures", task.fingerprint) != task.fingerprint:
            raise CheckpointError(
                f"{self.path} was saved while training on other images, or other labels, than {task.dataset.title} now has in "
                f"{task.config.train_split} ({len(task.rows):,}); give it the data that it began with, or start a new run."
            )
