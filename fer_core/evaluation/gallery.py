"""The gallery's table: one row per image, which can be filtered, sorted and exported.

Works on predictions tables alone, so 36,000 images cost 36,000 rows; the images themselves stay on disk until a
page of them is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import READERS, SPLITS, Dataset
from fer_core.datasets.folder import USAGE_IN_NAME
from fer_core.datasets.heads import HEADS
from fer_core.datasets.identity import HASH, same_images
from fer_core.errors import DataError
from fer_core.evaluation import selections
from fer_core.evaluation.predictions import KEY, Predictions, image_keys

Outcome = Literal["all", "wrong", "right", "all wrong", "only this wrong", "disagree"]
OUTCOMES: dict[Outcome, str] = {
    "all": "all images",
    "wrong": "wrong",
    "right": "right",
    "all wrong": "wrong in every network",
    "only this wrong": "wrong in this network alone",
    "disagree": "networks disagree",
}
# How images can be sorted: the column, and whether small values come first.
SORTS = {
    "loss": False,
    "margin": True,
    "confidence": False,
    "doubt": True,
    "disagreement": False,
}
COLUMN = {"doubt": "confidence"}  # the same figure from its other end
MOST_ZIPPED = 5000  # images; a browser's download is made in memory


def examples(predictions: Predictions, others: Mapping[str, Predictions] | None = None) -> pd.DataFrame:
    """One row an image of `predictions`, in its order, with what a gallery filters and sorts by.

    Args:
        others: further networks' tables, by name; an image counts for those that have it with the same label.

    Returns:
        `dataset`, `split`, `id`, `label`, `predicted`, `confidence` (1/k..1), `loss` (nats, 0 or more), `margin`
        (the label's probability less the highest other one, -1..1; below 0 where the answer is wrong), `correct`,
        `networks` (how many have seen the image, this one included), `wrong` (how many of them are wrong), `answers`
        (how many different expressions they predict) and `disagreement`: the Jensen-Shannon divergence of the networks'
        probabilities (Lin 1991), in 0..1 (0 for one network, 1 where they are certain of different expressions).
    """
    probs, rows = predictions.probs, np.arange(len(predictions))
    given = probs[rows, predictions.label_index]
    rest = probs.copy()
    rest[rows, predictions.label_index] = -np.inf
    frame = predictions.table[[*KEY, "label", *([HASH] if predictions.has_hashes else [])]].assign(
        predicted=predictions.predicted,
        confidence=predictions.confidence,
        loss=predictions.loss,
        margin=given - rest.max(axis=1) if len(rows) else given,
        correct=predictions.correct,
    )
    names = list(dict.fromkeys(name for p in (predictions, *(others or {}).values()) for name in p.expressions.names))
    total, entropy = np.zeros((len(rows), len(names))), np.zeros(len(rows))
    answers = np.zeros((len(rows), len(names)), dtype=bool)
    networks, wrong = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    for table in (predictions, *(others or {}).values()):
        key, theirs_too = map(pd.MultiIndex.from_frame, image_keys(predictions, table))
        place = key.get_indexer(theirs_too)
        mine, theirs = place[place >= 0], np.flatnonzero(place >= 0)
        columns = np.array([names.index(name) for name in table.expressions.names])
        seen = table.probs[theirs]
        total[mine[:, None], columns] += seen
        entropy[mine] += _entropy(seen)
        answers[mine, columns[table.predicted_index[theirs]]] = True
        networks[mine] += 1
        wrong[mine] += ~table.correct[theirs]
    spread = _entropy(total / networks[:, None]) - entropy / networks if len(rows) else entropy
    most = np.log(np.maximum(networks, 2))
    return frame.assign(
        networks=networks, wrong=wrong, answers=answers.sum(axis=1), disagreement=np.clip(spread / most, 0.0, 1.0)
    )


def _entropy(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) entropy in nats of (n, k) probabilities; 0 log 0 is 0."""
    return -(probs * np.log(np.where(probs > 0, probs, 1.0))).sum(axis=1)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Filter:
    """Which images of `examples` to keep; an empty tuple, text or None keeps all.

    Attributes:
        labels, predicted: names of expressions.
        confidence: lowest and highest, both kept, in 0..1.
        loss: lowest and highest in nats, both kept.
        text: part of the id, in any case of letters.
        selection: the images of a kept selection, as `selections.read` gives them.
    """

    labels: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    confidence: tuple[float, float] = (0.0, 1.0)
    loss: tuple[float, float] = (0.0, np.inf)
    outcome: Outcome = "all"
    text: str = ""
    selection: pd.DataFrame | None = field(default=None, compare=False)
    tag: str = ""


def select(frame: pd.DataFrame, wanted: Filter, sort: str = "loss") -> pd.DataFrame:
    """The rows of `examples` that a filter keeps, sorted; equal ones stay in the table's order.

    Args:
        sort: a name in `SORTS`: “loss”, “confidence” and “disagreement” from the largest, “margin” and “doubt” (the
            least confident) from the smallest.

    Raises:
        DataError: no such order.
    """
    if sort not in SORTS:
        raise DataError(f"Images cannot be sorted by “{sort}”; known: {', '.join(SORTS)}.")
    tests: dict[Outcome, Callable[[], pd.Series]] = {
        "wrong": lambda: ~frame["correct"],
        "right": lambda: frame["correct"],
        "all wrong": lambda: frame["wrong"] == frame["networks"],
        "only this wrong": lambda: ~frame["correct"] & (frame["wrong"] == 1),
        "disagree": lambda: frame["answers"] > 1,
    }
    keep = tests[wanted.outcome]() if wanted.outcome in tests else pd.Series(True, index=frame.index)
    if wanted.labels:
        keep &= frame["label"].isin(wanted.labels)
    if wanted.predicted:
        keep &= frame["predicted"].isin(wanted.predicted)
    keep &= frame["confidence"].between(*wanted.confidence) & frame["loss"].between(*wanted.loss)
    if wanted.text:
        keep &= frame["id"].str.contains(wanted.text, case=False, regex=False)
    if wanted.selection is not None:
        keep &= selections.holds(wanted.selection, frame)
    column = COLUMN.get(sort, sort)
    return frame[keep].sort_values(column, ascending=SORTS[sort], kind="stable", ignore_index=True)


def as_split(frame: pd.DataFrame, split: str) -> pd.DataFrame:
    """Images as a split that `fer_core.datasets.splits.load` reads: `id`, `was` (their split so far), `split`, `fold`,
    and `hash` where it is known.

    Raises:
        DataError: the name is not `train`, `val` or `test`.
    """
    if split not in SPLITS:
        raise DataError(f"A split is one of {', '.join(SPLITS)}; found “{split}”.")
    table = pd.DataFrame({"id": frame["id"], "was": frame["split"], "split": split, "fold": 0})
    return table.assign(**{HASH: frame[HASH]}) if HASH in frame.columns else table


def positions(dataset: Dataset, frame: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) row of each image of `frame` (`split`, `id`, and `hash` if it has one) in the data set's index; -1 where it is
    not in the set.

    Images are matched by their pixels, whatever the order of the set's rows; see `identity.same_images`.
    """
    return same_images(frame, dataset.index)


def not_here(dataset: Dataset, table: pd.DataFrame, place: NDArray[np.int64]) -> str:
    """In words, how many of a table's images the set does not hold; “” where it holds all.

    Args:
        place: what `positions` gives for the table.
    """
    lost = int((place < 0).sum())
    if not lost:
        return ""
    if lost == len(table):
        return (
            f"None of the table's {lost:,} images is in {dataset.title} ({dataset.name}); it was made on other images."
        )
    verb = "is" if lost == 1 else "are"
    return f"Of the {len(table):,} images of the table, {lost:,} {verb} not in {dataset.title} ({dataset.name})."


def why_not_shared(dataset: Dataset) -> str:
    """Why a set's images must not be written out; an empty text where they may: a folder of one's own, or rendered.

    FER2013 in its folder form is recognised by its file names.
    """
    own = dataset.name == HEADS or dataset.title == READERS.get("folder").title
    names = dataset.index["id"].str.rpartition("/")[2]
    if own and not names.str.match(USAGE_IN_NAME).any():
        return ""
    licence = dataset.licence if not own else "these are FER2013's file names: no licence to pass images on"
    return f"Images of {dataset.title} are not written out ({licence}); ids and figures are."


def zipped(dataset: Dataset, frame: pd.DataFrame) -> bytes:
    """The images of `frame` as PNG in one zip, in folders `<split>/<label>/`, which `open_dataset` reads when unpacked.

    Raises:
        DataError: the set's images must not be passed on, none is there, or there are more than `MOST_ZIPPED`.
    """
    import zipfile

    from PIL import Image

    if reason := why_not_shared(dataset):
        raise DataError(reason)
    rows = positions(dataset, frame)
    if not (rows >= 0).any() or len(rows) > MOST_ZIPPED:
        raise DataError(
            f"Found {int((rows >= 0).sum()):,} images to write, expected 1 to {MOST_ZIPPED:,}; filter differently."
        )
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG is compressed already
        for row, name in zip(rows, _file_names(frame), strict=True):
            if row >= 0:
                png = BytesIO()
                Image.fromarray(dataset.picture(int(row))).save(png, "PNG")
                archive.writestr(name, png.getvalue())
    return buffer.getvalue()


def _file_names(frame: pd.DataFrame) -> Iterator[str]:
    """A place in the zip for each image; an id is a path or number of any kind, so only harmless signs of it stay."""
    for number, (split, label, id_) in enumerate(zip(frame["split"], frame["label"], frame["id"], strict=True)):
        harmless = re.sub(r"[^\w-]+", "-", id_.removesuffix(".png"))[-80:]
        yield f"{split}/{label}/{number:04d}-{harmless}.png"
