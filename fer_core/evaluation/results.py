"""The figures of a predictions table for a card, with and without the images that also occur in the training set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fer_core.checkpoint import UNKNOWN, Card, read_card, write_card
from fer_core.datasets import Dataset
from fer_core.datasets.identity import HASH
from fer_core.datasets.leaks import leaks_of, shipped_leaks, shipped_near_twins, shipped_table
from fer_core.evaluation.intervals import PERCENT, bounded
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import evaluate

# How answers were obtained, from the weakest to the strongest: learned or fitted on these very images; the best epoch was
# chosen on them; each answered by a vote that was fitted on others; none of this.
OBTAINED = ("in-sample", "selected", "cross-fitted", "held-out")
IN_WORDS = {
    "in-sample": "It was trained or fitted on these images, so the figures are too good.",
    "selected": "The best epoch was chosen on these images, so the figures are a little too good.",
    "cross-fitted": "Each image is answered by a vote that was fitted on others.",
    "held-out": "",
}
KEPT = ("n", "accuracy", "accuracy_interval", "macro_f1", "macro_f1_interval")


def trained_on(card: Card) -> str:
    """What a network, or any member of an ensemble, was trained on: a split, or several joined by +."""
    parts = [part for recipe in card.recipes for part in recipe.get("train_split", "train").split("+")]
    return "+".join(dict.fromkeys(parts))


def obtained(card: Card, dataset: Dataset, split: str) -> str:
    """How a network's predictions on a split are obtained, one of `OBTAINED`, if all images are predicted the same way; “”
    where nobody knows what it was trained on.

    A set belongs to the training if its title holds the first word of what the card was trained on, as those that were
    split or cleaned anew do.
    """
    if card.data == UNKNOWN:
        return ""
    if f"the vote is fitted on {dataset.title}, {split} " in card.chosen_on:  # as `ensemble.combine` says it
        return "in-sample"
    if card.data.split(" ")[0] not in dataset.title:
        return "held-out"
    chosen = {str(recipe.get("val_split", "val")) for recipe in card.recipes}
    if split in trained_on(card).split("+"):
        return "in-sample"
    if card.imported:  # nobody said what chose its epochs
        return ""
    return "selected" if split in chosen else "held-out"


def weaker(how: str, than: str) -> bool:
    """Whether predictions obtained in this way must not replace those. Unknown ways (“”) never prevent it."""
    return how in OBTAINED and than in OBTAINED and OBTAINED.index(how) < OBTAINED.index(than)


def results(
    predictions: Predictions, dataset: Dataset, split: str, train_split: str = "train", how: str = ""
) -> dict[str, Any]:
    """The figures as JSON values; `without_leaks` has `KEPT` of the images that do not also occur in `train_split` (a
    split, or several joined by +).

    `how` the answers were obtained is noted if it is known (one of `OBTAINED`). `near_twins` has `KEPT` of the images that
    only look much like one of training, where that is known without a search.

    The entry `without_leaks` is missing where no image occurs in both, where nothing would remain, and for the training
    part itself.
    """
    figures = evaluate(predictions).to_json() | ({"how": how} if how else {})
    parts = train_split.split("+")
    if split in parts or not set(parts) <= set(dataset.splits):
        return figures
    rest = without_leaks(predictions, leaks_of(dataset, split, into=train_split))
    if 0 < len(rest) < len(predictions):
        figures["without_leaks"] = _kept(rest)
    near = shipped_near_twins(dataset, split, into=train_split)
    alike = predictions.where(predictions.table["id"].isin(set(near["id"]))) if near is not None else None
    if alike is not None and len(alike):
        figures["near_twins"] = _kept(alike)
    return figures


def refresh(folder: Path) -> Card:
    """Compute the figures on a card anew from the predictions tables beside it, and write it.

    Used when the computation of an interval has changed since the card was written. No image is needed. Where a table
    was given without the images of training, it is again, by the shipped list of them.

    Raises:
        CheckpointError, DataError: no card, or a table that cannot be read.
    """
    card, found = read_card(folder), {}
    for key, known in card.results.items():
        predictions = Predictions.read(folder / f"predictions-{key}.parquet")
        figures = known | evaluate(predictions).to_json()
        for old in ("ece_interval", "ece_equal_mass_interval"):  # that chance alone makes large
            figures.pop(old, None)
        dataset, _, split = key.rpartition("-")
        leaked, near = shipped_leaks(dataset, split), shipped_table(dataset, split, "near-twins")
        if "without_leaks" in known and leaked is not None:
            figures["without_leaks"] = _kept(without_leaks(predictions, leaked))
        if near is not None:
            figures["near_twins"] = _kept(predictions.where(predictions.table["id"].isin(set(near["id"]))))
        found[key] = figures
    card = card.model_copy(update={"results": found})
    write_card(folder, card)
    return card


def _kept(predictions: Predictions) -> dict[str, Any]:
    figures = evaluate(predictions).to_json()
    return {key: figures[key] for key in KEPT}


def without_leaks(predictions: Predictions, leaked: pd.DataFrame, *, identical_only: bool = False) -> Predictions:
    """The rows of a predictions table whose images do not also occur in training.

    Args:
        leaked: a table with `id`, `kind` and, where known, `hash`, of the predictions' own set and split.
        identical_only: leave out only pixel-identical images, not their near duplicates.
    """
    rows = leaked[leaked["kind"] == "identical"] if identical_only else leaked
    by = HASH if predictions.has_hashes and HASH in rows.columns else "id"
    return predictions.where(~predictions.table[by].isin(set(rows[by])))


def leaks_in_words(figures: dict[str, Any]) -> str:
    """The accuracy without the images that also occur in training, in a sentence that stands beside every accuracy; “” where
    none does or it is not known.

    Args:
        figures: of a table, as `results` gives them and a card keeps them.
    """
    rest = figures.get("without_leaks")
    if not rest:
        return ""
    low, high = rest["accuracy_interval"]
    return (
        f"{figures['n'] - rest['n']:,} of these {figures['n']:,} images also occur in training. Without them the accuracy is "
        f"{bounded(rest['accuracy'], low, high, PERCENT)}, n = {rest['n']:,}."
    )


def in_words(key: str, figures: dict[str, Any]) -> str:
    """The figures of `results` in a sentence, each with its 95 % interval."""
    low, high = figures["accuracy_interval"]
    f1_low, f1_high = figures["macro_f1_interval"]
    text = (
        f"{key}: accuracy {figures['accuracy']:.2%} ({100 * low:.1f} to {100 * high:.1f}), macro-F1 "
        f"{bounded(figures['macro_f1'], f1_low, f1_high)}, n = {figures['n']:,}; "
        "95 % intervals."
    )
    if leaked := leaks_in_words(figures):
        text += f" {leaked}"
    if near := figures.get("near_twins"):
        text += (
            f" {near['n']:,} more look much like an image of training (correlation 0.90 to 0.95): {near['accuracy']:.1%} of them "
            "are correct."
        )
    if said := IN_WORDS.get(figures.get("how", "")):
        text += f" {said}"
    return text
