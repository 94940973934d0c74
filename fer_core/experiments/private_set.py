"""A private set (a folder or zip of class folders) beside a benchmark: the accuracy of networks on both, and why it
differs.

`private_faces.py` reads the photos; what is here compares.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import Dataset, Skipped, name_of, open_dataset
from fer_core.datasets import known as known_sets
from fer_core.datasets.class_folders import members
from fer_core.datasets.heads import HEADS
from fer_core.errors import DataError
from fer_core.evaluation import shift
from fer_core.evaluation.comparison import ALPHA, holm, mcnemar_exact, p_in_words
from fer_core.evaluation.confusion import confusion_matrix
from fer_core.evaluation.intervals import SEED
from fer_core.evaluation.predictions import Predictions
from fer_core.experiments.private_faces import Gathered, gather
from fer_core.images import ImageSpec, fit
from fer_core.models.logits import penultimate, predict_logits
from fer_core.serving.predictor import LoadedNetwork as Network

NAME = "private"  # the data set's name in the predictions tables
MOST_ERRORS = 12  # that are shown with their nearest training faces
MOST_TRAINING = 4000  # training faces among which the nearest are looked for: a random choice of more
AS_CHOSEN = "as chosen"


@dataclass(frozen=True, eq=False)
class Reference:
    """A benchmark's images for one network, if this machine has them.

    Attributes:
        pictures: (n, H, W[, 3]) uint8 of the benchmark's split; `labels` their expressions; `size` their native size.
        training, training_labels: at most `MOST_TRAINING` of the same set's training split, for nearest faces.
    """

    pictures: NDArray[np.uint8]
    labels: tuple[str, ...]
    size: int
    training: NDArray[np.uint8]
    training_labels: tuple[str, ...]


def reference(dataset: Dataset, split: str, spec: ImageSpec) -> Reference:
    """A benchmark's images from an open data set.

    Raises:
        DataError: it has no such split.
    """
    images = dataset.images(spec)
    rows = dataset.rows(split)
    train = dataset.rows("train") if "train" in dataset.splits else rows[:0]
    labels = dataset.index["label"]
    random = np.random.default_rng(SEED)
    train = np.sort(random.permutation(train)[:MOST_TRAINING])
    return Reference(
        images[rows],
        tuple(labels.iloc[rows]),
        max(dataset.picture(int(rows[0])).shape[:2]),
        images[train],
        tuple(labels.iloc[train]),
    )


def known_reference(key: str, spec: ImageSpec) -> Reference | None:
    """The images behind a predictions table, if a data set of this machine has its name; None otherwise.

    Args:
        key: “<data set>-<split>”.
    """
    dataset, _, split = key.rpartition("-")
    for name in (HEADS, *known_sets.known()):
        try:
            if dataset in (name, name_of(name)):
                return reference(open_dataset(name, on_bad="skip"), split, spec)
        except DataError:  # moved away, or no such split: as good as not there
            continue
    return None


@dataclass(frozen=True)
class Error:
    """A wrong prediction on a private face, and its nearest training faces in feature space."""

    id: str
    label: str
    predicted: str
    picture: NDArray[np.uint8]
    nearest: tuple[tuple[str, NDArray[np.uint8]], ...]  # label and image


@dataclass(frozen=True, eq=False)
class PrivateSetReport:
    """A network on a private set beside its benchmark.

    Attributes:
        per_expression, gap: see `shift`. `variants`: one row a change, with `accuracy`, `difference`, `p` (McNemar), `n`.
        balance: class balance; `differences`, `distance`, `distance_within`: of the images, None without them.
    """

    network: str
    benchmark_name: str
    benchmark: Predictions
    private: Predictions
    per_expression: pd.DataFrame
    gap: shift.GapSplit
    balance: shift.Balance
    variants: pd.DataFrame
    faces: pd.DataFrame
    skipped: tuple[Skipped, ...]
    confusion: tuple[NDArray[np.int64], NDArray[np.int64]]
    differences: pd.DataFrame | None = None
    distance: shift.Distance | None = None
    distance_within: shift.Distance | None = None
    errors: tuple[Error, ...] = ()

    @property
    def shifts(self) -> pd.DataFrame:
        """Every test of whether the sets differ, corrected together: `shift.shifts`."""
        return shift.shifts(self.balance, self.differences, self.distance_within)

    @property
    def shifted(self) -> list[str]:
        """The significant differences between the private set and the benchmark (false positive rate 5 %)."""
        table = self.shifts
        return [str(what) for what in table.loc[table["p_adjusted"] <= ALPHA, "what"]]

    @property
    def framing(self) -> pd.DataFrame:
        """The rows of `variants` whose crop gives more correct answers than chance would, best first.

        `p_adjusted`: by Holm over all crops.
        """
        crops = self.variants[self.variants["change"].str.startswith("crop")]
        crops = crops.assign(p_adjusted=holm(crops["p"]))
        helped = crops[(crops["difference"] > 0) & (crops["p_adjusted"] <= ALPHA)]
        return helped.sort_values("difference", ascending=False)

    def sentence(self) -> str:
        """Accuracy on both sets with 95 % intervals, and whether the gap is significant."""
        row = self.per_expression.iloc[0]

        def share(end: str) -> str:
            return f"{100 * row[f'recall_{end}']:.1f}\N{NO-BREAK SPACE}%"

        def bounds(end: str) -> str:
            low, high = 100 * row[f"low_{end}"], 100 * row[f"high_{end}"]
            return f"{low:.1f} to {high:.1f}, n = {int(row[f'n_{end}']):,}"

        chance = "is more than chance" if row["p"] <= 0.05 else "may be chance"
        return (
            f"{self.network} recognises {share('b')} of the private set ({bounds('b')}) and {share('a')} of "
            f"{self.benchmark_name} ({bounds('a')}); the gap of {100 * row['difference']:+.1f} points {chance} "
            f"({p_in_words(row['p'])})."
        )

    def to_json(self) -> dict[str, Any]:
        """The figures in JSON's types; images are left out, NaN is None."""

        def records(table: pd.DataFrame | None) -> list[dict[Hashable, Any]] | None:
            return None if table is None else table.astype(object).where(table.notna(), None).to_dict("records")

        return {
            "benchmark": self.benchmark_name,
            "n": len(self.private),
            "per_expression": records(self.per_expression),
            "gap": {key: list(v) if isinstance(v, tuple) else v for key, v in vars(self.gap).items()},
            "balance": {"distance": self.balance.distance, "p": self.balance.p},
            "differences": records(self.differences),
            "distance": self.distance and vars(self.distance),
            "distance_within": self.distance_within and vars(self.distance_within),
            "variants": records(self.variants),
            "shifts": records(self.shifts),
            "shifted": self.shifted,
            "expressions": {"benchmark": self.benchmark.expressions.names, "private": self.private.expressions.names},
            "confusion": {"benchmark": self.confusion[0].tolist(), "private": self.confusion[1].tolist()},
            "skipped": [{"id": bad.id, "reason": bad.reason} for bad in self.skipped],
        }


