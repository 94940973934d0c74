"""A or B? All that is known of two networks, held side by side, and a verdict with its reasons.

The rule is fixed before any figure is read. Accuracy decides, on the images that do not occur in training, by McNemar's exact
test. What else was measured may speak against the network that it names; where accuracy decides nothing, the smaller
network is named. What was not measured is listed, for it may matter more than all of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from math import isnan, sqrt
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from fer_core import __version__
from fer_core.checkpoint import Card, card_stamp, load_network, weights_path
from fer_core.datasets import Dataset
from fer_core.datasets.columns import Column
from fer_core.datasets.leaks import leaks_of, shipped_leaks
from fer_core.datasets.titles import columns_in_words, dataset_title, table_in_words
from fer_core.errors import DataError
from fer_core.evaluation import robustness, slices
from fer_core.evaluation.calibration import calibration_error, with_temperature
from fer_core.evaluation.comparison import ALPHA, compare, holm, p_in_words, shared_images
from fer_core.evaluation.intervals import Interval, percent, wilson
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.results import IN_WORDS, obtained, without_leaks
from fer_core.explanation import region_report
from fer_core.reports.evaluation_report import distinct_titles
from fer_core.reports.html import render
from fer_core.runs.store import Checkpoint
from fer_core.workspace import cache, write_atomically

GROUPS = ("age", "sex", "gender", "ancestry", "ethnicity", "race", "skin")  # columns that say who is in an image
FEW = 100  # images below which a mean of losses is not taken for normally distributed
Favours = Literal["A", "B", "both", "neither", "not tested"]


@dataclass(frozen=True)
class Finding:
    """One line of the comparison: a figure of each network, what differs in words, and whom it favours.

    `p` is that of a paired test, adjusted by Holm over all findings but the first two; None where there is no test.
    """

    topic: str
    a: str
    b: str
    difference: str
    favours: Favours
    p: float | None = None


@dataclass(frozen=True)
class Decision:
    """The verdict on two networks, its reasons, every finding, and what is not known."""

    a: str
    b: str
    data: str
    n: int
    verdict: str
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """One row a finding: `topic`, both networks' figures, `difference`, `favours`, `p`."""
        name = {"A": self.a, "B": self.b, "both": "each in part"}
        return pd.DataFrame(
            {
                "topic": one.topic,
                self.a: one.a,
                self.b: one.b,
                "difference": one.difference,
                "favours": name.get(one.favours, one.favours),
                "p": one.p,
            }
            for one in self.findings
        )

    def html(self) -> str:
        """A page to sign, which needs no server."""
        table = self.table().drop(columns="p")
        return render(
            "decision.html",
            title=f"{self.a} or {self.b}?",
            decision=self,
            rule=RULE,
            header=("Topic", self.a, self.b, "B minus A", "Favours"),
            rows=table.to_numpy().tolist(),
            version=__version__,
            today=f"{datetime.now(UTC):%Y-%m-%d}",
        )


RULE = (
    "The rule is fixed: the network with the significantly higher accuracy on images that do not occur in training is chosen "
    "(McNemar's exact test, 5 %). If there is none, the one that needs less computation is preferred. Other differences are "
    "listed as reasons for or against, with Holm's correction. They do not change the choice."
)


def decide(a: Checkpoint, b: Checkpoint, key: str, dataset: Dataset | None = None) -> Decision:
    """Hold two networks side by side on a predictions table that both have.

    Args:
        key: “<data set>-<split>”.
        dataset: the images, if they are at hand; slices, groups and images that occur twice are looked for there.

    Raises:
        DataError: the tables share no image, or one network is given twice.
        UnknownName: a network has no such table.
    """
    if a.name == b.name:
        raise DataError(f"Found {a.name} twice; expected two different networks.")
    names = distinct_titles([a, b])
    title_a, title_b = names[a.name], names[b.name]
    tables = shared_images({"A": a.predictions(key), "B": b.predictions(key)})
    first, second = tables["A"], tables["B"]
    accuracy, clean, unknown = _accuracies(a, b, first, second, key, dataset)
    findings = [
        accuracy,
        *([clean] if clean else []),
        *_corrected([_recalls(first, second), _losses(a.card, b.card, first, second)]),
        _calibration(a.card, b.card, first, second),
        *_measured(a, b, key, unknown),
        *_within(first, second, dataset, unknown),
        _cost(a, b, unknown),
    ]
    verdict, reasons = _verdict(clean or accuracy, findings, title_a, title_b)
    unknown += _not_known(a, b, key, dataset)
    return Decision(
        title_a, title_b, table_in_words(key), len(first), verdict, reasons, tuple(findings), tuple(unknown)
    )


