"""Pictures to a table of probabilities, one row a face: what `ferscope predict` and the live app's Folder tab write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer_core.errors import ImageError
from fer_core.images import UPLOAD, decode, shown
from fer_core.serving.predictor import Prediction, Predictor

COLUMNS = ("file", "face", "left", "top", "width", "height", "verdict", "predicted", "confidence")
TEXT_COLUMNS = ("warnings", "problem")


def columns(expressions: Sequence[str]) -> list[str]:
    """The sheet's columns: place of the face, the answer, `prob_<expression>` each, warnings and problem."""
    return [*COLUMNS, *(f"prob_{name}" for name in expressions), *TEXT_COLUMNS]


def face_row(prediction: Prediction, threshold: float = 0.0) -> dict[str, Any]:
    """One face's cells, without `file` and `face`."""
    left, top, width, height = (round(value, 1) for value in prediction.face.box)
    return {
        "left": left,
        "top": top,
        "width": width,
        "height": height,
        "verdict": prediction.verdict(threshold),
        "predicted": prediction.predicted,
        "confidence": round(prediction.confidence, 6),
        **{f"prob_{name}": round(share, 6) for name, share in prediction.probs.items()},
        "warnings": "; ".join(prediction.warnings),
        "problem": "",
    }


def picture_rows(
    name: str,
    source: bytes | Path,
    predictor: Predictor,
    detector: str = "mtcnn",
    *,
    threshold: float = 0.0,
    tta: str | None = None,
) -> list[dict[str, Any]]:
    """The rows of one picture: one a face, the largest first; a single row with `problem` where there is none.

    Args:
        name: what the column `file` says.
        threshold: confidence below which `verdict` is “not sure”.
    """
    try:
        predictions = predictor.predict(decode(source), detector, tta=tta)
    except ImageError as error:
        called = UPLOAD if isinstance(source, bytes) else shown(str(source))  # `file` says which picture it is
        return [problem_row(name, str(error).removeprefix(f"{called}: "))]
    if not predictions:
        return [problem_row(name, "no face was found")]
    return [
        {"file": name, "face": number, **face_row(prediction, threshold)}
        for number, prediction in enumerate(predictions, 1)
    ]


def problem_row(name: str, problem: str) -> dict[str, Any]:
    """The row of a picture that has no answer."""
    return {"file": name, "problem": problem}
