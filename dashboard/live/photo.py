"""Photo: one picture, all its faces; and the endpoint `/predict` for scripts."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from dashboard.live import answers
from dashboard.live.controls import Chosen, predictor, tta
from dashboard.live.drawing import annotated, at_shown_size
from dashboard.live.uploads import Picture, said
from fer_core.datasets.synthetic import draw_face
from fer_core.errors import FerError
from fer_core.images import decode
from fer_core.inference import Prediction
from fer_core.labels import COLOURS

AT_ONCE = 4


def draw(chosen: Chosen) -> None:
    with gr.Row():
        with gr.Column(scale=2):
            picture = Picture(label="Photo", sources=["upload", "clipboard"], image_mode=None, height=300)
            gr.Examples(
                [[face] for face in _synthetic()],
                picture,
                label="Or one of these synthetic faces, drawn by this program",
                examples_per_page=8,
            )
        with gr.Column(scale=3):
            result = gr.Image(
                label="Faces", format="png", height=480, interactive=False, buttons=["download", "fullscreen"]
            )
            answer = gr.HTML(answers.waiting_for_photo())
    gr.on(
        [picture.change, *(choice.change for choice in (*chosen.predicting, chosen.look))],
        show,
        [picture, *chosen.predicting, chosen.look],
        [result, answer],
        api_visibility="private",
        trigger_mode="always_last",
        concurrency_limit=AT_ONCE,
        concurrency_id="photo",
    )
    gr.on(
        [],  # for scripts only
        predict,
        [picture, *chosen.predicting],
        gr.JSON(visible=False, label="faces"),
        api_name="predict",
        api_description=predict.__doc__,
        concurrency_id="photo",
    )


def predict(
    picture: bytes | None, networks: list[str], detector: str, averaging: str, sure: float
) -> list[dict[str, Any]]:
    """The faces of a picture, the largest first: box (left, top, width, height), score of the detector, verdict
    (“not sure” below the confidence given), predicted, confidence, probs by expression, warnings."""
    if picture is None:
        raise gr.Error("No picture was given.", print_exception=False)
    try:
        predictions = predictor(networks).predict(decode(picture), detector, tta=tta(averaging))
    except FerError as error:
        raise said(error) from error
    return [
        {
            "box": prediction.face.box,
            "score": prediction.face.score,
            "verdict": prediction.verdict(sure),
            "predicted": prediction.predicted,
            "confidence": prediction.confidence,
            "probs": prediction.probs,
            "warnings": prediction.warnings,
        }
        for prediction in predictions
    ]


def show(
    picture: bytes | None, networks: list[str] | None, detector: str, averaging: str, sure: float, look: bool
) -> tuple[Any, str]:
    if picture is None:
        return None, answers.waiting_for_photo()
    try:
        image, predictions, limit = looked_at(picture, networks, detector, averaging, look)
    except FerError as error:
        return None, answers.problem(error)
    text = answers.sentence(predictions, sure)
    marked = gr.Image(annotated(image, predictions, sure), alt_text=f"The photo with its faces marked. {text}")
    return marked, answers.scale(limit, explained(networks)) + answers.bars(predictions, sure)


def looked_at(
    picture: bytes,
    networks: list[str] | None,
    detector: str,
    averaging: str,
    look: bool,
) -> tuple[NDArray[np.uint8], list[Prediction], float]:
    """A picture at the size at which it is shown, with the overlay if asked for, and its faces in those pixels."""
    known = predictor(networks)
    image = decode(picture)
    predictions = known.predict(image, detector, tta=tta(averaging))
    image, factor = at_shown_size(image)
    predictions = [prediction.scaled(factor) for prediction in predictions]
    limit = 0.0
    if look:
        image, limit = known.explain(image, predictions)
    return image, predictions, limit


def explained(networks: list[str] | None) -> str:
    """The network whose map is shown, where several answer together."""
    return networks[0] if networks and len(networks) > 1 else ""


def _synthetic() -> list[NDArray[np.uint8]]:
    """Example pictures: single drawn faces, and a group."""
    draw = [draw_face(name, index=i, size=320, channels=3, strength=1).image for i, name in enumerate(COLOURS) if i < 7]
    happy, surprise, sad = (
        draw_face(name, index=i, size=240, channels=3, strength=1).image
        for i, name in enumerate(("happy", "surprise", "sad"), 20)
    )
    return [*draw, np.hstack([happy, surprise, sad])]
