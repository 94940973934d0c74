"""Is network B better than A? Paired tests on the images that both have predicted.

Networks are compared on the images (data set, split, id) to which their predictions tables give the same label; every
result includes their number. Expressions are matched by name, so networks with different vocabularies can be compared.
Differences are B minus A: above 0 B is better.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations, pairwise
from string import ascii_lowercase
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fer_core.datasets.identity import HASH
from fer_core.errors import DataError
from fer_core.evaluation import confusion
from fer_core.evaluation.confusion import Counts, Figures
from fer_core.evaluation.error_consistency import ErrorConsistency, of_counts
from fer_core.evaluation.intervals import (
    FEW,
    LEVEL,
    Interval,
    bounded,
    interval_of,
    paired_bounds,
    paired_interval,
    wilson,
)
from fer_core.evaluation.metrics import METRICS, decisions
from fer_core.evaluation.predictions import KEY, Predictions, image_keys
from fer_core.evaluation.report import headline

ALPHA = 0.05  # adjusted p-values at or below it count as a difference


def shared_images(networks: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Each network's rows for the images that all of them have with the same label, in the first one's order.

    Raises:
        DataError: there is no such image.
    """
    keys = dict(zip(networks, image_keys(*networks.values()), strict=True))
    first = next(iter(keys.values()))
    if len(first) and all(first.equals(other) for other in keys.values()):
        return dict(networks)  # the usual case; fifty tables then cost no join
    indices = {name: pd.MultiIndex.from_frame(frame) for name, frame in keys.items()}
    common = reduce(lambda left, right: left[left.isin(right)], indices.values())
    if not len(common):
        sizes = ", ".join(f"{name} has {len(p)}" for name, p in networks.items())
        raise DataError(
            f"These tables share no image with the same label ({sizes}); "
            "evaluate the networks on the same data set and split."
        )
    return {name: Predictions(p.table.iloc[indices[name].get_indexer(common)]) for name, p in networks.items()}


