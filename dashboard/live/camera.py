"""Camera: frame by frame, faces are tracked and their probabilities smoothed over time."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field

import gradio as gr

from dashboard.live import html
from dashboard.live.controls import Chosen, predictor, tta
from dashboard.live.drawing import annotated, at_shown_size, data_url
from dashboard.live.photo import explained
from dashboard.live.theme import WIDE
from dashboard.live.uploads import Picture
from fer_core.errors import FerError
from fer_core.images import decode
from fer_core.serving.face_tracker import Tracker

AT_ONCE = 8  # streams; each holds a place until it ends. Photos and jobs have places of their own.
SECONDS = 300  # that a stream holds its place
EVERY = 0.1  # seconds; the browser sends the next frame only when the last one is answered, so viewers take turns
PAUSE = 3.0  # seconds after which the count of frames a second begins anew
FADE = 0.95  # of the overlay's scale, a frame: a weak map after a strong one does not look strong
NO_CAMERA = {  # what the browser calls it, and what is said
    "NotAllowedError": "The browser may not use the camera. Allow it in the address bar, or in the system's privacy "
    "settings, and click again.",
    "NotFoundError": "No camera was found. Connect one and click again. The Photo and Video tabs work without a camera.",
    "NotReadableError": "Another program uses the camera. Close that program and click again.",
}
NOT_SECURE = (
    "Browsers allow the camera only over HTTPS when a page comes from another machine. Start the app with --certificate "
    "and --key, and open its https address."
)
# Gradio shows nothing when the browser refuses the camera.
SAY_WHY = f"""
    const said = {json.dumps(NO_CAMERA)};
    addEventListener("unhandledrejection", (event) => {{
        if (event.reason?.name in said) {{ props.value = said[event.reason.name]; event.preventDefault(); }}
    }});
    document.addEventListener("click", (event) => {{
        if (event.target.closest("[title='grant webcam access']"))
            props.value = navigator.mediaDevices ? "" : {json.dumps(NOT_SECURE)};
    }}, true);
"""


@dataclass
class Stream:
    """The state of one viewer's camera between frames."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=30))
    limit: float = 0.0  # of the overlay's scale
    tracker: Tracker = field(default_factory=Tracker)

    def rate(self) -> float:
        """Frames per second over the last frames; 0 for the first one, and again after a pause."""
        now = time.monotonic()
        if self.times and now - self.times[-1] > PAUSE:
            self.times.clear()
        self.times.append(now)
        return (len(self.times) - 1) / (now - self.times[0]) if len(self.times) > 1 else 0.0


def draw(chosen: Chosen) -> None:
    stream = gr.State(Stream())
    with gr.Row():
        with gr.Column(scale=2, elem_classes="given"):
            camera = Picture(label="Camera", sources=["webcam"], streaming=True, height=300)
            gr.HTML("", html_template="${value && `<p class='problem' role='alert'>${value}</p>`}", js_on_load=SAY_WHY)
            gr.HTML(
                html.light(
                    "Choose the camera, then click Record. Frames are not stored. A stream ends after "
                    f"{SECONDS // 60} minutes. Probabilities are smoothed over time."
                )
            )
        with gr.Column(scale=3, min_width=WIDE, elem_classes="answer"):
            view = gr.HTML(html.light("The camera image with its faces and their probabilities will appear here."))
    camera.stream(
        show,
        [camera, *chosen.predicting, chosen.look, stream],
        [view, stream],
        api_visibility="private",
        show_progress="hidden",
        stream_every=EVERY,
        time_limit=SECONDS,
        concurrency_limit=AT_ONCE,
        concurrency_id="camera",
    )


def show(
    frame: bytes | None,
    networks: list[str] | None,
    detector: str,
    averaging: str,
    sure: float,
    look: bool,
    stream: Stream,
) -> tuple[str, Stream]:
    if frame is None:
        return "", stream
    try:
        known = predictor(networks)
        image = decode(frame)
        predictions = known.predict(image, detector, tta=tta(averaging))
        tracks = stream.tracker.update(predictions, time.monotonic())
        image, factor = at_shown_size(image)
        predictions = [track.prediction.scaled(factor) for track in tracks]
        if look:
            image, stream.limit = known.explain(image, predictions, limit=FADE * stream.limit, tta=tta(averaging))
    except FerError as error:
        return html.problem(error), stream
    numbers = [track.number for track in tracks] if len(tracks) > 1 else None
    source = data_url(annotated(image, predictions, sure, numbers))
    legend = html.scale(stream.limit if look else 0.0, explained(networks))
    said = html.by(networks) + html.bars(predictions, sure, numbers) + legend
    said += html.light(f"{stream.rate():.1f} frames per second")
    return html.shot(source, html.sentence(predictions, sure), said), stream
