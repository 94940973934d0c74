"""The faces of a private set: read from its photos for several networks, or kept as a data set of the workbench.

Photos are read one at a time and only the faces at the networks' sizes are kept, so a thousand large photos need no
more memory than a thousand small ones.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import Skipped
from fer_core.datasets import known as known_sets
from fer_core.datasets.archive import ArchiveEntry
from fer_core.datasets.class_folders import word
from fer_core.errors import DataError, ImageError
from fer_core.faces import PHOTO_SOFT, Face, find_faces, framed_for
from fer_core.images import UPLOAD, decode, fit, quality
from fer_core.serving.predictor import LoadedNetwork as Network
from fer_core.workspace import home, names_a_device

WIDER = 0.2  # how much larger and smaller the face is cut for the answer to “is it the crop?”
MOST_AGAIN = 600  # private faces that are predicted again with one thing changed: evenly spread among more


def keep(source: Iterable[ArchiveEntry], mapping: Mapping[str, str | None], name: str) -> int:
    """Save a private set as a data set of the workbench, in the workspace, and say how many images it has.

    Files get new names (a number and the image's suffix), so no name in an archive becomes a path.

    Raises:
        DataError: the name is taken or cannot name a data set, or no image can be read.
    """
    folder = home() / "private" / name
    if (
        not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name)
        or names_a_device(name)
        or folder.exists()
        or name in known_sets.known()
    ):
        raise DataError(f"“{name}” cannot name the data set; use a new name of small letters, digits and hyphens.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".keeping-") as temporary:
        for member in source:
            label = mapping.get(word(member.name))
            if member.data is None or label is None:
                continue
            try:
                decode(member.data)
            except ImageError:
                continue
            count += 1
            place = Path(temporary, name, label, f"{count:05d}{PurePosixPath(member.name).suffix.lower()}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(member.data)
        if not count:
            raise DataError("No image of the upload can be read, so there is nothing to keep.")
        os.replace(Path(temporary, name), folder)
    known_sets.add(folder, name)
    return count


@dataclass
class Gathered:
    """The faces of a private set for one network: images at its size, and what was measured on the whole photos.

    Attributes:
        pictures: (n, H, W[, 3]) uint8, cut as the card says.
        again: positions of the faces that `variants` hold too, at most about `MOST_AGAIN`.
        variants: by what is changed about the crop, (len(again), H, W[, 3]) uint8.
        faces: one row an image: `id`, `label`, `size` (pixels of the cut), `turn`, `tilt` (NaN without points).
        skipped: what was left out, and why.
    """

    pictures: NDArray[np.uint8]
    again: NDArray[np.int64]
    variants: dict[str, NDArray[np.uint8]]
    faces: pd.DataFrame
    skipped: list[Skipped] = field(default_factory=list)


def gather(
    source: Iterable[ArchiveEntry],
    mapping: Mapping[str, str | None],
    networks: Sequence[Network],
    detector: str,
    total: int = 0,
) -> Iterator[int | list[Gathered]]:
    """Read a private set for several networks; each photo is decoded and searched once.

    Args:
        mapping: class folder to expression; folders that are missing or None are left out.
        total: how many images there are, if known: of many, only some are cut in several ways.

    Yields:
        how many images are done, and at last the list of `Gathered`, one a network.

    Raises:
        DataError: no image is left.
    """
    every = max(1, -(-total // MOST_AGAIN))
    pictures: list[list[NDArray[np.uint8]]] = [[] for _ in networks]
    variants: list[dict[str, list[NDArray[np.uint8]]]] = [{} for _ in networks]
    again: list[int] = []
    rows: list[dict[str, object]] = []
    skipped: list[Skipped] = []
    for done, member in enumerate(source, 1):
        label = mapping.get(word(member.name))
        if member.data is None:
            skipped.append(Skipped(member.name, member.reason))
        elif label is not None:
            try:
                image = decode(member.data)
            except ImageError as error:
                skipped.append(Skipped(member.name, str(error).removeprefix(f"{UPLOAD}: ")))
            else:
                found = find_faces(image, detector)
                if found:
                    cuts = [framed_for(network.card.face, detector).cut(image, found[0]) for network in networks]
                    for network, kept, cut in zip(networks, pictures, cuts, strict=True):
                        kept.append(fit(cut, network.card.image))
                    if len(rows) % every == 0:
                        again.append(len(rows))
                        for network, of in zip(networks, variants, strict=True):
                            for name, cut in _recut(image, found[0], network, detector).items():
                                of.setdefault(name, []).append(fit(cut, network.card.image))
                    turn, tilt = quality.pose(found[0]) or (np.nan, np.nan)
                    size = max(framed_for(networks[0].card.face, detector).window(image, found[0]).shape[:2])
                    rows.append({"id": member.name, "label": label, "size": size, "turn": turn, "tilt": tilt})
                else:
                    skipped.append(Skipped(member.name, "no face was found"))
        yield done
    if not rows:
        first = "; ".join(f"{bad.id}: {bad.reason}" for bad in skipped[:3])
        raise DataError(f"No face is left to predict ({first or 'no folder stands for an expression'}).")
    faces = pd.DataFrame(rows)
    yield [
        Gathered(
            np.stack(kept),
            np.array(again, dtype=np.int64),
            {name: np.stack(some) for name, some in of.items()},
            faces,
            skipped,
        )
        for kept, of in zip(pictures, variants, strict=True)
    ]


def _recut(image: NDArray[np.uint8], face: Face, network: Network, detector: str) -> dict[str, NDArray[np.uint8]]:
    """A face cut in other ways, by what is changed."""
    framing = framed_for(network.card.face, detector)
    if detector == "none":
        inner = find_faces(image, "mtcnn")
        framed = framed_for(network.card.face, "mtcnn")
        return {"crop: face found by MTCNN": framed.cut(image, inner[0]) if inner else image}
    cuts = {}
    for name, factor in (("crop: wider", 1 + WIDER), ("crop: closer", 1 - WIDER)):
        margin = (1 + framing.margin) * factor - 1
        cuts[f"{name} by {100 * WIDER:.0f} %"] = framing.model_copy(update={"margin": margin}).cut(image, face)
    name, soft = ("crop: not softened", 0.0) if framing.soft else ("crop: softened", PHOTO_SOFT)
    cuts[name] = framing.model_copy(update={"soft": soft}).cut(image, face)
    cuts["crop: the whole image"] = image
    return cuts
