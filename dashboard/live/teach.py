"""Teach: a few images of each of a person's expressions, and a small head that learns them in seconds; its answer stands
beside that of the network.

The images stay in the memory of the session. They go with it, with “Delete all”, or after a quarter of an hour in which
nothing changes. Photos that are chosen as files are uploads as elsewhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from dashboard import markup
from dashboard.live import html
from dashboard.live.controls import Chosen, predictor, tta
from dashboard.live.drawing import annotated, at_shown_size, data_url
from dashboard.live.theme import WIDE
from dashboard.live.uploads import KEPT, Picture, picture_bytes
from dashboard.text import interval
from fer_core.errors import DataError, FerError
from fer_core.evaluation.intervals import percent
from fer_core.faces import Face
from fer_core.images import PICTURE_SUFFIXES, decode
from fer_core.labels import COLOURS
from fer_core.serving.few_shot import OwnHead, teach
from fer_core.serving.predictor import Prediction

EACH = 10  # images of an expression that are recorded at once
MOST = 40  # of an expression
BETWEEN = 0.4  # seconds between two recorded images, so that they differ
AT_ONCE = 4  # streams
SECONDS = 300  # that a stream holds its place
HEADER = ("Answer by", "Correct", "Accuracy (95 % CI)")
HOW = (
    f"1. Choose an expression and record {EACH} images while you show it. Move your head a little. 2. Do the same for a second "
    "expression, or for all. 3. Press Train. Camera images stay in the memory of this session and are never written to disk."
)


@dataclass
class Lesson:
    """What one visitor has recorded, and the head that learned it.

    Attributes:
        images: by expression: the bytes that were sent, and the largest face.
        recording: the expression that is being recorded, and how many images of it are missing.
        last: time (monotonic) of the last recorded image.
        head: what was learned, of the network called `network`.
    """

    images: dict[str, list[tuple[bytes, Face]]] = field(default_factory=dict)
    recording: str = ""
    missing: int = 0
    last: float = 0.0
    head: OwnHead | None = None
    network: str = ""

    def keep(self, expression: str, image: bytes, face: Face) -> None:
        """Raises:
        DataError: there are enough images of it.
        """
        known = self.images.setdefault(expression, [])
        if len(known) >= MOST:
            raise DataError(f"{MOST} images of {expression} are enough. Record another expression, or press Train.")
        known.append((image, face))

    def forget(self) -> None:
        """Delete everything. In place, for a stream may be holding it."""
        self.recording, self.missing, self.head, self.network = "", 0, None, ""
        self.images.clear()


def draw(chosen: Chosen) -> None:
    lesson = gr.State(Lesson(), time_to_live=KEPT)
    with gr.Row():
        with gr.Column(scale=2, elem_classes="given"):
            camera = Picture(label="Camera", sources=["webcam"], streaming=True, height=200)
            expression = gr.Radio(list(COLOURS), value="happy", label="Expression")
            record = gr.Button(f"Record {EACH} images", variant="primary")
            recorded = gr.HTML(told(Lesson()))
            with gr.Row():
                train = gr.Button("Train", variant="primary", min_width=100)
                delete = gr.Button("Delete all", min_width=100)
            files = gr.File(
                label="Or photos of this expression",
                file_count="multiple",
                file_types=sorted(PICTURE_SUFFIXES),
                height=140,
            )
        with gr.Column(scale=4, min_width=WIDE, elem_classes="answer"):
            view = gr.HTML()
            answer = gr.HTML(html.say(HOW))
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    record.click(start, [expression, lesson], [recorded, lesson], **private)
    files.upload(
        add,
        [files, expression, *chosen.predicting[:2], lesson],
        [recorded, lesson, files],
        concurrency_id="teach",
        **private,
    )
    train.click(learn, [*chosen.predicting[:3], lesson], [answer, lesson], concurrency_id="teach", **private)
    delete.click(forget, lesson, [recorded, answer, view], **private)
    camera.stream(
        show, [camera, *chosen.predicting, lesson], [view, recorded, lesson], stream_every=0.1, time_limit=SECONDS,
        concurrency_limit=AT_ONCE, concurrency_id="teach-camera", **private,
    )  # fmt: skip


def told(lesson: Lesson) -> Markup:
    """How many images of which expression there are."""
    counts = ", ".join(f"{name} {len(images)}" for name, images in lesson.images.items())
    now = f" Recording {lesson.recording}: {lesson.missing} to go." if lesson.missing else ""
    return html.say(f"Images: {counts or 'none yet'}.{now}")


def start(expression: str, lesson: Lesson) -> tuple[Markup, Lesson]:
    lesson.recording, lesson.missing = expression, EACH
    return told(lesson) + html.light("Start the camera first, if it is off."), lesson


def forget(lesson: Lesson) -> tuple[Markup, Markup, str]:
    lesson.forget()
    return told(lesson), html.say(HOW), ""


def add(
    paths: list[str] | None, expression: str, networks: list[str] | None, detector: str, lesson: Lesson
) -> tuple[Markup, Lesson, None]:
    """Take the largest face of each photo; a photo without one, or that cannot be read, is told."""
    problems = []
    for path in map(Path, paths or []):
        try:
            data = picture_bytes(path)
            lesson.keep(expression, data, _largest(predictor(networks).predict(decode(data), detector)))
        except FerError as error:
            problems.append(html.problem(DataError(f"{path.name}: {error}")))
    return told(lesson) + Markup().join(problems), lesson, None


def _largest(predictions: list[Prediction]) -> Face:
    if not predictions:
        raise DataError("No face was found in it, so it was left out.")
    return predictions[0].face


def learn(networks: list[str] | None, detector: str, averaging: str, lesson: Lesson) -> tuple[Markup, Lesson]:
    try:
        known = predictor(networks)
        shown = {
            name: [known.predict_faces(decode(data), [face], detector, tta=tta(averaging))[0] for data, face in images]
            for name, images in lesson.images.items()
        }
        lesson.head = teach(known.members[0], shown)
        lesson.network = (networks or [""])[0]
    except FerError as error:
        return html.problem(error), lesson
    return result(lesson.head), lesson


def result(head: OwnHead) -> Markup:
    """The accuracy of the head beside that of the network, and what it means."""
    title = head.network.card.title
    rows = [
        [name, f"{correct} of {head.n}", f"{percent(correct / head.n)} ({interval(bounds)})"]
        for name, correct, bounds in (
            ("Your own classifier", head.correct, head.interval),
            (title, head.network_correct, head.network_interval),
        )
    ]
    return (
        html.say(
            f"Your own classifier has learned {', '.join(head.counts)} from {head.n} images. Show your face to see it."
        )
        + markup.table(HEADER, rows, words=(0,))
        + html.light(
            f"Your own classifier: cross-validation over five stretches of the recording. Always the most frequent expression: "
            f"{percent(head.chance)}. {title} chooses among all of its expressions. Images of one recording resemble each other, "
            "so on another day both accuracies will differ by more than the intervals say."
        )
    )


def show(
    frame: bytes | None,
    networks: list[str] | None,
    detector: str,
    averaging: str,
    sure: float,
    lesson: Lesson,
) -> tuple[Any, Any, Lesson]:
    """One frame of the camera: recorded if it is to be, and the answers of network and head to its largest face."""
    if frame is None:
        return gr.skip(), gr.skip(), lesson
    try:
        known = predictor(networks)
        image = decode(frame)
        predictions = known.predict(image, detector, tta=tta(averaging))[:1]
        if predictions and lesson.missing and time.monotonic() - lesson.last >= BETWEEN:
            lesson.last = time.monotonic()
            lesson.missing -= 1
            lesson.keep(lesson.recording, frame, predictions[0].face)
    except FerError as error:
        lesson.missing = 0
        return html.problem(error), told(lesson), lesson
    image, factor = at_shown_size(image)
    marked = annotated(image, [prediction.scaled(factor) for prediction in predictions], sure)
    said = html.by(networks) + html.bars(predictions, sure)
    if lesson.head and predictions and lesson.network == (networks or [""])[0]:
        said += html.own_bars(lesson.head.probs(predictions[0]))
    return html.shot(data_url(marked), html.sentence(predictions, sure), said), told(lesson), lesson
