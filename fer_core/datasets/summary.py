"""Summaries of a data set: pure functions of its index and images."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import Dataset
from fer_core.datasets.votes import VOTES, majority
from fer_core.images import ImageSpec

UNLABELLED = "no label"


def counts(dataset: Dataset) -> pd.DataFrame:
    """Images of each expression (rows) in each split (columns); images without a label in a last row of their own."""
    index = dataset.index.assign(label=dataset.index["label"].fillna(UNLABELLED))
    rows = [*dataset.expressions.names, *([UNLABELLED] if (index["label"] == UNLABELLED).any() else [])]
    found = pd.crosstab(index["label"], index["split"])
    return found.reindex(index=rows, columns=list(dataset.splits), fill_value=0)


def mean_faces(dataset: Dataset, split: str) -> dict[str, NDArray[np.uint8]]:
    """The mean image of each expression that occurs in a split, (48, 48) grey, in the order of the vocabulary.

    Raises:
        DataError: the set has no such split.
    """
    rows = dataset.rows(split)
    images, labels = dataset.images(ImageSpec()), dataset.index["label"].iloc[rows].to_numpy()
    found = {}
    for name in dataset.expressions.names:
        if len(mine := rows[labels == name]):
            total = sum(
                (images[part].sum(axis=0, dtype=np.float64) for part in np.array_split(mine, -(-len(mine) // 2048))),
                start=np.zeros((48, 48)),
            )
            found[name] = np.rint(total / len(mine)).astype(np.uint8)
    return found


def most_alike(faces: dict[str, NDArray[np.uint8]]) -> tuple[str, str, float] | None:
    """The two expressions whose mean faces are most alike, and their correlation; None where there are fewer than two.

    What all faces have in common, their mean, is taken off first.
    """
    if len(faces) < 3:
        return None
    names = list(faces)
    flat = np.stack([faces[name].ravel().astype(np.float64) for name in names])
    correlation = np.nan_to_num(np.corrcoef(flat - flat.mean(axis=0)))
    np.fill_diagonal(correlation, -2)
    first, second = np.unravel_index(int(correlation.argmax()), correlation.shape)
    return names[int(first)], names[int(second)], float(correlation[first, second])


def differences(faces: dict[str, NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
    """Each mean face minus the mean of all mean faces, in grey levels; every expression counts equally."""
    middle = np.mean([face.astype(np.float32) for face in faces.values()], axis=0)
    return {name: np.asarray(face - middle, dtype=np.float32) for name, face in faces.items()}


def disagreements(index: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """A set's labels beside what people voted for the same images.

    Args:
        index: of the set.
        votes: one row an image of the index, in its order, with one column of counts a choice of FER+; missing values
            where it has no votes.

    Returns:
        one row an image that has votes, in the order of the index: `row` (position), `split`, `id`, `label`, `majority`
        (“none” where the voters have none), `for_label` and `for_majority` (votes) and `voters`.
    """
    choices = list(VOTES.values())
    known = np.flatnonzero(votes[choices].notna().all(axis=1).to_numpy())
    table = index[["split", "id", "label"]].assign(row=np.arange(len(index))).iloc[known].reset_index(drop=True)
    table[choices] = votes[choices].iloc[known].to_numpy(dtype=np.int64)
    counts = table[choices].to_numpy(dtype=np.int64)
    column = pd.Index(choices).get_indexer(pd.Index(table["label"]))
    for_label = np.where(column >= 0, counts[np.arange(len(counts)), column], 0)
    found = table[["row", "split", "id", "label"]].assign(
        majority=majority(table).replace("", "none"),
        for_label=for_label,
        for_majority=counts.max(axis=1, initial=0),
        voters=counts.sum(axis=1),
    )
    return found[found["voters"] > 0].sort_values("row", ignore_index=True)