def _pair(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    shared = shared_images({"A": a, "B": b})
    return shared["A"], shared["B"]


def _answers(a: Predictions, b: Predictions) -> tuple[tuple[str, ...], Counts]:
    """The expressions of both, and (k, k, k) counts of (label, predicted by A, predicted by B) for aligned tables."""
    names = tuple(dict.fromkeys(a.expressions.names + b.expressions.names))
    k = len(names)
    place_a, place_b = (np.array([names.index(name) for name in p.expressions.names]) for p in (a, b))
    label, of_a, of_b = place_a[a.label_index], place_a[a.predicted_index], place_b[b.predicted_index]
    return names, np.bincount((label * k + of_a) * k + of_b, minlength=k**3).reshape(k, k, k)


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test: of `n` shared images, `only_a` are right in A alone and `only_b` in B alone."""

    n: int
    only_a: int
    only_b: int
    p: float


def _exact_p(only_a: ArrayLike, only_b: ArrayLike) -> Figures:
    """Two-sided binomial test of equal chances, elementwise: twice the smaller tail, at most 1."""
    from scipy.special import bdtr  # the binomial's distribution function; pages that do not test need no scipy

    left, right = np.asarray(only_a, dtype=np.int64), np.asarray(only_b, dtype=np.int64)
    return np.asarray(np.minimum(1.0, 2 * bdtr(np.minimum(left, right), left + right, 0.5)))


def mcnemar_exact(a: Predictions, b: Predictions) -> McNemar:
    """Do two networks differ in how many images they recognise (McNemar 1947, with the exact binomial tail)?

    Raises:
        DataError: no shared image.
    """
    a, b = _pair(a, b)
    only_a, only_b = int((a.correct & ~b.correct).sum()), int((b.correct & ~a.correct).sum())
    return McNemar(len(a), only_a, only_b, float(_exact_p(only_a, only_b)))


def holm(pvalues: ArrayLike) -> Figures:
    """P-values (m,) adjusted for m tests (Holm 1979), in 0..1: read each as if it were the only one."""
    p = np.asarray(pvalues, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


@dataclass(frozen=True, eq=False)
class Difference:
    """B minus A on `n` shared images; where an interval holds 0, no difference is shown.

    Accuracy and recall have Tango's interval, macro-F1 the one that its own two
    intervals give. `recall` has one row for each expression
    that occurs: `expression`, `support`, `a`, `b` (recall of each network), `difference`, `low`, `high` (NaN below `FEW`
    images), `p` (exact McNemar on the images with this label), `p_adjusted` (Holm over these rows).
    """

    n: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    recall: pd.DataFrame


def paired_difference(a: Predictions, b: Predictions, level: float = LEVEL) -> Difference:
    """How much better B is than A, on the images that both have predicted.

    Images are counted by (label, predicted by A, predicted by B). These counts keep the two answers to an image together,
    and their margins are the two confusion matrices.

    Raises:
        DataError: no shared image.
    """
    return difference_of(*_answers(*_pair(a, b)), level)


def difference_of(names: Sequence[str], counts: Counts, level: float = LEVEL) -> Difference:
    """As `paired_difference`, from (k, k, k) counts of (label, predicted by A, predicted by B) of these k expressions."""
    n = int(counts.sum())
    of_a, of_b = counts.sum(axis=2), counts.sum(axis=1)
    right_in_both = np.einsum("iii->i", counts)
    only_a, only_b = np.einsum("iij->i", counts) - right_in_both, np.einsum("iji->i", counts) - right_in_both
    given = counts.sum(axis=(1, 2))
    recall = pd.DataFrame({"expression": names, "support": given})
    recall["a"], recall["b"] = confusion.recall(of_a), confusion.recall(of_b)
    recall["difference"] = recall["b"] - recall["a"]
    recall["low"], recall["high"] = np.where(given >= FEW, paired_bounds(only_a, only_b, given, level), np.nan)
    recall["p"] = _exact_p(only_a, only_b)
    recall = recall[recall["support"] > 0].reset_index(drop=True)
    recall["p_adjusted"] = holm(recall["p"])

    return Difference(
        n=n,
        accuracy=float((only_b.sum() - only_a.sum()) / n),
        accuracy_interval=paired_interval(int(only_a.sum()), int(only_b.sum()), n, level),
        macro_f1=float(decisions.macro_f1(of_b) - decisions.macro_f1(of_a)),
        macro_f1_interval=_macro_f1_interval(counts, level),
        recall=recall,
    )


def _macro_f1_interval(counts: Counts, level: float) -> Interval:
    """Of macro-F1 of B minus A, put together from the intervals of both and how far they move together (method of variance
    estimates recovery for a difference, Zou and Donner 2008, Statistics in Medicine 27, 1693, equation 6)."""
    of_a, of_b = counts.sum(axis=2), counts.sum(axis=1)
    metric = METRICS["macro_f1"]
    a, b = float(metric.of(of_a)), float(metric.of(of_b))
    (low_a, high_a), (low_b, high_b) = (
        interval_of(metric.of, one, metric.prior(one), ends=(metric.low, metric.high), level=level)
        for one in (of_a, of_b)
    )
    together = _correlation(counts + _discordant_prior(counts))

    def reach(one: float, other: float) -> float:
        return float(np.sqrt(max(0.0, one**2 + other**2 - 2 * together * one * other)))

    return Interval(max(-1.0, b - a - reach(b - low_b, high_a - a)), min(1.0, b - a + reach(high_b - b, a - low_a)))


def _correlation(smooth: Figures) -> float:
    """Of the macro-F1 of A and of B over samples of such (k, k, k) counts, by the delta method."""
    slopes = []
    for axis in (2, 1):
        of = smooth.sum(axis=axis)
        cells = of.size
        changed = np.repeat(of[None], cells, axis=0)
        changed.reshape(cells, cells)[np.arange(cells), np.arange(cells)] += 1e-4
        slope = ((decisions.macro_f1(changed) - decisions.macro_f1(of)) / 1e-4).reshape(of.shape)
        slopes.append(np.broadcast_to(np.expand_dims(slope, axis), smooth.shape))
    one, two = (slope - (smooth * slope).sum() / smooth.sum() for slope in slopes)
    spread = float(np.sqrt((smooth * one**2).sum() * (smooth * two**2).sum()))
    return float((smooth * one * two).sum()) / spread if spread > 0 else 0.0


def _discordant_prior(counts: Counts) -> Figures:
    """(k, k, k) what `_correlation` is given in addition to the answers of two networks: one image that they answer
    differently, half of it
    right in A and half in B, spread as the labels and the predictions are."""
    k = len(counts)
    labels = counts.sum(axis=(1, 2)) / counts.sum()
    others = (1 - np.eye(k)) * (counts.sum(axis=(0, 1)) + counts.sum(axis=(0, 2)) + 1)
    others = others / others.sum(axis=1, keepdims=True)
    prior, each = np.zeros((k, k, k)), np.arange(k)
    prior[each, each, :] += labels[:, None] * others / 2
    prior[each, :, each] += labels[:, None] * others / 2
    return prior


def cell_differences(a: Predictions, b: Predictions) -> pd.DataFrame:
    """The difference of two networks' confusion matrices, cell by cell.

    Returns:
        One row a cell: `label`, `predicted`, `a` and `b` (images of each network), `difference`, `p` (exact McNemar on
        the images that only one of them puts there), `p_adjusted` (Holm over the cells that anything was put in).

    Raises:
        DataError: no shared image.
    """
    names, counts = _answers(*_pair(a, b))
    of_a, of_b = counts.sum(axis=2), counts.sum(axis=1)
    both = np.diagonal(counts, axis1=1, axis2=2)
    table = pd.DataFrame(
        {
            "label": np.repeat(names, len(names)),
            "predicted": np.tile(names, len(names)),
            "a": of_a.ravel(),
            "b": of_b.ravel(),
            "difference": (of_b - of_a).ravel(),
            "p": _exact_p(of_a - both, of_b - both).ravel(),
        }
    )
    tried = (table["a"] + table["b"]) > 0
    table["p_adjusted"] = 1.0
    table.loc[tried, "p_adjusted"] = holm(table.loc[tried, "p"])
    return table


def changed(a: Predictions, b: Predictions) -> pd.DataFrame:
    """The shared images that B fixes or breaks.

    Returns:
        `dataset`, `split`, `id`, `label`, `predicted_a`, `predicted_b`, `confidence_a`, `confidence_b`, `change`
        (“fixed”: wrong in A and right in B, or “broken”), in A's order.

    Raises:
        DataError: no shared image.
    """
    a, b = _pair(a, b)
    table = a.table[[*KEY, "label", *([HASH] if a.has_hashes else [])]].assign(
        predicted_a=a.predicted,
        predicted_b=b.predicted,
        confidence_a=a.confidence,
        confidence_b=b.confidence,
        change=np.where(b.correct, "fixed", "broken"),
    )
    return table[a.correct ^ b.correct].reset_index(drop=True)


@dataclass(frozen=True)
class Agreement:
    """How often two networks predict the same expression, right or wrong: `share` of `n` images with its Wilson
    interval, and Cohen's `kappa` between them.
    """

    n: int
    share: float
    interval: Interval
    kappa: float


def agreement(a: Predictions, b: Predictions) -> Agreement:
    """How often do two networks agree?

    Raises:
        DataError: no shared image.
    """
    a, b = _pair(a, b)
    together = _answers(a, b)[1].sum(axis=0)  # (k, k) predicted by A, predicted by B
    same = int(together.trace())
    return Agreement(len(a), same / len(a), wilson(same, len(a)), float(decisions.kappa(together)))


def error_consistency(a: Predictions, b: Predictions) -> ErrorConsistency:
    """Are two networks, or people, wrong on the same images?

    Raises:
        DataError: no shared image.
    """
    a, b = _pair(a, b)
    return of_counts(confusion.count_pairs(a.correct.astype(np.int64), b.correct.astype(np.int64), 2))


@dataclass(frozen=True, eq=False)
class Comparison:
    """The full comparison of two networks, A and B, by `compare`.

    `size_a`, `size_b` are the images of each table; `pairs` is how many pairs of networks the p-value of `test` is adjusted for;
    `cells` and `changed` are the tables of `cell_differences` and `changed`.
    """

    size_a: int
    size_b: int
    accuracy_a: float
    accuracy_b: float
    test: McNemar
    difference: Difference
    agreement: Agreement
    consistency: ErrorConsistency
    cells: pd.DataFrame
    changed: pd.DataFrame
    pairs: int = 1

    def among(self, pairs: pd.DataFrame) -> Comparison:
        """The same, with the p-value that it has among several pairs of networks: adjusted for all of them.

        Args:
            pairs: of `all_pairs`; the first row is this pair's, as it is where A and B are the first two networks.
        """
        first = pairs.iloc[0]
        test = McNemar(int(first["n"]), int(first["only_a"]), int(first["only_b"]), float(first["p_adjusted"]))
        return replace(self, test=test, pairs=len(pairs))

    @property
    def better(self) -> str | None:
        """“a” or “b” if the exact test is significant, otherwise None."""
        if self.test.p > ALPHA:
            return None
        return "b" if self.test.only_b > self.test.only_a else "a"

    def sentence(self, a: str, b: str) -> str:
        """The result in one sentence, with the names of the networks."""
        first, second, sign = (b, a, 1) if self.difference.accuracy >= 0 else (a, b, -1)
        low, high = sorted(sign * end for end in self.difference.accuracy_interval)
        points = bounded(abs(self.difference.accuracy), low, high, " points")
        images = f"on the same {self.test.n:,} images ({p_in_words(self.test.p)})"
        if self.better:
            return f"{first} is better than {second}: its accuracy is {points} higher {images}."
        return f"{first} and {second} are not significantly different: they differ by {points} {images}."

    def to_json(self) -> dict[str, Any]:
        """The comparison in JSON's types; differences are B minus A, intervals [low, high], null where there is none."""
        recall = self.difference.recall
        return {
            "n": self.test.n,
            "n_a": self.size_a,
            "n_b": self.size_b,
            "accuracy_a": self.accuracy_a,
            "accuracy_b": self.accuracy_b,
            "better": self.better,
            "only_a": self.test.only_a,
            "only_b": self.test.only_b,
            "p": self.test.p,
            "accuracy_difference": self.difference.accuracy,
            "accuracy_difference_interval": list(self.difference.accuracy_interval),
            "macro_f1_difference": self.difference.macro_f1,
            "macro_f1_difference_interval": list(self.difference.macro_f1_interval),
            "agreement": self.agreement.share,
            "agreement_interval": list(self.agreement.interval),
            "kappa": self.agreement.kappa,
            "error_consistency": None if np.isnan(self.consistency.kappa) else self.consistency.kappa,
            "error_consistency_interval": [None if np.isnan(end) else end for end in self.consistency.interval],
            "recall": recall.astype(object).where(recall.notna(), None).to_dict("records"),
            "cells": self.cells.to_dict("records"),
        }


def p_value(p: float) -> str:
    """“0.032”, or “< 0.001”; nothing where there was nothing to test (NaN)."""
    return "" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_in_words(p: float) -> str:
    """“p = 0.032”, or “p < 0.001”."""
    return f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"


def compare(a: Predictions, b: Predictions) -> Comparison:
    """Is B better than A, by how much, and where?

    Raises:
        DataError: no shared image.
    """
    sizes = len(a), len(b)
    a, b = _pair(a, b)
    return Comparison(
        *sizes,
        accuracy_a=float(a.correct.mean()),
        accuracy_b=float(b.correct.mean()),
        test=mcnemar_exact(a, b),
        difference=paired_difference(a, b),
        agreement=agreement(a, b),
        consistency=error_consistency(a, b),
        cells=cell_differences(a, b),
        changed=changed(a, b),
    )


def all_pairs(networks: Mapping[str, Predictions]) -> pd.DataFrame:
    """McNemar's exact test of every pair, on the images that all networks share.

    Returns:
        One row a pair: `a`, `b` (names), `n`, `only_a`, `only_b`, `difference` (accuracy of b minus a), `p`,
        `p_adjusted` (Holm over all pairs).

    Raises:
        DataError: no shared image.
    """
    shared = shared_images(networks)
    correct = np.stack([p.correct for p in shared.values()]).astype(np.float64)
    only = (correct @ (1 - correct).T).astype(np.int64)  # (m, m) images right in the row's network alone
    rows, columns = np.array(list(combinations(range(len(shared)), 2)), dtype=np.int64).reshape(-1, 2).T
    n, names = correct.shape[1], np.array(list(shared), dtype=object)
    table = pd.DataFrame({"a": names[rows], "b": names[columns], "n": n})
    table["only_a"], table["only_b"] = only[rows, columns], only[columns, rows]
    table["difference"] = (table["only_b"] - table["only_a"]) / n
    table["p"] = _exact_p(table["only_a"], table["only_b"])
    table["p_adjusted"] = holm(table["p"])
    return table


def leaderboard(networks: Mapping[str, Predictions]) -> pd.DataFrame:
    """Networks from best to worst, with the letters of a compact display.

    Two networks share a letter exactly where they do not differ significantly (their `p_adjusted` of `all_pairs` is above
    0.05); see `letters`.

    Returns:
        One row a network: `name`, `n` (images shared by all), `accuracy`, `macro_f1`, `balanced_accuracy`, each with
        `_low` and `_high` (95 %), `letters` (such as “ab”; “a” is the best's), `p_best` and `p_above` (of the difference
        from the best and from the row above, Holm over all pairs; 1 for the first).

    Raises:
        DataError: no shared image.
    """
    shared = shared_images(networks)
    rows = []
    for name, predictions in shared.items():
        known = headline(predictions)
        row: dict[str, object] = {"name": name, "n": known.n}
        for figure in ("accuracy", "macro_f1", "balanced_accuracy"):
            row[figure] = getattr(known, figure)
            row[f"{figure}_low"], row[f"{figure}_high"] = getattr(known, f"{figure}_interval")
        rows.append(row)
    table = pd.DataFrame(rows).sort_values(["accuracy", "name"], ascending=[False, True], ignore_index=True)
    pairs = all_pairs(shared)
    p = {frozenset(pair): value for *pair, value in zip(pairs["a"], pairs["b"], pairs["p_adjusted"], strict=True)}
    names = list(table["name"])
    table["letters"] = letters(names, {pair for pair, value in p.items() if value <= ALPHA})
    table["p_best"] = [p.get(frozenset((names[0], name)), 1.0) for name in names]
    table["p_above"] = [p.get(frozenset(pair), 1.0) for pair in pairwise([names[0], *names])]
    return table


def letters(names: Sequence[str], differing: Collection[frozenset[str]]) -> list[str]:
    """The letters of a compact display, by insert and absorb (Piepho 2004, J. Comput. Graph. Stat. 13, 456).

    Two names share a letter exactly where their pair is not among the differing ones. A group that holds a differing pair
    is divided into one without the first and one without the second; a group within another is absorbed.

    Args:
        names: from best to worst; the letters follow this order.

    Returns:
        one text a name: “a”, “ab”, “b” ...; after z comes aa, and then a name's letters are separated by spaces.
    """
    place = {name: number for number, name in enumerate(names)}
    groups = [frozenset(names)]
    for first, second in sorted(sorted(pair, key=place.__getitem__) for pair in differing):
        divided = [part for group in groups for part in _without(group, first, second)]
        groups = [group for group in dict.fromkeys(divided) if not any(group < other for other in divided)]
    groups.sort(key=lambda group: sorted(map(place.__getitem__, group)))
    marks = [_letter(number) for number in range(len(groups))]
    between = " " if len(groups) > len(ascii_lowercase) else ""
    return [between.join(mark for mark, group in zip(marks, groups, strict=True) if name in group) for name in names]


def _without(group: frozenset[str], first: str, second: str) -> list[frozenset[str]]:
    return [group - {first}, group - {second}] if {first, second} <= group else [group]


def _letter(number: int) -> str:
    more, last = divmod(number, len(ascii_lowercase))
    return (_letter(more - 1) if more else "") + ascii_lowercase[last]
