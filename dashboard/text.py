"""Numbers and names as people read them, the same on every page. How sentences are written: docs/style.md."""

import re

from fer_core.datasets import READERS
from fer_core.evaluation.intervals import Interval

SPLITS = {"train": "training set", "val": "validation set", "test": "test set"}


def verbatim(text: str) -> str:
    """A text in which Streamlit's Markdown sees nothing to format, such as a path or an error's sentence."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!$|~<>:])", r"\\\1", text)


def percent(share: float) -> str:
    """0.66201 -> “66.2 %”, with a space that does not break."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def interval(bounds: Interval) -> str:
    """A 95 % interval of a share, in per cent: “64.7 to 67.7”."""
    return f"{100 * bounds.low:.1f} to {100 * bounds.high:.1f}"


def estimate(share: float, bounds: Interval, n: int | None = None) -> str:
    """A share with its interval, in bold: “**72.1 %** (95 % CI 70.6 to 73.6, n = 3,589)”; n the first time on a page."""
    size = "" if n is None else f", n = {n:,}"
    return f"**{percent(share)}** (95\N{NO-BREAK SPACE}% CI {interval(bounds)}{size})"


def images(n: int) -> str:
    return f"{n:,} image" + ("s" if n != 1 else "")


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
