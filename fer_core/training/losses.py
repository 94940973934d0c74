"""The loss on logits, for hard and soft targets alike."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_core.errors import ConfigError
from fer_core.labels import Expressions
from fer_core.recipe import Loss


class SoftLoss(nn.Module):
    """Cross entropy of target distributions, or focal loss of single labels.

    With smoothing s, class weights w and focusing g, an image's loss in nats is

        - sum_k w_k [(1 - s) t_k + s / K] (1 - p_k)^g log p_k,

    and the mean over images is weighted by sum_k w_k t_k, as in `torch.nn.CrossEntropyLoss`, which this equals for
    g = 0 and hard labels. Focal loss: Lin et al. 2017, arXiv 1708.02002, equation 4. It is made for single labels: with a
    soft target its least value does not lie at p = t, so `make_loss` refuses the two together.
    """

    weights: torch.Tensor

    def __init__(self, weights: torch.Tensor, smoothing: float, focal: float) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.smoothing, self.focal = smoothing, focal

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and targets (N, K) -> (sum of the losses, sum of the images' weights); their quotient is the mean.

        Given apart, because several processes add both up before they divide.
        """
        logs = logits.float().log_softmax(dim=1)
        smooth = targets * (1 - self.smoothing) + self.smoothing / targets.shape[1]
        terms = -smooth * logs * self.weights
        if self.focal:
            terms = terms * (1 - logs.exp()).clamp(min=0) ** self.focal
        return terms.sum(), (targets * self.weights).sum()


def make_loss(settings: Loss, expressions: Expressions, labels: NDArray[np.int64], mixing: bool = False) -> SoftLoss:
    """The recipe's loss.

    Args:
        mixing: whether images are mixed, and their targets with them.
        labels: of the training images; “balanced” weights are n / (K * count).

    Raises:
        ConfigError: not one weight an expression, “balanced” with an expression that has no image, or a focal loss of soft
            targets.
    """
    soft = {
        "label smoothing": settings.label_smoothing,
        "votes": settings.votes and not settings.draw,
        "teachers": settings.teachers and settings.teacher_weight and not settings.draw,
        "mixup or CutMix": mixing,
    }
    if settings.focal and (found := [name for name, used in soft.items() if used]):
        raise ConfigError(
            f"loss.focal = {settings.focal:g} cannot be combined with {', '.join(found)}: the focal loss is made for single "
            "labels, and with soft targets its best answer is not the target. Set loss.focal = 0, or turn the other off."
        )
    weights = settings.class_weights
    values = np.ones(len(expressions))
    if weights == "balanced":
        counts = np.bincount(labels, minlength=len(expressions))
        if missing := [name for name, count in zip(expressions.names, counts, strict=True) if not count]:
            raise ConfigError(
                f"loss.class_weights = “balanced” needs an image of each expression; there is none of {', '.join(missing)}."
            )
        values = len(labels) / (len(expressions) * counts)
    elif weights != "none":
        if len(weights) != len(expressions):
            raise ConfigError(
                f"loss.class_weights has {len(weights)} values, expected {len(expressions)}: one for each of "
                f"{', '.join(expressions.names)}."
            )
        values = np.asarray(weights)
    return SoftLoss(torch.tensor(values, dtype=torch.float32), settings.label_smoothing, settings.focal)