def compare(
    network: Network, gathered: Gathered, benchmark: Predictions, benchmark_name: str, known: Reference | None
) -> Iterator[str | PrivateSetReport]:
    """Accuracy on both sets, and why it differs.

    Args:
        known: the benchmark's images; without them accuracy, gap, balance and crops are compared, images are not.

    Yields:
        the current step in words, and at last the report.

    Raises:
        DataError: no image of the private set has an expression that the network knows.
    """
    names = network.card.expressions
    usable = gathered.faces["label"].isin(names).to_numpy()
    faces = gathered.faces[usable].reset_index(drop=True)
    skipped = [
        Skipped(str(row.id), f"the network does not know “{row.label}”")
        for row in gathered.faces[~usable].itertuples(index=False)
    ]
    if faces.empty:
        raise DataError(f"{network.card.name} knows none of the private set's expressions; choose another network.")

    def predicted(pictures: NDArray[np.uint8], rows: NDArray[np.int64]) -> Predictions:
        logits = predict_logits(network.model, pictures, network.card.image, tta=network.card.tta)
        ids, labels = faces["id"].iloc[rows].tolist(), faces["label"].iloc[rows].tolist()
        return Predictions.from_logits(ids, NAME, "test", labels, logits, network.card.vocabulary)

    chosen = gathered.pictures[usable]
    place = np.cumsum(usable) - 1  # of a face among the usable ones
    kept_again = usable[gathered.again]
    some = place[gathered.again[kept_again]]
    yield f"Predicting {len(chosen):,} faces"
    private = predicted(chosen, np.arange(len(chosen)))
    changed = {name: kept[kept_again] for name, kept in gathered.variants.items()}
    if chosen.ndim == 4:
        grey = network.card.image.model_copy(update={"channels": 1, "preparation": None})
        changed["made grey first"] = np.stack([np.repeat(fit(one, grey)[..., None], 3, axis=2) for one in chosen[some]])
    found: dict[str, Any] = {}
    if known is not None:
        yield "Measuring light, contrast and sharpness"
        here, there = shift.picture_statistics(chosen), shift.picture_statistics(known.pictures)
        here["face size"], there["face size"] = faces["size"], known.size
        found["differences"] = shift.differences(there, here)
        lit = there[["brightness", "contrast"]].median()
        changed["light: brightness and contrast as the benchmark's"] = shift.relit(
            chosen[some], float(lit["brightness"]), float(lit["contrast"])
        )
        yield "Measuring the distance of what the network sees"
        random = np.random.default_rng(SEED)
        others = np.sort(random.permutation(len(known.pictures))[: shift.MOST])
        spec, labels = network.card.image, faces["label"].to_numpy()
        features = penultimate(network.model, chosen[some], spec)
        of_benchmark = penultimate(network.model, known.pictures[others], spec)
        known_labels = np.array(known.labels, dtype=object)[others].tolist()
        found["distance"] = shift.feature_distance(of_benchmark, features)
        found["distance_within"] = shift.feature_distance(of_benchmark, features, known_labels, labels[some].tolist())
        yield "Looking for the training faces nearest to the errors"
        found["errors"] = _errors(network, private, chosen, known)
    balance = shift.class_balance(benchmark.table["label"].tolist(), faces["label"].tolist(), names)
    if known is not None:  # one correction over all that is said to differ
        told = shift.shifts(balance, found["differences"], found["distance_within"]).set_index("what")["p_adjusted"]
        found["differences"]["p_adjusted"] = found["differences"]["statistic"].map(told)
    again = private.where(np.isin(np.arange(len(private)), some))
    base = float(again.correct.mean())
    variants = [(AS_CHOSEN, base, 0.0, np.nan, len(some))]
    for name, kept in changed.items():
        yield f"Again, {name}"
        other = predicted(kept, some)
        accuracy = float(other.correct.mean())
        variants.append((name, accuracy, accuracy - base, mcnemar_exact(again, other).p, len(some)))
    yield PrivateSetReport(
        network=network.card.name,
        benchmark_name=benchmark_name,
        benchmark=benchmark,
        private=private,
        per_expression=shift.per_expression(benchmark, private),
        gap=shift.gap_split(benchmark, private),
        balance=balance,
        variants=pd.DataFrame(variants, columns=["change", "accuracy", "difference", "p", "n"]),
        faces=faces,
        skipped=(*gathered.skipped, *skipped),
        confusion=(confusion_matrix(benchmark), confusion_matrix(private)),
        **found,
    )


