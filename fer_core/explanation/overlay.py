"""Maps as colours: viridis for unsigned ones, blue-white-red centred on zero for signed ones.

The caller gives the scale's `limit`, the same for all maps shown together, so weak maps look weak.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

BLUE = np.array([33.0, 102.0, 172.0])  # the ends of ColorBrewer's RdBu, told apart by colour-blind people too
WHITE = np.array([255.0, 255.0, 255.0])
RED = np.array([178.0, 24.0, 43.0])
PERCENTILE = 99.5  # single pixels of a gradient are so large that the rest would be dark beside the maximum


def common_limit(maps: Iterable[NDArray[np.float32]]) -> float:
    """A scale for maps shown together: all but the largest half per cent of their absolute values lie within it.

    Returns:
        0.0 if all maps are zero; the maximum if all but half a per cent of the pixels are.
    """
    values = np.concatenate([np.abs(one).ravel() for one in maps])
    return float(np.percentile(values, PERCENTILE)) or float(values.max())


def colour(map: NDArray[np.float32], *, signed: bool, limit: float) -> NDArray[np.uint8]:
    """A map's colours; what lies beyond the limit gets the colour of the limit.

    Args:
        map: (H, W).
        limit: the value of the last colour, 0 or more; a signed scale goes from -limit to limit. 0: all is zero.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    import cv2  # here, because pages without maps reach this module through the registry

    level = _level(map, limit)
    if signed:
        end = np.where(level[..., None] > 0, RED, BLUE)
        mixed: NDArray[np.float64] = WHITE + np.abs(level)[..., None] * (end - WHITE)
        return mixed.round().astype(np.uint8)
    steps = (np.clip(level, 0, 1) * 255).round().astype(np.uint8)
    return cv2.applyColorMap(steps, cv2.COLORMAP_VIRIDIS)[..., ::-1].astype(np.uint8)  # cv2's colours are BGR


def overlay(
    face: NDArray[np.uint8], map: NDArray[np.float32], *, signed: bool, limit: float, strength: float = 0.6
) -> NDArray[np.uint8]:
    """A map drawn over its face: transparent where it is zero, with opacity `strength` where it reaches the limit.

    Args:
        face: (H, W) grey or (H, W, 3) RGB; it shows through as it is.
        map: (h, w); enlarged bilinearly where it is smaller than the face.
        strength: 0 (the face alone) to 1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    import cv2

    height, width = face.shape[:2]
    if map.shape != (height, width):
        map = cv2.resize(map, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
    under = face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)
    level = _level(map, limit)
    opacity = strength * np.abs(level if signed else level.clip(0, 1))[..., None]
    over = colour(map, signed=signed, limit=limit)
    mixed: NDArray[np.float64] = (1 - opacity) * under + opacity * over
    return mixed.round().astype(np.uint8)


def _level(map: NDArray[np.float32], limit: float) -> NDArray[np.float64]:
    """The map as a part of the limit, -1 to 1."""
    values = map.astype(np.float64)
    return np.clip(values / limit, -1, 1) if limit > 0 else np.zeros_like(values)
