"""How often do the printed intervals hold the truth? `python -m tests.benchmarks.coverage [SCALE] > docs/coverage.md`

A large population is made from the shipped predictions tables: each row twenty times, with a little noise on its
logarithms of probability, so that every figure of the population is known. Samples of 60, 300 and 3,589 images are drawn
from it, and the program's own functions give their intervals, as its pages do. An interval that is not printed (because
fewer than five images stand behind it) is not counted. SCALE multiplies the number of samples (1: 2,000, 2,000 and 500).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from fer_core.evaluation import calibration, comparison, confusion, ranking, shift
from fer_core.evaluation.intervals import Interval
from fer_core.evaluation.metrics import METRICS
from fer_core.evaluation.predictions import Predictions

SIZES = {60: 2000, 300: 2000, 3589: 500}
COPIES, NOISE = 20, 0.25
RARE, COMMON = "disgust", "happy"  # 1.6 % and 25 % of the images
Told = Iterator[tuple[str, Interval, float]]


def logits_of(network: str, random: np.random.Generator) -> tuple[Predictions, np.ndarray]:
    table = Predictions.read(f"checkpoints/{network}/predictions-fer2013-val.parquet")
    rows = np.repeat(np.arange(len(table)), COPIES)
    logs = np.log(table.probs[rows] + 1e-12)
    return table, logs + random.normal(0, NOISE, logs.shape)


def table_of(logits: np.ndarray, labels: np.ndarray, like: Predictions) -> Predictions:
    """Predictions without the checks of a table that was read, which take longer than all that is measured here."""
    made = object.__new__(Predictions)
    made.__dict__.update(table=labels, logits=logits, label_index=labels, expressions=like.expressions)
    return made


class Population:
    """Two networks on the same images, and what is true of them."""

    def __init__(self, first: str, second: str) -> None:
        random = np.random.default_rng(0)
        self.like, self.one = logits_of(first, random)
        _, self.two = logits_of(second, random)
        self.labels = np.repeat(self.like.label_index, COPIES)
        self.names = self.like.expressions.names
        self.k = len(self.names)
        self.whole, self.other = (table_of(logits, self.labels, self.like) for logits in (self.one, self.two))
        self.matrix = confusion.confusion_matrix(self.whole)
        self.f1_of_other = confusion.f1(confusion.confusion_matrix(self.other))
        self.difference = comparison.difference_of(self.names, self.answers(self.whole, self.other))
        self.ranks = ranking.ranking(self.whole)
        self.temperature = calibration.temperature(self.whole)
        self.sorted = np.argsort(-self.whole.confidence, kind="stable")

    def answers(self, a: Predictions, b: Predictions) -> np.ndarray:
        cells = (a.label_index * self.k + a.predicted_index) * self.k + b.predicted_index
        return np.bincount(cells, minlength=self.k**3).reshape(self.k, self.k, self.k)

    def sample(self, n: int, random: np.random.Generator) -> Told:
        rows = random.integers(0, len(self.labels), n)
        a, b = (table_of(logits[rows], self.labels[rows], self.like) for logits in (self.one, self.two))
        yield from self.figures(a)
        yield from self.ranked(a)
        yield from self.differences(a, b)
        yield from self.confidence(a)

    def figures(self, sample: Predictions) -> Told:
        matrix = confusion.confusion_matrix(sample)
        given, predicted = confusion.support(matrix), confusion.predicted_count(matrix)
        occurs, seen = given > 0, given + predicted > 0
        means = {  # of the expressions that the sample's own mean is over
            "balanced_accuracy": confusion.recall(self.matrix)[occurs].mean(),
            "macro_precision": confusion.precision(self.matrix)[seen].mean(),
            "macro_recall": (confusion.recall(self.matrix) * occurs)[seen].mean(),
            "macro_f1": confusion.f1(self.matrix)[seen].mean(),
        }
        for name, metric in METRICS.items():
            if metric.of_matrix:
                true = means[name] if name in means else float(metric.of(self.matrix))
                yield metric.title, metric.interval(matrix), float(true)
        for name in ("log_loss", "brier"):
            yield METRICS[name].title, METRICS[name].interval(sample), METRICS[name](self.whole)
        per_class = confusion.class_figures(matrix, self.names).set_index("expression")
        for name in (RARE, COMMON):
            for figure in ("precision", "recall", "f1"):
                row = per_class.loc[name]
                true = getattr(confusion, figure)(self.matrix)[self.names.index(name)]
                yield f"{figure}, {name}", Interval(row[f"{figure}_low"], row[f"{figure}_high"]), float(true)

    def ranked(self, sample: Predictions) -> Told:
        table, whole = ranking.ranking(sample), self.ranks
        occurs = table["average_precision"].notna()
        for title, bounds, figure in zip(
            ("Macro AUROC", "Macro average precision"),
            ranking.macro_bounds(sample),
            ("auroc", "average_precision"),
            strict=True,
        ):
            yield title, bounds, float(whole[figure][occurs].mean())
        for figure, title in (("auroc", "AUROC"), ("average_precision", "average precision")):
            for name in (RARE, COMMON):
                row = table.iloc[self.names.index(name)]
                true = whole[figure].iloc[self.names.index(name)]
                yield f"{title}, {name}", Interval(row[f"{figure}_low"], row[f"{figure}_high"]), float(true)

    def differences(self, a: Predictions, b: Predictions) -> Told:
        found = comparison.difference_of(self.names, self.answers(a, b))
        yield "accuracy, B minus A", found.accuracy_interval, self.difference.accuracy
        of_a, of_b = confusion.confusion_matrix(a), confusion.confusion_matrix(b)
        seen_a, seen_b = (confusion.support(m) + confusion.predicted_count(m) > 0 for m in (of_a, of_b))
        true = self.f1_of_other[seen_b].mean() - confusion.f1(self.matrix)[seen_a].mean()
        yield "macro-F1, B minus A", found.macro_f1_interval, float(true)
        for row in found.recall.itertuples():
            if row.expression in (RARE, COMMON):
                true = self.difference.recall["difference"].iloc[self.names.index(row.expression)]
                yield f"recall, B minus A, {row.expression}", Interval(row.low, row.high), float(true)
        half = len(a) // 2
        here, there = (
            confusion.count_pairs(a.label_index[:half], a.predicted_index[:half], self.k),
            confusion.count_pairs(b.label_index[half:], b.predicted_index[half:], self.k),
        )
        split = shift.gap_of(here, there)
        yield "accuracy, another set minus this", split.total_interval, self.difference.accuracy
        yield "of which class balance", split.prior_interval, 0.0
        yield "of which the rest", split.rest_interval, self.difference.accuracy

    def confidence(self, sample: Predictions) -> Told:
        found = calibration.temperature(sample)
        yield "temperature", calibration.temperature_interval(sample, found), self.temperature
        curve = calibration.risk_coverage(sample)
        for share in (0.5, 0.8):
            row = curve.iloc[int((curve["coverage"] - share).abs().argmin())]
            chosen = self.sorted[: round(row["coverage"] * len(self.sorted))]
            bounds = Interval(row["accuracy_low"], row["accuracy_high"])
            yield f"accuracy of the surest {share:.0%}", bounds, float(self.whole.correct[chosen].mean())
        answered = calibration.at_threshold(sample, 0.5)
        sure = self.whole.confidence >= 0.5
        yield "accuracy from a confidence of 50 %", answered.accuracy_interval, float(self.whole.correct[sure].mean())


class Calibrated:
    """Confidence of a network, with labels drawn as its probabilities of another temperature say; 1: calibrated."""

    def __init__(self, network: str, factor: float) -> None:
        random = np.random.default_rng(1)
        self.like, self.logits = logits_of(network, random)
        self.factor = factor
        shares = np.exp(self.logits * factor)
        self.shares = shares / shares.sum(axis=1, keepdims=True)
        self.stated = np.exp(self.logits) / np.exp(self.logits).sum(axis=1, keepdims=True)

    def true(self, stated: np.ndarray, rate: np.ndarray, bins: int) -> float:
        order = np.array_split(np.argsort(stated, kind="stable"), bins)
        return float(np.sqrt(np.mean([(rate[part].mean() - stated[part].mean()) ** 2 for part in order])))

    def sample(self, n: int, random: np.random.Generator) -> Told:
        rows = random.integers(0, len(self.logits), n)
        labels = (self.shares[rows].cumsum(axis=1) < random.random((n, 1))).sum(axis=1).clip(0, 6)
        sample = table_of(self.logits[rows], labels, self.like)
        found = calibration.calibration_error(sample)
        top = self.stated.argmax(axis=1)
        rate = np.take_along_axis(self.shares, top[:, None], axis=1)[:, 0]
        words = {1.0: "calibrated", 0.6: "overconfident", 1.6: "underconfident"}[self.factor]
        yield f"calibration error, {words}", found.interval, self.once(found.bins, self.stated.max(axis=1), rate)
        told = calibration.calibration_by_expression(sample).set_index("expression")
        for place, name in enumerate(self.like.expressions.names):
            if name in (RARE, COMMON):
                true = self.once(found.bins, self.stated[:, place], self.shares[:, place], name)
                bounds = (
                    Interval(told.loc[name, "low"], told.loc[name, "high"])
                    if name in told.index
                    else Interval(np.nan, np.nan)
                )
                yield f"calibration error of {name}, {words}", bounds, true

    def once(self, bins: int, stated: np.ndarray, rate: np.ndarray, name: str = "") -> float:
        if not hasattr(self, "known"):
            self.known = {}
        if (bins, name) not in self.known:
            self.known[bins, name] = 0.0 if self.factor == 1 else self.true(stated, rate, bins)
        return self.known[bins, name]


def measured(scale: float) -> dict[str, dict[int, tuple[int, int, int, int]]]:
    """By interval and n: how many were printed, and in how many of them the truth was inside, below, above."""
    counted: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0, 0]))
    sources = [Population("fer2013-best", "fer2013-fast"), *(Calibrated("fer2013-best", f) for f in (1.0, 0.6, 1.6))]
    for n, samples in SIZES.items():
        random = np.random.default_rng(n)
        for source in sources:
            for _ in range(round(samples * scale)):
                for name, (low, high), true in source.sample(n, random):
                    if np.isnan(low):
                        continue
                    slack = 1e-9
                    row = counted[name][n]
                    row[0] += 1
                    row[2] += true < low - slack
                    row[3] += true > high + slack
    return {name: {n: tuple(row) for n, row in rows.items()} for name, rows in counted.items()}


def main() -> None:
    found = measured(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    print(TEXT)
    print("| interval of | " + " | ".join(f"n = {n:,}" for n in SIZES) + " |")
    print("|---|" + "---:|" * len(SIZES))
    for name, rows in found.items():
        cells = []
        for n in SIZES:
            printed, _, below, above = rows.get(n, (0, 0, 0, 0))
            if printed < 100:
                cells.append("not printed")
                continue
            cells.append(
                f"{100 * (1 - (below + above) / printed):.1f} ({100 * below / printed:.1f}, {100 * above / printed:.1f})"
            )
        print(f"| {name} | " + " | ".join(cells) + " |")


TEXT = """# How often do the printed intervals hold the truth?

`python -m tests.benchmarks.coverage > docs/coverage.md` makes this page. A population of 71,780 images is made from the
shipped predictions tables of two networks, so that every figure of it is known. Samples are drawn from it, and the
program's own functions give their 95 % intervals. Each cell has the share of samples whose interval holds the truth, in %,
and in brackets the shares with the truth below and above it. 93 to 97 is what is asked for; the simulation itself is
uncertain by about two points.

- disgust is a rare expression (1.6 % of the images), happy a common one.
- An interval that would rest on fewer than five images is not printed and not counted.
- Above 97 stands what counts of few images force: between five images and ten no interval of a proportion is closer. At a
  calibration error of 0, the truth can only be missed on one side.
- A mean over expressions is of those that the sample holds, in the sample and in the population.
- The usual expected calibration error has no interval: chance alone makes it large, and what chance gives is printed beside
  it.
"""
if __name__ == "__main__":
    main()