def _accuracy(topic: str, a: Predictions, b: Predictions) -> Finding:
    found = compare(a, b)
    difference = found.difference
    bounds = difference.accuracy_interval
    favours: Favours = "neither"
    if found.test.p <= ALPHA:
        favours = "B" if difference.accuracy > 0 else "A"
    return Finding(
        topic,
        _estimate(int(a.correct.sum()), len(a)),
        _estimate(int(b.correct.sum()), len(b)),
        f"{100 * difference.accuracy:+.1f} points ({bounds.text()}), n = {len(a):,}, {p_in_words(found.test.p)}",
        favours,
        found.test.p,
    )


def _accuracies(
    a: Checkpoint, b: Checkpoint, first: Predictions, second: Predictions, key: str, dataset: Dataset | None
) -> tuple[Finding, Finding | None, list[str]]:
    """Accuracy on all images, and on those that neither training has seen; and what is not known of the latter."""
    everything = _accuracy("Accuracy", first, second)
    name, _, split = key.rpartition("-")
    if not any(_learned_from(network.card, name) for network in (a, b)):
        return everything, None, []
    leaked = shipped_leaks(name, split)
    if leaked is None and dataset is not None and {"train", split} <= set(dataset.splits) and split != "train":
        leaked = leaks_of(dataset, split)
    if leaked is None:
        return everything, None, [f"Whether images of {table_in_words(key)} also occur in training."]
    rest = [without_leaks(table, leaked) for table in (first, second)]
    if not 0 < len(rest[0]) < len(first):
        return everything, None, []
    gone = len(first) - len(rest[0])
    return everything, _accuracy(f"Accuracy without the {gone:,} images that also occur in training", *rest), []


def _learned_from(card: Card, name: str) -> bool:
    return card.data.split(" ")[0] == dataset_title(name).split(" ")[0]


def _recalls(a: Predictions, b: Predictions) -> Finding:
    table = compare(a, b).difference.recall
    told = table[table["p_adjusted"] <= ALPHA]
    better = {bool(up) for up in told["difference"] > 0}
    favours: Favours = "neither" if not better else "both" if len(better) == 2 else "B" if True in better else "A"
    weakest = []
    for side in ("a", "b"):
        lowest = table.sort_values(side, kind="stable").iloc[0]
        weakest.append(f"{lowest['expression']} {percent(lowest[side])}")
    words = ", ".join(f"{row['expression']} {100 * row['difference']:+.1f}" for row in told.to_dict("records"))
    return Finding(
        "Recall by expression",
        f"weakest: {weakest[0]}",
        f"weakest: {weakest[1]}",
        f"points: {words}" if words else "no expression differs significantly",
        favours,
        float(table["p_adjusted"].min()),
    )


def _as_served(card: Card, table: Predictions) -> Predictions:
    return with_temperature(table, card.temperature) if card.temperature else table


def _losses(card_a: Card, card_b: Card, a: Predictions, b: Predictions) -> Finding:
    """Mean log loss after calibration, paired: a proper score, in which confidence and accuracy both count."""
    from scipy.special import ndtr

    one, other = _as_served(card_a, a).loss, _as_served(card_b, b).loss
    differences = np.asarray(other - one, dtype=np.float64)
    mean, n = float(differences.mean()), len(differences)
    first, second = f"{one.mean():.3f}", f"{other.mean():.3f}"
    if n < FEW:
        return Finding("Log loss", first, second, f"{mean:+.3f}, too few images for a test (n = {n:,})", "not tested")
    error = float(differences.std(ddof=1)) / sqrt(n)
    p = float(2 * ndtr(-abs(mean) / error)) if error else 1.0
    words = f"{mean:+.3f} ({mean - 1.96 * error:.3f} to {mean + 1.96 * error:.3f})"
    return Finding("Log loss", first, second, words, "B" if mean < 0 else "A", p)


def _corrected(findings: list[Finding]) -> list[Finding]:
    """The same with p adjusted over those that have one; nobody is favoured where it is above 5 %."""
    raw = {one.topic: one.p for one in findings if one.p is not None}
    adjusted = dict(zip(raw, holm(list(raw.values())).tolist(), strict=True))

    def with_p(one: Finding) -> Finding:
        if (p := adjusted.get(one.topic)) is None:
            return one
        return replace(
            one, difference=f"{one.difference}, {p_in_words(p)}", favours=one.favours if p <= ALPHA else "neither", p=p
        )

    return [with_p(one) for one in findings]


