"""Augmented copies in a set: rotated, shifted or mirrored versions of an image, made before the set was split.

`duplicates` compares images without moving them, so it misses copies rotated by a few degrees or shifted by a few
pixels. Here a copy is found in two ways: by its name, if tools that augment have written it (`stem`), and by its pixels
(`moved_copies`): each image is turned and shifted in steps, the nearest descriptions are looked up in a k-d tree, and a
pair counts if the one can be turned and shifted to match the other.
"""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import Dataset
from fer_core.datasets.duplicates import ALIKE, SIDE
from fer_core.images import ImageSpec

TURNS = (-15, -10, -5, 0, 5, 10, 15)  # degrees
SHIFTS = (-4, 0, 4)  # pixels of 48
MOST_TURN, MOST_SHIFT = 20, 8  # what an alignment may end with
NEAREST = 3  # candidates of each turn and shift
LOWEST = 6  # frequencies a side of the description
MARKS = re.compile(
    r"(?i)(\.rf\.[0-9a-f]{8,}"  # Roboflow
    r"|[ _-]*\(\d+\)| - copy"  # copies of a file manager
    r"|[ _-](aug(mented)?|rot(ate|ated)?|h?flip(ped)?|vflip|mirror(ed)?|shift(ed)?|trans(lated)?|crop(ped)?|blur(red)?|noisy?|"
    r"bright(er|ness)?|dark(er)?|zoom(ed)?|shear(ed)?|scaled?|copy)[ _-]?-?\d*)+$"
)


def stem(name: str) -> str:
    """A file's name without its folder, suffix and what augmentation has added to it."""
    bare = re.sub(r"\.(png|jpe?g|bmp|tiff?|webp|gif)$", "", name.rsplit("/", 1)[-1], flags=re.IGNORECASE)
    return MARKS.sub("", bare)


def named_copies(dataset: Dataset, split: str, into: str = "train") -> pd.DataFrame:
    """The images of a split whose name differs from one of another split only by a mark of augmentation.

    Equal names without such a mark are no sign: many sets number the files of each folder from 0.

    Returns:
        `id`, `twin` and `kind` (“name”), in the order of the index; the first twin of each.

    Raises:
        DataError: the set has no such split.
    """
    ids = dataset.index["id"]
    here, there = ids.iloc[dataset.rows(split)].tolist(), ids.iloc[dataset.rows(into)].tolist()
    by_stem: dict[str, list[str]] = {}
    for name in there:
        by_stem.setdefault(stem(name), []).append(name)
    rows = []
    for name in here:
        marked = _marked(name)
        twin = next((other for other in by_stem.get(stem(name), []) if marked or _marked(other)), None)
        if twin is not None and stem(name):
            rows.append((name, twin, "name"))
    return pd.DataFrame(rows, columns=["id", "twin", "kind"]).astype("str")


def _marked(name: str) -> bool:
    return MARKS.search(re.sub(r"\.(png|jpe?g|bmp|tiff?|webp|gif)$", "", name, flags=re.IGNORECASE)) is not None


def moved_copies(dataset: Dataset, split: str, into: str = "train") -> pd.DataFrame:
    """The images of a split that match one of another after a turn of up to 15 degrees and a shift of some pixels.

    Returns:
        `id`, `twin`, `kind` (“moved”) and `similarity` (correlation of the overlapping pixels), in the order of the index;
        those that match as they lie are among them.

    Raises:
        DataError: the set has no such split.
    """
    images = dataset.images(ImageSpec(height=SIDE, width=SIDE))
    here, there = dataset.rows(split), dataset.rows(into)
    found = match_moved(np.asarray(images[here]), np.asarray(images[there]))
    ids = dataset.index["id"].to_numpy()
    rows = [(ids[here[a]], ids[there[b]], "moved", similarity) for a, b, similarity in found]
    return pd.DataFrame(rows, columns=["id", "twin", "kind", "similarity"])


def match_moved(images: NDArray[np.uint8], among: NDArray[np.uint8]) -> list[tuple[int, int, float]]:
    """(image, its best match among others, correlation) of those that match after a turn and a shift.

    Args:
        images, among: (n, 48, 48), (m, 48, 48) uint8.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(_describe(among))
    candidates: dict[int, set[int]] = {}
    for turn, across, down in product(TURNS, SHIFTS, SHIFTS):
        if across and down:
            continue
        moved = np.stack([_move(image, turn, across, down) for image in images])
        near = tree.query(_describe(moved), k=min(NEAREST, len(among)))[1].reshape(len(images), -1)
        for row, others in enumerate(near):
            candidates.setdefault(row, set()).update(map(int, others))
    found = []
    for row, others in candidates.items():
        best, similarity = max(
            ((other, _aligned(images[row], among[other])) for other in others), key=lambda one: one[1]
        )
        if similarity >= ALIKE:
            found.append((row, best, similarity))
    return found


def _describe(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n, 35) the lowest frequencies of the middle of each image, without its mean, of length 1."""
    from scipy.fft import dct

    edge = SIDE // 8  # a turn brings in what lies beyond the border
    middle = images[:, edge:-edge, edge:-edge].astype(np.float64)
    basis = dct(np.eye(middle.shape[1]), axis=0, norm="ortho")[:LOWEST]
    codes = (basis @ middle @ basis.T).reshape(len(images), -1)[:, 1:]
    return np.asarray(codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-9))


def _move(image: NDArray[np.uint8], turn: float, across: float, down: float) -> NDArray[np.uint8]:
    import cv2

    matrix = cv2.getRotationMatrix2D(((SIDE - 1) / 2, (SIDE - 1) / 2), turn, 1.0)
    matrix[:, 2] += np.array((across, down))
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _aligned(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The enhanced correlation coefficient after the best turn and shift (Evangelidis and Psarakis 2008); -1 for none."""
    import cv2

    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    best = -1.0
    for flipped in (image, image[:, ::-1]):
        try:
            start = np.eye(2, 3, dtype=np.float32)
            value, found = cv2.findTransformECC(
                other, np.ascontiguousarray(flipped), start, cv2.MOTION_EUCLIDEAN, criteria, np.empty(0, np.uint8), 5
            )
        except cv2.error:  # it does not converge: they are not alike
            continue
        turn = float(np.degrees(np.arctan2(found[1, 0], found[0, 0])))
        middle = np.array([SIDE, SIDE]) / 2
        far = float(np.abs(found[:, :2] @ middle + found[:, 2] - middle).max())
        if abs(turn) <= MOST_TURN and far <= MOST_SHIFT:  # else little of the one lies on the other
            best = max(best, float(value))
    return best
