"""Images without a face, according to FER+'s votes where a set has them, otherwise to a face detector.

A detector misses faces: mtcnn finds 87 % of those in FER2013. Look at its list before you leave images out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import Dataset
from fer_core.datasets.identity import HASH
from fer_core.datasets.votes import majority, rows_of_votes, shipped_votes
from fer_core.faces import find_faces, lying, turns_to_upright

SMALL = 128  # pixels; a smaller image is a tight crop, in which detectors find little
COLUMNS = ["row", "split", "id", "label", "why"]


def by_votes(index: pd.DataFrame, dataset: str = "") -> pd.Series:
    """The majority of FER+'s votes for each image (“no face”, an expression, “” for none), missing without votes.

    Args:
        index: of a set; `source`, where it has one, names the set that an image came from.
        dataset: the set's name, where it has no `source`.
    """
    said = majority(shipped_votes()).to_numpy(dtype=object)
    number = index["id"].str.rsplit("/", n=1).str[-1]  # a merged set has the source before it
    images = index[[HASH] if HASH in index.columns else []].assign(id=number)
    source = index["source"] if "source" in index.columns else pd.Series(dataset, index=index.index)
    found = np.full(len(index), None, dtype=object)
    for name in source.unique():
        mine = np.flatnonzero(source == name)
        rows = rows_of_votes(images.iloc[mine], name)
        found[mine[rows >= 0]] = said[rows[rows >= 0]]
    return pd.Series(found, index=index.index)


def shows_face(picture: NDArray[np.uint8], detector: str = "mtcnn") -> bool:
    """Whether a detector finds a face, (H, W) or (H, W, 3); a tight crop is padded by half and enlarged four times first."""
    import cv2

    height, width = picture.shape[:2]
    if max(height, width) < SMALL:
        down, across = height // 2, width // 2
        padded = cv2.copyMakeBorder(
            np.ascontiguousarray(picture), down, down, across, across, cv2.BORDER_CONSTANT, value=(128, 128, 128)
        )
        picture = np.asarray(cv2.resize(padded, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    return bool(find_faces(picture, detector))


def _why(picture: NDArray[np.uint8], detector: str) -> str:
    """Why an image counts as having no face, or “” if it has one. Photos that lie on their side are recognised."""
    if shows_face(picture, detector):
        return ""
    turns = 0 if max(picture.shape[:2]) < SMALL else turns_to_upright(picture, detector)
    return f"no face: {detector} finds none" + (f"; {lying(turns)}" if turns else "")


def faceless(
    index: pd.DataFrame,
    voted: pd.Series | None,
    picture: Callable[[int], NDArray[np.uint8]],
    detector: str = "mtcnn",
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, str]:
    """The rows that show no face, each with who says so.

    Args:
        voted: what `by_votes` gives; None where the set has no votes.
        picture: gives a row's image.
        on_done: called with how many images a detector has looked at, of how many.
    """
    reasons = {}
    asked: Sequence[int] = range(len(index))
    if voted is not None:
        reasons = dict.fromkeys(np.flatnonzero((voted == "no face").to_numpy()).tolist(), "no face: FER+'s voters")
        asked = np.flatnonzero(voted.isna().to_numpy()).tolist()
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # detectors leave Python's lock
        for done, (row, found) in enumerate(
            zip(asked, pool.map(lambda row: _why(picture(row), detector), asked), strict=True), 1
        ):
            if found:
                reasons[row] = found
            on_done(done, len(asked))
    return reasons


def faceless_at(dataset: Dataset, detector: str = "mtcnn") -> Path:
    """The file in which `faceless_of` keeps its result."""
    return dataset.folder / f"faceless-{detector}.csv"


def faceless_of(
    dataset: Dataset,
    detector: str = "mtcnn",
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """The images of a set that show no face: `row`, `split`, `id`, `label`, `why`; kept beside its images in the cache."""
    from fer_core.workspace import write_atomically

    path = faceless_at(dataset, detector)
    if not path.exists():
        reasons = faceless(dataset.index, by_votes(dataset.index, dataset.name), dataset.picture, detector, on_done)
        rows = sorted(reasons)
        table = dataset.index.iloc[rows][["split", "id", "label"]].assign(row=rows, why=[reasons[row] for row in rows])
        write_atomically(path, table[COLUMNS].to_csv(index=False).encode())
    return pd.read_csv(path, dtype={"split": "str", "id": "str", "label": "str", "why": "str"})
