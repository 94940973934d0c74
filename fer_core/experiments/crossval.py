"""Cross-validation: each fold is a run with a split of its own, and every image is predicted by the one network that
has not seen it.

A tenth of the images outside a fold chooses the best epoch, so the fold itself is only used to measure.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pandas as pd

from fer_core.datasets import Dataset, splits
from fer_core.datasets.identity import HASH
from fer_core.errors import ConfigError, DataError, RunError
from fer_core.evaluation.intervals import Interval, wilson
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import evaluate
from fer_core.recipe import TrainConfig
from fer_core.runs.folder import OWN_SPLIT, NamedFolder, RunFolder, RunStatus
from fer_core.runs.own_split import divided
from fer_core.runs.store import taken_back
from fer_core.workspace import home, write_atomically


def fold_tables(
    index: pd.DataFrame, k: int, *, seed: int = 0, pool: tuple[str, ...] = ("train",), group: str | None = None,
    stratified: bool = True,
) -> list[pd.DataFrame]:  # fmt: skip
    """The k splits of a cross-validation: one fold is the test set, a tenth of the others (or one of few persons) the
    validation set, and the rest the training set.

    Args:
        pool: the splits of the set whose images are dealt out; all others are left out.
        group: column whose values stay together; None takes what the set knows (person, film), “” keeps nothing together.
        stratified: balance the expressions over the folds.

    Returns:
        tables as `splits.split_table` makes them, with the images of the pool only.

    Raises:
        DataError: no image in a split of the pool, fewer groups than folds, or no such column.
    """
    if missing := [part for part in pool if not (index["split"] == part).any()]:
        known = ", ".join(index["split"].dropna().unique())
        raise DataError(f"No image is in {', '.join(missing)}; use some of {known}.")
    index = index[index["split"].isin(pool)]
    groups = splits.groups_of(index, group)
    labels = index["label"].to_numpy() if stratified else np.zeros(len(index))
    number = splits.folds(labels, k, seed, groups)
    tables = []
    for fold in range(k):
        rest = number != fold
        part = np.full(len(index), "test", dtype=object)
        together = None if groups is None else groups[rest]
        shares = 10 if together is None else max(2, min(10, len(set(together))))  # few people: a share each
        part[rest] = splits.in_parts(labels[rest], {"train": shares - 1, "val": 1}, seed, together)
        tables.append(
            pd.DataFrame(
                {"id": index["id"], "was": index["split"], "split": part, "fold": number}
                | {name: index[name] for name in (HASH,) if name in index.columns}
            ).reset_index(drop=True)
        )
    return tables


@dataclass(frozen=True)
class Fold:
    """One fold's run, and its network's predictions on the held-out images; None before they exist."""

    number: int
    run: RunFolder
    status: RunStatus
    accuracy: float | None
    n: int

    @property
    def bounds(self) -> Interval | None:
        return wilson(round(self.accuracy * self.n), self.n) if self.accuracy is not None else None


class CrossValidation(NamedFolder):
    """A cross-validation's files: `crossval.json`, and at its end the out-of-fold predictions as one table."""

    KIND, PLACE, LONGEST = "a cross-validation", "crossval", 70  # its runs have longer names

    @classmethod
    def create(
        cls, name: str, config: TrainConfig, dataset: Dataset, data: str, k: int, *, seed: int = 0,
        pool: tuple[str, ...] = ("train",), group: str | None = None, stratified: bool = True, twins_apart: bool = False,
    ) -> CrossValidation:  # fmt: skip
        """Create the runs of all folds without starting them.

        Args:
            twins_apart: deal out images that occur twice one by one; else they are in one fold.

        Raises:
            RunError: the name is taken, or that of a fold's run.
            ConfigError: the recipe names other splits than train and val.
            DataError: see `fold_tables`.
        """
        if (config.train_split, config.val_split) != ("train", "val"):
            raise ConfigError("A cross-validation divides the set itself: leave train_split and val_split as they are.")
        made = cls.named(name)
        index = dataset.index if twins_apart else splits.with_twins(dataset)
        tables = fold_tables(index, k, seed=seed, pool=pool, group=group, stratified=stratified)
        if made.path.exists():
            raise RunError(f"There is already a cross-validation called “{name}”; choose another name.")
        runs: list[RunFolder] = []
        with taken_back(runs):
            for number, table in enumerate(tables, 1):
                runs.append(RunFolder.create(f"{name}-fold-{number}", config, data))
                splits.save(table, runs[-1].path / OWN_SPLIT)
        together = splits.kept_together(index, group)
        told = {"data": data, "folds": k, "pool": pool, "kept_together": together, "stratified": stratified}
        write_atomically(made.path / "crossval.json", json.dumps(told).encode())
        return made

    def told(self) -> dict[str, Any]:
        """The stored settings: data, folds, pool, and the groups that are kept together.

        Raises:
            RunError: there is no such cross-validation.
        """
        try:
            values = json.loads((self.path / "crossval.json").read_text(encoding="utf-8"))
            return dict(values)
        except (FileNotFoundError, ValueError) as error:
            raise RunError(
                f"There is no cross-validation “{self.name}” in {self.path.parent}, or it is damaged."
            ) from error

    @property
    def runs(self) -> list[RunFolder]:
        return [RunFolder.named(f"{self.name}-fold-{number}") for number in range(1, self.told()["folds"] + 1)]

    def folds(self) -> list[Fold]:
        """The folds, read from their run folders."""
        found = []
        for number, run in enumerate(self.runs, 1):
            held = _held_out(run)
            accuracy = float(held.correct.mean()) if held is not None else None
            found.append(Fold(number, run, run.look(), accuracy, len(held.table) if held is not None else 0))
        return found

    def table(self) -> Predictions:
        """The out-of-fold predictions: each image of the pool once, under its split in the set.

        Raises:
            RunError: a fold has not finished.
        """
        parts = []
        for run in self.runs:
            held = _held_out(run)
            if held is None:
                raise RunError(
                    f"The fold “{run.name}” has not finished; continue with `ferscope crossval --resume {self.name}`."
                )
            table = held.table
            was = splits.load(run.path / OWN_SPLIT).query("split == 'test'").set_index("id")["was"]
            parts.append(table.assign(split=was.loc[table["id"]].to_numpy()) if was.index.is_unique else table)
        return Predictions(pd.concat(parts, ignore_index=True))

    def summary(self) -> dict[str, Any]:
        """Accuracy of each fold, their mean and standard deviation (n - 1), and the figures of the whole table.

        Raises:
            RunError: a fold has not finished.
        """
        table = self.table()
        accuracies = [fold.accuracy for fold in self.folds() if fold.accuracy is not None]
        return {
            "folds": [
                {"run": fold.run.name, "accuracy": fold.accuracy, "interval": fold.bounds, "n": fold.n}
                for fold in self.folds()
            ],
            "mean": mean(accuracies),
            "sd": stdev(accuracies),
            "all": evaluate(table).to_json(),
        }

    def finish(self) -> Path:
        """Write the out-of-fold predictions as one table and return its path."""
        table = self.table()
        path = self.path / f"predictions-{table.table['dataset'].iloc[0]}-crossval.parquet"
        table.write(path)
        return path


