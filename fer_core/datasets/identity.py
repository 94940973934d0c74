"""Images and data sets are identified by their content, never by a row number or a name alone.

An image's `hash` is made from its pixels, a set's fingerprint from the hashes and labels of its images in any order. So
predictions stay with their images when rows of a csv are moved or removed, and two sets of the same name are not
confused. A hash only shows whether two images are equal; no image can be reconstructed from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HASH = "hash"  # the column of an index or a table
SHIPPED = Path(__file__).with_name("shipped")
LEAST_AGREEING = 0.9  # of the labels; tables known by number alone are joined from it, corrected labels are fewer
ENOUGH = 20  # rows from which that is asked


def image_hash(image: NDArray[np.uint8]) -> str:
    """24 hexadecimal digits of an image's size and pixels (BLAKE2b).

    Args:
        image: (H, W) or (H, W, 3) uint8; three equal channels are the grey image.
    """
    if image.ndim == 3 and (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all():
        image = image[..., 0]
    digest = blake2b(repr(image.shape).encode(), digest_size=12)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def fingerprint(hashes: Iterable[str], labels: Iterable[str]) -> str:
    """24 hexadecimal digits of images and their labels, whatever their order."""
    lines = sorted(f"{image} {label}" for image, label in zip(hashes, labels, strict=True))
    return blake2b("\n".join(lines).encode(), digest_size=12).hexdigest()


def fingerprints(index: pd.DataFrame) -> dict[str, str]:
    """The fingerprint of each split of a set's index."""
    return {str(split): fingerprint(part[HASH], part["label"]) for split, part in index.groupby("split")}


@cache
def known_sets() -> dict[str, dict[str, Any]]:
    """Sets whose content is known: `counts` of each split, and `fingerprints` of those that were at hand."""
    found: dict[str, dict[str, Any]] = json.loads((SHIPPED / "known-sets.json").read_text(encoding="utf-8"))
    return found


@cache
def fer2013_rows() -> pd.Series:
    """The hash of each image of FER2013's Training and PublicTest parts, by its row in the original csv (“00000”)."""
    table = pd.read_parquet(SHIPPED / "ferplus-votes.parquet", columns=["id", HASH])
    return table[table[HASH] != ""].set_index("id")[HASH]


def is_original(name: str, index: pd.DataFrame) -> bool:
    """Whether a set is what its layout says it is: every part has the known number of images and the known content.

    PrivateTest, whose content is not shipped, counts as FER2013's where it comes with the known parts in their original
    order, so that its rows too are known by their number.
    """
    known = known_sets()[name]
    counts = index["split"].value_counts().to_dict()
    if any(known["counts"].get(split) != n for split, n in counts.items()):
        return False
    content = fingerprints(index[index["split"].isin(known["fingerprints"])])
    if not content or any(known["fingerprints"][split] != value for split, value in content.items()):
        return False
    return set(counts) <= set(content) or in_original_order(index)


def in_original_order(index: pd.DataFrame) -> bool:
    """Whether the ids of a set of FER2013's images are rows of the original csv, as far as their hashes are known."""
    rows = fer2013_rows()
    known = index["id"].isin(rows.index)
    return bool(known.any() and (rows.reindex(index.loc[known, "id"]).to_numpy() == index.loc[known, HASH]).all())


def same_images(asked: pd.DataFrame, held: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) the row of `held` that holds each image of `asked`; -1 where none does.

    Where both know the hashes, only equal images are joined: first with the same split and id, then with the same split
    and label in their order, then anywhere. Where one does not know them, by split and id; two tables whose labels then
    disagree in more than a tenth are of different images, and nothing is joined.

    Args:
        asked, held: `id`, and `split`, `label` and `hash` where known; an empty hash is an unknown one.
    """
    found = np.full(len(asked), -1, dtype=np.int64)
    common = [name for name in ("split", "id") if name in asked.columns and name in held.columns]
    if HASH not in asked.columns or HASH not in held.columns:
        _join(found, asked, held, common)
        return found if _labels_agree(found, asked, held) else np.full(len(asked), -1, dtype=np.int64)
    _join(found, asked, held, [HASH, *common])
    alike = [name for name in ("split", "label") if name in asked.columns and name in held.columns]
    if (found < 0).any():
        turn = [HASH, *alike, "turn"]
        _join(found, _numbered(asked, [HASH, *alike]), _numbered(held, [HASH, *alike]), turn)
        _join(found, asked, held, [HASH, *alike])
        _join(found, asked, held, [HASH])
    unknown = (asked[HASH] == "").to_numpy()
    found[unknown] = -1
    if (held[HASH] == "").any():  # images of the other side that were never seen here: by number
        there = np.flatnonzero(held[HASH] == "")
        rest = np.flatnonzero(found < 0)
        part = np.full(len(rest), -1, dtype=np.int64)
        _join(part, asked.iloc[rest], held.iloc[there], common)
        found[rest[part >= 0]] = there[part[part >= 0]]
    return found


def _join(found: NDArray[np.int64], asked: pd.DataFrame, held: pd.DataFrame, columns: Sequence[str]) -> None:
    """Fill the rows that are still open by equal values of some columns; of several rows that have them, the first."""
    rows = np.flatnonzero(found < 0)
    if not len(rows) or not len(held):
        return
    keys = pd.MultiIndex.from_frame(held[list(columns)].astype("str"))
    first = np.flatnonzero(~keys.duplicated())
    place = keys[first].get_indexer(pd.MultiIndex.from_frame(asked[list(columns)].iloc[rows].astype("str")))
    found[rows[place >= 0]] = first[place[place >= 0]]


def _numbered(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """With `turn`: the first, second, ... row of equal values."""
    return frame.assign(turn=frame.groupby(list(columns)).cumcount().to_numpy())


def _labels_agree(found: NDArray[np.int64], asked: pd.DataFrame, held: pd.DataFrame) -> bool:
    mine = np.flatnonzero(found >= 0)
    if len(mine) < ENOUGH or "label" not in asked.columns or "label" not in held.columns:
        return True
    same = asked["label"].to_numpy()[mine] == held["label"].to_numpy()[found[mine]]
    return float(same.mean()) >= LEAST_AGREEING