def _calibration(card_a: Card, card_b: Card, a: Predictions, b: Predictions) -> Finding:
    found = [calibration_error(_as_served(card, table)) for card, table in ((card_a, a), (card_b, b))]
    apart = found[0].interval.low > found[1].interval.high or found[1].interval.low > found[0].interval.high
    favours: Favours = "neither"
    if apart:
        favours = "A" if found[0].debiased < found[1].debiased else "B"
    one, other = (f"{100 * error.debiased:.1f} ({error.interval.text()})" for error in found)
    words = "the intervals do not overlap" if apart else "the intervals overlap"
    return Finding("Calibration error, points", one, other, words, favours)


def _measured(a: Checkpoint, b: Checkpoint, key: str, unknown: list[str]) -> list[Finding]:
    """What was measured before and lies beside the weights: robustness and regions."""
    findings = []
    kept = [{one.sample: one for one in robustness.measured(network.folder)} for network in (a, b)]
    if shared := [sample for sample in kept[0] if sample in kept[1]]:
        tables = [samples[shared[0]].table() for samples in kept]
        clean = [float(table.loc[table["severity"] == 0, "accuracy"].iloc[0]) for table in tables]
        under = [robustness.overall(table) for table in tables]
        n = kept[0][shared[0]].n
        words = f"{100 * (under[1] - under[0]):+.1f} points on damaged images, the same {n:,} for both"
        first, second = (
            f"{percent(hurt)} (undamaged {percent(whole)})" for hurt, whole in zip(under, clean, strict=True)
        )
        findings.append(Finding("Robustness", first, second, words, "not tested"))
    else:
        unknown.append("How robust both are to blur, noise, light and the like, on the same images.")
    reports = [region_report.find(network.folder).get(key) for network in (a, b)]
    if all(reports):
        first, second = (str(region_report.read(path).about.get("verdict") or "–") for path in reports if path)
        findings.append(Finding("Regions", first, second, "", "not tested"))
    else:
        without = [network.card.title for network, path in zip((a, b), reports, strict=True) if not path]
        unknown.append(f"What {' and '.join(without)} look{'s' if len(without) == 1 else ''} at on these images.")
    return findings


def _within(a: Predictions, b: Predictions, dataset: Dataset | None, unknown: list[str]) -> list[Finding]:
    """Slices and groups of people, where the data set knows them."""
    if dataset is None:
        unknown.append("Slices and groups of people: the images are not on this machine.")
        return []
    columns = slices.columns_of(dataset, a)
    if columns.shape[1] == 0:
        unknown.append("Accuracy by groups of people: the data set does not say who is in its images.")
        return []
    said = columns_in_words(dataset.name)
    found = [slices.find(table, columns, said=said).table for table in (a, b)]
    findings = []
    weak = [table[(table["p_adjusted"] <= ALPHA) & (table["difference"] < 0)] for table in found]
    if len(found[0]):
        one, other = (
            f"{len(table):,} of {len(tried):,}" + (f", worst: {table['slice'].iloc[0]}" if len(table) else "")
            for table, tried in zip(weak, found, strict=True)
        )
        findings.append(Finding("Slices below expectation", one, other, "", "not tested"))
    people = [name for name in columns if any(part in str(name).lower().split("_") for part in GROUPS)]
    if not people:
        unknown.append("Accuracy by groups of people: the data set does not say who is in its images.")
        return findings
    first, second = (_gap(table, columns[people], said) for table in (a, b))
    findings.append(Finding("Group of people furthest below expectation", first, second, "", "not tested"))
    return findings


def _gap(table: Predictions, columns: pd.DataFrame, said: Mapping[str, Column]) -> str:
    """The group furthest below what its mix of labels gives, with its test."""
    found = slices.find(table, columns, min_support=slices.LEAST_SUPPORT, said=said).table
    if not len(found):
        return "no group is large enough"
    worst = found.iloc[0]
    return (
        f"{worst['slice']}: {percent(worst['accuracy'])}, expected {percent(worst['expected'])} "
        f"(n = {worst['n']:,}, {p_in_words(worst['p_adjusted'])})"
    )


