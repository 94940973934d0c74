"""Images that occur more than once in a set: pixel by pixel, or nearly so, as they are or mirrored, at any size.

Each image is brought to 48 x 48 grey and described by the lowest 8 x 8 frequencies of its cosine transform (DCT)
without the mean, scaled to length 1; the mirror image's description is the same with the odd horizontal frequencies
negated. A k-d tree finds the pairs whose descriptions lie close together, and each is confirmed by the correlation of
the 48 x 48 pixels. So a pair is found whatever its brightness, contrast or size; one that is shifted or rotated by
more than a pixel or two is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import SPLITS, Dataset
from fer_core.errors import DataError
from fer_core.images import ImageSpec

SIDE = 48
FREQUENCIES = 8
TREE = 12  # dimensions of the tree: a projection only shortens distances, so that no pair is lost
# Correlation of 48 x 48 pixels from which two images count as one. Looked at side by side, 60 pairs of FER2013 from
# 0.95 to 0.96 were all one photo, cut, compressed or stamped differently; of 60 from 0.93 to 0.945 one pair was of two
# people, of 60 from 0.90 to 0.915 about ten.
ALIKE = 0.95
SIMILAR = 0.90  # from which two may be one photograph
KINDS = ("identical", "mirrored", "near", "near, mirrored")
PAIRS = {"first": "int64", "second": "int64", "kind": "str", "similarity": "float64"}


@dataclass(frozen=True, eq=False)
class Duplicates:
    """All pairs of one set's images.

    Attributes:
        n: how many images were compared.
        pairs: one row a pair: `first` < `second` (positions), `kind` (one of `KINDS`) and `similarity`, the correlation
            of the pixels at 48 x 48, 1 for identical ones. Of images with identical pixels, each is paired with the
            first of them, and only the first with what is near to them.
    """

    n: int
    pairs: pd.DataFrame

    def of_kind(self, *kinds: str) -> Duplicates:
        return Duplicates(self.n, self.pairs[self.pairs["kind"].isin(kinds)].reset_index(drop=True))

    @cached_property
    def group(self) -> NDArray[np.int64]:
        """(n,) number of the group of images that are connected by pairs, -1 for an image without any."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        first, second = self.pairs["first"].to_numpy(), self.pairs["second"].to_numpy()
        links = coo_array((np.ones(len(first), bool), (first, second)), (self.n, self.n))
        _, labels = connected_components(links, directed=False)
        _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
        several = counts > 1
        number = np.where(several, np.cumsum(several) - 1, -1)
        return np.asarray(number[inverse], dtype=np.int64)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.group.max(initial=-1)) + 1


def find_duplicates(images: NDArray[np.uint8], alike: float = ALIKE) -> Duplicates:
    """Equal and nearly equal images, in seconds for 36,000.

    Args:
        images: (n, H, W) or (n, H, W, 3) uint8.
        alike: correlation of the pixels from which a pair counts, in 0.9..1.

    An image of one grey only is identical to another such, and near to none.
    """
    if not 0.9 <= alike <= 1:
        raise DataError(f"alike = {alike:g}: expected a correlation of 0.9 to 1.")
    original = _originals(images)
    copies = np.flatnonzero(original != np.arange(len(images)))
    unique = np.flatnonzero(original == np.arange(len(images)))
    small = _small(images[unique])
    first, second, flipped = _candidates(small, alike)
    similarity = _correlation(small, first, second, flipped)
    keep = similarity >= alike
    first, second, flipped, similarity = unique[first[keep]], unique[second[keep]], flipped[keep], similarity[keep]
    kind = [
        ("mirrored" if np.array_equal(images[a], images[b][:, ::-1]) else "near, mirrored") if mirror else "near"
        for a, b, mirror in zip(first, second, flipped, strict=True)
    ]
    near = _pairs(first, second, kind, similarity).sort_values("similarity", ascending=False, kind="stable")
    pairs = pd.concat([_pairs(original[copies], copies, "identical", 1.0), near.drop_duplicates(["first", "second"])])
    return Duplicates(len(images), pairs.sort_values(["first", "second"], ignore_index=True))


def duplicates_of(dataset: Dataset, alike: float = ALIKE) -> Duplicates:
    """The duplicates of a whole set, kept beside its images in the cache; positions are those of its index."""
    from fer_core.workspace import write_atomically

    path = dataset.folder / f"duplicates-{alike:g}.csv"
    if not path.exists():
        text = find_duplicates(dataset.images(ImageSpec(height=SIDE, width=SIDE)), alike).pairs.to_csv(index=False)
        write_atomically(path, text.encode())
    return Duplicates(len(dataset), pd.read_csv(path, dtype=PAIRS))


def across(dataset: Dataset, found: Duplicates) -> pd.DataFrame:
    """Groups by the splits they touch: `splits` (“train”, “train, val”), `groups` and `pictures`."""
    member = found.group >= 0
    table = pd.DataFrame({"group": found.group[member], "split": dataset.index["split"].to_numpy()[member]})
    touched = table.groupby("group")["split"].agg(lambda names: ", ".join(s for s in SPLITS if s in set(names)))
    counted = pd.DataFrame({"splits": touched, "pictures": table.groupby("group").size()})
    grouped = counted.groupby("splits")["pictures"].agg(groups="size", pictures="sum")
    return grouped.reset_index().sort_values("splits", key=lambda s: s.str.count(","), ignore_index=True, kind="stable")


