"""Previews of a recipe's augmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_core.recipe import Augment


def augmented(pictures: NDArray[np.uint8], settings: Augment, copies: int, seed: int = 0) -> NDArray[np.uint8]:
    """Several augmented versions of each image, as in training.

    Args:
        pictures: (n, H, W) or (n, H, W, 3) uint8, at the network's size.
        copies: how many draws of each.

    Returns:
        (n, copies, H, W) or (n, copies, H, W, 3) uint8, by the training's own function.
    """
    import torch  # two seconds; whoever imports this file may never ask for a preview

    from fer_core.images import to_tensor
    from fer_core.training.augment import Draws, augment

    batch = to_tensor(np.repeat(pictures, copies, axis=0))
    made = augment(batch, settings, Draws(torch.Generator().manual_seed(seed), len(batch)))
    values = made.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    values = values[..., 0] if pictures.ndim == 3 else values
    return np.asarray(values.reshape(len(pictures), copies, *pictures.shape[1:]))