def _cost(a: Checkpoint, b: Checkpoint, unknown: list[str]) -> Finding:
    """Size, and what a prediction takes: multiplications of one view times the views that the card asks for."""
    first, second = (
        f"{network.card.parameters:,} parameters, {weights_path(network.folder).stat().st_size / 1e6:.1f} MB"
        for network in (a, b)
    )
    one, other = (multiply_adds(network.folder) for network in (a, b))
    if one is None or other is None:
        unknown.append("How much computation a prediction takes: not every network of the two runs in torch.")
        return Finding("Size", first, second, "", "not tested")
    return Finding(
        "Computation per image",
        f"{one / 1e6:,.0f} million multiply-adds; {first}",
        f"{other / 1e6:,.0f} million; {second}",
        f"{other / one:.2g} times as much",
        "neither" if one == other else "A" if one < other else "B",
    )


def multiply_adds(folder: Path) -> int | None:
    """Multiplications with an addition that the prediction of one image takes, over all views that the card asks for; of
    “ten-crop-if-close” over the views of FER2013's average image. None for a network whose operations torch does not see.

    They are counted once for a network and kept in the workspace's cache, for torch takes seconds to load.

    Raises:
        CheckpointError: the weights cannot be loaded.
    """
    stamp = f"{folder.resolve()}|{card_stamp(folder)}|{weights_path(folder).stat().st_mtime_ns}"
    kept = cache() / "multiply-adds" / f"{sha256(stamp.encode()).hexdigest()[:20]}.txt"
    try:
        return int(kept.read_text(encoding="ascii")) or None
    except (FileNotFoundError, ValueError):  # not counted yet, or damaged
        counted = _counted(folder)
    write_atomically(kept, f"{counted or 0}".encode())
    return counted


def _counted(folder: Path) -> int | None:
    import torch  # the pages that only read tables do without
    from torch.utils.flop_counter import FlopCounterMode

    from fer_core.models.logits import CLOSE_SHARE, IF_CLOSE, views

    model, card = load_network(folder)
    size = card.image
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, size.channels, size.height, size.width))
    one = int(counter.get_total_flops()) // 2
    if not one:
        return None
    return round(one * (len(views(card.tta, size.height, size.width)) + 10 * CLOSE_SHARE * (card.tta == IF_CLOSE)))


def _verdict(decisive: Finding, findings: Sequence[Finding], a: str, b: str) -> tuple[str, tuple[str, ...]]:
    """The rule's choice in a sentence, and the reasons for and against it."""
    titles = {"A": a, "B": b}
    reasons = [
        f"{decisive.topic}: {decisive.a} for {a}, {decisive.b} for {b}. The difference is {decisive.difference}."
    ]
    cheaper = findings[-1].favours
    if decisive.favours in titles:
        chosen = decisive.favours
        verdict = f"Choose {titles[chosen]}. Its accuracy is significantly higher."
    elif cheaper in titles:
        chosen = cheaper
        verdict = f"The accuracies do not differ significantly. Prefer {titles[chosen]}: it needs less computation."
    else:
        computation = (
            "both need the same computation" if cheaper == "neither" else "how much computation they need is not known"
        )
        return f"The accuracies do not differ significantly, and {computation}.", tuple(reasons)
    other = "B" if chosen == "A" else "A"
    secondary = [one for one in findings if one is not decisive and not one.topic.startswith("Accuracy")]
    if more := [one.topic.lower() for one in secondary if one.favours == chosen]:
        reasons.append(f"Also in favour of {titles[chosen]}: {', '.join(more)}.")
    against = [one.topic.lower() for one in secondary if one.favours in (other, "both")]
    reasons.append(
        f"In favour of {titles[other]}: {', '.join(against)}."
        if against
        else f"Nothing that was tested is in favour of {titles[other]}."
    )
    return verdict, tuple(reasons)


def _not_known(a: Checkpoint, b: Checkpoint, key: str, dataset: Dataset | None) -> list[str]:
    name, _, split = key.rpartition("-")
    found = []
    for network in (a, b):
        how = str(network.card.results.get(key, {}).get("how", ""))
        if not how and dataset is not None:
            how = obtained(network.card, dataset, split)
        if not how and _learned_from(network.card, name) and split == "val":
            how = "selected"
        if said := IN_WORDS.get(how, ""):
            found.append(f"How good {network.card.title} is on images that were not used to choose its epoch. {said}")
    if set(a.tables) & set(b.tables) == {key}:
        found.append("The accuracy of both on any other data set.")
    found.append("How accurate both are on the people they will be used on: only images of these people can show it.")
    return found


def _estimate(hits: int, n: int) -> str:
    bounds: Interval = wilson(hits, n)
    return percent(hits / n) + ("" if isnan(bounds.low) else f" ({bounds.text()})")