def compare_networks(
    place: Path,
    mapping: Mapping[str, str | None],
    networks: Mapping[str, tuple[Network, Predictions]],
    key: str,
    detector: str,
    total: int,
    *,
    with_pictures: bool = True,
) -> Iterator[int | str | list[PrivateSetReport]]:
    """A private set beside one benchmark for several networks; its photos are read and searched once.

    Args:
        place: a zip or folder of class folders.
        mapping: as `decided` gives it.
        networks: by name, each with its predictions table of the benchmark.
        key: the benchmark, “<data set>-<split>”.
        total: how many images there are, as `words` counts them.
        with_pictures: look at the benchmark's own images, if this machine has them.

    Yields:
        how many images have been read, then what is done in words, and at last the reports, one a network.

    Raises:
        DataError: as `members`, `gather` and `compare`.
    """
    gathered: list[Gathered] = []
    for step in gather(members(place), mapping, [network for network, _ in networks.values()], detector, total):
        if isinstance(step, int):
            yield step
        else:
            gathered = step
    dataset, _, split = key.rpartition("-")
    reports = []
    for (name, (network, table)), one in zip(networks.items(), gathered, strict=True):
        yield f"Comparing {name} with {dataset}, {split}"
        known = known_reference(key, network.card.image) if with_pictures else None
        for said in compare(network, one, table, f"{dataset}, {split}", known):
            if isinstance(said, str):
                yield f"{name}: {said}"
            else:
                reports.append(said)
    yield reports


def _errors(network: Network, private: Predictions, pictures: NDArray[np.uint8], known: Reference) -> tuple[Error, ...]:
    """The most confident errors, each with its three nearest training faces."""
    wrong = np.flatnonzero(~private.correct)
    wrong = wrong[np.argsort(-private.confidence[wrong], kind="stable")][:MOST_ERRORS]
    if not len(wrong) or not len(known.training):
        return ()
    own, training = (penultimate(network.model, p, network.card.image) for p in (pictures[wrong], known.training))
    near, _ = shift.nearest(own, training)
    return tuple(
        Error(
            str(private.table["id"].iloc[row]),
            str(private.table["label"].iloc[row]),
            str(private.predicted[row]),
            pictures[row],
            tuple((known.training_labels[i], np.array(known.training[i])) for i in rows),
        )
        for row, rows in zip(wrong, near, strict=True)
    )
