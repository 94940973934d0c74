"""Folds and splits that balance the classes and keep each person (or film) on one side.

`folds` gives each fold its share of every class and never divides a group (a person, a film). A split is saved by each
image's id and hash (`save`, `load`), so it does not change with the program, a library, or the order of files or rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fer_core.datasets import SPLITS, Dataset
from fer_core.datasets.identity import HASH, same_images
from fer_core.errors import DataError
from fer_core.workspace import write_atomically

# What images may share so that a network which has seen one has seen the other; the first that a set knows is taken.
GROUPS = ("person", "film", "photo", "sequence")
TWINS = "twins"  # the column that `with_twins` adds
COLUMNS = ["id", "was", "split", "fold"]
HOW = ("official", "parts", "kfold", "carve", "female-to-male")


def folds(labels: ArrayLike, k: int, seed: int = 0, groups: ArrayLike | None = None) -> NDArray[np.int64]:
    """Divide images into k folds, balanced by class, without dividing any group.

    Args:
        labels: n names of expressions.
        k: number of folds, 2 or more.
        groups: n names; None lets every image stand for itself.

    Returns:
        (n,) fold of each image, 0..k-1. The largest groups are dealt first, each to the fold where its classes are
        scarcest, of equal folds to the smallest; equal seeds give equal folds.

    Raises:
        DataError: fewer groups (or images) than folds.
    """
    codes, names = pd.factorize(np.asarray(labels, dtype=object), sort=True)
    group, kinds = (np.arange(len(codes)), len(codes)) if groups is None else _numbered(groups)
    if k < 2 or kinds < k:
        what = "images" if groups is None else "groups"
        raise DataError(f"{k} folds of {kinds:,} {what}: expected 2 folds or more, and a {what.rstrip('s')} for each.")
    held = np.zeros((kinds, len(names)))
    np.add.at(held, (group, codes), 1)
    order = np.random.default_rng(seed).permutation(kinds)
    order = order[np.lexsort((held[order].argmax(axis=1), -held[order].sum(axis=1)))]
    scale = 1 / held.sum(axis=0) ** 2
    filled = np.zeros((k, len(names)))
    total = np.zeros(k)
    fold = np.empty(kinds, np.int64)
    for number in order:
        # the sum of squares of the folds' shares of each class grows least where the group's classes are scarcest
        cost = filled @ (held[number] * scale) + 1e-9 * total / len(codes)
        best = int(cost.argmin())
        fold[number] = best
        filled[best] += held[number]
        total[best] += held[number].sum()
    return fold[group]


def _numbered(groups: ArrayLike) -> tuple[NDArray[np.int64], int]:
    codes, names = pd.factorize(np.asarray(groups, dtype=object))
    if (codes < 0).any():
        raise DataError(
            f"{int((codes < 0).sum()):,} images have no value in the column of groups; complete it, or split without it."
        )
    return codes.astype(np.int64), len(names)


def in_parts(
    labels: ArrayLike, parts: Mapping[str, int], seed: int = 0, groups: ArrayLike | None = None
) -> NDArray[np.object_]:
    """(n,) the part of each image; {"train": 8, "val": 1, "test": 1} is 80:10:10 by class, groups kept whole."""
    names = np.repeat(np.array(list(parts), dtype=object), list(parts.values()))
    return np.asarray(names[folds(labels, len(names), seed, groups)], dtype=object)


def groups_of(index: pd.DataFrame, column: str | None = None) -> NDArray[np.object_] | None:
    """(n,) the group of each image, which must not be divided; None where the set has no groups.

    Images that `with_twins` says are the same stay together in any case.

    Args:
        column: one column; None takes the first of `GROUPS` that is known of an image, “” none. An image of which
            nothing is known stands for itself; people of two sets (`source`) are different people.

    Raises:
        DataError: the set has no such column.
    """
    if column and column not in index.columns:
        raise DataError(f"The set has no column “{column}”; it has {', '.join(index.columns)}.")
    columns = [column] if column else [name for name in GROUPS if name in index.columns]
    twins = index[TWINS].notna().any() if TWINS in index.columns else False
    if (column == "" or not columns) and not twins:
        return None
    source = index["source"] if "source" in index.columns else pd.Series("", index=index.index)
    alone = pd.Series([f"image {number}" for number in range(len(index))], index=index.index, dtype="object")
    for name in reversed(columns if column != "" else []):
        alone = (name + " " + source + " " + index[name].astype("str")).where(index[name].notna(), alone)
    return _united(alone, index[TWINS]) if twins else alone.to_numpy(dtype=object)


def _united(groups: pd.Series, twins: pd.Series) -> NDArray[np.object_]:
    """(n,) groups that hold whoever shares a group or a twin, directly or through others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(groups)
    group, names = pd.factorize(groups)
    paired = np.flatnonzero(twins.notna())
    again, kinds = pd.factorize(twins.iloc[paired])
    first, second = np.r_[np.arange(n), paired], np.r_[n + group, n + len(names) + again]
    size = n + len(names) + len(kinds)
    _, together = connected_components(coo_array((np.ones(len(first), bool), (first, second)), (size, size)), False)
    return np.asarray(together[:n], dtype=object)


