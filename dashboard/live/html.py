"""The app's output as HTML: a sentence, the probabilities of each face, warnings, problems, progress, tables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

from dashboard.live.drawing import colour_of
from fer_core.datasets.archive import MAX_PICTURE_BYTES
from fer_core.errors import FerError
from fer_core.evaluation.intervals import percent
from fer_core.images import MAX_PIXELS
from fer_core.serving.predictor import NOT_SURE, Prediction

NO_FACE = "No face was found. Try another detector. If the image shows a face and nothing else, choose “none”."


def light(text: str) -> str:
    return f'<p class="light">{text}</p>'


def problem(error: FerError) -> str:
    return f'<p class="problem" role="alert">{escape(str(error))}</p>'


def waiting_for_photo() -> str:
    return light(
        f"Upload a photo of up to {MAX_PICTURE_BYTES // 2**20} MB and {MAX_PIXELS // 10**6} megapixels, or paste one."
    )


def counted(number: int, what: str) -> str:
    """“1 face”, “2,000 faces”."""
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def sentence(predictions: Sequence[Prediction], threshold: float = 0.0) -> str:
    if not predictions:
        return "No face was found."
    said = [f"{prediction.verdict(threshold)} ({percent(prediction.confidence)})" for prediction in predictions]
    return f"{counted(len(said), 'face')}: {', '.join(said)}."


def bars(predictions: Sequence[Prediction], threshold: float = 0.0, numbers: Sequence[int] | None = None) -> str:
    """The probabilities of each face, the expressions always in the order of the card, so that bars keep their places."""
    if not predictions:
        return f'<p class="say" role="status">{NO_FACE}</p>'
    shown = list(range(1, len(predictions) + 1)) if numbers is None else list(numbers)
    faces = []
    for number, prediction in zip(shown, predictions, strict=True):
        verdict = prediction.verdict(threshold)
        rows = "".join(
            f"<tr{' class=predicted' if name == verdict else ''}><th scope=row>{escape(name)}</th>"
            f'<td><div class="bar" style="width:{100 * share:.1f}%;background:{colour_of(name)}"></div></td>'
            f"<td>{percent(share)}</td></tr>"
            for name, share in prediction.probs.items()
        )
        title = f"Not sure (most likely {prediction.predicted})" if verdict == NOT_SURE else prediction.predicted
        title = f"Face {number}: {title}" if numbers is not None or len(predictions) > 1 else title
        dot = f'<span class="dot" style="background:{colour_of(verdict)}"></span>'
        doubt = "".join(f'<p class="warn">{escape(warning)}</p>' for warning in prediction.warnings)
        faces.append(
            f"<section><h3>{dot}{escape(title)}, {percent(prediction.confidence)}</h3><table>{rows}</table>{doubt}</section>"
        )
    label = escape(sentence(predictions, threshold))
    return f'<div class="faces" role="status" aria-label="{label}">{"".join(faces)}</div>'


def scale(limit: float, network: str = "") -> str:
    """The legend of the overlay's colours (viridis); `network` names the explained one where there are several."""
    if not limit:
        return ""
    of = f" for {escape(network)}" if network else ""
    return light(
        f"Grad-CAM of the predicted expression{of}, the same scale for all faces: "
        f'0 <span class="scale" role="img" aria-label="colours from blue to yellow"></span> {limit:.2g}'
    )


class Progress:
    """The progress line of a long job: done, speed, and time left."""

    def __init__(self, what: str, total: int) -> None:
        """
        Args:
            what: “image” or “frame”.
            total: 0 if it is not known.
        """
        self.what, self.total = what, total
        self.start = self.shown = time.monotonic()

    def due(self) -> bool:
        """Whether half a second has passed since the last line, so that a page is not flooded."""
        return time.monotonic() - self.shown > 0.5

    def line(self, done: int) -> str:
        self.shown = time.monotonic()
        rate = done / max(1e-3, self.shown - self.start)
        share = min(1.0, done / self.total) if self.total else 0.0
        left = f", {max(0, self.total - done) / rate:.0f} s left" if self.total and rate else ""
        what = f"{done:,} of {self.total:,} {self.what}s" if self.total else counted(done, self.what)
        speed = f", {rate:.1f} per second" if done else ""
        bar = f'<div class="done"><div style="width:{100 * share:.0f}%"></div></div>' if self.total else ""
        return f'<div role="status">{what}{speed}{left}</div>{bar}'


def table(header: Sequence[str], rows: Sequence[Sequence[str]], grey: Sequence[bool] = ()) -> str:
    """A table of figures, right-aligned; `grey` marks the rows that are not significant. Cells are escaped."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    faint = [*grey, *[False] * (len(rows) - len(grey))]
    body = "".join(
        f"<tr{' class=grey' if dim else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row, dim in zip(rows, faint, strict=True)
    )
    return f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
