"""Images as they are shown: at a size for the page, with a box and a label for each face."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fer_core.labels import COLOURS
from fer_core.serving.predictor import NOT_SURE, Prediction

SHOWN = (480, 1280)  # pixels of the longer side at which images are shown: small ones are enlarged, large ones shrunk
QUIET = "#888888"


def at_shown_size(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    height, width = image.shape[:2]
    longest = max(height, width)
    factor = min(max(longest, SHOWN[0]), SHOWN[1]) / longest
    if factor == 1:
        return image, factor
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)), factor


def annotated(
    image: NDArray[np.uint8],
    predictions: Sequence[Prediction],
    threshold: float = 0.0,
    numbers: Sequence[int] | None = None,
) -> NDArray[np.uint8]:
    """The image (H, W, 3) with a box and a label for each face, readable on any background.

    Args:
        threshold: confidence below which a face's label is “not sure”.
        numbers: the faces' numbers; 1, 2, ... where they are not given. A single face of a photo has none.
    """
    shown = list(range(1, len(predictions) + 1)) if numbers is None else list(numbers)
    numbered = numbers is not None or len(predictions) > 1
    picture = Image.fromarray(image).convert("RGB")
    canvas = ImageDraw.Draw(picture)
    longest = max(picture.size)
    line, size = max(2, longest // 320), max(14, longest // 36)
    font = ImageFont.load_default(size)
    for number, prediction in zip(shown, predictions, strict=True):
        verdict = prediction.verdict(threshold)
        colour = colour_of(verdict)
        left, top, width, height = prediction.face.box
        right, bottom = max(left, left + width - 1), max(top, top + height - 1)
        canvas.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="black", width=line + 2)
        canvas.rectangle((left, top, right, bottom), outline=colour, width=line)
        text = verdict if verdict == NOT_SURE else f"{verdict} {100 * prediction.confidence:.1f} %"
        text = f"{number}  {text}" if numbered else text
        chip_width, chip_height = canvas.textlength(text, font=font) + size, round(1.5 * size)
        x = min(max(0.0, left), max(0.0, picture.width - chip_width))
        y = top - chip_height if top >= chip_height else max(0.0, top)
        canvas.rectangle((x, y, x + chip_width, y + chip_height), fill=colour, outline="black")
        canvas.text((x + size / 2, y + chip_height / 2), text, fill=ink(colour), font=font, anchor="lm")
    return np.asarray(picture)


def colour_of(expression: str) -> str:
    """An expression's fixed colour; grey for “not sure” and for words that have none."""
    return COLOURS.get(expression, QUIET)


def ink(colour: str) -> str:
    """Black or white, whichever has the higher contrast on a colour (WCAG 2, relative luminance)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return "black" if np.dot(linear, [0.2126, 0.7152, 0.0722]) > 0.179 else "white"


def data_url(image: NDArray[np.uint8], kind: str = "JPEG") -> str:
    """The image as an address that holds it, for an `img` of a page."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{b64encode(buffer.getvalue()).decode()}"
