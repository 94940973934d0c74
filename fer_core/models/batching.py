"""Memory on a processor: how many images a network takes in one pass, and how freed memory is kept.

Both only affect the speed (docs/design/0014-training-on-a-gpu-and-passes-on-a-processor.md).
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PIXELS = 16 * 48 * 48  # of the images of a pass on a processor
ON_A_GPU = 16  # so many times as many keep one busy
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 32 * 2**20  # bytes; glibc takes no larger threshold
KEPT = 2**30


def at_once(height: int, width: int, device: torch.device | str = "cpu") -> int:
    """Images of height x width pixels in a pass: few on a processor, so that a layer's maps stay below `LARGEST`."""
    pixels = PIXELS if str(device).startswith("cpu") else ON_A_GPU * PIXELS
    return max(2, pixels // (height * width))


@cache
def keep_memory() -> None:
    """Let glibc keep up to `KEPT` of freed memory. Otherwise it returns the memory of each tensor to the system and
    requests it again, page by page, which takes as long as the arithmetic. Has no effect on other systems."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)
