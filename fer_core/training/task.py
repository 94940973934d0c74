"""The training task: rows of a data set, their labels, the network's input, and the order of the steps.

Every random number of a run is a function of (seed, epoch, step): the order of the images, the augmentation, dropout.
A resumed run therefore needs only weights, optimizer and position, and ends as if it had never stopped.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from fer_core.datasets import Dataset
from fer_core.errors import ConfigError
from fer_core.images import ImageSpec, Preparation
from fer_core.labels import VOCABULARIES
from fer_core.models import NETWORKS, build
from fer_core.models.layers import size_after
from fer_core.recipe import TrainConfig

if TYPE_CHECKING:
    from torch import nn


def seed_of(*parts: int) -> int:
    """A seed for torch from (seed, epoch, step, ...), well mixed."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def image_spec(config: TrainConfig, done: Preparation | None = None) -> ImageSpec:
    """What the recipe's network takes: its own spec, with what the recipe's `[image]` sets.

    Args:
        done: how the training images were prepared; every other image is to be prepared in the same way.

    Raises:
        ConfigError: values that do not fit the network, or an illumination normalisation applied twice.
    """
    base = NETWORKS.get(config.network).spec
    changes = {key: value for key, value in config.image.model_dump(exclude={"light"}).items() if value is not None}
    if changes.get("channels") == 1 and base.channels == 3:  # grey images in a network for colour: the colours' average
        usual = {key: (sum(values) / len(values),) for key, values in (("mean", base.mean), ("std", base.std))}
        changes = usual | changes
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


class Task:
    """A recipe on a data set, checked before the training starts.

    Attributes:
        dataset, asked: the whole set, and the set without the expressions that the recipe leaves out.
        rows, labels: (n,) row numbers of the training images and their expressions as indices.
        val_rows, val_labels: the same for the validation set; empty where the recipe has none.
        steps: steps an epoch. The rest of each epoch is left out, another one each time.

    Raises:
        ConfigError: recipe and data do not fit each other.
    """

    def __init__(self, config: TrainConfig, dataset: Dataset) -> None:
        self.config, self.dataset = config, dataset
        self.asked = asked = dataset.without(config.leave_out)
        self.left_out = int(dataset.index["split"].notna().sum() - asked.index["split"].notna().sum())
        self.expressions = VOCABULARIES[config.expressions]
        self.spec = image_spec(config, dataset.preparation)
        self.rows = asked.rows(config.train_split)
        if config.train_share < 1:
            count = max(2, round(config.train_share * len(self.rows)))
            self.rows = np.sort(np.random.default_rng(config.seed).permutation(self.rows)[:count])
        self.val_rows = asked.rows(config.val_split) if config.val_split else np.zeros(0, np.int64)
        self.labels = dataset.label_index(self.expressions, self.rows)
        self.val_labels = dataset.label_index(self.expressions, self.val_rows)
        if config.batch_size > len(self.rows):
            raise ConfigError(
                f"batch_size = {config.batch_size} is larger than the training set ({len(self.rows):,} images); "
                "use a smaller batch."
            )
        self.steps = len(self.rows) // config.batch_size

    @property
    def total_steps(self) -> int:
        return self.config.epochs * self.steps

    def network(self) -> nn.Module:
        """A fresh network, drawn from the recipe's seed.

        Raises:
            ConfigError: it cannot take images of one of the recipe's sizes.
        """
        config = self.config
        torch.manual_seed(seed_of(config.seed))
        model = build(config.network, classes=len(self.expressions), spec=self.spec, arguments=config.arguments)
        channels, *sides = self.spec.shape
        for height, width in (sides, *(self.sides(side) for _, side in config.resolution)):
            try:
                size_after(model, (channels, height, width))
            except RuntimeError as error:
                raise ConfigError(
                    f"{config.network} with these arguments cannot take images of {height} x {width}: {error}; use larger "
                    "images ([image], resolution) or fewer stages."
                ) from error
        return model

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The training images in the order of an epoch, as positions in `rows`."""
        draws = torch.Generator().manual_seed(seed_of(self.config.seed, epoch))
        return np.asarray(torch.randperm(len(self.rows), generator=draws).numpy())

    def sides(self, height: int) -> tuple[int, int]:
        """Height and width of an image that is resized to a height in its own proportions."""
        return height, round(height * self.spec.width / self.spec.height)

    def sides_at(self, progress: float) -> tuple[int, int] | None:
        """Height and width of the images at a share of the run, 0..1, where they are smaller than the network's."""
        small = [side for share, side in self.config.resolution if share <= progress]
        return self.sides(small[-1]) if small and small[-1] < self.spec.height else None

    @property
    def identity(self) -> str:
        """The recipe, as far as it changes the weights."""
        return self.config.model_dump_json(exclude={"about", "device", "threads"}, exclude_defaults=True)

    @cached_property
    def fingerprint(self) -> str:
        """A fingerprint of the training images and their labels. The order of an epoch is only valid for these
        images."""
        index = self.dataset.index.iloc[self.rows][["id", "label"]]
        return hashlib.sha256(index.to_csv(index=False).encode()).hexdigest()
