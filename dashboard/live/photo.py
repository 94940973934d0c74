"""Photo: the faces of one or several photos, and the endpoint `/predict` for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dashboard.live import html, jobs
from dashboard.live.controls import Chosen, predictor, tta
from dashboard.live.drawing import annotated, at_shown_size
from dashboard.live.theme import WIDE
from dashboard.live.uploads import Picture, picture_bytes, said
from fer_core.errors import DataError, FerError, ImageError
from fer_core.heads.shipped import portraits
from fer_core.images import PICTURE_SUFFIXES, UPLOAD, decode
from fer_core.labels import COLOURS
from fer_core.serving.predictor import Prediction

AT_ONCE = 8  # photos; the faces of several go through the network in one pass
MOST = 24  # photos that are shown together; the Folder tab takes more
LAST: dict[str, Any] = {
    "api_visibility": "private",
    "trigger_mode": "always_last",
}  # of several changes the last one counts
SMALL = 260  # pixels of the longer side of a photo among several
_BLANK = np.full((SMALL * 3 // 4, SMALL, 3), 128, np.uint8)  # stands for a photo that cannot be read


def draw(chosen: Chosen) -> None:
    with gr.Row():
        with gr.Column(scale=2, elem_classes="given"):
            picture = Picture(label="Photo", sources=["upload", "clipboard"], image_mode=None, height=240)
            gr.Examples(
                [[face] for face in _examples()],
                picture,
                label="Examples (rendered heads)",
                examples_per_page=8,
            )
            several = gr.File(  # no UploadButton: there a small second upload overtakes a large first, which then stays
                label=f"Several photos (up to {MOST})",
                file_count="multiple",
                file_types=sorted(PICTURE_SUFFIXES),
                height=140,
            )
        with gr.Column(scale=4, min_width=WIDE, elem_classes="answer"):
            told = gr.HTML(visible="hidden")
            sheet = gr.Gallery(
                show_label=False, visible="hidden", interactive=False, format="jpeg", height="auto", elem_classes="photos",
                object_fit="contain", allow_preview=False, buttons=[],
            )  # fmt: skip
            with gr.Row(elem_classes="seen"):
                result = gr.Image(
                    label="Faces",
                    format="png",
                    height=380,
                    min_width=260,
                    interactive=False,
                    buttons=["download", "fullscreen"],
                )
                answer = gr.HTML(html.waiting_for_photo(), min_width=240)
    gr.on(
        [picture.change, *(choice.change for choice in (*chosen.predicting, chosen.look))],
        show,
        [picture, *chosen.predicting, chosen.look],
        [result, answer],
        concurrency_limit=AT_ONCE,
        concurrency_id="photo",
        **LAST,
    )
    several.change(  # the first of them large; before the sheet, which takes longer
        lambda paths: paths[0] if paths else gr.skip(),
        several,
        picture,
        show_progress="hidden",
        **LAST,
    )
    gr.on(
        [several.change, *(choice.change for choice in (*chosen.predicting, chosen.look))],
        show_several,
        [several, *chosen.predicting, chosen.look],
        [told, sheet],
        show_progress="hidden",
        concurrency_limit=jobs.AT_ONCE,
        concurrency_id="photos",
        **LAST,
    )
    sheet.select(closer, several, picture, api_visibility="private", show_progress="hidden")
    gr.on(  # a single photo replaces the several
        [picture.upload, picture.clear], lambda: None, None, several, api_visibility="private", show_progress="hidden"
    )
    jobs.endpoint("predict", predict, [picture, *chosen.predicting], gr.JSON(visible=False, label="faces"), "photo")


def predict(
    picture: bytes | None, networks: list[str], detector: str, averaging: str, sure: float
) -> list[dict[str, Any]]:
    """The faces of an image, largest first. Each has a box (left, top, width, height), the detector's score, the verdict
    (“not sure” below the given confidence), predicted, confidence, probs by expression, and warnings."""
    if picture is None:
        raise gr.Error("No image was sent.", print_exception=False)
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
        return None, html.waiting_for_photo()
    try:
        image, predictions, limit = looked_at(picture, networks, detector, averaging, look)
    except FerError as error:
        return None, html.problem(error)
    text = html.sentence(predictions, sure)
    marked = gr.Image(annotated(image, predictions, sure), alt_text=f"The photo with its faces marked. {text}")
    return marked, html.by(networks) + html.bars(predictions, sure) + html.scale(limit, explained(networks))


def show_several(
    paths: list[str] | None, networks: list[str] | None, detector: str, averaging: str, sure: float, look: bool
) -> Iterator[tuple[Any, Any]]:
    """Progress, then the total and a small image of each photo with its predictions below."""
    if not paths:
        yield _hidden()
        return
    if len(paths) > MOST:
        problem = f"{len(paths)} photos are too many at once. Choose up to {MOST}, or use the Folder tab."
        yield gr.HTML(html.problem(DataError(problem)), visible=True), gr.Gallery(visible="hidden")
        return
    shown: list[tuple[NDArray[np.uint8], str]] = []
    faces = without = bad = 0
    progress = html.Progress("photo", len(paths))
    yield gr.HTML(progress.line(0), visible=True), gr.skip()
    for path in map(Path, paths):
        try:
            image, predictions, _ = looked_at(picture_bytes(path), networks, detector, averaging, look)
        except ImageError as error:
            bad += 1
            shown.append((_BLANK, str(error).replace(UPLOAD, path.name, 1)))
        except FerError as error:  # of the settings: the same for each photo
            yield gr.HTML(html.problem(error), visible=True), gr.Gallery(visible="hidden")
            return
        else:
            faces += len(predictions)
            without += not predictions
            image, factor = _small(image)
            small = annotated(image, [prediction.scaled(factor) for prediction in predictions], sure)
            shown.append((small, f"{path.name}: {html.sentence(predictions, sure)}"))
        if progress.due():
            yield gr.HTML(progress.line(len(shown))), gr.skip()
    text = html.counted(len(paths), "photo") + ", " + html.counted(faces, "face")
    text += f"; {without} without a face" if without else ""
    text += f"; {bad} unreadable" if bad else ""
    yield gr.HTML(html.say(f"{text}. Click a photo to enlarge it."), visible=True), gr.Gallery(shown, visible=True)


def closer(paths: list[str] | None, event: gr.SelectData) -> Any:
    """The photo that was clicked, as if it had been uploaded alone."""
    return paths[event.index] if paths else gr.skip()


def _small(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The image at the size for the gallery, and the factor by which it was scaled."""
    factor = SMALL / max(image.shape[:2])
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)), factor


