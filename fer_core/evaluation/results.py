"""What a card says of a predictions table: all its figures, and those without the images that training has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from fer_core.checkpoint import Card
from fer_core.datasets import Dataset
from fer_core.datasets.identity import HASH
from fer_core.datasets.leaks import leaks_of
from fer_core.evaluation.metrics import evaluate
from fer_core.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from fer_core.datasets import Dataset
    from fer_core.evaluation.predictions import Predictions

KEPT = ("n", "accuracy", "accuracy_interval", "macro_f1", "macro_f1_interval")


def trained_on(card: Card) -> str:
    """What a network, or any member of an ensemble, was trained on: a split, or several joined by +."""
    parts = [part for recipe in card.recipes for part in recipe.get("train_split", "train").split("+")]
    return "+".join(dict.fromkeys(parts))


def results(predictions: Predictions, dataset: Dataset, split: str, train_split: str = "train") -> dict[str, Any]:
    """The figures as JSON values; `without_leaks` has `KEPT` of the images that do not also occur in `train_split` (a
    split, or several joined by +).

    That entry is missing where no image occurs in both, where nothing would remain, and for the training part itself.
    """
    figures = evaluate(predictions).to_json()
    parts = train_split.split("+")
    if split in parts or not set(parts) <= set(dataset.splits):
        return figures
    rest = without_leaks(predictions, leaks_of(dataset, split, into=train_split))
    if 0 < len(rest) < len(predictions):
        of_rest = evaluate(rest).to_json()
        figures["without_leaks"] = {key: of_rest[key] for key in KEPT}
    return figures


def without_leaks(predictions: Predictions, leaked: pd.DataFrame, *, identical_only: bool = False) -> Predictions:
    """The rows of a predictions table whose images do not also occur in training.

    Args:
        leaked: a table with `id`, `kind` and, where known, `hash`, of the predictions' own set and split.
        identical_only: leave out only pixel-identical images, not their near duplicates.
    """
    rows = leaked[leaked["kind"] == "identical"] if identical_only else leaked
    by = HASH if predictions.has_hashes and HASH in rows.columns else "id"
    return predictions.where(~predictions.table[by].isin(set(rows[by])))


def in_words(key: str, figures: dict[str, Any]) -> str:
    """The figures of `results` in a sentence, each with its 95 % interval."""
    low, high = figures["accuracy_interval"]
    f1_low, f1_high = figures["macro_f1_interval"]
    text = (
        f"{key}: accuracy {figures['accuracy']:.2%} ({100 * low:.1f} to {100 * high:.1f}), macro-F1 "
        f"{100 * figures['macro_f1']:.1f} ({100 * f1_low:.1f} to {100 * f1_high:.1f}), n = {figures['n']:,}; "
        "95 % intervals."
    )
    if rest := figures.get("without_leaks"):
        low, high = rest["accuracy_interval"]
        text += (
            f" Without the {figures['n'] - rest['n']:,} images that also occur in training: "
            f"{rest['accuracy']:.2%} ({100 * low:.1f} to {100 * high:.1f}), n = {rest['n']:,}."
        )
    return text
