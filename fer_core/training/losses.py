"""Loss functions on logits."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_core.errors import ConfigError
from fer_core.labels import Expressions
from fer_core.training.config import Loss


def make_loss(settings: Loss, expressions: Expressions, labels: NDArray[np.int64]) -> nn.Module:
    """The recipe's loss: logits (N, K), labels (N) -> mean loss in nats.

    Args:
        labels: of the training pictures; “balanced” weights are n / (K * count).

    Raises:
        ConfigError: not one weight an expression, or “balanced” with an expression that has no picture.
    """
    weights = settings.class_weights
    if weights == "none":
        return nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    if weights == "balanced":
        counts = np.bincount(labels, minlength=len(expressions))
        if missing := [name for name, count in zip(expressions.names, counts, strict=True) if not count]:
            raise ConfigError(
                f"loss.class_weights = “balanced” needs a picture of each expression; there is none of {', '.join(missing)}."
            )
        values = len(labels) / (len(expressions) * counts)
    elif len(weights) != len(expressions):
        raise ConfigError(
            f"loss.class_weights has {len(weights)} values, expected {len(expressions)}: one for each of "
            f"{', '.join(expressions.names)}."
        )
    else:
        values = np.asarray(weights)
    weight = torch.tensor(values, dtype=torch.float32)
    return nn.CrossEntropyLoss(weight=weight, label_smoothing=settings.label_smoothing)