def finished(dataset: str) -> dict[str, Path]:
    """The out-of-fold tables of a data set's finished cross-validations, by name."""
    found = (home() / "crossval").glob(f"*/predictions-{dataset}-crossval.parquet")
    return {path.parent.name: path for path in sorted(found)}


def train_fold(run: RunFolder, dataset: Dataset, on_step: Callable[[RunStatus], None] | None = None) -> None:
    """Train a fold's run to its end, from its last save where it has one, and predict the images held out.

    Raises:
        Stopped: a stop was asked for; the same call goes on.
    """
    from fer_core.checkpoint import load_network
    from fer_core.evaluation.predict import predict_split
    from fer_core.training.loop import Trainer

    own = divided(run, dataset)
    if run.status().state != "finished":
        for _ in Trainer(run, own, on_step=on_step).epochs():
            pass
    if _held_out(run) is None:
        model, card = load_network(run.path)
        asked = own.without(card.leave_out)
        held = predict_split(model, asked, "test", spec=card.image, expressions=card.vocabulary, tta=card.tta)
        held.write(run.path / f"predictions-{dataset.name}-test.parquet")


def _held_out(run: RunFolder) -> Predictions | None:
    """The predictions on a fold's held-out images, or None. Other tables of the network, of whole test sets, are not
    mistaken for them."""
    if not (run.path / OWN_SPLIT).exists():
        return None
    own = set(splits.load(run.path / OWN_SPLIT).query("split == 'test'")["id"])
    found = (Predictions.read(path) for path in sorted(run.path.glob("predictions-*-test.parquet")))
    return next((predictions for predictions in found if own.issuperset(predictions.table["id"])), None)
