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

from fer_core.evaluation import calibration, comparison, shift
from fer_core.evaluation.intervals import Interval
from fer_core.evaluation.metrics import CLASS_FIGURES, METRICS, evaluate
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
    names = np.array(like.expressions.names, dtype=object)[labels]
    return Predictions.from_logits(np.arange(len(labels)), "fer2013", "val", names, logits, like.expressions)


class Population:
    """Two networks on the same images, and what is true of them."""

    def __init__(self, first: str, second: str) -> None:
        random = np.random.default_rng(0)
        self.like, self.one = logits_of(first, random)
        _, self.two = logits_of(second, random)
        self.labels = np.repeat(self.like.label_index, COPIES)
        self.whole, self.other = (table_of(logits, self.labels, self.like) for logits in (self.one, self.two))
        self.truth, self.truth_of_other = evaluate(self.whole), evaluate(self.other)
        self.classes = self.truth.per_class.set_index("expression")
        self.difference = comparison.paired_difference(self.whole, self.other)
        self.recalls = self.difference.recall.set_index("expression")["difference"]
        self.temperature = calibration.temperature(self.whole)
        self.f1_of_other = self.truth_of_other.per_class.set_index("expression")["f1"]
        self.sorted = np.argsort(-self.whole.confidence, kind="stable")

    def selective(self, share: float) -> tuple[float, float]:
        """Accuracy of the surest share, and the confidence it begins at."""
        chosen = self.sorted[: round(share * len(self.sorted))]
        return float(self.whole.correct[chosen].mean()), float(self.whole.confidence[chosen[-1]])

    def sample(self, n: int, random: np.random.Generator) -> Told:
        rows = random.integers(0, len(self.labels), n)
        a, b = (table_of(logits[rows], self.labels[rows], self.like) for logits in (self.one, self.two))
        yield from self.figures(a)
        yield from self.differences(a, b)
        yield from self.confidence(a)

    def figures(self, sample: Predictions) -> Told:
        report = evaluate(sample)
        told = report.per_class.set_index("expression")
        occurs = told["support"] > 0
        seen = occurs | (told["predicted"] > 0)
        means = {  # of the expressions that the sample's own mean is over
            "balanced_accuracy": self.classes["recall"][occurs].mean(),
            "macro_precision": self.classes["precision"][seen].mean(),
            "macro_recall": self.classes["recall"][seen].mean(),
            "macro_f1": self.classes["f1"][seen].mean(),
            "macro_auroc": self.classes["auroc"][occurs].mean(),
            "macro_average_precision": self.classes["average_precision"][occurs].mean(),
        }
        for name, metric in METRICS.items():
            bounds = report.intervals.get(name, getattr(report, f"{name}_interval", None))
            if bounds and name != "calibration_error":
                true = means.get(name, self.truth.others.get(name, getattr(self.truth, name, None)))
                yield metric.title, bounds, float(true)
        for name in (RARE, COMMON):
            row = told.loc[name]
            for figure in CLASS_FIGURES:
                bounds = Interval(row[f"{figure}_low"], row[f"{figure}_high"])
                yield (
                    f"{figure.replace('_', ' ').replace('auroc', 'AUROC')}, {name}",
                    bounds,
                    self.classes.loc[name, figure],
                )

    def differences(self, a: Predictions, b: Predictions) -> Told:
        found = comparison.paired_difference(a, b)
        yield "accuracy, B minus A", found.accuracy_interval, self.difference.accuracy
        seen = [(table["support"] > 0) | (table["predicted"] > 0) for table in (evaluate_counts(a), evaluate_counts(b))]
        true = self.f1_of_other[seen[1]].mean() - self.classes["f1"][seen[0]].mean()
        yield "macro-F1, B minus A", found.macro_f1_interval, float(true)
        rows = found.recall.set_index("expression")
        for name in (RARE, COMMON):
            if name in rows.index:
                bounds = Interval(rows.loc[name, "low"], rows.loc[name, "high"])
                yield f"recall, B minus A, {name}", bounds, self.recalls[name]
        half = len(a) // 2
        split = shift.gap_split(a.where(np.arange(len(a)) < half), b.where(np.arange(len(b)) >= half))
        yield "accuracy, another set minus this", split.total_interval, self.difference.accuracy
        yield "of which class balance", split.prior_interval, 0.0
        yield "of which the rest", split.rest_interval, self.difference.accuracy

    def confidence(self, sample: Predictions) -> Told:
        found = calibration.temperature(sample)
        yield "temperature", calibration.temperature_interval(sample, found), self.temperature
        curve = calibration.risk_coverage(sample)
        for share in (0.5, 0.8):
            row = curve.iloc[int((curve["coverage"] - share).abs().argmin())]
            bounds = Interval(row["accuracy_low"], row["accuracy_high"])
            yield f"accuracy of the surest {share:.0%}", bounds, self.selective(float(row["coverage"]))[0]
        answered = calibration.at_threshold(sample, 0.5)
        sure = self.whole.confidence >= 0.5
        yield "accuracy from a confidence of 50 %", answered.accuracy_interval, float(self.whole.correct[sure].mean())


def evaluate_counts(table: Predictions):
    from fer_core.evaluation import metrics

    matrix = metrics.confusion_matrix(table)
    import pandas as pd

    return pd.DataFrame(
        {"support": metrics.support(matrix), "predicted": metrics.predicted_count(matrix)},
        index=list(table.expressions.names),
    )


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


TEXT = __doc__ or ""
if __name__ == "__main__":
    main()
