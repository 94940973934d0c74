"""From a network and a data set to a predictions table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_core.checkpoint import Card, load_network, place_for, read_card
from fer_core.datasets import Dataset
from fer_core.datasets.identity import HASH
from fer_core.errors import DataError
from fer_core.evaluation.comparison import shared_images
from fer_core.evaluation.predictions import KEY, Predictions, how_of
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
        on_batch: called with the number of images done so far.

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
        index["id"].tolist(), dataset.name, split, index["label"].tolist(), np.concatenate(parts), expressions,
        index[HASH].tolist(),
    )  # fmt: skip


def stronger_table(folder: Path, dataset: Dataset, split: str) -> str:
    """How the predictions table of a split was obtained, if a new one would be weaker and must not replace it; else “”.

    So the answers of a fitted vote, each by a vote that was fitted on other images, are not replaced by those of the vote
    that was fitted on all of them.
    """
    how = how_of(_table(folder, dataset, split))
    return how if weaker(obtained(read_card(folder), dataset, split), how) else ""


def how_obtained(folder: Path, card: Card, dataset: Dataset, split: str) -> str:
    """How the answers of a checkpoint on a split are obtained, as `results.obtained`; those of a stronger table stay."""
    return stronger_table(folder, dataset, split) or obtained(card, dataset, split)


def _table(folder: Path, dataset: Dataset, split: str) -> Path:
    """Where a checkpoint's table of a split is, or would be."""
    name = f"predictions-{dataset.name}-{split}.parquet"
    return folder / name if (folder / name).exists() else place_for(folder) / name


def predict_checkpoint(
    folder: Path, dataset: Dataset, split: str, on_batch: Callable[[int], None] = lambda done: None
) -> tuple[Predictions, Card]:
    """Predict a split with a checkpoint as its card says, and keep the table as `keep` does.

    Raises:
        CheckpointError, DataError: as `load_network` and `predict_split`.
    """
    predictions, card = answers(folder, dataset, split, on_batch)
    keep(folder, predictions, how_obtained(folder, card, dataset, split))
    return predictions, card


def answers(
    folder: Path, dataset: Dataset, split: str, on_batch: Callable[[int], None] = lambda done: None
) -> tuple[Predictions, Card]:
    """What a checkpoint answers on a split, as its card says; images that the card leaves out are not in the table.

    A table that was obtained in a stronger way stays, and is what is returned.

    Raises:
        CheckpointError, DataError: as `load_network` and `predict_split`.
    """
    if stronger_table(folder, dataset, split):
        return Predictions.read(_table(folder, dataset, split)), read_card(folder)
    model, card = load_network(folder)
    predictions = predict_split(
        model, dataset.without(card.leave_out), split, spec=card.image, expressions=card.vocabulary, tta=card.tta,
        on_batch=on_batch,
    )  # fmt: skip
    return predictions, card


@dataclass(frozen=True)
class Kept:
    """Where a table is kept, the key under which it is found (“<data set>-<split>”), and what is to be said of that."""

    path: Path
    key: str
    sentence: str


def keep(folder: Path, predictions: Predictions, how: str = "") -> Kept:
    """Write a network's table where what is computed of it is kept (`checkpoint.place_for`).

    A table that the network ships with stays where it is of the same images; one of other images under the same name is
    never replaced, the new one is kept beside it with the fingerprint of its images in its name.

    Args:
        folder: the checkpoint's.
        predictions: of one data set and split, with a row or more.
        how: the answers were obtained, one of `results.OBTAINED`; noted in the table if it is known.

    Raises:
        CheckpointError: the folder holds no weights.
    """
    dataset, split = (str(predictions.table[name].iloc[0]) for name in ("dataset", "split"))
    key, place = f"{dataset}-{split}", place_for(folder)
    shipped, own = (where / f"predictions-{key}.parquet" for where in (folder, place))
    if place != folder and (known := _read(shipped)) is not None and _same_images(known, predictions):
        one, other = shared_images({"shipped": known, "here": predictions}).values()
        same = int((one.predicted == other.predicted).sum())
        return Kept(
            shipped, key,
            f"The table that {folder.name} ships with is of the same images and stays; {same:,} of {len(one):,} answers are "
            "the same.",
        )  # fmt: skip
    before = [table for path in {shipped, own} if (table := _read(path)) is not None]
    if any(not _same_images(table, predictions) for table in before):
        name = f"{dataset}-{predictions.fingerprint[:6]}"
        predictions = Predictions(predictions.table.assign(dataset=name))
        key, own = f"{name}-{split}", place / f"predictions-{name}-{split}.parquet"
        predictions.write(own, how)
        return Kept(
            own, key,
            f"There is a table {dataset}-{split} of other images or labels ({len(before[0]):,}), which stays; this one is "
            f"kept as {key} in {own.parent}.",
        )  # fmt: skip
    predictions.write(own, how)
    return Kept(own, key, f"Table written to {own.parent}")


def _read(path: Path) -> Predictions | None:
    """A table that is there and can be read."""
    try:
        return Predictions.read(path) if path.exists() else None
    except DataError:  # damaged: no loss if it is written anew
        return None


def _same_images(one: Predictions, other: Predictions) -> bool:
    """Whether two tables are of the same images with the same labels, in any order."""
    if one.has_hashes and other.has_hashes:
        return one.fingerprint == other.fingerprint
    keys = (set(table.table[[*KEY, "label"]].itertuples(index=False, name=None)) for table in (one, other))
    return next(keys) == next(keys)
