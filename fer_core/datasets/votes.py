"""Votes of several people for each image, as FER+ collected them for FER2013."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import fer2013
from fer_core.datasets.identity import HASH, fer2013_rows, same_images
from fer_core.errors import DataError
from fer_core.labels import FERPLUS8

# The file's columns, in its order, by the expression each stands for; the last two are no expressions.
VOTES = {
    "neutral": "neutral",
    "happiness": "happy",
    "surprise": "surprise",
    "sadness": "sad",
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "contempt": "contempt",
    "unknown": "unknown",
    "NF": "no face",
}


def read_votes(path: Path) -> pd.DataFrame:
    """The votes, one row for each row of the full fer2013.csv: `split` and one column of counts a choice.

    Raises:
        DataError: a column is missing or a count is no number.
    """
    try:
        table = pd.read_csv(path)
        missing = [name for name in ["Usage", *VOTES] if name not in table.columns]
        if missing:
            raise DataError(f"{path}: the column {', '.join(missing)} is missing; expected FER+'s fer2013new.csv.")
        votes = table[list(VOTES)].astype(np.int64).rename(columns=VOTES)
    except (pd.errors.ParserError, ValueError, OSError) as error:
        raise DataError(f"{path}: the votes cannot be read ({error}); download the file again.") from error
    return votes.assign(split=table["Usage"].map(fer2013.USAGES))


def majority(votes: pd.DataFrame) -> pd.Series:
    """The choice that more than half of the votes agree on after single votes are dropped, or “” where none does."""
    counts = votes[list(VOTES.values())].to_numpy()
    counts = np.where(counts > 1, counts, 0)
    agreed = counts.max(axis=1) * 2 > counts.sum(axis=1)
    names = np.array(list(VOTES.values()), dtype=object)[counts.argmax(axis=1)]
    return pd.Series(np.where(agreed, names, ""), index=votes.index)


def probability(votes: pd.DataFrame) -> NDArray[np.float64]:
    """(n, 10) shares of the choices that count, in the order of `VOTES`; a row of zeros where too few voters agree."""
    return _each(votes, _most_voted)


def multi_target(votes: pd.DataFrame) -> NDArray[np.float64]:
    """(n, 10) shares of the choices with 30 % or more of the votes; a row of zeros where they hold no more than half."""

    def rule(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        taken = np.where(counts >= 0.3 * counts.sum(), counts, 0)
        return taken if taken.sum() > 0.5 * counts.sum() else np.zeros_like(counts)

    return _each(votes, rule)


def _each(votes: pd.DataFrame, rule: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """A rule on each row of votes without single ones, its result scaled to a sum of 1."""
    counts = votes[list(VOTES.values())].to_numpy(dtype=np.float64)
    patterns, where = np.unique(np.where(counts > 1, counts, 0), axis=0, return_inverse=True)  # few rows differ
    shares = np.array([rule(row) for row in patterns])[where.reshape(-1)]
    total = shares.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(shares, total, out=np.zeros_like(shares), where=total > 0))


def _most_voted(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Choices in the order of their votes, ties together, until 75 % of the votes or three choices are reached.

    “Unknown” and “no face” end the list, and count only where they come first.
    """
    rest, taken, number = counts.copy(), np.zeros_like(counts), 0
    ended = False
    while taken.sum() < 0.75 * counts.sum() and number < 3 and not ended:
        for choice in np.flatnonzero(rest == rest.max()).tolist():
            ended = choice >= len(FERPLUS8)
            if ended and taken.any():
                break
            taken[choice], rest[choice] = counts[choice], 0
            number += 1
            if ended:
                break
    agreed = taken.sum() > 0.5 * counts.sum() and number <= 3
    return taken if agreed else np.zeros_like(counts)


CHOICES = tuple(VOTES.values())


SHIPPED_VOTES = Path(__file__).with_name("shipped") / "ferplus-votes.parquet"
IN_ORDER = ("fer2013", "ferplus")  # a set has one of these names only if its content bears it out; see `identity.py`


@cache
def shipped_votes() -> pd.DataFrame:
    """FER+'s votes: `split`, `id` (the row in the original fer2013.csv), `hash` (empty for PrivateTest) and a column a choice.

    Shared, so not to be changed.
    """
    return pd.read_parquet(SHIPPED_VOTES)


def have_votes(images: pd.DataFrame, dataset: str) -> bool:
    """Whether the shipped votes speak of some of a set's or table's images: told by their hashes, else by the set's name."""
    return dataset in IN_ORDER or (HASH in images.columns and bool(images[HASH].isin(fer2013_rows()).any()))


def rows_of_votes(images: pd.DataFrame, dataset: str) -> NDArray[np.int64]:
    """(n,) the row of the shipped votes for each image; -1 where there is none.

    An image gets the votes of its content. Those of PrivateTest, whose content is not shipped, are found by their row, and
    only in a set that is FER2013 in its original order.

    Args:
        images: `id`, and `split` and `hash` where known.
        dataset: the set's name, which only FER2013 itself has.
    """
    votes = shipped_votes()
    if dataset not in IN_ORDER:
        if HASH not in images.columns:
            return np.full(len(images), -1, dtype=np.int64)
        votes = votes[votes[HASH] != ""]  # they are the first rows
    return same_images(images, votes[[name for name in ("split", "id", HASH) if name in images.columns]])
