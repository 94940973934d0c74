"""What a card says of a predictions table: all its figures, and those without the pictures that training has seen."""

from __future__ import annotations

from typing import Any

from fer_core.checkpoint import Card
from fer_core.datasets import Dataset
from fer_core.datasets.leaks import leaks_of, without_leaks
from fer_core.evaluation.metrics import evaluate
from fer_core.evaluation.predictions import Predictions

KEPT = ("n", "accuracy", "accuracy_interval", "macro_f1", "macro_f1_interval")


def trained_on(card: Card) -> str:
    """What a network, or any member of an ensemble, was trained on: a split, or several joined by +."""
    parts = [part for recipe in card.recipes for part in recipe.get("train_split", "train").split("+")]
    return "+".join(dict.fromkeys(parts))


def results(predictions: Predictions, dataset: Dataset, split: str, train_split: str = "train") -> dict[str, Any]:
    """The figures as JSON values; `without_leaks` has `KEPT` of the pictures that do not also occur in `train_split` (a
    split, or several joined by +).

    That entry is missing where no picture occurs in both, where nothing would remain, and for the training part itself.
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