def _hidden() -> tuple[Any, Any]:
    return gr.HTML(visible="hidden"), gr.Gallery(visible="hidden")


def looked_at(
    picture: bytes,
    networks: list[str] | None,
    detector: str,
    averaging: str,
    look: bool,
) -> tuple[NDArray[np.uint8], list[Prediction], float]:
    """The image at its size on the page (with the overlay if `look`), and its faces in the same pixels."""
    known = predictor(networks)
    image = decode(picture)
    predictions = known.predict(image, detector, tta=tta(averaging))
    image, factor = at_shown_size(image)
    predictions = [prediction.scaled(factor) for prediction in predictions]
    limit = 0.0
    if look:
        image, limit = known.explain(image, predictions, tta=tta(averaging))
    return image, predictions, limit


def explained(networks: list[str] | None) -> str:
    """The network whose map is shown, where several are selected."""
    return networks[0] if networks and len(networks) > 1 else ""


def _examples() -> list[NDArray[np.uint8]]:
    """Example photos: single rendered heads, and a group of three."""
    found = portraits()
    heads = dict(zip(found.expressions, found.images.swapaxes(0, 1), strict=True))  # expression -> (person, H, W, 3)
    single = [heads[name][person] for person, name in enumerate(COLOURS) if name in heads]
    return [*single[:7], np.hstack([heads["happy"][8], heads["surprise"][9], heads["sad"][10]])]
