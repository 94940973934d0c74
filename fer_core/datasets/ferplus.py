"""FER+: ten people's votes for each image of FER2013, joined to its csv by content.

Source: Barsoum, Zhang, Canton Ferrer and Zhang 2016, “Training Deep Networks for Facial Expression Recognition with
Crowd-Sourced Label Distribution” (arXiv 1608.01041); `fer2013new.csv`, MIT licence, columns `Usage,Image name` and ten
counts of votes. The images are FER2013's: its csv has to lie in the same folder. An image gets the votes of its content
(`identity.py`), so that the csv's rows may be moved or missing; the images of PrivateTest, whose content is not shipped, get
those of their row if the csv is in its original order. The number in the image name drifts by up to 85 and is never used.
Protocol: FER2013's splits.

Single votes are always dropped as outliers. Which images are kept, and what they count as, depends on the mode, each
as in the authors' program; what the voters call “unknown” or “NF” (no face) is left out and counted:

* majority (the default): one choice has more than half of the remaining votes. It keeps 25,060 / 3,199 / 3,153.
* probability: the choices with most votes until they hold 75 %, at most three, together more than half; their shares stand
  in the columns `target_<expression>`, the label is the largest. The authors' “probability” training draws one label
  from the shares in every epoch (`loss.votes = 1` with `loss.draw`), their “crossentropy” training learns the shares. It
  keeps 27,956 / 3,505 / 3,505.
* multi-target: every choice with 30 % or more, together more than half; the target is 1 for each of them, the
  label the largest. It keeps 27,671 / 3,472 / 3,472.
* given: every image under FER2013's own label, the votes beside it, to learn from both (`loss.votes` of a recipe).

To get it: take fer2013new.csv from github.com/microsoft/FERPlus and put it beside fer2013.csv.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import OnBad, Reading, Skipped, fer2013, reader
from fer_core.datasets.files import several
from fer_core.datasets.identity import HASH, fer2013_rows, image_hash, in_original_order, same_images
from fer_core.datasets.votes import VOTES, majority, multi_target, probability, read_votes
from fer_core.errors import DataError
from fer_core.labels import FERPLUS8


def recognises(path: Path) -> bool:
    return path.is_file() and path.name.startswith("fer2013new") and path.suffix == ".csv"


def _rows(index: pd.DataFrame) -> tuple[NDArray[np.int64], bool]:
    """Each image's row in the original csv, -1 where it is not known, and whether that was told from its content.

    A csv in which no image is FER2013's is taken at its word: its rows are those of the votes.
    """
    own = index["id"].to_numpy().astype(np.int64)
    known = fer2013_rows().reset_index()
    place = same_images(index[["id", HASH]], known)
    if not (place >= 0).any():
        return own, False
    by_number = own if in_original_order(index) else np.full(len(index), -1, dtype=np.int64)
    rows = np.where(place >= 0, known["id"].astype(np.int64).to_numpy()[place], by_number).astype(np.int64)
    return rows, True


MODES = {"probability": probability, "multi-target": multi_target}
GIVEN = "given"


def _pictures(path: Path) -> list[Path]:
    return [place for form in ("", ".gz", ".zip") if (place := path.with_name(f"fer2013.csv{form}")).exists()][:1]


@reader(
    "ferplus",
    title="FER+ (votes on FER2013)",
    dataset="ferplus",
    recognises=recognises,
    licence="votes: MIT; images: FER2013's",
    protocol="FER2013's splits: choose on PublicTest (validation set), report PrivateTest (test set) once; name the mode.",
    modes=(*MODES, GIVEN),
    beside=_pictures,
)
def read(path: Path, on_bad: OnBad = "refuse", mode: str = "majority") -> Reading:
    """Read the votes at `path` and the images of the fer2013.csv (.gz, .zip) beside them.

    The votes stay in the index, one column `votes_<choice>` each.

    Raises:
        DataError: no fer2013.csv beside the votes, or images that are not FER2013's in another order than the votes.
    """
    beside = _pictures(path)
    if not beside:
        raise DataError(f"{path}: FER+ has votes but no images; put FER2013's fer2013.csv (.gz, .zip) beside it.")
    pictures = fer2013.read(beside[0], on_bad)
    pixels = pictures.pixels
    assert pixels is not None
    hashes = pd.Series([image_hash(image) for image in pixels], dtype="str")
    pictures = replace(pictures, index=pictures.index.assign(**{HASH: hashes}))
    votes = read_votes(path)
    rows, by_content = _rows(pictures.index)
    if rows.max() >= len(votes) or (
        not by_content and (votes["split"].to_numpy()[rows] != pictures.index["split"].to_numpy()).any()
    ):
        raise DataError(
            f"{beside[0]} and {path} do not belong together: their rows differ in number or order; "
            "both must be the original files, or the images FER2013's."
        )
    if (unknown := rows < 0).any():
        lost = several(int(unknown.sum()), "image", "not among FER2013's known images, so without votes")
        known, pixels = pictures.index[~unknown].reset_index(drop=True), pixels[~unknown]
        pictures = replace(pictures, index=known, pixels=pixels, skipped=(*pictures.skipped, lost))
    found = counted(pictures.index, votes.iloc[rows[~unknown]].reset_index(drop=True), mode)
    return Reading(
        found.index,
        pictures.expressions if mode == GIVEN else FERPLUS8,
        pixels[found.kept],
        skipped=(*pictures.skipped, *found.left_out),
    )


@dataclass(frozen=True)
class Counted:
    """Rows with what their votes count as: the index of those that are kept, which these are, and what is left out."""

    index: pd.DataFrame
    kept: NDArray[np.bool_]
    left_out: tuple[Skipped, ...] = ()


def counted(index: pd.DataFrame, votes: pd.DataFrame, mode: str) -> Counted:
    """The label of each row by its votes, in one of the modes; the votes stay, one column `votes_<choice>` each.

    Args:
        votes: (n) rows of counts a choice, in the order of the index.
    """
    index = index.assign(**{f"votes_{name}": votes[name].to_numpy() for name in VOTES.values()})
    if mode == GIVEN:
        return Counted(index, np.ones(len(index), bool))
    if mode == "majority":
        choice = majority(votes)
    else:
        shares = MODES[mode](votes)
        names = np.array(list(VOTES.values()), dtype=object)
        choice = pd.Series(np.where(shares.any(axis=1), names[shares.argmax(axis=1)], ""))
        targets = shares[:, : len(FERPLUS8)]
        if mode == "multi-target":
            targets = (targets > 0).astype(np.float64)
        else:  # without the votes for no expression the rest adds up to 1 again
            targets = targets / np.maximum(targets.sum(axis=1, keepdims=True), 1e-12)
        index = index.assign(**{f"target_{name}": targets[:, i] for i, name in enumerate(FERPLUS8.names)})
    kept = choice.isin(FERPLUS8.names).to_numpy()
    undecided, others = int((choice == "").sum()), int(((choice != "") & ~kept).sum())
    reasons = ((undecided, "no majority among the voters"), (others, "voted unknown or no face"))
    left_out = tuple(several(n, "image", why) for n, why in reasons if n)
    return Counted(index.assign(label=choice.to_numpy())[kept].reset_index(drop=True), kept, left_out)
