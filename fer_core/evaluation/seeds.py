"""Variation by seed: networks trained with one recipe, their mean and standard deviation."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from fer_core.checkpoint import Card

FIGURES = ("accuracy", "macro_f1", "balanced_accuracy")


def recipe_of(card: Card) -> str:
    """The training settings of a network without its seed, as text. Equal texts mean repetitions of one training."""
    recipe = {key: value for key, value in card.recipe.items() if key not in ("about", "seed")}
    made = (card.network, card.arguments, card.expressions, card.data, card.train_images, recipe)
    return json.dumps(made, sort_keys=True)


def over_seeds(cards: Mapping[str, Card], figures: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds.

    Args:
        cards: by the network's name.
        figures: one row a network: `name`, `accuracy`, `macro_f1`, `balanced_accuracy`, each in 0..1.

    Returns:
        One row for each recipe that was trained with two or more seeds: `names` (joined by commas), `title` (of the first),
        `seeds` (how many), and for each figure `_mean` and `_sd` (divided by seeds - 1). Networks of one recipe and
        one seed count once, the first of them.
    """
    table = figures[figures["name"].isin(list(cards))].copy()
    table["recipe"] = [recipe_of(cards[name]) for name in table["name"]]
    table["seed"] = [cards[name].seed for name in table["name"]]
    table = table.drop_duplicates(["recipe", "seed"])
    rows = []
    for _, group in table.groupby("recipe", sort=False):
        if len(group) < 2:
            continue
        row: dict[str, object] = {
            "names": ", ".join(group["name"]),
            "title": cards[group["name"].iloc[0]].title,
            "seeds": len(group),
        }
        for figure in FIGURES:
            row[f"{figure}_mean"], row[f"{figure}_sd"] = group[figure].mean(), group[figure].std(ddof=1)
        rows.append(row)
    columns = ["names", "title", "seeds", *(f"{figure}_{end}" for figure in FIGURES for end in ("mean", "sd"))]
    return pd.DataFrame(rows, columns=columns)
