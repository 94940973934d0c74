"""The app's output as HTML: a sentence, the probabilities of each face, warnings, problems, progress, tables.

Drawn by macros of `dashboard/templates/live.html`, which escape every text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from dashboard.live.drawing import colour_of
from dashboard.markup import TEMPLATES
from fer_core.datasets.archive import MAX_PICTURE_BYTES
from fer_core.errors import FerError
from fer_core.evaluation.intervals import percent
from fer_core.images import MAX_PIXELS
from fer_core.reports.html import part
from fer_core.runs import store
from fer_core.serving.predictor import NOT_SURE, Prediction

NO_FACE = "No face was found. Try another detector. If the image shows a face and nothing else, choose “none”."


def _part(macro: str, *values: object) -> Markup:
    return part("live.html", macro, *values, within=TEMPLATES)


def light(text: str) -> Markup:
    """A text in grey."""
    return _part("light", text)


def say(text: str) -> Markup:
    """A result that screen readers announce."""
    return _part("say", text)


def problem(error: FerError) -> Markup:
    """An expected error."""
    return _part("problem", str(error))


def shot(source: str, text: str, said: Markup) -> Markup:
    """A camera frame: its data URL, what it shows in words, and what is said beside it."""
    return _part("shot", source, text, said)


def by(networks: Sequence[str] | None) -> Markup:
    """The titles of the networks whose answer it is, for a presentation."""
    known = store.checkpoints()
    return _part("by", ", ".join(known[name].card.title for name in networks or [] if name in known))


def waiting_for_photo() -> Markup:
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


def bars(predictions: Sequence[Prediction], threshold: float = 0.0, numbers: Sequence[int] | None = None) -> Markup:
    """The probabilities of each face, the expressions always in the order of the card, so that bars keep their places."""
    if not predictions:
        return say(NO_FACE)
    shown = list(range(1, len(predictions) + 1)) if numbers is None else list(numbers)
    faces = []
    for number, prediction in zip(shown, predictions, strict=True):
        verdict = prediction.verdict(threshold)
        title = f"Not sure (most likely {prediction.predicted})" if verdict == NOT_SURE else prediction.predicted
        title = f"Face {number}: {title}" if numbers is not None or len(predictions) > 1 else title
        faces.append(
            {
                "title": f"{title}, {percent(prediction.confidence)}",
                "colour": colour_of(verdict),
                "rows": [(name, share, colour_of(name)) for name, share in prediction.probs.items()],
                "verdict": verdict,
                "warnings": prediction.warnings,
            }
        )
    return _part("faces", faces, sentence(predictions, threshold))


def own_bars(probs: Mapping[str, float]) -> Markup:
    """The probabilities of a head of the visitor's own."""
    best = max(probs, key=probs.__getitem__)
    title = f"Your own classifier: {best}, {percent(probs[best])}"
    rows = [(name, share, colour_of(name)) for name, share in probs.items()]
    return _part(
        "faces", [{"title": title, "colour": colour_of(best), "rows": rows, "verdict": best, "warnings": ()}], title
    )


def scale(limit: float, network: str = "") -> Markup:
    """The legend of the overlay's colours (viridis); `network` names the explained one where there are several."""
    return _part("scale", limit, network) if limit else Markup()


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

    def line(self, done: int) -> Markup:
        self.shown = time.monotonic()
        rate = done / max(1e-3, self.shown - self.start)
        left = f", {max(0, self.total - done) / rate:.0f} s left" if self.total and rate else ""
        what = f"{done:,} of {self.total:,} {self.what}s" if self.total else counted(done, self.what)
        speed = f", {rate:.1f} per second" if done else ""
        return _part("progress", what + speed + left, min(1.0, done / self.total) if self.total else None)
