"""The training images, batch by batch: augmented, normalised, with their targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fer_core.images import normalise, to_tensor
from fer_core.training.augment import Draws, augment, mix
from fer_core.training.distributed import World
from fer_core.training.targets import drawn, make_targets
from fer_core.training.task import Task

IN_MEMORY = 4e9  # bytes of images above which they stay on disk, memory-mapped
FIRST_FLIP = np.random.default_rng(0).integers(0, 2, 65_536)  # which images alternating flip mirrors first


@dataclass(frozen=True)
class Moment:
    """The position of a run at a batch: its epoch, and the share of all steps that is done, 0..1."""

    epoch: int
    progress: float


class Batches:
    """The images of a task in the fastest place: in memory, or on the GPU, so that batches need not be copied there.

    Attributes:
        val_images: (n, H, W[, 3]) uint8 of the validation set.

    Raises:
        ConfigError: the recipe's targets cannot be made: votes that the set lacks, or teachers that do not fit.
    """

    def __init__(self, task: Task, device: torch.device, world: World) -> None:
        self._task, self._device, self._world = task, device, world
        images = task.dataset.images(task.spec)
        in_memory = images.nbytes < IN_MEMORY
        self._images = images[task.rows] if in_memory else images
        self._places = np.arange(len(task.rows)) if in_memory else task.rows  # where each training image lies in it
        self._on_gpu = torch.from_numpy(self._images).to(device) if in_memory and device.type == "cuda" else None
        self.val_images = images[task.val_rows]
        self._targets = make_targets(task.config.loss, task.dataset, task.rows, task.expressions, device)

    def batch(
        self, rows: NDArray[np.int64], moment: Moment, generator: torch.Generator, layout: torch.memory_format
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """This process's part of a batch: inputs (n, C, H, W) and targets (n, K). Nothing in it waits for a GPU.

        Args:
            rows: (batch,) positions in the task's `rows`.
        """
        settings, count = self._task.config.augment, len(rows)
        part = self._world.part(count)
        mixing = settings.mixup > 0 or settings.cutmix > 0
        if not mixing:  # else every process prepares the whole batch, because each image is mixed with another one
            rows = rows[part]
        places = torch.from_numpy(rows).to(self._device, non_blocking=True)
        if self._on_gpu is not None:
            images = to_tensor(self._on_gpu[places], self._device)
        else:
            images = to_tensor(self._images[self._places[rows]], self._device)
        mirrored = None
        if settings.alternating:
            mirrored = torch.from_numpy((FIRST_FLIP[rows % len(FIRST_FLIP)] + moment.epoch) % 2 == 1)
        images = augment(images, settings, Draws(generator, count, slice(None) if mixing else part), mirrored)
        targets = self._targets[places]
        if self._task.config.loss.draw:
            chance = np.random.default_rng((self._task.config.seed, moment.epoch)).random(len(self._targets))[rows]
            targets = drawn(targets, torch.from_numpy(chance).to(self._device, non_blocking=True))
        if mixing:
            images, targets = mix(images, targets, settings, Draws(generator, count))
            images, targets = images[part], targets[part]
        if small := self._task.sides_at(moment.progress):
            images = F.interpolate(images, size=small, mode="bilinear", antialias=True)
        return normalise(images, self._task.spec).contiguous(memory_format=layout), targets
