"""Why a figure on the data that chose is a little too high, in full."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fer_core.checkpoint import Card
from fer_core.datasets.titles import SPLITS

NEIGHBOURS = 5  # epochs on each side of the best
TRIED = "some twenty"  # networks and recipes that were compared on FER2013's validation set before five were shipped


@dataclass(frozen=True)
class Optimism:
    """What was chosen on one set of images, and how far the best epoch stands out.

    Attributes:
        epochs: among which the best was chosen.
        above: its accuracy minus the mean of up to ten epochs around it, in -1..1; None where there is none.
    """

    epochs: int
    best: int
    above: float | None


def optimism(card: Card, accuracies: Sequence[float | None]) -> Optimism | None:
    """How far the best epoch stands above its neighbours.

    Neighbouring epochs are almost the same network, so most of the difference is the luck of these images.

    Args:
        accuracies: on the validation set, after each epoch.

    Returns:
        None where nothing was chosen: without a validation set, or a history.
    """
    known = [np.nan if value is None else value for value in accuracies]
    best = card.best_epoch - 1
    if not 0 <= best < len(known) or np.isnan(known[best]):
        return None
    around = np.array(known[max(0, best - NEIGHBOURS) : best] + known[best + 1 : best + 1 + NEIGHBOURS])
    around = around[~np.isnan(around)]
    return Optimism(len(known), card.best_epoch, float(known[best] - around.mean()) if len(around) else None)


def _set_in_words(data: str) -> str:
    """“FER2013 (csv), val (3,589 images)” as “FER2013 validation set”."""
    found = re.match(r"([^,(]+?)(?: \([^)]*\))?, (train|val|test)\b", data)
    return f"{found[1]} {SPLITS[found[2]]}" if found else data


def in_words(card: Card, accuracies: Sequence[float | None], *, shipped: bool = False) -> str:
    """What the validation set chose, in two or three sentences; “” where it chose nothing.

    Args:
        shipped: of a network that comes with the program, whose recipe was chosen on the same images.
    """
    found = optimism(card, accuracies)
    members = "members" in card.recipe
    if found is None and not members:
        return ""
    text = f"The {_set_in_words(card.chosen_on)} chose "
    if found is None:
        text += "the best epoch of each member."
    else:
        text += f"epoch {found.best} of {found.epochs}."
        if found.above is not None:
            text += f" It is {100 * found.above:.1f} points above the mean of the epochs around it."
    if shipped:
        text += f" The recipe was chosen there too, among {TRIED} networks and recipes."
    return f"{text} The figures on these images are therefore a little too high."
