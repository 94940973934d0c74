"""EmotiEffLib (HSEmotion): EfficientNet-B0 for eight expressions, run by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_core.foreign.tools import TOOLS, Ask, Tool, called

ORDER = ("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def make() -> Ask:
    from emotiefflib.facial_analysis import EmotiEffLibRecognizer

    recogniser = EmotiEffLibRecognizer(engine="onnx", model_name="enet_b0_8_best_vgaf")

    def ask(faces: NDArray[np.uint8]) -> Any:
        return recogniser.predict_emotions(list(faces), logits=True)[1]

    return ask


TOOL = TOOLS.register("emotiefflib")(
    Tool(
        "emotiefflib[onnx]",
        "EmotiEffLib (EfficientNet-B0)",
        ORDER,
        224,
        3,
        "logits",
        "AffectNet",
        "Its weights are downloaded at the first call.",
        make,
    )
)


def network() -> Ask:
    return called(TOOL)