def with_twins(dataset: Dataset) -> pd.DataFrame:
    """The set's index with `twins`, the number of the group of equal, near or mirrored images that each belongs to.

    A split keeps each group on one side, so that no evaluated image is in the training set. Missing for an image that
    occurs once.
    """
    from fer_core.datasets.duplicates import duplicates_of

    group = pd.Series(duplicates_of(dataset).group, index=dataset.index.index).astype("Int64")
    return dataset.index.assign(**{TWINS: group.mask(group < 0)})


def kept_together(index: pd.DataFrame, column: str | None = None) -> str:
    """In words what a split of the set keeps together: “person”, “person, film, twins”, or “” for nothing."""
    columns = [*([column] if column is not None else GROUPS), TWINS]
    return ", ".join(name for name in columns if name in index.columns and index[name].notna().any())


def split_table(
    index: pd.DataFrame,
    how: str = "parts",
    *,
    parts: Mapping[str, int] | None = None,
    k: int = 5,
    fold: int = 0,
    seed: int = 0,
    group: str | None = None,
) -> pd.DataFrame:
    """A new split of a set.

    Args:
        index: of the set; `person`, `film`, `photo` or `sequence` are kept whole where it has one of them.
        how: “official” (as it is), “parts” (all images, 80:10:10), “carve” (a tenth of the training set becomes
            the validation set), “kfold” (fold number `fold` of k is the test set, a tenth of the rest the validation
            set), “female-to-male” (KDEF, as `nit`: women are the training set, a seventh of them the validation set, men
            the test set).
        parts: other shares, such as {"train": 7, "val": 1, "test": 2}, for “parts” and “carve”.
        group: another column that is to be kept whole; “” splits image by image.

    Returns:
        one row an image in the order of the index: `id`, `was` (its split before), `split`, `fold` for “kfold”, and `hash`
        where the index knows it.

    Raises:
        DataError: no such way or column, too few groups, or a set that does not know what is asked.
    """
    if how not in HOW:
        raise DataError(f"There is no way to split called “{how}”; known: {', '.join(HOW)}.")
    groups = groups_of(index, group)
    table = pd.DataFrame({"id": index["id"], "was": index["split"], "split": index["split"], "fold": 0})
    if HASH in index.columns:
        table[HASH] = index[HASH]
    labels = index["label"].to_numpy()

    labelled = index["label"].notna().to_numpy()

    def deal(rows: NDArray[np.int64], shares: Mapping[str, int]) -> None:
        rows = rows[labelled[rows]]  # images without a label stay where they are
        together = None if groups is None else groups[rows]
        table.loc[table.index[rows], "split"] = in_parts(labels[rows], shares, seed, together)

    if how == "parts":
        deal(np.arange(len(index)), parts or {"train": 8, "val": 1, "test": 1})
    elif how == "carve":
        if (index["split"] == "val").any():
            raise DataError("The set has a validation set already; split it by “parts” or “kfold” instead.")
        deal(np.flatnonzero(index["split"] == "train"), parts or {"train": 9, "val": 1})
    elif how == "kfold":
        if not labelled.all():
            raise DataError(f"{int((~labelled).sum()):,} images have no label; folds need one for every image.")
        number = folds(labels, k, seed, groups)
        if not 0 <= fold < k:
            raise DataError(f"There is no fold {fold}; the {k} folds are 0 to {k - 1}.")
        table["fold"], table["split"] = number, "test"
        deal(np.flatnonzero(number != fold), {"train": 9, "val": 1})
    elif how == "female-to-male":
        if "sex" not in index.columns:
            raise DataError("“female-to-male” needs a set that knows the sex of its people, as KDEF does.")
        table["split"] = "test"
        deal(np.flatnonzero(index["sex"] == "F"), {"train": 6, "val": 1})
    return table


def save(table: pd.DataFrame, path: Path) -> None:
    """Write a split as csv, by image."""
    columns = [*COLUMNS, *([HASH] if HASH in table.columns else [])]
    write_atomically(path, table[columns].to_csv(index=False).encode())


def load(path: Path) -> pd.DataFrame:
    """Read a split.

    Raises:
        DataError: the file is missing or is not a split.
    """
    try:
        table = pd.read_csv(path, dtype={"id": "str", "was": "str", "split": "str", HASH: "str"})
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: the split cannot be read ({error}); make it again with `ferscope data split`."
        ) from error
    if missing := [name for name in COLUMNS[:3] if name not in table.columns]:
        raise DataError(f"{path}: the column {', '.join(missing)} is missing; expected {', '.join(COLUMNS)}.")
    if not table["split"].isin(SPLITS).all():
        raise DataError(f"{path}: a split is none of {', '.join(SPLITS)}.")
    return table


def apply(index: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A set's index with the splits of a saved table; images that the table does not hold get none (None).

    Images are joined by their content where table and index know it, else by id and former split.

    Raises:
        DataError: none of the images is in the table: it belongs to another set.
    """
    columns = [name for name in ("id", HASH) if name in table.columns]
    place = same_images(index.drop(columns="label", errors="ignore"), table[columns].assign(split=table["was"]))
    if not (place >= 0).any():
        raise DataError("None of the set's images is in the saved split; it belongs to another set or an older copy.")
    split = np.full(len(index), None, dtype=object)
    split[place >= 0] = table["split"].to_numpy(dtype=object)[place[place >= 0]]
    return index.assign(split=split)
