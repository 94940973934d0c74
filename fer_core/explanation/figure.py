"""The usual figure of papers: a correct and a wrong example of each expression, with their maps.

The examples are not picked by eye: each has the median confidence of the expression's correct (or wrong) images, so the
figure shows typical cases rather than the best ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core.checkpoint import Card
from fer_core.datasets import Dataset
from fer_core.datasets.titles import table_in_words
from fer_core.evaluation.gallery import positions
from fer_core.evaluation.predictions import Predictions
from fer_core.explanation import METHODS
from fer_core.explanation.overlay import common_limit, overlay
from fer_core.explanation.served import explain_as_served

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont
    from torch import nn

TILE = 112  # pixels of an image
GAP = 6
CAPTION = 20  # pixels of the line below an image
SIDE = 76  # pixels for the expression's name


@dataclass(frozen=True)
class Case:
    """One image of the figure.

    Attributes:
        row: its row in the predictions table.
        confidence: the probability of the predicted expression, 0..1.
        given: the probability of the given label, 0..1.
    """

    row: int
    id: str
    label: str
    predicted: str
    confidence: float
    given: float

    @property
    def right(self) -> bool:
        return self.predicted == self.label


def cases(predictions: Predictions) -> dict[str, tuple[Case | None, Case | None]]:
    """For each expression, its correct and its wrong example of median confidence; None if there is none.

    Of an even number the less confident of the two middle ones, of equal confidences the earlier row.
    """
    found: dict[str, tuple[Case | None, Case | None]] = {}
    for position, name in enumerate(predictions.expressions.names):
        of_it = predictions.label_index == position
        pair: list[Case | None] = []
        for right in (True, False):
            rows = np.flatnonzero(of_it & (predictions.correct == right))
            if not len(rows):
                pair.append(None)
                continue
            row = int(rows[np.argsort(predictions.confidence[rows], kind="stable")[(len(rows) - 1) // 2]])
            pair.append(
                Case(
                    row,
                    str(predictions.table["id"].iloc[row]),
                    name,
                    str(predictions.predicted[row]),
                    float(predictions.confidence[row]),
                    float(predictions.probs[row, position]),
                )
            )
        found[name] = (pair[0], pair[1])
    return found


def figure_of(model: nn.Module, card: Card, table: Predictions, dataset: Dataset, layer: str) -> NDArray[np.uint8]:
    """The figure (H, W, 3) of a network's predictions with Grad-CAM; cases whose images the set lacks are left out."""
    chosen = cases(table)
    rows = np.array(sorted({case.row for pair in chosen.values() for case in pair if case}), np.int64)
    places = dict(zip(rows.tolist(), positions(dataset, table.table.iloc[rows]).tolist(), strict=True))
    images = dataset.images(card.image)
    needed = {row: images[place] for row, place in places.items() if place >= 0}
    shown = {
        name: (right if right and right.row in needed else None, wrong if wrong and wrong.row in needed else None)
        for name, (right, wrong) in chosen.items()
    }
    where = table_in_words(f"{table.table['dataset'].iloc[0]}-{table.table['split'].iloc[0]}")
    title = f"{card.title} on {where}, n = {len(table):,}; cases of middle confidence"
    return draw(model, card, shown, needed, title, "grad-cam", layer)


def draw(
    model: nn.Module,
    card: Card,
    chosen: dict[str, tuple[Case | None, Case | None]],
    pictures: Mapping[int, NDArray[np.uint8]],
    title: str,
    method: str = "grad-cam",
    layer: str | None = None,
) -> NDArray[np.uint8]:
    """The figure: a row an expression; original, map of the predicted class, of the given class, and saliency.

    All maps of one method share one scale.

    Args:
        chosen: as `cases` gives them.
        pictures: row of the predictions table to (H, W) or (H, W, 3) uint8 at the network's size, for the chosen rows.
        title: what stands above it: network, data set, split, n.
        method, layer: of the two class maps.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    import cv2
    from PIL import Image, ImageDraw, ImageFont

    flat = [case for pair in chosen.values() for case in pair if case is not None]
    images = np.stack([pictures[case.row] for case in flat])
    predicted, given = [case.predicted for case in flat], [case.label for case in flat]
    maps = {
        "predicted": explain_as_served(model, card, images, predicted, method, layer),
        "given": explain_as_served(model, card, images, given, method, layer),
        "saliency": explain_as_served(model, card, images, predicted, "saliency"),
    }
    of_class = common_limit([maps["predicted"].map, maps["given"].map])
    limits = {"predicted": of_class, "given": of_class, "saliency": common_limit(maps["saliency"].map)}

    step, line = TILE + GAP, TILE + CAPTION + GAP
    half = 4 * step
    top = 76
    canvas = Image.new("RGB", (SIDE + 2 * half + 3 * GAP, top + line * len(chosen)), "white")
    pen = ImageDraw.Draw(canvas)
    small: ImageFont.FreeTypeFont | ImageFont.ImageFont = ImageFont.load_default(11)
    large: ImageFont.FreeTypeFont | ImageFont.ImageFont = ImageFont.load_default(15)
    pen.text((GAP, 6), title, "black", large)
    named = METHODS.get(method).title + (f" of {layer}" if METHODS.get(method).needs_layer and layer else "")
    scale = f"{named}: scale to {of_class:.2g}; Saliency: scale to {limits['saliency']:.2g}; the same for all rows."
    pen.text((GAP, 28), scale, "#555555", small)
    for side, word in enumerate(("right", "wrong")):
        left = SIDE + side * (half + 2 * GAP)
        heads = (f"{word}: original", f"{METHODS.get(method).title}: predicted", "… given label", "Saliency: predicted")
        for column, head in enumerate(heads):
            pen.text((left + column * step, 54), head, "black", small)

    def paste(pixels: NDArray[np.uint8], x: int, y: int, caption: str) -> None:
        canvas.paste(Image.fromarray(pixels), (x, y))
        pen.text((x, y + TILE + 2), _fitting(caption, small), "#333333", small)

    number = 0
    for row, (name, pair) in enumerate(chosen.items()):
        y = top + row * line
        pen.text((GAP, y + TILE // 2 - 8), name, "black", large)
        for side, case in enumerate(pair):
            x = SIDE + side * (half + 2 * GAP)
            if case is None:
                pen.text((x, y + TILE // 2), "no such image", "#777777", small)
                continue
            face = cv2.resize(images[number], (TILE, TILE), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)
            paste(face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2), x, y, case.id)
            captions = {
                "predicted": f"{case.predicted} {case.confidence:.0%}",
                "given": f"{case.label} {case.given:.0%}",
                "saliency": f"{case.predicted} {case.confidence:.0%}",
            }
            for column, (kind, caption) in enumerate(captions.items(), 1):
                if kind == "given" and case.right:
                    pen.text((x + column * step + 4, y + TILE // 2 - 6), "as predicted", "#777777", small)
                    continue
                found = maps[kind]
                pixels = overlay(face, found.map[number], signed=found.signed, limit=limits[kind])
                paste(pixels, x + column * step, y, caption)
            number += 1
    return np.asarray(canvas)


def _fitting(text: str, font: FreeTypeFont | ImageFont) -> str:
    """The last part of a text that fits below an image; ids differ at their end."""
    while len(text) > 1 and font.getlength(text) > TILE:
        text = "…" + text[2:] if text.startswith("…") else "…" + text[1:]
    return text
