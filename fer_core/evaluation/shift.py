"""Why is a network worse on one set than on another? A private set b compared with a benchmark a.

Everything here is a pure function of predictions tables, images or features. Sets are independent samples (no image
is in both), so tests are for two samples; several p-values of one table are adjusted by Holm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fer_core.errors import DataError
from fer_core.evaluation import confusion, metrics
from fer_core.evaluation.comparison import holm
from fer_core.evaluation.intervals import SEED, Interval, independent_interval, interval_of, wilson_bounds
from fer_core.evaluation.metrics import decisions
from fer_core.evaluation.predictions import Predictions
from fer_core.images import quality

PERMUTATIONS = 999
MOST = 600  # images of each set in the permutation test: all their distances are held in memory
OVERALL = "all"


def per_expression(a: Predictions, b: Predictions) -> pd.DataFrame:
    """Recall of each expression on both sets, and whether the gap is significant; the first row is the accuracy.

    Returns:
        `expression` (“all” first), and for a and b `n_`, `recall_`, `low_`, `high_` (Wilson 95 %); `difference` (b minus
        a), `p` (Fisher's exact test, two-sided) and `p_adjusted` (Holm over the expressions; the first row stands
        alone). Expressions are those of either network's vocabulary that occur in a or b.

    Raises:
        DataError: a table has no row.
    """
    from scipy.stats import fisher_exact

    _refuse_empty(a, b)
    names = list(dict.fromkeys(a.expressions.names + b.expressions.names))
    rows = []
    for name in (OVERALL, *names):
        row: dict[str, object] = {"expression": name}
        counts = []
        for key, p in (("a", a), ("b", b)):
            given = np.ones(len(p), bool) if name == OVERALL else (p.table["label"] == name).to_numpy()
            n, hits = int(given.sum()), int(p.correct[given].sum())
            low, high = wilson_bounds(hits, n)
            row |= {f"n_{key}": n, f"recall_{key}": hits / n if n else np.nan}
            row |= {f"low_{key}": float(low), f"high_{key}": float(high)}
            counts.append([hits, n - hits])
        row["p"] = float(fisher_exact(counts)[1]) if min(map(sum, counts)) else np.nan
        rows.append(row)
    table = pd.DataFrame(rows)
    table = table[(table["n_a"] > 0) | (table["n_b"] > 0)].reset_index(drop=True)
    table["difference"] = table["recall_b"] - table["recall_a"]
    table["p_adjusted"] = table["p"]
    tested = table["p"].notna() & (table["expression"] != OVERALL)
    table.loc[tested, "p_adjusted"] = holm(table.loc[tested, "p"])
    return table


@dataclass(frozen=True)
class GapSplit:
    """Accuracy of b minus a, and its two parts, each with a 95 % interval (Newcombe's for the whole, else `interval_of`).

    `prior` is the part due to the different class balance alone, with the recall of each expression as on a; `rest` is
    the part due to different recalls, weighted as on b. They add up to `total`.
    """

    total: float
    total_interval: Interval
    prior: float
    prior_interval: Interval
    rest: float
    rest_interval: Interval


def gap_split(a: Predictions, b: Predictions) -> GapSplit:
    """The gap in accuracy split into label prior and the rest (Oaxaca 1973, Blinder 1973).

    An expression that a does not hold counts as recognised there like the average one.

    Raises:
        DataError: a table has no row.
    """
    _refuse_empty(a, b)
    names = list(dict.fromkeys(a.expressions.names + b.expressions.names))
    return gap_of(_confusion(a, names), _confusion(b, names))


def gap_of(of_a: confusion.Counts, of_b: confusion.Counts) -> GapSplit:
    """As `gap_split`, from the (k, k) confusion matrices of two sets with the same k expressions."""
    both = np.stack([of_a, of_b])
    total, prior, rest = _parts(both[0], both[1]).tolist()
    added = np.stack([metrics.image_prior(one) for one in both])

    def part(which: int) -> Interval:
        return interval_of(
            lambda stack: _parts(stack[:, 0], stack[:, 1])[:, which], both, added, ends=(-1, 1), samples=2
        )

    right = [int(np.trace(one)) for one in both]
    whole = independent_interval(right[0], int(of_a.sum()), right[1], int(of_b.sum()))
    return GapSplit(total, whole, prior, part(1), rest, part(2))


def _confusion(p: Predictions, names: Sequence[str]) -> confusion.Counts:
    order = pd.Index(names)
    label, predicted = (
        order.get_indexer(pd.Index(values)).astype(np.int64) for values in (p.table["label"], p.predicted)
    )
    return confusion.count_pairs(label, predicted, len(names))


def _parts(of_a: Any, of_b: Any) -> NDArray[np.float64]:
    """(..., 3) total, prior and rest of (..., k, k) confusion matrices."""
    share_a, share_b = (confusion.support(m) / m.sum(axis=(-2, -1))[..., None] for m in (of_a, of_b))
    accuracy_a, accuracy_b = decisions.accuracy(of_a), decisions.accuracy(of_b)
    recall_a = np.where(confusion.support(of_a) > 0, confusion.recall(of_a), accuracy_a[..., None])
    prior = ((share_b - share_a) * recall_a).sum(axis=-1)
    total = accuracy_b - accuracy_a
    return np.stack([total, prior, total - prior], axis=-1)


@dataclass(frozen=True, eq=False)
class Balance:
    """Class balance of two sets: `table` has `expression`, `n_a`, `share_a`, `n_b`, `share_b`; `distance` is the total
    variation, the share of b's labels that would have to change, 0..1; `p` is of the chi-squared test."""

    table: pd.DataFrame
    distance: float
    p: float


def class_balance(labels_a: Sequence[str], labels_b: Sequence[str], names: Sequence[str]) -> Balance:
    """Do the two sets have the same class balance?

    Raises:
        DataError: a set is empty.
    """
    from scipy.stats import chi2_contingency

    counts = np.array([[list(labels).count(name) for name in names] for labels in (labels_a, labels_b)])
    if not counts.sum(axis=1).all():
        raise DataError("A set without labelled images has no class balance; choose sets with labelled images.")
    shares = counts / counts.sum(axis=1, keepdims=True)
    present = counts[:, counts.sum(axis=0) > 0]
    p = float(chi2_contingency(present).pvalue) if present.shape[1] > 1 else 1.0
    table = pd.DataFrame({"expression": list(names)})
    for key, n, share in zip("ab", counts, shares, strict=True):
        table[f"n_{key}"], table[f"share_{key}"] = n, share
    return Balance(table, float(np.abs(shares[0] - shares[1]).sum() / 2), p)


def picture_statistics(pictures: Iterable[NDArray[np.uint8]]) -> pd.DataFrame:
    """`brightness`, `contrast` (grey, 0..255) and `sharpness` of images (n, H, W) or (n, H, W, 3), a row each."""
    return pd.DataFrame(
        [(quality.brightness(one), quality.contrast(one), quality.sharpness(one)) for one in pictures],
        columns=["brightness", "contrast", "sharpness"],
    )


def differences(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The differences of two sets' figures, one row per column that both tables have.

    Returns:
        `statistic`, `median_a`, `median_b`, `effect` (Cliff's delta: how much more often an image of b has the larger
        value than one of a than the smaller, -1..1; 0 is no shift), `p` (Mann and Whitney), `p_adjusted` (Holm).

    Raises:
        DataError: a table is empty.
    """
    from scipy.stats import mannwhitneyu

    if not len(a) or not len(b):
        raise DataError("There is no image to compare; choose sets that hold some.")
    rows = []
    for name in (str(column) for column in a.columns if column in b.columns):
        left, right = a[name].dropna().to_numpy(float), b[name].dropna().to_numpy(float)
        if not len(left) or not len(right):
            continue
        test = mannwhitneyu(right, left, alternative="two-sided")
        effect = 2 * float(test.statistic) / (len(left) * len(right)) - 1
        rows.append((name, np.median(left), np.median(right), effect, float(test.pvalue)))
    table = pd.DataFrame(rows, columns=["statistic", "median_a", "median_b", "effect", "p"])
    table["p_adjusted"] = holm(table["p"])
    return table


@dataclass(frozen=True)
class Distance:
    """Energy distance of two samples in feature space, and how often a random division of them has one as large.

    `expected` is the mean over those divisions, what chance alone gives for samples of this size.
    """

    value: float
    expected: float
    p: float
    n_a: int
    n_b: int


def feature_distance(
    a: ArrayLike,
    b: ArrayLike,
    labels_a: Sequence[str] | None = None,
    labels_b: Sequence[str] | None = None,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = SEED,
) -> Distance:
    """Are two samples of features from one distribution? Energy distance with a permutation test (Székely and Rizzo
    2013, J. Stat. Plan. Inference 143, 1249): 2 E|X-Y| - E|X-X'| - E|Y-Y'|, 0 only for equal distributions.

    With labels each expression is compared with itself, and the distances are averaged with b's shares: a different
    class balance alone is then no distance. Expressions that only one set holds are left out.

    Args:
        a, b: (n, f), (m, f); of more than `MOST` rows a random choice.
        permutations: the smallest p is 1 / (permutations + 1).

    Raises:
        DataError: nothing to compare.
    """
    random = np.random.default_rng(seed)
    parts = [np.asarray(part, dtype=np.float32) for part in (a, b)]
    kept = [np.sort(random.permutation(len(part))[:MOST]) for part in parts]
    labels: list[NDArray[np.object_]] = [
        np.array(given, dtype=object)[rows] if given is not None else np.full(len(rows), "", dtype=object)
        for given, rows in zip((labels_a, labels_b), kept, strict=True)
    ]
    shared = set(labels[0]) & set(labels[1])
    if not shared:
        raise DataError("The two sets share no expression with images, so no distance can be measured.")
    chosen = [np.isin(names, list(shared)) for names in labels]
    labels = [names[mask] for names, mask in zip(labels, chosen, strict=True)]
    features = np.concatenate([part[rows][mask] for part, rows, mask in zip(parts, kept, chosen, strict=True)])
    n_a, n_b = (len(names) for names in labels)
    everyone = np.concatenate(labels)
    squares = (features**2).sum(axis=1, dtype=np.float64)
    inner = features.astype(np.float64) @ features.T
    apart = np.sqrt(np.clip(squares[:, None] + squares[None] - 2 * inner, 0, None))
    apart[everyone[:, None] != everyone[None]] = 0
    weights = np.zeros((permutations + 1, n_a + n_b))
    for name in shared:
        members = np.flatnonzero(everyone == name)
        of_a = int((members < n_a).sum())
        of_b = len(members) - of_a
        own = np.concatenate([np.full(of_a, 1 / of_a), np.full(of_b, -1 / of_b)]) * np.sqrt(of_b / n_b)
        weights[0, members] = own
        weights[1:, members] = random.permuted(np.tile(own, (permutations, 1)), axis=1)
    single = weights.astype(np.float32)
    values = -np.einsum("ij,ij->i", single @ apart.astype(np.float32), single, dtype=np.float64)
    slack = 1e-5 * float(apart.mean())  # equal divisions may differ by rounding
    p = float((values[1:] >= values[0] - slack).sum() + 1) / (permutations + 1)
    return Distance(float(values[0]), float(values[1:].mean()), p, n_a, n_b)


def shifts(balance: Balance, pictures: pd.DataFrame | None, seen: Distance | None) -> pd.DataFrame:
    """All tests of whether two sets differ, with one correction over them.

    Args:
        balance: as `class_balance` gives it; images: as `differences`; seen: as `feature_distance` with labels.

    Returns:
        `what` (“class balance”, a statistic of the images, “what the network sees”), `p` and `p_adjusted` (Holm over all
        rows): two sets that are alike differ in any row at 0.05 with a chance of at most 5 %.
    """
    rows = [("class balance", balance.p)]
    if pictures is not None:
        rows += list(zip(pictures["statistic"], pictures["p"], strict=True))
    if seen is not None:
        rows.append(("what the network sees", seen.p))
    table = pd.DataFrame(rows, columns=["what", "p"])
    return table.assign(p_adjusted=holm(table["p"]))


def nearest(features: ArrayLike, reference: ArrayLike, k: int = 3) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `k` nearest rows of `reference` (m, f) for each of `features` (n, f): positions and distances, (n, k) each."""
    from sklearn.neighbors import NearestNeighbors

    table = np.asarray(reference, dtype=np.float32)
    near = NearestNeighbors(n_neighbors=min(k, len(table))).fit(table)
    distances, rows = near.kneighbors(np.asarray(features, dtype=np.float32))
    return rows.astype(np.int64), distances.astype(np.float64)


def relit(pictures: NDArray[np.uint8], mean: float, deviation: float) -> NDArray[np.uint8]:
    """Images (n, H, W[, 3]), each adjusted to this mean and standard deviation of grey, within 0..255."""
    values = pictures.astype(np.float32)
    axes = tuple(range(1, values.ndim))
    centre = values.mean(axis=axes, keepdims=True)
    spread = np.maximum(values.std(axis=axes, keepdims=True), 1.0)
    lit: NDArray[np.float32] = (values - centre) / spread * deviation + mean
    return np.clip(lit, 0, 255).round().astype(np.uint8)


def _refuse_empty(a: Predictions, b: Predictions) -> None:
    if not len(a) or not len(b):
        raise DataError(f"There is nothing to compare: {len(a):,} benchmark and {len(b):,} private images.")
