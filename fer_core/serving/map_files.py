"""Maps of a data set's images as files: overlays (png), the maps themselves (npy), a figure, and what they show (json)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_core.datasets import Dataset
from fer_core.errors import ConfigError
from fer_core.evaluation.gallery import positions
from fer_core.evaluation.predict import predict_split
from fer_core.explanation import METHODS, Method, figure
from fer_core.explanation.overlay import common_limit, overlay
from fer_core.explanation.served import explain_as_served
from fer_core.runs.store import Checkpoint
from fer_core.serving.predictor import Predictor

WIDTH = 384  # pixels of an overlay at least, so that a face of 48 pixels is recognised as a face


def write_explanations(
    found: Checkpoint,
    dataset: Dataset,
    split: str,
    to: Path,
    *,
    images: Sequence[str] = (),
    methods: Sequence[str] = ("grad-cam",),
    target: str = "predicted",
    against: str | None = None,
    layer: str | None = None,
    with_figure: bool = False,
) -> dict[str, Any]:
    """Write maps of some images, a figure of typical cases, or both, and `explanations.json` beside them.

    Args:
        to: the folder; made if it is not there.
        images: ids of the split's images; methods: names in `METHODS`.
        target: “predicted”, “given” (the label), or the name of an expression; `against`: of a contrast class.
        layer: for methods that look at one; None: the network's own.
        with_figure: draw a right and a wrong case of each expression with the first method's maps.

    Returns:
        What the json holds: `network, data, split, maps` (one entry a map), and `figure, cases` if it was drawn.

    Raises:
        ConfigError: nothing is asked for, or an image, expression, layer or folder that does not exist.
    """
    if not images and not with_figure:
        raise ConfigError("Nothing to explain: name images with --image ID, or ask for --figure.")
    chosen, vocabulary = [METHODS.get(name) for name in methods], found.card.vocabulary
    for name in (target, against):
        if name and name not in ("predicted", "given"):
            vocabulary.index(name)
    dataset = dataset.without(found.card.leave_out)
    places = _places(dataset, split, images)
    predictor = Predictor(found.folder)
    for how in chosen:
        if reason := how.refusal(predictor.model, predictor.card.image):
            raise ConfigError(f"{how.title} does not suit this network: {reason}.")
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{to} cannot be made a folder ({error}); choose another one with --out.") from error
    report: dict[str, Any] = {"network": found.name, "data": dataset.name, "split": split}
    report["maps"] = _maps(predictor, dataset, places, to, list(dict.fromkeys(images)), chosen, target, against, layer)
    if with_figure:
        report |= _figure(predictor, found, dataset, split, places, to, chosen[0], layer)
    (to / "explanations.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def _places(dataset: Dataset, split: str, images: Sequence[str]) -> dict[str, int]:
    """The row in the data set of each image of a split, by its id."""
    rows = dataset.rows(split)
    places = {str(name): int(row) for name, row in zip(dataset.index["id"].iloc[rows], rows, strict=True)}
    if missing := [name for name in images if name not in places]:
        raise ConfigError(
            f"{dataset.title}, {split}, has no image {', '.join(missing)}; its ids look like {', '.join(list(places)[:3])}; "
            "the predictions table of the split lists them all."
        )
    return places


def _maps(
    predictor: Predictor,
    dataset: Dataset,
    places: dict[str, int],
    to: Path,
    names: list[str],
    methods: list[Method],
    target: str,
    against: str | None,
    layer: str | None,
) -> list[dict[str, Any]]:
    """Write each image's maps by each method; all maps of a method share one scale."""
    from PIL import Image

    if not names:
        return []
    answers = [predictor.predict_row(dataset, places[name]) for name in names]
    labels = [str(dataset.index["label"].iloc[places[name]]) for name in names]
    explained = [
        {"predicted": answer.predicted, "given": label}.get(target, target)
        for answer, label in zip(answers, labels, strict=True)
    ]
    batch = np.stack([answer.picture for answer in answers])
    entries = []
    for how in methods:
        result = explain_as_served(predictor.model, predictor.card, batch, explained, how.name, layer, against=against)
        limit = common_limit(result.map)
        for number, (name, stem) in enumerate(zip(names, stems(names), strict=True)):
            pixels = overlay(_enlarged(batch[number]), result.map[number], signed=result.signed, limit=limit)
            Image.fromarray(pixels).save(to / f"{stem}-{how.name}.png")
            np.save(to / f"{stem}-{how.name}.npy", result.map[number])
            entries.append(
                {
                    "image": name,
                    "label": labels[number],
                    "predicted": answers[number].predicted,
                    "probabilities": answers[number].probs,
                    "target": explained[number],
                    "against": against,
                    "method": how.name,
                    "layer": result.layer,
                    "views": result.tta,
                    "parameters": result.parameters,
                    "signed": result.signed,
                    "limit": limit,
                    "overlay": f"{stem}-{how.name}.png",
                    "map": f"{stem}-{how.name}.npy",
                }
            )
    return entries


def _figure(
    predictor: Predictor,
    found: Checkpoint,
    dataset: Dataset,
    split: str,
    places: dict[str, int],
    to: Path,
    how: Method,
    layer: str | None,
) -> dict[str, Any]:
    """Draw the figure of typical cases as `figure.png`."""
    from PIL import Image

    card, key = predictor.card, f"{dataset.name}-{split}"
    table = found.predictions(key) if key in found.tables else None
    place = positions(dataset, table.table) if table else np.full(1, -1)
    if table is None or len(table) != len(places) or (place < 0).any():  # a table of other images says nothing of these
        table = predict_split(
            predictor.model, dataset, split, spec=card.image, expressions=card.vocabulary, tta=card.tta
        )
        place = dataset.rows(split)
    chosen, images = figure.cases(table), dataset.images(card.image)
    shown = {case.row: images[place[case.row]] for pair in chosen.values() for case in pair if case is not None}
    title = f"{card.title} on {dataset.title}, {split}, n = {len(table):,}; cases of middle confidence"
    sheet = figure.draw(predictor.model, card, chosen, shown, title, how.name, layer)
    Image.fromarray(sheet).save(to / "figure.png")
    return {
        "figure": "figure.png",
        "cases": {name: [case and case.id for case in pair] for name, pair in chosen.items()},
    }


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image enlarged with smooth edges to at least `WIDTH`."""
    import cv2

    factor = max(1, -(-WIDTH // image.shape[1]))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def stems(ids: Sequence[str]) -> list[str]:
    """A file name for each id that stays in its folder, the same id always the same, two ids never one."""
    found: list[str] = []
    for name in ids:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "picture"
        found.append(next(s for s in (stem, *(f"{stem}-{n}" for n in range(2, len(ids) + 2))) if s not in found))
    return found
