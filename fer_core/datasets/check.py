"""Checks of a data set in figures and sentences: duplicates, contradicting labels, blank images, and copies across splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from fer_core.datasets import Dataset, cleaning
from fer_core.datasets.copies import moved_copies, named_copies
from fer_core.datasets.duplicates import across, contradicting, duplicates_of, leaks
from fer_core.datasets.leaks import leaks_of, near_twins_of
from fer_core.datasets.titles import split_title
from fer_core.images import ImageSpec


@dataclass(frozen=True, eq=False)
class Check:
    """What is wrong with a data set.

    Attributes:
        identical: groups of identical images; `groups` with near and mirrored ones, `contradicting` of the identical
            ones those with different labels.
        blank: number of blank images.
        leaks: of each split but the training set: images that are also in the training set, `identical` and `all`.
        across: groups by the splits that they touch, see `duplicates.across`.
    """

    title: str
    splits: dict[str, int]
    n: int
    identical: int
    groups: int
    contradicting: int
    blank: int
    leaks: dict[str, dict[str, int]]
    across: pd.DataFrame

    def sentences(self) -> Iterator[str]:
        """The findings in words, the leaks of each split in a sentence of its own."""
        yield (
            f"{self.title}: {self.n:,} images; {self.identical:,} groups of identical images, {self.contradicting:,} of them "
            f"with different labels; {self.groups:,} groups including near and mirrored duplicates; {self.blank:,} blank images."
        )
        for split, count in self.leaks.items():
            yield (
                f"{count['all']:,} images of the {split_title(split)} ({count['all'] / self.splits[split]:.1%}) also occur in "
                f"the training set, {count['identical']:,} of them identical: figures on them are too good."
            )

    def to_json(self) -> dict[str, Any]:
        """The figures in JSON's types."""
        return {
            "pictures": self.n, "identical_groups": self.identical, "groups": self.groups,
            "contradicting_groups": self.contradicting, "blank": self.blank, "leaks": self.leaks,
        }  # fmt: skip


def check(dataset: Dataset) -> Check:
    """Look for duplicates, contradicting labels and blank images."""
    found = duplicates_of(dataset)
    identical = found.of_kind("identical")
    others = [split for split in dataset.splits if split != "train" and "train" in dataset.splits]
    leaked = {split: leaks(dataset, found, split) for split in others}
    return Check(
        dataset.title,
        dataset.splits,
        len(dataset),
        identical.groups,
        found.groups,
        int(contradicting(dataset.index, identical)["group"].nunique()),
        int(cleaning.blank(dataset.images(ImageSpec())).sum()),
        {
            split: {"identical": int((table["kind"] == "identical").sum()), "all": len(table)}
            for split, table in leaked.items()
        },
        across(dataset, found) if found.groups else pd.DataFrame(),
    )


@dataclass(frozen=True, eq=False)
class Copies:
    """The images of a split that also occur in another split.

    Attributes:
        leaks: identical and mirrored images and, if they were looked for (`turned`), rotated and shifted ones.
    """

    dataset: Dataset
    split: str
    into: str
    turned: bool
    leaks: pd.DataFrame

    @cached_property
    def alike(self) -> pd.DataFrame:
        """Images that are only similar, see `leaks.near_twins_of`."""
        return near_twins_of(self.dataset, self.split, self.into)

    @cached_property
    def named(self) -> pd.DataFrame:
        """Images that are copies by their file names, see `copies.named_copies`."""
        return named_copies(self.dataset, self.split, self.into)

    def sentences(self) -> Iterator[str]:
        """The findings in words, and what was not looked for."""
        split, into = split_title(self.split), split_title(self.into)
        counts = ", ".join(f"{n:,} {kind}" for kind, n in self.leaks["kind"].value_counts().items()) or "none"
        n = self.dataset.splits[self.split]
        yield f"{len(self.leaks):,} of {n:,} images of the {split} also occur in the {into}: {counts}."
        if len(self.alike):
            yield (
                f"{len(self.alike):,} more resemble an image of the {into} (correlation 0.90 to 0.95): many are the same "
                "photograph, cropped or compressed differently."
            )
        if len(self.named):
            first = self.named.iloc[0]
            yield (
                f"{len(self.named):,} are named like an augmented copy of an image of the {into}, such as {first['id']} and "
                f"{first['twin']}: split the set before you augment it."
            )
        yield (
            "These include copies rotated by up to 15 degrees or shifted by some pixels. Larger changes are not found."
            if self.turned
            else "Copies that are rotated, or shifted by more than a pixel or two, are not found; --turned finds them."
        )


def copies_between(dataset: Dataset, split: str, into: str, *, turned: bool = False) -> Copies:
    """Look for copies of one split's images in another; `turned`: rotated and shifted ones too, which takes minutes.

    Raises:
        DataError: there is no such split.
    """
    table = leaks_of(dataset, split, into)
    if turned:
        moved = moved_copies(dataset, split, into)
        table = pd.concat([table, moved[~moved["id"].isin(set(table["id"]))]], ignore_index=True)
    return Copies(dataset, split, into, turned, table)
