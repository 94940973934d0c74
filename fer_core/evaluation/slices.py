"""Are some kinds of images harder? Slices of a split by brightness, contrast, sharpness or any column of the data set.

A slice with harder expressions has a lower accuracy for that reason alone. So each is compared with the accuracy that
its mix of labels explains, and tested within the labels (Cochran 1954, Mantel and Haenszel 1959); p-values are adjusted
by Holm for all slices that were tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import Dataset
from fer_core.datasets.columns import Column, column
from fer_core.datasets.identity import HASH
from fer_core.datasets.titles import columns_in_words
from fer_core.errors import DataError
from fer_core.evaluation.comparison import holm
from fer_core.evaluation.gallery import positions
from fer_core.evaluation.intervals import wilson_bounds
from fer_core.evaluation.predictions import Predictions

MIN_SUPPORT = 50  # images in a slice, and outside it
LEAST_SUPPORT = 20  # below it the test's normal approximation fails
BINS = 5  # equally filled parts of a number's range
MOST_VALUES = 30  # of a column that is no number; a column of names has a slice for each image
NOT_SLICED = frozenset({"id", "split", "label", "file", "left", "top", HASH})


def columns_of(dataset: Dataset, predictions: Predictions, *, acted: bool = False) -> pd.DataFrame:
    """(n rows) the data set's information on each image besides its label: person, source, face size and so on.

    Columns of votes are left out, because they are labels too. Images that are no longer in the set get no values.

    Args:
        acted: also columns that say how the expression is shown, such as the actions of a rendered face. There are so many
            of them that the correction for them all hides what the other columns would show.
    """
    place, said = positions(dataset, predictions.table), columns_in_words(dataset.name)
    names = [
        name
        for name in dataset.index.columns
        if name not in NOT_SLICED
        and not str(name).startswith("votes_")
        and (acted or not column(str(name), said).acted)
    ]
    found = dataset.index[names].iloc[np.maximum(place, 0)].reset_index(drop=True)
    return found.mask(pd.Series(place < 0))


@dataclass(frozen=True, eq=False)
class Slices:
    """All tested slices, the one furthest below its expected accuracy first.

    Attributes:
        table: one row a slice: `slice` (in words), `key` (its columns and values as the index has them, which links hold;
            it stays when the words change), `columns` (how many conditions), `n`, `accuracy` with `low`, `high`
            (Wilson 95 %), `expected` (accuracy that its mix of labels would give), `difference` (accuracy less
            expected), `p` and `p_adjusted` (Holm over all rows).
        members: (slices, n) bool, the images of each slice, in the order of the predictions table.
    """

    table: pd.DataFrame
    members: NDArray[np.bool_]


def find(
    predictions: Predictions,
    columns: pd.DataFrame,
    *,
    min_support: int = MIN_SUPPORT,
    bins: int = BINS,
    crossed: bool = False,
    said: Mapping[str, Column] | None = None,
) -> Slices:
    """Test every slice with enough images inside and outside it.

    Args:
        columns: a row for each of the table's, in its order. A number with more than `bins` values is cut into parts
            with about as many images each; of any other column each value is a slice. Empty values belong to none.
        min_support: at least 20.
        crossed: also every pair of conditions on two columns.
        said: the words of columns, by name; see `titles.columns_in_words`.

    Raises:
        DataError: the columns have another number of rows, or `min_support` is too small.
    """
    if len(columns) != len(predictions):
        raise DataError(f"Found {len(columns):,} rows of columns for {len(predictions):,} images; expected one each.")
    if min_support < LEAST_SUPPORT:
        raise DataError(f"A slice needs {LEAST_SUPPORT} images or more for its test to hold; found {min_support}.")
    single = [
        (str(name), condition)
        for name in columns
        for condition in _conditions(str(name), columns[name], bins, column(str(name), said or {}))
    ]
    tried = [condition for _, condition in single]
    if crossed:
        tried += [one & other for (a, one), (b, other) in combinations(single, 2) if a != b]
    n = len(predictions)
    tried = [one for one in tried if min_support <= int(one.mask.sum()) <= n - min_support]
    members = np.array([one.mask for one in tried], dtype=bool).reshape(len(tried), n)
    table = pd.DataFrame([(one.words, one.key, one.columns) for one in tried], columns=["slice", "key", "columns"])
    table["n"] = members.sum(axis=1)
    hits = (members & predictions.correct).sum(axis=1)
    table["accuracy"] = hits / np.maximum(table["n"], 1)
    table["low"], table["high"] = wilson_bounds(hits, table["n"])
    expected, p = _within_labels(members, predictions)
    table["expected"] = expected / np.maximum(table["n"], 1)
    table["difference"] = table["accuracy"] - table["expected"]
    table["p"] = p
    table["p_adjusted"] = holm(table["p"])
    order = np.argsort(table["difference"].to_numpy(), kind="stable")
    return Slices(table.iloc[order].reset_index(drop=True), members[order])


class _Condition(NamedTuple):
    """What the images of a slice have in common: in words, as the index has it, on how many columns, and which they are."""

    words: str
    key: str
    columns: int
    mask: NDArray[np.bool_]

    def __and__(self, other: _Condition) -> _Condition:
        return _Condition(
            f"{self.words}, {other.words}",
            f"{self.key}, {other.key}",
            self.columns + other.columns,
            self.mask & other.mask,
        )


def _conditions(name: str, values: pd.Series, bins: int, said: Column) -> list[_Condition]:
    """The conditions on one column."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.nunique() > bins:
        numbers = values.to_numpy(float)
        part = pd.qcut(values, bins, labels=False, duplicates="drop")
        found, below = [], None
        every = sorted(part.dropna().unique())
        for number in every:
            mask = (part == number).to_numpy()
            low, high = numbers[mask].min(), numbers[mask].max()
            words = said.of_range(below, low, high, last=number == every[-1])
            found.append(_Condition(words, f"{name} {low:.3g} to {high:.3g}", 1, mask))
            below = high
        return found
    counts = values.dropna().astype("str").value_counts()
    if len(counts) > MOST_VALUES:
        counts = counts.head(MOST_VALUES)
    text = values.astype("str").where(values.notna())
    return [
        _Condition(said.of_value(value), f"{name} {value}", 1, (text == value).to_numpy()) for value in counts.index
    ]


def _within_labels(
    members: NDArray[np.bool_], predictions: Predictions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(slices,) hits that each slice's labels would give, and p-values of the Cochran-Mantel-Haenszel test.

    Within each label the hits of a slice are hypergeometric if the slice does not matter; the sums over labels of hits,
    expectations and variances give a chi-square of one degree, without a correction for continuity.
    """
    from scipy.stats import chi2

    labels = np.eye(len(predictions.expressions))[predictions.label_index]  # (n, k)
    inside = members.astype(np.float64)
    of_label = labels.sum(axis=0)  # (k,) images of a label
    right = labels[predictions.correct].sum(axis=0)  # (k,) of which right
    in_slice = inside @ labels  # (m, k)
    hits = inside @ (labels * predictions.correct[:, None])
    total = np.maximum(of_label, 1)
    expected = in_slice * right / total
    variance = in_slice * (of_label - in_slice) * right * (of_label - right) / (total**2 * np.maximum(of_label - 1, 1))
    spread = variance.sum(axis=1)
    distance = (hits.sum(axis=1) - expected.sum(axis=1)) ** 2
    square = np.divide(distance, spread, out=np.zeros(len(members)), where=spread > 0)
    return expected.sum(axis=1), np.asarray(chi2.sf(square, 1))
