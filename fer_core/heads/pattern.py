"""Chance details of skin and hair: a tile of smooth noise that is looked up wherever something is uneven."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Reals = NDArray[np.floating]

SIDE = 1024
GRAIN = 10.0  # texels from a hill to the next valley, about


@cache
def tile() -> Floats:
    """(1024, 1024) noise of mean 0 and standard deviation 1 that repeats without a seam."""
    white = np.random.default_rng(20_260_101).standard_normal((SIDE, SIDE))
    across = np.fft.fftfreq(SIDE)
    low = np.exp(-0.5 * (across[:, None] ** 2 + across[None] ** 2) * (2 * np.pi * GRAIN / 3.0) ** 2)
    smooth = np.fft.ifft2(np.fft.fft2(white) * low).real
    return np.asarray(smooth / smooth.std(), np.float32)


def noise(u: Reals, v: Reals, size_u: float, size_v: float, seed: int) -> Floats:
    """Noise at places (u, v) on the skin in metres, hills being `size_u` by `size_v` metres apart; mean 0, deviation 1.

    Each seed looks at another part of the tile.
    """
    shift = (seed * 2_654_435_761 + 97) % (SIDE * SIDE)
    column = (u * np.float32(GRAIN / size_u) + np.float32(shift % SIDE)).astype(np.int32) & (SIDE - 1)
    row = (v * np.float32(GRAIN / size_v) + np.float32(shift // SIDE)).astype(np.int32) & (SIDE - 1)
    return np.asarray(tile()[row, column])


def step(low: float, high: float, value: Reals) -> Floats:
    """0 below `low`, 1 above `high`, smooth between (and falling where `high` is below `low`)."""
    t = np.clip((value - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def spot(x: Floats, y: Floats, at: tuple[float, float], wide: float, high: float) -> Floats:
    """A soft spot: 1 at its middle, falling to 0.6 one half width away."""
    return np.exp(
        -0.5 * (((x - np.float32(at[0])) / np.float32(wide)) ** 2 + ((y - np.float32(at[1])) / np.float32(high)) ** 2)
    )
