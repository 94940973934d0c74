"""Names of data sets and their splits for sentences and labels: “FER2013, validation set” for the key “fer2013-val” of
a predictions table.

The titles of sets are those of their layouts (`READERS`); a set of one's own keeps the name that it was given.
"""

from __future__ import annotations

from collections.abc import Mapping

from fer_core.datasets import READERS
from fer_core.datasets.columns import Column

RELABELLED = "-relabelled"  # after the name of a set: the same with the labels that were corrected by hand
SPLITS = {"train": "training set", "val": "validation set", "test": "test set"}


def dataset_title(name: str) -> str:
    """A data set as tables name it, “fer2013”, by its title, “FER2013”; read in a mode, “ckplus-three”, “CK+ (three)”; with
    corrected labels, “heads-relabelled”, “Rendered heads (corrected labels)”."""
    if (source := name.removesuffix(RELABELLED)) != name:
        return f"{dataset_title(source)} (corrected labels)"
    for _, layout in READERS.items():
        title = layout.title.partition(" (")[0]
        if layout.dataset == name:
            return title
        if layout.dataset and (mode := name.removeprefix(f"{layout.dataset}-")) in layout.modes:
            return f"{title} ({mode})"
    return name


def columns_in_words(name: str) -> Mapping[str, Column]:
    """The words of the columns that the layout of a data set declares, by the name that its tables have, “heads”."""
    return next((layout.columns for _, layout in READERS.items() if layout.dataset == name), {})


def split_title(split: str) -> str:
    """“val” -> “validation set”, “train+val” -> “training and validation set”, “hard” -> “split hard”."""
    *first, last = split.split("+")
    if last not in SPLITS or not all(part in SPLITS for part in first):
        return f"split {split}"
    return " and ".join([*(SPLITS[part].removesuffix(" set") for part in first), SPLITS[last]])


def table_title(key: str) -> str:
    """The key of a predictions table, “fer2013-val”, as a name: “FER2013, validation set”."""
    name, _, split = key.rpartition("-")
    return f"{dataset_title(name)}, {split_title(split)}"


def table_in_words(key: str) -> str:
    """The key of a predictions table, “fer2013-val”, within a sentence: “the FER2013 validation set”."""
    name, _, split = key.rpartition("-")
    if split_title(split).startswith("split "):
        return f"{split_title(split)} of {dataset_title(name)}"
    return f"the {dataset_title(name)} {split_title(split)}"
