"""Leakage: which evaluated images also occur in the training set, so that figures can be given without them.

For FER2013's PublicTest the answer ships with the program (`shipped/fer2013-val-leaks.csv`: row numbers and hashes, no pixels),
so that cards and pages need no images for it. For other sets it is found when the set is at hand. Every network that was
trained on FER2013's Training rows has seen these images.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fer_core.datasets.duplicates import ALIKE, SIMILAR, duplicates_of, leaks
from fer_core.datasets.identity import HASH, fingerprint, known_sets, same_images
from fer_core.datasets.titles import split_title

if TYPE_CHECKING:
    from fer_core.datasets import Dataset

SHIPPED = Path(__file__).with_name("shipped")
SAME_PICTURES = {"ferplus": "fer2013"}  # other labels on the same images


def shipped_leaks(dataset: str, split: str) -> pd.DataFrame | None:
    """The shipped table of a set's split, or None where there is none.

    FER+ uses the table of FER2013, where a twin may be an image that FER+ leaves out of its training set.

    Args:
        dataset: as predictions tables name it; a set of other content has another name.

    Returns:
        `id`, `twin` (its most similar training image), `kind` and `similarity`, as `duplicates.leaks`, and the hashes of
        both, `hash` and `twin_hash`.
    """
    return shipped_table(dataset, split, "leaks")


def shipped_table(dataset: str, split: str, what: str) -> pd.DataFrame | None:
    """“leaks” or “near-twins” of a set's split, as they ship, or None where they do not."""
    name = next((images for labels, images in SAME_PICTURES.items() if dataset.startswith(labels)), dataset)
    path = SHIPPED / f"{name}-{split}-{what}.csv"
    text = dict.fromkeys(("id", "twin", "kind", HASH, "twin_hash"), "str")
    return pd.read_csv(path, dtype=text) if path.exists() else None


def shipped_near_twins(dataset: Dataset, split: str, into: str = "train") -> pd.DataFrame | None:
    """As `near_twins_of` from the shipped table; None where there is none for this set, as it is, and this split."""
    if into != "train" or into not in dataset.splits:
        return None
    if shipped_table(dataset.name, split, "near-twins") is None or not all(
        _is_fer2013s(dataset, part) for part in (split, into)
    ):
        return None
    return shipped_table(dataset.name, split, "near-twins")


def near_twins_of(dataset: Dataset, split: str, into: str = "train") -> pd.DataFrame:
    """The images of a split that look much like one of another, without counting as the same: correlation 0.90 to 0.95.

    Of those of FER2013 most are one photograph, cut or compressed differently, and some are two of one person; networks
    are right on them more often than on others.

    Returns:
        as `leaks_of`, without the images that it names.

    Raises:
        DataError: the set has no such split.
    """
    shipped = shipped_near_twins(dataset, split, into)
    if shipped is not None:
        return shipped
    table = leaks(dataset, duplicates_of(dataset, SIMILAR), split, into)
    same = set(leaks_of(dataset, split, into)["id"])
    return table[(table["similarity"] < ALIKE) & ~table["id"].isin(same)].reset_index(drop=True)


def leaks_of(dataset: Dataset, split: str, into: str = "train") -> pd.DataFrame:
    """As `duplicates.leaks` with the image's `hash`, from the shipped table or else from the set's images.

    Raises:
        DataError: the set has no such split.
    """
    here, there = (dataset.index.iloc[dataset.rows(part)][["split", "id", HASH]] for part in (split, into))
    shipped = shipped_leaks(dataset.name, split)
    if shipped is None or into != "train" or not all(_is_fer2013s(dataset, part) for part in (split, into)):
        found = leaks(dataset, duplicates_of(dataset), split, into)
        return found.assign(**{HASH: here.drop_duplicates("id").set_index("id")[HASH].reindex(found["id"]).to_numpy()})
    mine = same_images(shipped[["id", HASH]], here)
    twins = same_images(shipped[["twin", "twin_hash"]].set_axis(["id", HASH], axis=1), there)
    found = shipped[["id", "twin", "kind", "similarity", HASH]].assign(
        id=here["id"].to_numpy()[mine], twin=there["id"].to_numpy()[twins]
    )
    return found.iloc[np.argsort(mine, kind="stable")].reset_index(drop=True)


def _is_fer2013s(dataset: Dataset, split: str) -> bool:
    """Whether a split holds exactly the images and labels of FER2013's; a run may divide the set in a way of its own."""
    part = dataset.index.iloc[dataset.rows(split)]
    return bool(known_sets()["fer2013"]["fingerprints"].get(split) == fingerprint(part[HASH], part["label"]))


def leak_warning(dataset: Dataset, split: str, into: str = "train") -> str:
    """The warning before a training or an evaluation; “” if no image of `split` is also in `into`.

    Args:
        into: what is learned, a split or several joined by +; “” is the answer too where the set has not all of them.
    """
    parts = into.split("+")
    if split in parts or not {split, *parts} <= set(dataset.splits):
        return ""
    table = leaks_of(dataset, split, into)
    if table.empty:
        return ""
    n, same = len(dataset.rows(split)), int((table["kind"] == "identical").sum())
    return (
        f"{len(table):,} of {n:,} images of the {split_title(split)} ({len(table) / n:.1%}) also occur in the "
        f"{split_title(into)}, {same:,} of them identical: figures on them are too good. The figures are given with and "
        "without them; `ferscope data split` and `ferscope data clean` make a data set without them."
    )
