"""How many pictures go through a network in one pass, where only the speed depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PIXELS = 16 * 48 * 48  # of the pictures of a pass on a processor
ON_A_GPU = 16  # so many times as many keep one busy


def at_once(height: int, width: int, device: torch.device | str = "cpu") -> int:
    """Pictures of height x width pixels in a pass.

    Few on a processor: a first layer's maps then stay below 32 MB, above which glibc fetches each from the system anew and
    gives it back, which takes longer than the arithmetic (docs/design/0014-training-on-a-gpu-and-passes-on-a-processor.md).
    """
    pixels = PIXELS if str(device).startswith("cpu") else ON_A_GPU * PIXELS
    return max(2, pixels // (height * width))
