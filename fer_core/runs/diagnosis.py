"""What the learning curves of a run show, with the figures behind it: does it overfit, underfit, or still improve?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fer_core.runs.folder import EpochResult, best_epoch

Verdict = Literal["overfits", "underfits", "still improves", "converged", "too early to say"]
LAST = 5  # epochs over which slopes are fitted at least, because a single epoch is noisy
SHARE = 0.2  # of a long run's epochs, over which they are fitted
EARLY = 0.6  # of the planned epochs, before which the curves of a high learning rate say little of the end
SURE = 2.0  # standard errors by which a loss must rise to be called rising
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


def diagnose(results: Sequence[EpochResult], planned: int = 0) -> Diagnosis | None:
    """Judge a run by the trend of its last epochs; None before the third epoch, and without a validation set.

    Overfits: the validation loss rises, by more than its noise, while the training loss falls, or the two accuracies are
    more than 10 points apart. Underfits: training accuracy is below 40 % and flat. Still improves: the validation loss
    falls.

    Args:
        planned: the epochs of a run that goes on; 0 for one that has ended. In the first 60 % nothing is judged: while the
            learning rate is high, the validation loss jumps, and it falls later.
    """
    best = best_epoch(results)
    losses = [result.val_loss for result in results if result.val_loss is not None]
    if len(results) < 3 or best is None or best.val_accuracy is None:
        return None
    last = results[-max(LAST, round(SHARE * len(results))) :]
    train, _ = _slope([result.train_loss for result in last])
    val, error = _slope(losses[-len(last) :])
    rise, _ = _slope([r.train_accuracy for r in last])
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
    if len(results) < EARLY * planned:
        verdict, words = "too early to say", f"It is too early to say: {len(results)} of {planned} epochs are done."
    elif train < 0 < val and val > SURE * error and worse:
        verdict, words = (
            "overfits",
            "It overfits: the validation loss rises while the training loss falls.",
        )
    elif gap > GAP:
        verdict, words = "overfits", "It overfits: it memorises training images."
    elif results[-1].train_accuracy < LOW and abs(rise) < FLAT:
        verdict, words = (
            "underfits",
            f"It underfits: training accuracy is low ({100 * results[-1].train_accuracy:.1f} %) and no longer rises.",
        )
    elif val < -0.002 and rise > FLAT:
        verdict, words = "still improves", "It still improves, so more epochs may help."
    else:
        verdict, words = (
            "converged",
            "It has converged; there is no sign of overfitting or underfitting.",
        )
    return Diagnosis(verdict, best.epoch, gap, val, f"{words} {gap_said} {losses_said}")


def _slope(values: Sequence[float]) -> tuple[float, float]:
    """Least squares over 0, 1, 2, ...: the slope and its standard error (0 for two values, through which a line goes)."""
    n = len(values)
    middle, mean = (n - 1) / 2, sum(values) / n
    spread = sum((i - middle) ** 2 for i in range(n))
    slope = sum((i - middle) * (v - mean) for i, v in enumerate(values)) / spread
    rest = sum((v - mean - slope * (i - middle)) ** 2 for i, v in enumerate(values))
    return slope, (rest / (n - 2) / spread) ** 0.5 if n > 2 else 0.0
