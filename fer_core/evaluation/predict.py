"""From a network and a data set to a predictions table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_core.checkpoint import Card, load_network, read_card
from fer_core.datasets import Dataset
from fer_core.evaluation.predictions import Predictions, how_of
from fer_core.evaluation.results import obtained, weaker
from fer_core.images import ImageSpec
from fer_core.labels import Expressions
from fer_core.models.logits import logit_batches

if TYPE_CHECKING:
    from torch import nn


def predict_split(
    model: nn.Module,
    dataset: Dataset,
    split: str,
    *,
    spec: ImageSpec,
    expressions: Expressions,
    tta: str = "none",
    on_batch: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """What a network answers on a split.

    Args:
        on_batch: called with the number of pictures done so far.

    Raises:
        DataError: no such split, or labels that the network's vocabulary does not hold.
    """
    rows = dataset.rows(split)
    dataset.label_index(expressions, rows)  # refuses a label the network does not know, before any time is spent
    parts = []
    for logits in logit_batches(model, dataset.images(spec)[rows], spec, tta=tta):
        parts.append(logits)
        on_batch(sum(map(len, parts)))
    index = dataset.index.iloc[rows]
    return Predictions.from_logits(
        index["id"].tolist(), dataset.name, split, index["label"].tolist(), np.concatenate(parts), expressions
    )


def stronger_table(folder: Path, dataset: Dataset, split: str) -> str:
    """How the predictions table of a split was obtained, if a new one would be weaker and must not replace it; else “”.

    So the answers of a fitted vote, each by a vote that was fitted on other images, are not replaced by those of the vote
    that was fitted on all of them.
    """
    how = how_of(folder / f"predictions-{dataset.name}-{split}.parquet")
    return how if weaker(obtained(read_card(folder), dataset, split), how) else ""


def predict_checkpoint(
    folder: Path, dataset: Dataset, split: str, on_batch: Callable[[int], None] = lambda done: None
) -> tuple[Predictions, Card]:
    """Predict a split with a checkpoint as its card says, and write the table beside its weights; pictures that the card
    leaves out are not in it. A table that was obtained in a stronger way stays, and is what is returned.

    Raises:
        CheckpointError, DataError: as `load_network` and `predict_split`.
    """
    path = folder / f"predictions-{dataset.name}-{split}.parquet"
    if stronger_table(folder, dataset, split):
        return Predictions.read(path), read_card(folder)
    model, card = load_network(folder)
    predictions = predict_split(
        model, dataset.without(card.leave_out), split, spec=card.image, expressions=card.vocabulary, tta=card.tta,
        on_batch=on_batch,
    )  # fmt: skip
    predictions.write(path, obtained(card, dataset, split))
    return predictions, card
