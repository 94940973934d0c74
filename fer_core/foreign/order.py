"""The order of a network's outputs, checked on labelled images and not believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, log

import numpy as np
from numpy.typing import NDArray

from fer_core.datasets.numbered import NUMBERINGS
from fer_core.labels import Expressions

ALPHA = 0.05
FEWEST = 20  # images below which nothing is said


@dataclass(frozen=True)
class Order:
    """An order of the outputs that explains labelled images significantly better than the given one.

    Attributes:
        names: in the order of the outputs.
        moved: output number, the name it was given, and the expression it behaves like.
        accuracy, given: of this order and of the given one, 0..1.
        p: of McNemar's exact test, times the number of orders.
        known: the numbering that has this order, or “”.
    """

    names: tuple[str, ...]
    moved: tuple[tuple[int, str, str], ...]
    accuracy: float
    given: float
    n: int
    p: float
    known: str

    @property
    def sentence(self) -> str:
        """“Output 3 behaves like sad, not happy; ...” with both accuracies."""
        told = "; ".join(f"output {number} behaves like {behaves}, not {name}" for number, name, behaves in self.moved)
        known = f", the order of {self.known}" if self.known else ""
        return (
            f"{told[0].upper()}{told[1:]}. With the order {', '.join(self.names)}{known}, the accuracy is "
            f"{100 * self.accuracy:.1f} "
            f"% instead of {100 * self.given:.1f} % (n = {self.n:,}, p {'< 0.0001' if self.p < 1e-4 else f'= {self.p:.4f}'})."
        )


def better_order(logits: NDArray[np.floating], labels: Sequence[str], expressions: Expressions) -> Order | None:
    """The order of the outputs with the most correct answers, if it is significantly better than the given one.

    The best assignment of outputs to labels is found by the Hungarian method (Kuhn 1955) on the confusion matrix. Given and
    found order answer the same images, so McNemar's exact test compares them; its p is multiplied by the k! orders that
    could have been found.

    Args:
        logits: (n, k).
        labels: (n) names of expressions; those that are no output are left aside.
    """
    from scipy.stats import binom

    place = {name: number for number, name in enumerate(expressions.names)}
    known = np.array([place.get(label, -1) for label in labels])
    answer, label = np.asarray(logits).argmax(axis=1)[known >= 0], known[known >= 0]
    k, n = len(expressions), len(label)
    if n < FEWEST:
        return None
    best = assignment(answer, label, k)
    before, after = answer == label, best[answer] == label
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    if gained <= lost:
        return None
    p = 2 * float(binom.cdf(lost, gained + lost, 0.5))
    corrected = min(1.0, float(np.exp(log(max(p, 1e-300)) + log(factorial(k)))))
    if corrected > ALPHA:
        return None
    names = tuple(expressions.names[number] for number in best)
    moved = tuple(
        (number, name, names[number]) for number, name in enumerate(expressions.names) if names[number] != name
    )
    spelt = next((name for name, words in NUMBERINGS.items() if tuple(words.values()) == names), "")
    return Order(names, moved, float(after.mean()), float(before.mean()), n, corrected, spelt)


def assignment(answers: NDArray[np.int64], labels: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """(k,) the label that each output behaves like, so that most answers are right; of equal ones the given place."""
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((k, k), dtype=np.int64)  # rows outputs, columns labels
    np.add.at(counts, (answers, labels), 1)
    return np.asarray(linear_sum_assignment(counts + 0.5 * np.eye(k), maximize=True)[1])
