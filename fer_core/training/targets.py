"""Training targets: one distribution over the expressions for each training image.

The given label (one-hot), mixed, as the recipe sets, with the shares of FER+'s votes and the mean prediction of teacher
networks.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fer_core.checkpoint import load_network
from fer_core.datasets import Dataset
from fer_core.errors import ConfigError, UnknownName
from fer_core.labels import Expressions
from fer_core.models.logits import predict_logits
from fer_core.recipe import Loss, recipes
from fer_core.runs.store import find


def make_targets(
    settings: Loss, dataset: Dataset, rows: NDArray[np.int64], expressions: Expressions, device: torch.device
) -> torch.Tensor:
    """Targets (N, K) float32 on the device; each row adds up to 1.

    Args:
        rows: positions of the training images in the data set's index.

    Raises:
        ConfigError: votes are wanted of a set that has none, or a teacher does not know an expression.
    """
    labels = torch.from_numpy(dataset.label_index(expressions, rows))
    targets = F.one_hot(labels, len(expressions)).float()
    if settings.votes:
        targets = (1 - settings.votes) * targets + settings.votes * _votes(dataset, rows, expressions)
    if settings.teachers:
        taught = torch.stack(
            [_answers(name, dataset, rows, expressions, settings, device) for name in settings.teachers]
        ).mean(dim=0)
        targets = (1 - settings.teacher_weight) * targets + settings.teacher_weight * taught
    return targets.to(device)


def drawn(targets: torch.Tensor, chance: torch.Tensor) -> torch.Tensor:
    """One label drawn from each target: Barsoum et al. 2016, section 3.2, probabilistic label drawing.

    Args:
        targets: (N, K), each row adding up to 1.
        chance: (N) uniform in 0..1, on which alone the draw depends.

    Returns:
        (N, K) one-hot.
    """
    place = (targets.cumsum(dim=1) <= chance[:, None]).sum(dim=1)
    last = (targets > 0).long().cumsum(dim=1).argmax(dim=1)  # rounding may leave the sum a hair below 1
    return F.one_hot(torch.minimum(place, last), targets.shape[1]).to(targets.dtype)


def _votes(dataset: Dataset, rows: NDArray[np.int64], expressions: Expressions) -> torch.Tensor:
    """Shares of the votes for the network's expressions, as Barsoum et al. 2016 (arXiv 1608.01041) learn them.

    As targets they are the authors' “crossentropy” mode; their “probability” mode draws a label from them in every epoch
    (`loss.draw`). Single votes are dropped as outliers, as by the authors, where another expression has more.
    """
    columns = [f"votes_{name}" for name in expressions.names]
    if missing := [column for column in columns if column not in dataset.index.columns]:
        raise ConfigError(
            f"loss.votes needs a set with votes, and {dataset.title} has no column {missing[0]}; open FER+'s "
            "fer2013new.csv, or set loss.votes = 0."
        )
    votes = dataset.index[columns].to_numpy(dtype=np.float32)[rows]
    kept = np.where(votes > 1, votes, 0)
    votes = np.where(kept.sum(axis=1, keepdims=True) > 0, kept, votes)
    labels = np.eye(len(expressions), dtype=np.float32)[dataset.label_index(expressions, rows)]
    total = votes.sum(axis=1, keepdims=True)
    return torch.from_numpy(np.where(total > 0, votes / np.maximum(total, 1), labels).astype(np.float32))


def _answers(
    name: str, dataset: Dataset, rows: NDArray[np.int64], expressions: Expressions, settings: Loss, device: torch.device
) -> torch.Tensor:
    """A teacher's probabilities (N, K) for the clean images and their mirror images, computed once before the run."""
    try:
        folder = find(name).folder
    except UnknownName as error:
        hint = f" Train it first: ferscope train {name} --data PATH --name {name}" if name in recipes() else ""
        raise ConfigError(f"loss.teachers: {error}{hint}") from error
    model, card = load_network(folder, str(device))
    if missing := sorted(set(expressions.names) - set(card.expressions)):
        raise ConfigError(
            f"loss.teachers: {name} does not know {', '.join(missing)}; take a teacher of the same expressions."
        )
    logits = predict_logits(model, dataset.images(card.image)[rows], card.image, tta="flip")
    order = [card.expressions.index(expression) for expression in expressions.names]
    return (torch.from_numpy(logits)[:, order] / settings.teacher_temperature).softmax(dim=1)
