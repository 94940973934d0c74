"""YuNet (Wu et al., Machine Intelligence Research 2023) from an ONNX file that the user provides.

The file is `face_detection_yunet_2023mar.onnx` of OpenCV's model zoo; the environment variable FERSCOPE_YUNET holds its
path.
"""

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core.errors import FerError
from fer_core.faces import FER2013_MARGIN, Face, detector

if TYPE_CHECKING:
    import cv2

FILE = "face_detection_yunet_2023mar.onnx"

_one_at_a_time = threading.Lock()  # OpenCV's networks keep their input between calls, so threads must not share one


@lru_cache(maxsize=1)
def _network(path: str) -> "cv2.FaceDetectorYN":
    import cv2

    return cv2.FaceDetectorYN.create(path, "", (320, 320), score_threshold=0.7)


def _file() -> str:
    """The path that the environment names; empty: none."""
    return os.environ.get("FERSCOPE_YUNET", "")


# Its margin could not be measured; it learned the boxes of the same set (WIDER FACE) as mtcnn.
@detector("yunet", "YuNet", margin=FER2013_MARGIN, usable=lambda: Path(_file()).is_file())
def yunet(image: NDArray[np.uint8], min_size: float) -> list[Face]:
    """Faces with score and points, also turned ones.

    Raises:
        FerError: FERSCOPE_YUNET is not set, its file is missing or is not YuNet.
    """
    import cv2

    path = _file()
    if not Path(path).is_file():
        found = f"FERSCOPE_YUNET names {path}, which is no file" if path else "FERSCOPE_YUNET is not set"
        raise FerError(
            f"YuNet needs the file {FILE} and {found}; download it from OpenCV's model zoo and set FERSCOPE_YUNET to "
            "its path, or choose the detector mtcnn."
        )
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    with _one_at_a_time:
        try:
            network = _network(path)
            network.setInputSize((image.shape[1], image.shape[0]))
            rows = network.detect(bgr)[1]
        except cv2.error as error:
            raise FerError(
                f"{path} does not work as YuNet (OpenCV: {error.err}); set FERSCOPE_YUNET to {FILE} from "
                "OpenCV's model zoo."
            ) from error
    if rows is None:  # OpenCV's way to say that there is no face
        return []
    # A row: box (4), five points (10) in the order of `Face.points`, score.
    faces = [
        Face((left, top, width, height), score, np.array(points, np.float32).reshape(5, 2))
        for left, top, width, height, *points, score in rows.tolist()
    ]
    return [face for face in faces if face.size >= min_size]
