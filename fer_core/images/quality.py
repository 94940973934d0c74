"""Is a face good enough for a prediction? The warnings beside predictions, and their thresholds.

Most networks here were trained on FER2013. A threshold marks where that set has few images, so that predictions beyond
it are less reliable. Measured on every sixth PublicTest image (599; the pose on the 267 of them in which mtcnn finds a
face).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_core.faces import Face
from fer_core.images import ImageSpec, fit

DARK = 50.0  # mean grey, 0..255; 1 % of FER2013 is darker
# `sharpness`; 0.5 % of FER2013 is below 0.21. A Gaussian blur of one pixel leaves a median of 0.06, and 95 % below 0.11.
BLURRED = 0.12
TURNED = 0.35  # distance of the nose from the middle between the eyes, along their line, by their distance: about 30 °
TILTED = 30.0  # degrees between the line of the eyes and the horizontal; 1 % of FER2013 is at 28 or more

_MEASURED = ImageSpec(channels=1, height=48, width=48)


def brightness(picture: NDArray[np.uint8]) -> float:
    """Mean grey, 0 (black) to 255 (white)."""
    return float(fit(picture, _MEASURED).mean())


def contrast(picture: NDArray[np.uint8]) -> float:
    """Standard deviation of the grey, 0 (constant) to 127.5 (half black, half white)."""
    return float(fit(picture, _MEASURED).std())


def sharpness(picture: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian by the variance of the image, both at 48 x 48: no unit, 0 or more.

    Pech-Pacheco et al. 2000 measure focus by the first alone, which grows with contrast. 0 for a constant image.
    """
    import cv2

    grey = fit(picture, _MEASURED).astype(np.float32)
    spread = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1].var()) / spread if spread > 0 else 0.0


def pose(face: Face) -> tuple[float, float] | None:
    """(turn, tilt): how far the nose is off the middle of the eyes by their distance, 0 for a frontal face, and the
    degrees, 0..180, by which the line of the eyes is not level. None if the detector gives no points."""
    if face.points is None:
        return None
    left, right, nose = face.points[:3].astype(np.float64)
    across = right - left
    apart = float(np.linalg.norm(across))
    if apart < 1:  # both eyes on one pixel: seen from the side
        return float("inf"), 0.0
    turn = float(abs((nose - (left + right) / 2) @ across)) / apart**2
    return turn, float(abs(np.degrees(np.arctan2(across[1], across[0]))))


def warnings(face: Face, cut: NDArray[np.uint8], spec: ImageSpec) -> tuple[str, ...]:
    """Why the prediction for a face may be unreliable, in words; empty for a good image.

    Args:
        cut: the face as it was cut out of the image, (h, w) or (h, w, 3), before it is brought to size.
        spec: what the network takes; a face with fewer pixels has to be enlarged.
    """
    found = []
    side = max(cut.shape[:2])
    if side < max(spec.height, spec.width):
        found.append(f"too small ({side} pixels, the network takes {max(spec.height, spec.width)})")
    if (grey := brightness(cut)) < DARK:
        found.append(f"too dark (mean grey {grey:.0f} of 255, below {DARK:.0f})")
    if (sharp := sharpness(cut)) < BLURRED:
        found.append(f"blurred (sharpness {sharp:.2f}, below {BLURRED:.2f})")
    if (angles := pose(face)) is not None:
        turn, tilt = angles
        if turn > TURNED:
            found.append(f"turned to the side (nose {turn:.2f} eye distances off, above {TURNED:.2f})")
        if tilt > TILTED:
            found.append(f"tilted ({tilt:.0f} degrees, above {TILTED:.0f})")
    return tuple(found)
