"""What data sets, splits and predictions tables are called where people read them."""

from __future__ import annotations

from fer_core.datasets import READERS

SPLITS = {"train": "training set", "val": "validation set", "test": "test set"}


def dataset_title(name: str) -> str:
    """A data set as tables name it, “fer2013”, by its title, “FER2013”; a user's own set keeps its name."""
    found = next((reader for _, reader in READERS.items() if reader.dataset == name), None)
    return found.title.partition(" (")[0] if found else name


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
