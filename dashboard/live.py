"""The live tab: a Gradio app that predicts on photos and the camera, alone (`ferscope live`) or inside the workbench.

One function draws one tab (`_photo_tab`, `_camera_tab`); all share the choices above them and the same way to predict.
Nothing that is uploaded outlives its hour: no flagging, no history, no analytics, and the folder of temporary files
goes with the program.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import threading
import time
from abc import ABCMeta
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read while gradio is imported

import gradio as gr
import numpy as np
from gradio.component_meta import ComponentMeta
from gradio.data_classes import ImageData
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dashboard.text import percent
from fer_core.checkpoint import weights_path
from fer_core.datasets.synthetic import draw_face
from fer_core.errors import ConfigError, FerError, UnknownName
from fer_core.images import MAX_PIXELS, decode
from fer_core.inference import Prediction, Predictor
from fer_core.labels import COLOURS
from fer_core.runs import store

LOCAL = ("127.0.0.1", "localhost", "::1")
DETECTORS = [("MTCNN", "mtcnn"), ("Haar cascade", "haar"), ("none: the picture is a face", "none")]
MAX_UPLOAD = 20 * 2**20  # bytes
KEPT = 15 * 60  # seconds that an upload and its result stay on this machine
PHOTOS_AT_ONCE = 4
STREAMS_AT_ONCE = 8  # each holds a place until it ends; photos have places of their own
STREAM_SECONDS = 300
FRAME_EVERY = 0.1  # seconds; the browser sends the next frame only when the last one is answered
SHOWN = (480, 1280)  # pixels of the longer side at which pictures are shown: small ones are enlarged, large ones shrunk
NO_NETWORK = "There is no network yet: train one first, on the workbench's Train page or with “ferscope train”."
NO_FACE = "No face was found. Try another detector, or choose “none” if the picture is a face and nothing else."

THEME = gr.themes.Base(
    primary_hue=gr.themes.Color(*["#2b5f8a"] * 5, "#2b5f8a", *["#234e72"] * 5, name="accent"),
    neutral_hue="gray",
    font=["Source Sans", "system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
    radius_size="sm",
).set(
    body_background_fill="#ffffff",
    body_background_fill_dark="#15171a",
    body_text_color="#24272b",
    body_text_color_dark="#e4e6e9",
    background_fill_primary="#ffffff",
    background_fill_primary_dark="#15171a",
    background_fill_secondary="#f4f5f6",
    background_fill_secondary_dark="#1e2125",
    block_background_fill="transparent",
    block_background_fill_dark="transparent",
    block_label_background_fill="#f4f5f6",
    block_label_background_fill_dark="#1e2125",
    input_background_fill_dark="#1e2125",
    border_color_primary="#dcdfe3",
    border_color_primary_dark="#363b41",
    color_accent="#2b5f8a",
    button_primary_background_fill_dark="#2b5f8a",
    link_text_color_dark="#7fb2dd",
)
CSS = """
.faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.2rem 2rem; }
.faces h3 { font-size: 1rem; font-weight: 600; margin: 0 0 .4rem; }
.form { background: none !important; border: 0 !important; gap: 1rem !important; }
@media (max-width: 640px) { .form { display: grid !important; } }
.form > * { padding: 0 !important; align-self: end; }
.dark { --color-accent: #7fb2dd; --primary-600: #7fb2dd; }
.faces table { width: 100%; border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
.faces th { font-weight: 400; text-align: left; padding: .12rem .6rem .12rem 0; width: 5.5rem; }
.faces td { padding: .12rem 0; }
.faces :is(table, tr, th, td) { border: 0 !important; }
.faces td:last-child { text-align: right; width: 4rem; }
.faces tr.predicted > * { font-weight: 600; }
.faces .bar { height: .7rem; border-radius: 2px; min-width: 1px; }
.dot { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: .5em; }
.light { color: color-mix(in srgb, currentColor 65%, transparent); font-size: .875rem; }
.scale { display: inline-block; width: 8rem; height: .7rem; margin: 0 .3rem; border-radius: 2px;
  background: linear-gradient(90deg, transparent, #3b528b, #21918c, #5ec962, #fde725); }
.say { margin: .2rem 0 .6rem; }
.problem { border-left: 3px solid #D55E00; padding: .5rem .8rem;
  background: color-mix(in srgb, #D55E00 10%, transparent); }
.shot { max-width: 100%; max-height: 480px; display: block; border-radius: 4px; }
.button-wrap { background: var(--background-fill-primary); border-radius: 4px; }
footer :is(img, .divider) { display: none !important; }
"""


class _NoStub(ComponentMeta):
    """Gradio's own metaclass writes a .pyi file beside the module of every new component; this one does not."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> type:
        return ABCMeta.__new__(cls, name, bases, attributes)


class Picture(gr.Image, metaclass=_NoStub):
    """An image that comes as the bytes that were sent. Gradio would decode it in its own way; ours is `decode`.

    Gradio has checked before that the path is one of its uploads.
    """

    is_template = True  # in the browser it is Gradio's own image

    def preprocess(self, payload: ImageData | None) -> bytes | None:
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):  # a camera frame
            return b64decode(payload.url.partition(",")[2])
        try:
            return Path(str(payload.path)).read_bytes()
        except FileNotFoundError:
            message = f"The picture is no longer here: uploads are deleted after {KEPT // 60} minutes. Upload it again."
            raise gr.Error(message, print_exception=False) from None


def build() -> gr.Blocks:
    """The app, not started yet; theme and style are given to it by `start`."""
    with gr.Blocks(title="FERscope live", analytics_enabled=False, delete_cache=(60, KEPT), fill_width=True) as app:
        with gr.Row():
            network = gr.Dropdown(_networks(), label="Network", scale=2)
            detector = gr.Dropdown(DETECTORS, value="mtcnn", label="Faces found by", scale=2)
            look = gr.Checkbox(label="Show what the network looks at (Grad-CAM)", scale=2)
        with gr.Tab("Photo"):
            _photo_tab(network, detector, look)
        with gr.Tab("Camera"):
            _camera_tab(network, detector, look)
        app.load(_refreshed, outputs=network, api_visibility="private", show_progress="hidden")
    return app


def _photo_tab(network: gr.Dropdown, detector: gr.Dropdown, look: gr.Checkbox) -> None:
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
            answer = gr.HTML(f'<p class="light">{_waiting()}</p>')
    gr.on(
        [picture.change, network.change, detector.change, look.change],
        _show_photo,
        [picture, network, detector, look],
        [result, answer],
        api_visibility="private",
        trigger_mode="always_last",
        concurrency_limit=PHOTOS_AT_ONCE,
        concurrency_id="photo",
    )
    gr.on(
        [],  # for scripts only
        predict,
        [picture, network, detector],
        gr.JSON(visible=False, label="faces"),
        api_name="predict",
        api_description=predict.__doc__,
        concurrency_id="photo",
    )


def _camera_tab(network: gr.Dropdown, detector: gr.Dropdown, look: gr.Checkbox) -> None:
    stream = gr.State(Stream())
    with gr.Row():
        with gr.Column(scale=2):
            camera = Picture(label="Camera", sources=["webcam"], streaming=True, height=300)
            gr.HTML(
                '<p class="light">Choose the camera, then Record. Frames are looked at and forgotten; '
                f"a stream ends after {STREAM_SECONDS // 60} minutes.</p>"
            )
        with gr.Column(scale=3):
            view = gr.HTML()
    camera.stream(
        _show_frame,
        [camera, network, detector, look, stream],
        [view, stream],
        api_visibility="private",
        show_progress="hidden",
        stream_every=FRAME_EVERY,
        time_limit=STREAM_SECONDS,
        concurrency_limit=STREAMS_AT_ONCE,
        concurrency_id="camera",
    )


def predict(picture: bytes | None, network: str, detector: str) -> list[dict[str, Any]]:
    """The faces of a picture, the largest first: box (left, top, width, height), predicted, confidence, probs."""
    if picture is None:
        raise gr.Error("No picture was given.", print_exception=False)
    try:
        predictions = predictor(network).predict(decode(picture), detector)
    except FerError as error:
        raise gr.Error(str(error), print_exception=False) from error
    return [
        {
            "box": prediction.face.box,
            "score": prediction.face.score,
            "predicted": prediction.predicted,
            "confidence": prediction.confidence,
            "probs": prediction.probs,
        }
        for prediction in predictions
    ]


@dataclass
class Stream:
    """What one viewer's camera stream carries from frame to frame."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=30))
    limit: float = 0.0  # of the overlay's scale

    def rate(self) -> float:
        """Frames a second over the last frames, 0 before the second; a pause begins anew."""
        now = time.monotonic()
        if self.times and now - self.times[-1] > 3:
            self.times.clear()
        self.times.append(now)
        return (len(self.times) - 1) / (now - self.times[0]) if len(self.times) > 1 else 0.0


def _show_photo(picture: bytes | None, network: str | None, detector: str, look: bool) -> tuple[Any, str]:
    if picture is None:
        return None, f'<p class="light">{_waiting()}</p>'
    try:
        image, predictions, limit = _looked_at(picture, network, detector, look, 0.0)
    except FerError as error:
        return None, _problem(error)
    said = _sentence(predictions)
    marked = gr.Image(_annotated(image, predictions), alt_text=f"The photo with its faces marked. {said}")
    return marked, _scale(limit) + _bars(predictions)


def _show_frame(
    frame: bytes | None, network: str | None, detector: str, look: bool, stream: Stream
) -> tuple[str, Stream]:
    if frame is None:
        return "", stream
    try:
        image, predictions, stream.limit = _looked_at(frame, network, detector, look, 0.95 * stream.limit)
    except FerError as error:
        return _problem(error), stream
    buffer = BytesIO()
    Image.fromarray(_annotated(image, predictions)).save(buffer, "JPEG", quality=85)
    source = f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode()}"
    # Decoded before it is shown, so that the picture does not blink between two frames.
    shot = f'<img class="shot" decoding="sync" src="{source}" alt="Camera picture. {escape(_sentence(predictions))}">'
    rate = f'<p class="light">{stream.rate():.1f} frames a second</p>'
    return shot + rate + _scale(stream.limit if look else 0.0) + _bars(predictions), stream


def _looked_at(
    picture: bytes, network: str | None, detector: str, look: bool, limit: float
) -> tuple[NDArray[np.uint8], list[Prediction], float]:
    """A picture at the size at which it is shown, with the overlay if asked for, and its faces in those pixels."""
    if network is None:
        raise ConfigError(NO_NETWORK)
    known = predictor(network)
    image = decode(picture)
    predictions = known.predict(image, detector)
    image, factor = _at_shown_size(image)
    predictions = [prediction.scaled(factor) for prediction in predictions]
    if look:
        image, limit = known.explain(image, predictions, limit=limit)
    return image, predictions, limit


def _at_shown_size(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    height, width = image.shape[:2]
    longest = max(height, width)
    factor = min(max(longest, SHOWN[0]), SHOWN[1]) / longest
    if factor == 1:
        return image, factor
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)), factor


def _annotated(image: NDArray[np.uint8], predictions: Sequence[Prediction]) -> NDArray[np.uint8]:
    """The picture with a box and a label for each face, readable on any background."""
    picture = Image.fromarray(image).convert("RGB")
    canvas = ImageDraw.Draw(picture)
    longest = max(picture.size)
    line, size = max(2, longest // 320), max(14, longest // 36)
    font = ImageFont.load_default(size)
    for number, prediction in enumerate(predictions, 1):
        colour = _colour(prediction.predicted)
        left, top, width, height = prediction.face.box
        right, bottom = left + width - 1, top + height - 1
        canvas.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="black", width=line + 2)
        canvas.rectangle((left, top, right, bottom), outline=colour, width=line)
        text = f"{prediction.predicted} {100 * prediction.confidence:.1f} %"
        text = f"{number}  {text}" if len(predictions) > 1 else text
        chip_width, chip_height = canvas.textlength(text, font=font) + size, round(1.5 * size)
        x = min(max(0.0, left), max(0.0, picture.width - chip_width))
        y = top - chip_height if top >= chip_height else max(0.0, top)
        canvas.rectangle((x, y, x + chip_width, y + chip_height), fill=colour, outline="black")
        canvas.text((x + size / 2, y + chip_height / 2), text, fill=_ink(colour), font=font, anchor="lm")
    return np.asarray(picture)


def _colour(expression: str) -> str:
    return COLOURS.get(expression, "#888888")


def _ink(colour: str) -> str:
    """Black or white, whichever has the higher contrast on a colour (WCAG 2, relative luminance)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return "black" if np.dot(linear, [0.2126, 0.7152, 0.0722]) > 0.179 else "white"


def _sentence(predictions: Sequence[Prediction]) -> str:
    if not predictions:
        return "No face was found."
    said = [f"{prediction.predicted} ({percent(prediction.confidence)})" for prediction in predictions]
    return f"{len(said)} face{'s' if len(said) > 1 else ''}: {', '.join(said)}."


def _bars(predictions: Sequence[Prediction]) -> str:
    """The probabilities of each face, the expressions always in the order of the card, so that nothing jumps."""
    if not predictions:
        return f'<p class="say" role="status">{NO_FACE}</p>'
    faces = []
    for number, prediction in enumerate(predictions, 1):
        rows = "".join(
            f"<tr{' class=predicted' if name == prediction.predicted else ''}><th scope=row>{escape(name)}</th>"
            f'<td><div class="bar" style="width:{100 * share:.1f}%;background:{_colour(name)}"></div></td>'
            f"<td>{percent(share)}</td></tr>"
            for name, share in prediction.probs.items()
        )
        title = f"Face {number}: {prediction.predicted}" if len(predictions) > 1 else prediction.predicted
        dot = f'<span class="dot" style="background:{COLOURS.get(prediction.predicted, "#888888")}"></span>'
        faces.append(
            f"<section><h3>{dot}{escape(title)}, {percent(prediction.confidence)}</h3><table>{rows}</table></section>"
        )
    return f'<div class="faces" role="status" aria-label="{escape(_sentence(predictions))}">{"".join(faces)}</div>'


def _scale(limit: float) -> str:
    """What the overlay's colours (viridis) mean."""
    if not limit:
        return ""
    return (
        '<p class="light">Grad-CAM of the predicted expression, the same scale for all faces: '
        f'0 <span class="scale" role="img" aria-label="colours from blue to yellow"></span> {limit:.2g}</p>'
    )


def _problem(error: FerError) -> str:
    return f'<p class="problem" role="alert">{escape(str(error))}</p>'


def _waiting() -> str:
    return f"Upload a photo of up to {MAX_UPLOAD // 2**20} MB and {MAX_PIXELS // 10**6} megapixels, or paste one."


def _networks() -> list[tuple[str, str]]:
    """(what people read, name) of each network, shipped ones first."""
    return [(f"{network.card.title} ({name})", name) for name, network in store.checkpoints().items()]


def _refreshed(request: gr.Request) -> gr.Dropdown:
    """The networks that are there when a page is opened; the address (?network=NAME) may choose one."""
    choices = _networks()
    names = [name for _, name in choices]
    asked = request.query_params.get("network")
    return gr.Dropdown(choices, value=asked if asked in names else next(iter(names), None))


def _synthetic() -> list[NDArray[np.uint8]]:
    """Example pictures: single drawn faces, and a group."""
    draw = [draw_face(name, index=i, size=320, channels=3, strength=1).image for i, name in enumerate(COLOURS) if i < 7]
    happy, surprise, sad = (
        draw_face(name, index=i, size=240, channels=3, strength=1).image
        for i, name in enumerate(("happy", "surprise", "sad"), 20)
    )
    return [*draw, np.hstack([happy, surprise, sad])]


_loading = threading.Lock()


def predictor(network: str) -> Predictor:
    """A network ready to predict; loaded when first used, and again when its files are written anew.

    Raises:
        UnknownName: there is no network of that name; the path of a folder is not taken.
        CheckpointError: its files cannot be read.
    """
    if Path(network).name != network:
        raise UnknownName("network", network, store.checkpoints())
    folder = store.find(network).folder
    stamps = tuple(path.stat().st_mtime_ns for path in (folder / "card.json", weights_path(folder)))
    with _loading:  # of two that ask at once, one loads
        return _loaded(folder, stamps)


@lru_cache(maxsize=4)
def _loaded(folder: Path, stamps: tuple[int, ...]) -> Predictor:
    return Predictor(folder)


def _gate(password: str) -> Callable[[str, str], bool]:
    return lambda user, given: secrets.compare_digest(given.encode(), password.encode())


@contextmanager
def start(
    port: int = 0, host: str = "127.0.0.1", *, share: bool = False, password: str | None = None
) -> Iterator[gr.Blocks]:
    """The app, answering at `.local_url` (and `.share_url`) until the block is left; its temporary files go with it.

    Args:
        port: 0 takes the first free one from 7860.
        password: asked for, with any user name, where it is not None.

    Raises:
        ConfigError: the port is taken, or the app would be open to others without a password.
    """
    if (share or host not in LOCAL) and not password:
        raise ConfigError(
            f"The live tab would be open to others ({'a shared link' if share else host}); set a password."
        )
    with tempfile.TemporaryDirectory(prefix="ferscope-live-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # components ask for it when they are made
        app = build()
        try:
            app.launch(
                server_name=host,
                server_port=port or None,
                share=share,
                auth=_gate(password) if password else None,
                auth_message="Any user name, and the password that was printed when the app was started.",
                max_file_size=MAX_UPLOAD,
                theme=THEME,
                css=CSS,
                footer_links=["api"],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                mcp_server=False,
                prevent_thread_lock=True,
                quiet=True,
            )
        except OSError as error:
            raise ConfigError(
                f"The port {port or 'range from 7860'} on {host} cannot be used ({error}); choose another port."
            ) from error
        try:
            yield app
        finally:
            app.close(verbose=False)


def launch(port: int = 0, host: str = "127.0.0.1", share: bool = False, password: str | None = None) -> None:
    """Run the app until Ctrl-C and print where it is: `ferscope live`.

    A shared link, or any address but this machine's, gets a password; it is made up where none is given, and printed.

    Raises:
        ConfigError: the port cannot be used.
    """
    if (share or host not in LOCAL) and not password:
        password = secrets.token_urlsafe(9)
    with start(port, host, share=share, password=password) as app:
        for url in filter(None, (app.local_url, app.share_url)):
            print(f"The live tab is at {url}", flush=True)
        if password:
            print(f"Password (with any user name): {password}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("Stopped.")


if __name__ == "__main__":
    # Started by the workbench: say where, and end with it. A closed standard input is the one sign of a parent's death
    # that every system gives, also when it was killed.
    with start() as live:
        print(live.local_url, flush=True)
        sys.stdin.buffer.read()
