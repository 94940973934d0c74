"""What the learning curves of a run show, with the figures behind it: does it overfit, underfit, or still improve?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fer_core.runs.folder import EpochResult, best_epoch

Verdict = Literal["overfits", "underfits", "still improves", "converged"]
LAST = 5  # epochs over which slopes are fitted, because a single epoch is noisy
GAP = 0.10  # training minus validation accuracy from which a network overfits
FLAT = 0.002  # change of accuracy per epoch below which a curve is flat
LOW = 0.40  # training accuracy below which a network underfits


@dataclass(frozen=True)
class Diagnosis:
    """A verdict with its evidence.

    Attributes:
        gap: training minus validation accuracy at the best epoch, as a share. Training accuracy is measured on augmented
            images while the network changes, so the gap is a lower bound.
        val_slope: change of the validation loss per epoch over the last epochs, in nats (least squares).
    """

    verdict: Verdict
    best_epoch: int
    gap: float
    val_slope: float
    sentence: str


def diagnose(results: Sequence[EpochResult]) -> Diagnosis | None:
    """Judge a run by its last epochs; None before the third epoch, and without a validation set.

    Overfits: the validation loss rises while the training loss falls, or the two accuracies are more than 10 points
    apart. Underfits: training accuracy is below 40 % and flat. Still improves: the validation loss falls.
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
    losses_said = (
        f"Over the last {len(last)} epochs, the training loss changed by {train:+.3f} and the validation loss by {val:+.3f} "
        "nats per epoch."
    )
    gap_said = (
        f"At the best epoch ({best.epoch}), training accuracy is {100 * best.train_accuracy:.1f} % and validation accuracy "
        f"{100 * best.val_accuracy:.1f} %."
    )
    verdict: Verdict
    if train < 0 < val and worse:
        verdict, words = (
            "overfits",
            f"It overfits: the validation loss rises while the training loss falls. {losses_said}",
        )
    elif gap > GAP:
        # training images known by heart: said only with the two accuracies that show it
        verdict, words = "overfits", f"It overfits: it memorises training images. {gap_said}"
    elif results[-1].train_accuracy < LOW and abs(rise) < FLAT:
        verdict, words = (
            "underfits",
            f"It underfits: training accuracy is low ({100 * results[-1].train_accuracy:.1f} %) and no longer rises. "
            f"{losses_said}",
        )
    elif val < -0.002 and rise > FLAT:
        verdict, words = "still improves", f"It still improves, so more epochs may help. {losses_said}"
    else:
        verdict, words = (
            "converged",
            f"It has converged; there is no sign of overfitting or underfitting. {losses_said}",
        )
    return Diagnosis(verdict, best.epoch, gap, val, words)


def _slope(values: Sequence[float]) -> float:
    """Least squares over 0, 1, 2, ..."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    return sum((i - middle) * (v - mean) for i, v in enumerate(values)) / sum(
        (i - middle) ** 2 for i in range(len(values))
    )
