"""The images of a session: drawn from a data set, with what a network answers to each and where it looks."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from fer_core.classroom.session import Item
from fer_core.datasets import Dataset
from fer_core.datasets.identity import HASH
from fer_core.datasets.titles import table_in_words
from fer_core.errors import ClassError, FerError, UnknownName
from fer_core.evaluation import selections
from fer_core.evaluation.intervals import percent
from fer_core.evaluation.predictions import Predictions
from fer_core.explanation import region_report
from fer_core.explanation.badge import badge
from fer_core.explanation.overlay import common_limit, overlay
from fer_core.explanation.regions import areas, cover, shares
from fer_core.faces.template import REGIONS, points_of, template

if TYPE_CHECKING:
    from fer_core.runs.store import Checkpoint
    from fer_core.serving.predictor import LoadedNetwork

SMALLEST, LARGEST = 192, 384  # pixels of the longer side of an image: smooth on a phone, and quick to send
MAP = 192  # pixels of a map
METHOD = "grad-cam"
Facts = Mapping[int, dict[str, Any]]


def png(image: NDArray[np.uint8]) -> bytes:
    """An image (H, W[, 3]) as a PNG file; a small one is enlarged, a large one made smaller."""
    drawn, side = Image.fromarray(image), max(image.shape[:2])
    factor = min(LARGEST, max(SMALLEST, side)) / side
    drawn = drawn.resize(
        (round(factor * drawn.width) or 1, round(factor * drawn.height) or 1), Image.Resampling.BICUBIC
    )
    kept = io.BytesIO()
    drawn.save(kept, "PNG")
    return kept.getvalue()


def draw(dataset: Dataset, split: str, number: int, *, selection: str = "", seed: int = 0) -> NDArray[np.int64]:
    """Positions in the index of images drawn at random, about as many of each label, in random order.

    Args:
        selection: of the gallery; only its images are drawn from.

    Raises:
        ClassError: there are no labelled images, or fewer than are asked for.
        DataError: there is no such split or selection.
    """
    rows = dataset.rows(split)
    index = dataset.index.iloc[rows]
    rows = rows[index["label"].notna().to_numpy()]
    if selection:
        kept = selections.read(selection)
        named = dataset.index.iloc[rows][["id", "split", HASH]].assign(dataset=dataset.name)
        rows = rows[selections.holds(kept, named)]
    if len(rows) < number or not number:
        raise ClassError(
            f"{dataset.title} has {len(rows):,} labelled images of this kind, but {number} were asked for."
        )
    random = np.random.default_rng(seed)
    labels = dataset.index["label"].to_numpy()[rows]
    order = random.permutation(len(rows))
    turn = (
        pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
    )  # the first of each label, the second, ...
    taken = order[np.argsort(turn, kind="stable")[:number]]
    return np.asarray(rows[random.permutation(taken)], dtype=np.int64)


def as_items(dataset: Dataset, rows: NDArray[np.int64], facts: Facts, *, guess: bool = False) -> list[Item]:
    """The images of a session.

    Args:
        rows: positions in the index.
        facts: by row, what is known of the network's answer: `probs`, and for a guess `map`, `region` and `trust`.
        guess: the network's answer is the right one, not the label.
    """
    made = []
    for position, row in enumerate(rows.tolist()):
        image = dataset.index.iloc[row]
        known = dict(facts.get(row, {}))
        drawn = known.pop("map", None)
        truth = max(known["probs"], key=known["probs"].__getitem__) if guess else str(image["label"])
        made.append(
            Item(
                position, str(image["id"]), dataset.name, str(image["split"]), str(image["label"]), str(image[HASH]), truth,
                png(dataset.picture(row)), drawn, known,
            )
        )  # fmt: skip
    return made


def answered(dataset: Dataset, rows: NDArray[np.int64], network: Checkpoint, split: str) -> dict[int, dict[str, Any]]:
    """What a network answers to images, from its predictions table; images that the table lacks are left out.

    Raises:
        ClassError: the network has not been evaluated on them.
    """
    key = f"{dataset.name}-{split}"
    try:
        table = network.predictions(key)
    except UnknownName as error:
        raise ClassError(
            f"{network.card.title} has not been evaluated on {table_in_words(key)}. Do that on the Data page, or choose another."
        ) from error
    return _by_row(dataset, rows, table)


def _by_row(dataset: Dataset, rows: NDArray[np.int64], table: Predictions) -> dict[int, dict[str, Any]]:
    column = HASH if table.has_hashes else "id"
    place = {name: at for at, name in enumerate(table.table[column])}
    names = table.expressions.names
    index = dataset.index[column].astype(str).to_numpy()
    return {
        row: {"probs": dict(zip(names, table.probs[place[index[row]]].tolist(), strict=True))}
        for row in rows.tolist()
        if index[row] in place
    }


def looked_at(
    dataset: Dataset,
    rows: NDArray[np.int64],
    network: LoadedNetwork,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, dict[str, Any]]:
    """What a network answers to images, where it looks, and whether that can be trusted.

    The region is the one with most attribution for its size. Whether it matters is tried: it is blurred, and the
    probability of the network's answer should fall more than with another region blurred.

    Returns:
        By row: `probs`, `map` (a PNG file), `region`, `share` of the map in it (0..1), `fall` and `other_fall` of the
        probability, `trust` in a sentence.

    Raises:
        FerError: the network cannot answer or be explained.
    """
    from fer_core.explanation.served import explain_as_served

    spec = network.card.image
    given = np.stack([np.asarray(dataset.as_given(dataset.picture(row), spec)) for row in rows.tolist()])
    probs = network.probs(given)
    names = network.card.expressions
    best = probs.argmax(axis=1)
    found = explain_as_served(network.model, network.card, given, [names[at] for at in best], METHOD)
    size = np.array([spec.width, spec.height])
    regions = template(spec.height, spec.width, np.array(points_of(dataset.name)) * size)
    parts = shares(found.map, regions)
    dense = np.nan_to_num(parts / areas(regions))
    level = _level(folder)
    blurred = {name: network.probs(cover(given, regions == at, "blur")) for at, name in enumerate(REGIONS)}
    result = {}
    for at, row in enumerate(rows.tolist()):
        region = int(dense[at].argmax())
        falls = {name: float(probs[at, best[at]] - after[at, best[at]]) for name, after in blurred.items()}
        fall = falls.pop(REGIONS[region])
        other = float(np.mean(list(falls.values())))
        result[row] = {
            "probs": dict(zip(names, probs[at].tolist(), strict=True)),
            "map": png(drawn_over(given[at], found.map[at], signed=found.signed)),
            "region": REGIONS[region],
            "share": float(np.nan_to_num(parts[at, region])),
            "fall": fall,
            "other_fall": other,
            "trust": f"{_tried(REGIONS[region], names[best[at]], fall, other)} {level}",
        }
        progress(at + 1, len(rows))
    return result


def drawn_over(face: NDArray[np.uint8], map: NDArray[np.float32], *, signed: bool) -> NDArray[np.uint8]:
    """A map over its face, on a scale of its own: a weak map is not drawn as nothing."""
    import cv2

    large = cv2.resize(face, (MAP, MAP), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)
    return overlay(large, map, signed=signed, limit=common_limit([map]))


def _tried(region: str, answer: str, fall: float, other: float) -> str:
    matters = "This supports the map" if fall > max(other, 0.0) + 0.02 else "This does not support the map"
    return (
        f"With the {region} blurred, the probability of {answer} changes by {-100 * fall:+.0f} points; with another region "
        f"blurred, by {-100 * other:+.0f} on average. {matters} of this image."
    )


def _level(folder: Path) -> str:
    """What the region report of a network says of the method, in one sentence."""
    for path in region_report.find(folder).values():
        try:
            report = region_report.read(path)
        except FerError:
            continue
        rows = report.methods[report.methods["method"] == METHOD]
        if len(rows):
            words = f"{report.about['data']}-{report.about['split']}"
            return (
                f"Over many images of {table_in_words(words)}, Grad-CAM of this network is {badge(rows.iloc[0]).level}."
            )
    return "How faithful Grad-CAM is to this network over many images has not been measured."


def in_words(item: Item) -> str:
    """What a network answered to an image: “happy (81.0 %)”; “” where it is not known."""
    probs: dict[str, float] = item.facts.get("probs", {})
    if not probs:
        return ""
    best = max(probs, key=probs.__getitem__)
    return f"{best} ({percent(probs[best])})"
