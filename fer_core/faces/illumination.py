"""Illumination normalisation: pure functions on one grey image, (H, W) uint8 to (H, W) uint8, by name in `LIGHT`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Light = Literal["equalise", "clahe", "gamma", "dog", "dct", "diffusion"]


def equalise(grey: Grey) -> Grey:
    """Histogram equalisation: every grey level as frequent as any other."""
    import cv2

    return np.asarray(cv2.equalizeHist(grey), dtype=np.uint8)


def clahe(grey: Grey) -> Grey:
    """Contrast-limited adaptive equalisation (Zuiderveld 1994): by tiles of an eighth of the side, limit 2."""
    import cv2

    return np.asarray(cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(grey), dtype=np.uint8)


def gamma(grey: Grey) -> Grey:
    """The power that brings the mean to the middle grey, between 0.4 and 2.5."""
    share = grey / 255.0
    mean = float(np.clip(share.mean(), 1e-3, 1 - 1e-3))
    power = float(np.clip(np.log(0.5) / np.log(mean), 0.4, 2.5))
    return np.asarray(np.rint(255 * share**power), dtype=np.uint8)


def difference_of_gaussians(grey: Grey) -> Grey:
    """Preprocessing chain of Tan and Triggs 2010 (IEEE TIP 19): gamma 0.2, Gaussians of 1 and 2 pixels, both tails tamed.

    Sigmas are for a face of about 128 pixels and grow with the side, 0.5 pixels at least.
    """
    import cv2

    values = (grey / 255.0).astype(np.float32) ** 0.2
    unit = max(0.5, min(grey.shape) / 128)
    fine, coarse = (cv2.GaussianBlur(values, (0, 0), sigma * unit) for sigma in (1.0, 2.0))
    band = np.asarray(fine - coarse, dtype=np.float64)
    for limit in (np.inf, 10.0):  # equalise the contrast twice, the second time without its largest values
        scale = float(np.mean(np.minimum(np.abs(band), limit) ** 0.1) ** 10)
        if scale < 1e-12:
            return np.full_like(grey, 128)
        band = band / scale
    band = 10 * np.tanh(band / 10)
    return _stretched(band)


def without_low_frequencies(grey: Grey) -> Grey:
    """DCT in the logarithm (Chen, Er and Wu 2006, IEEE SMC-B 36): the lowest frequencies, which light makes, are set to
    those of an even image; the first 3 diagonals without the mean. The result stays a logarithm, as there."""
    import cv2

    height, width = grey.shape
    logarithm = np.log1p(grey.astype(np.float32))
    even = cv2.copyMakeBorder(logarithm, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)  # OpenCV's takes even sizes
    spectrum = np.asarray(cv2.dct(even))
    down, across = np.indices(spectrum.shape)
    spectrum[(down + across > 0) & (down + across < 4)] = 0
    spectrum[0, 0] = np.log(128) * np.sqrt(even.size)
    return _stretched(np.asarray(cv2.idct(spectrum), dtype=np.float64)[:height, :width])


def isotropic_diffusion(grey: Grey) -> Grey:
    """Reflectance by isotropic diffusion: the image divided by its smoothed self (heat equation, time 7 pixels squared
    at a side of 128), as a variant of Gross and Brajovic 2003."""
    import cv2

    values = grey.astype(np.float32) + 1
    sigma = max(1.0, np.sqrt(2 * 7) * 2 * min(grey.shape) / 128)  # diffusion for a time t is a Gaussian of sqrt(2 t)
    light = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return _stretched(np.asarray(values / light, dtype=np.float64))


def _stretched(values: NDArray[np.float64]) -> Grey:
    """To 0..255, without the outermost hundredth at each end; a constant image becomes middle grey."""
    low, high = np.percentile(values, (1, 99))
    if high - low < 1e-3 * max(1.0, abs(float(low))):  # rounding of 32 bits, not light
        return np.full(values.shape, 128, np.uint8)
    return np.asarray(np.rint(np.clip((values - low) / (high - low), 0, 1) * 255), dtype=np.uint8)


LIGHT: dict[Light, Callable[[Grey], Grey]] = {
    "equalise": equalise,
    "clahe": clahe,
    "gamma": gamma,
    "dog": difference_of_gaussians,
    "dct": without_low_frequencies,
    "diffusion": isotropic_diffusion,
}
