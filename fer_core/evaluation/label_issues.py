"""Probably wrong labels in sets without votes: confident learning on the predictions of a network that was not trained
on these images.

Northcutt, Jiang and Chuang 2021 (JAIR 70, arXiv 1911.00068), by their own library cleanlab: an image is suspected if a
network is more confident of another expression than it is of that expression's own images on average, as often as the counts
of such images say that labels are wrong. The probabilities must be of images that the network has not learned:
another split, or the out-of-fold table of a cross-validation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fer_core.checkpoint import Card
from fer_core.datasets.titles import split_title
from fer_core.errors import DataError
from fer_core.evaluation.intervals import Interval, wilson, wilson_bounds
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.results import trained_on


def label_issues(predictions: Predictions) -> pd.DataFrame:
    """The images whose label is probably wrong, the most suspicious first.

    Returns:
        `position` (in the predictions table), `dataset`, `split`, `id`, `label`, `predicted`, `confidence`, `correct` and
        `quality`, the probability of the given label (0..1): cleanlab's “self-confidence”.

    Raises:
        DataError: fewer than two images, or expressions with labels, so that there is nothing to compare.
    """
    from cleanlab.filter import find_label_issues

    if len(set(predictions.table["label"])) < 2:
        raise DataError(
            f"A table of {len(predictions):,} images of one expression says nothing of its labels; take all expressions."
        )
    given = predictions.label_index
    rows = np.asarray(
        find_label_issues(given, predictions.probs, return_indices_ranked_by="self_confidence", n_jobs=1),
        dtype=np.int64,
    )
    found = predictions.table.iloc[rows][["dataset", "split", "id", "label"]].reset_index(drop=True)
    return found.assign(
        position=rows,
        predicted=predictions.predicted[rows],
        confidence=predictions.confidence[rows],
        correct=predictions.correct[rows],
        quality=predictions.probs[rows, given[rows]],
    )


def by_label(predictions: Predictions, found: pd.DataFrame) -> pd.DataFrame:
    """One row a given label: `label`, `n`, `suspected`, `share` with `low` and `high` (Wilson 95 %), and `instead`, what the
    network says most often of those suspected (“” for none)."""
    n = predictions.table["label"].value_counts()
    names = [name for name in predictions.expressions.names if name in n.index]
    groups = {name: found[found["label"] == name]["predicted"] for name in names}
    table = pd.DataFrame({"label": names, "n": [int(n[name]) for name in names]})
    table["suspected"] = [len(groups[name]) for name in names]
    table["share"] = table["suspected"] / table["n"]
    table["low"], table["high"] = wilson_bounds(table["suspected"], table["n"])
    return table.assign(instead=[groups[name].mode().iloc[0] if len(groups[name]) else "" for name in names])


def not_learned(card: Card, split: str) -> None:
    """Refuse predictions of images that the network was trained on.

    Raises:
        DataError: the split belongs to the training part of the network, or of a member of the ensemble.
    """
    if split in trained_on(card).split("+"):
        raise DataError(
            f"{card.name} learned the labels of the {split_title(split)}, so it cannot judge them. Take another split, or the "
            "predictions of a cross-validation: there, each image is predicted by a network that has not seen it. "
            "See: ferscope crossval."
        )


@dataclass(frozen=True)
class Confirmed:
    """How often voters contradict the given label: of the suspected images with a majority, and of all with one."""

    suspected: int
    share: float
    interval: Interval
    all: int
    share_of_all: float


def confirmed(found: pd.DataFrame, judged: pd.DataFrame) -> Confirmed:
    """The suspected labels compared with people's votes, where there are any.

    Args:
        judged: what `label_quality.judge` gives for the same predictions table.
    """
    decided = judged[judged["majority"] != ""]
    against = decided["majority"] != decided["label"]
    mine = decided["position"].isin(found["position"])
    hits, n = int((against & mine).sum()), int(mine.sum())
    return Confirmed(n, hits / max(n, 1), wilson(hits, n), len(decided), float(against.mean()) if len(decided) else 0.0)
