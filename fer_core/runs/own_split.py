"""A run's own division of its data set, where it has one (a fold of a cross-validation)."""

from __future__ import annotations

from dataclasses import replace

from fer_core.datasets import Dataset, splits
from fer_core.runs.folder import OWN_SPLIT, RunFolder


def divided(run: RunFolder, dataset: Dataset) -> Dataset:
    """A data set with the split of a run, if the run has its own.

    Raises:
        DataError: the run's split belongs to another set.
    """
    path = run.path / OWN_SPLIT
    return replace(dataset, index=splits.apply(dataset.index, splits.load(path))) if path.exists() else dataset
