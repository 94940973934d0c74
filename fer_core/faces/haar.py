"""Viola and Jones' cascade of Haar features (CVPR 2001), as `nit` and `kaist` use it; shipped with OpenCV 4."""

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core.faces import Face, detector

if TYPE_CHECKING:
    import cv2

_one_at_a_time = threading.Lock()  # a cascade keeps the image it works on, so two threads must not share a call


@lru_cache(maxsize=1)
def _cascade() -> "cv2.CascadeClassifier":
    import cv2
    import cv2.data

    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")


# The margin was measured as mtcnn's: haar found 76 % of the faces (quartiles -0.05 and 0.09: FER2013 was collected with
# such a cascade).
@detector("haar", "Haar cascade", margin=0.02)
def haar(image: NDArray[np.uint8], min_size: float) -> list[Face]:
    """Upright frontal faces from about 48 pixels, without score and points.

    Scale step 1.1 and 10 neighbours are `kaist`'s; with 5 it takes a shoulder of the tests' portrait for a face.
    """
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    least = round(min_size)
    with _one_at_a_time:
        boxes = _cascade().detectMultiScale(grey, scaleFactor=1.1, minNeighbors=10, minSize=(least, least))
    return [Face((float(left), float(top), float(width), float(height))) for left, top, width, height in boxes]