def leaks(dataset: Dataset, found: Duplicates, split: str, into: str = "train") -> pd.DataFrame:
    """The images of one split that also occur in another, which a network may have memorised.

    Returns:
        one row an image of `split` with a twin in `into`: `id`, `twin` (the id of its most similar twin), `kind` and
        `similarity` of the two, in the order of the index.

    Raises:
        DataError: the set has no such split.
    """
    here, there = dataset.rows(split), dataset.rows(into)
    original = np.arange(found.n)
    copies = found.pairs[found.pairs["kind"] == "identical"]
    original[copies["second"]] = copies["first"]
    near = found.pairs[found.pairs["kind"] != "identical"].rename(columns={"first": "mine", "second": "other"})
    itself = pd.DataFrame({"mine": original[here], "other": original[here], "kind": "identical", "similarity": 1.0})
    links = pd.concat([itself.drop_duplicates(), near, near.rename(columns={"mine": "other", "other": "mine"})])
    twins = pd.DataFrame({"other": original[there], "twin": dataset.index["id"].iloc[there].to_numpy()})
    table = pd.DataFrame({"row": here, "id": dataset.index["id"].iloc[here].to_numpy(), "mine": original[here]})
    table = table.merge(links, on="mine").merge(twins.drop_duplicates("other"), on="other")
    table = table.sort_values(["row", "similarity"], ascending=[True, False], kind="stable").drop_duplicates("row")
    return table[["id", "twin", "kind", "similarity"]].reset_index(drop=True)


def contradicting(index: pd.DataFrame, found: Duplicates) -> pd.DataFrame:
    """The images of groups whose labels differ: `group`, `row` (position), `id`, `split` and `label`."""
    member = np.flatnonzero(found.group >= 0)
    table = index[["id", "split", "label"]].iloc[member].assign(group=found.group[member], row=member)
    table = table[table.groupby("group")["label"].transform("nunique") > 1]
    return table.sort_values(["group", "row"], ignore_index=True)[["group", "row", "id", "split", "label"]]


def _small(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 48 * 48) float32, grey, each of mean 0 and length 1; a constant image is all zeros."""
    import cv2

    small = np.empty((len(images), SIDE * SIDE), np.float32)
    for row, image in enumerate(images):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
        if grey.shape != (SIDE, SIDE):
            grey = cv2.resize(np.ascontiguousarray(grey), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        small[row] = grey.ravel()
    small -= small.mean(axis=1, keepdims=True)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    return np.asarray(np.divide(small, length, out=np.zeros_like(small), where=length > 1e-3 * SIDE))


def _candidates(
    small: NDArray[np.float32], alike: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Pairs (first < second, and whether the second is mirrored) whose descriptions lie close together."""
    from scipy.fft import dct
    from scipy.spatial import cKDTree

    basis = dct(np.eye(SIDE), axis=0, norm="ortho")[:FREQUENCIES].astype(np.float32)
    codes = basis @ small.reshape(-1, SIDE, SIDE) @ basis.T  # (n, 8 down, 8 across)
    sign = np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)
    both = np.concatenate([codes, codes * sign]).reshape(2 * len(codes), FREQUENCIES**2)[:, 1:]
    rows = np.flatnonzero(np.tile(small.any(axis=1), 2))
    if not len(rows):
        none = np.empty(0, np.int64)
        return none, none, none.astype(bool)
    # two vectors of length 1 with correlation c are sqrt(2 - 2 c) apart, and a part of their coordinates is nearer
    reach = float(np.sqrt(2 - 2 * alike)) + 1e-3
    spread = np.linalg.eigh(both[rows].T @ both[rows])[1][:, ::-1][:, :TREE]
    pairs = rows[cKDTree(both[rows] @ spread).query_pairs(reach, output_type="ndarray")]
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    n = len(small)
    keep = (low < n) & (high % n != low)  # two mirror images are the pair itself once more
    low, high = low[keep], high[keep]
    near = np.linalg.norm(both[low] - both[high], axis=1) <= reach
    low, high = low[near], high[near]
    flipped = high >= n
    first, second = np.minimum(low, high % n), np.maximum(low, high % n)
    order = np.lexsort((flipped, second, first))
    first, second, flipped = first[order], second[order], flipped[order]
    again = (first[1:] == first[:-1]) & (second[1:] == second[:-1]) & (flipped[1:] == flipped[:-1])
    once = np.r_[True, ~again] if len(first) else np.empty(0, bool)
    return first[once], second[once], flipped[once]


def _correlation(
    small: NDArray[np.float32], first: NDArray[np.int64], second: NDArray[np.int64], flipped: NDArray[np.bool_]
) -> NDArray[np.float64]:
    result = np.empty(len(first))
    for start in range(0, len(first), 4096):
        part = slice(start, start + 4096)
        one, other = (small[rows[part]].reshape(-1, SIDE, SIDE) for rows in (first, second))
        other = np.where(flipped[part, None, None], other[:, :, ::-1], other)
        result[part] = np.einsum("ijk,ijk->i", one, other)
    return np.clip(result, -1, 1)


def _originals(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(n,) position of the first image with the same pixels, which is its own position for the first of its kind."""
    known: dict[bytes, int] = {}
    digests = (blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images)
    return np.array([known.setdefault(digest, row) for row, digest in enumerate(digests)], dtype=np.int64)


def _pairs(
    first: NDArray[np.int64], second: NDArray[np.int64], kind: str | list[str], similarity: float | NDArray[np.float64]
) -> pd.DataFrame:
    table = pd.DataFrame({"first": first, "second": second})
    return table.assign(kind=kind, similarity=similarity).astype(PAIRS)
