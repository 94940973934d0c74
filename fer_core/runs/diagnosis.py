"""What a run's curves say, in words and with the figures behind them: does it overfit, underfit, or still learn?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fer_core.runs.folder import EpochResult, best_epoch

Verdict = Literal["overfits", "underfits", "still learns", "settled"]
LAST = 5  # epochs over which slopes are taken: one epoch's figure jumps by its noise
GAP = 0.10  # train minus validation accuracy above which a network knows its training pictures by heart
FLAT = 0.002  # change of accuracy an epoch below which nothing happens any more
LOW = 0.40  # training accuracy below which little was learnt


@dataclass(frozen=True)
class Diagnosis:
    """A verdict with its evidence.

    Attributes:
        gap: train minus validation accuracy at the best epoch, as a share. Train figures are taken on augmented pictures
            and while the network changes, so a gap is a lower bound.
        train_slope, val_slope: change of the losses an epoch over the last epochs, nats (least squares).
    """

    verdict: Verdict
    best_epoch: int
    gap: float
    train_slope: float
    val_slope: float
    sentence: str


def diagnose(results: Sequence[EpochResult]) -> Diagnosis | None:
    """Judge a run by its last epochs; None before there are three, and where nothing was validated.

    Overfits: the validation loss rises while the training loss falls, or the gap in accuracy is above 10 points.
    Underfits: training accuracy is low (under 40 %) and flat. Still learns: the validation loss falls.
    """
    best = best_epoch(results)
    losses = [result.val_loss for result in results if result.val_loss is not None]
    if len(results) < 3 or best is None or best.val_accuracy is None:
        return None
    last = results[-LAST:]
    train, val = _slope([result.train_loss for result in last]), _slope(losses[-LAST:])
    rise = _slope([r.train_accuracy for r in last])
    gap = best.train_accuracy - best.val_accuracy
    worse = min(losses) < losses[-1] * 0.98
    evidence = (
        f"over the last {len(last)} epochs the training loss changes by {train:+.3f} and the validation loss by {val:+.3f} "
        f"nats an epoch; at the best epoch ({best.epoch}) training accuracy minus validation accuracy is "
        f"{100 * gap:+.1f} points"
    )
    verdict: Verdict
    if train < 0 < val and worse:
        verdict, words = "overfits", "It overfits: it learns its training pictures while the others get worse"
    elif gap > GAP:
        verdict, words = "overfits", "It overfits: it reads its training pictures much better than others"
    elif results[-1].train_accuracy < LOW and abs(rise) < FLAT:
        verdict, words = (
            "underfits",
            "It underfits: it does not even read its training pictures, and no longer gets better",
        )
    elif val < -0.002 and rise > FLAT:
        verdict, words = "still learns", "It still learns: more epochs may help"
    else:
        verdict, words = "settled", "It has settled: neither overfitting nor underfitting shows"
    return Diagnosis(verdict, best.epoch, gap, train, val, f"{words} ({evidence}).")


def _slope(values: Sequence[float]) -> float:
    """Least squares over 0, 1, 2, ..."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    return sum((i - middle) * (v - mean) for i, v in enumerate(values)) / sum(
        (i - middle) ** 2 for i in range(len(values))
    )
