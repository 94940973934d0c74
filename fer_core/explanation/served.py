"""Explain a checkpoint's network as it is served: with its test-time augmentation, image size and layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_core.explanation import Attribution, explain
from fer_core.models import attribution_layer

if TYPE_CHECKING:
    from torch import nn

    from fer_core.checkpoint import Card


def explain_as_served(
    model: nn.Module,
    card: Card,
    images: NDArray[np.uint8],
    targets: Sequence[str],
    method: str,
    layer: str | None = None,
    *,
    against: str | None = None,
    tta: str | None = None,
    **parameters: Any,
) -> Attribution:
    """Maps of a checkpoint's predictions, averaged over its views and, for an ensemble, its members.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8 at the card's size.
        targets: (N) names of the expressions to explain, one an image; `against`: of a second one, for all.
        layer: for methods that look at one; None: the network's own, of an ensemble those of all members.
        tta: test-time augmentation where the answer was given with another one than the card's.
        parameters: what the method's parameters take.

    Raises:
        as `explain`.
    """
    named = card.vocabulary.index
    return explain(
        model,
        images,
        card.image,
        [named(target) for target in targets],
        method,
        layer or attribution_layer(card.network, model),
        against=None if against is None else [named(against)] * len(images),
        tta=card.tta if tta is None else tta,
        **parameters,
    )
