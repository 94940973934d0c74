"""Remove and retrain (ROAR): does a network lose more accuracy without the pixels that a map marks than without others?

Hooker et al. 2019, A Benchmark for Interpretability Methods in Deep Neural Networks (ROAR), arXiv 1806.10758. A trained
network has never seen covered pixels, so a drop may only show that the cover is unusual. Here a new network of the same
recipe is trained and evaluated on covered images, so a drop shows the lost information. Covering as many random pixels
is the control.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import Dataset
from fer_core.errors import ConfigError
from fer_core.evaluation.intervals import SEED, wilson
from fer_core.explanation.aggregate import maps_of
from fer_core.images import ImageSpec
from fer_core.models import attribution_layer
from fer_core.models.logits import predict_logits
from fer_core.recipe import TrainConfig
from fer_core.runs.folder import RunFolder
from fer_core.training.loop import Trainer
from fer_core.training.task import image_spec

if TYPE_CHECKING:
    from torch import nn

    from fer_core.checkpoint import Card

Ranking = Callable[
    [NDArray[np.uint8]], NDArray[np.float32]
]  # images (N, H, W[, 3]) -> values (N, H, W), high ones go first
RANDOM = "random"


@dataclass(frozen=True)
class CoveredDataset(Dataset):
    """A data set whose images are given: covered ones, at one network's size."""

    covered: NDArray[np.uint8] | None = None

    def images(self, spec: ImageSpec) -> NDArray[np.uint8]:
        assert self.covered is not None
        return self.covered


def at_random(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The control: seeded random values, independent of the image."""
    return np.random.default_rng(SEED).random(images.shape[:3], dtype=np.float32)


def by_map(model: nn.Module, card: Card, method: str) -> Ranking:
    """The values of a method's maps of a trained network, each of the expression it predicts."""
    layer = attribution_layer(card.network, model)

    def rank(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        targets = predict_logits(model, images, card.image, tta=card.tta).argmax(axis=1).tolist()
        return maps_of(model, images, card.image, targets, method, layer, tta=card.tta)

    return rank


def covered(images: NDArray[np.uint8], values: NDArray[np.float32], share: float) -> NDArray[np.uint8]:
    """Images in which the share of pixels with the highest values has the image's mean; of equal ones a seeded order decides.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8; values: (N, H, W); share: 0..1.
    """
    found = np.array(images)
    pixels = values[0].size if len(values) else 0
    tie = np.random.default_rng(SEED).random(pixels)
    for image, one in zip(found, values, strict=True):
        order = np.lexsort((tie, -one.ravel().astype(np.float64)))[: round(share * pixels)]
        mean = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
        image.reshape(pixels, *image.shape[2:])[order] = mean
    return found


def remove_and_retrain(
    name: str,
    config: TrainConfig,
    dataset: Dataset,
    data: str,
    rankings: Mapping[str, Ranking],
    shares: Sequence[float] = (0.1, 0.3, 0.5),
    on_run: Callable[[str, int, int], None] = lambda run, done, total: None,
) -> pd.DataFrame:
    """Train the recipe anew for each ranking and share, and once on whole images; runs that are finished are not repeated.

    Args:
        name: the runs are called `<name>-whole` and `<name>-<ranking>-<percent>`.
        data: the data set's place, for the runs' records.
        rankings: which pixels go first; `at_random` belongs among them, under the name `RANDOM`.
        on_run: called with the name of the run that begins, the number of those done, and of all.

    Returns:
        A row a run: `ranking, share, run, n, accuracy, low, high` (Wilson's 95 % interval of the last network's validation
        accuracy).

    Raises:
        ConfigError: no control among the rankings, or a share outside 0..1.
        RunError, DataError: as a training raises them.
    """
    if RANDOM not in rankings:
        raise ConfigError(f"The rankings have no control: give `at_random` under the name “{RANDOM}”.")
    if bad := [share for share in shares if not 0 < share < 1]:
        raise ConfigError(f"A share of pixels lies between 0 and 1, found {bad[0]:g}.")
    images = np.asarray(dataset.images(image_spec(config, dataset.preparation)))
    base = {field.name: getattr(dataset, field.name) for field in fields(Dataset)}
    plan: list[tuple[str, float]] = [("whole", 0.0), *((ranking, share) for ranking in rankings for share in shares)]
    values: dict[str, NDArray[np.float32]] = {}
    rows = []
    for number, (ranking, share) in enumerate(plan):
        called = name + (f"-{ranking}-{round(100 * share)}" if share else "-whole")
        on_run(called, number, len(plan))
        run = (
            RunFolder.named(called) if RunFolder.named(called).path.exists() else RunFolder.create(called, config, data)
        )
        if share and ranking not in values:
            values[ranking] = rankings[ranking](images)
        shown = covered(images, values[ranking], share) if share else images
        trainer = Trainer(run, CoveredDataset(**base, covered=shown))
        for _ in trainer.epochs():  # none where the run is finished
            pass
        n, accuracy = len(trainer.task.val_rows), run.metrics()[-1].val_accuracy or 0.0
        low, high = wilson(round(accuracy * n), n)
        rows.append(
            {"ranking": ranking, "share": share, "run": called, "n": n, "accuracy": accuracy, "low": low, "high": high}
        )
    return pd.DataFrame(rows)
