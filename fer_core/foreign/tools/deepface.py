"""DeepFace's expression network, asked about faces that are cut out already."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_core.foreign.tools import TOOLS, Ask, Tool, called
from fer_core.labels import FER7


def make() -> Ask:
    from deepface import DeepFace

    def ask(faces: NDArray[np.uint8]) -> Any:
        rows = []
        for face in faces:
            colour = np.repeat(face[..., None], 3, axis=2)
            (found,) = DeepFace.analyze(
                colour, actions=["emotion"], detector_backend="skip", enforce_detection=False, silent=True
            )
            rows.append([found["emotion"][name] / 100 for name in FER7.names])
        return rows

    return ask


TOOL = TOOLS.register("deepface")(
    Tool(
        "deepface tf-keras",
        "DeepFace",
        FER7.names,
        48,
        1,
        "probabilities",
        "FER2013",
        "Its weights are downloaded at the first call.",
        make,
    )
)


def network() -> Ask:
    return called(TOOL)
