"""FER+: ten people's votes for each picture of FER2013, joined to its csv by row.

Source: Barsoum, Zhang, Canton Ferrer and Zhang 2016, “Training Deep Networks for Facial Expression Recognition with
Crowd-Sourced Label Distribution” (arXiv 1608.01041); `fer2013new.csv`, MIT licence, columns `Usage,Image name` and ten
counts of votes. The pictures are FER2013's: its csv has to lie in the same folder. Rows are joined by their order and
never by the number in the image name, which drifts by up to 85.

The label is the authors' “majority”: single votes are dropped as outliers, and a picture is kept if one expression then
has more than half of the remaining votes; it is left out if that is “unknown” or “NF” (no face), or if there is none.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from fer_core.datasets import OnBad, Reading, Skipped, fer2013, reader
from fer_core.errors import DataError
from fer_core.labels import FERPLUS8

# The file's columns, in its order, by the expression each stands for; the last two are no expressions.
VOTES = {
    "neutral": "neutral",
    "happiness": "happy",
    "surprise": "surprise",
    "sadness": "sad",
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "contempt": "contempt",
    "unknown": "unknown",
    "NF": "no face",
}


def recognises(path: Path) -> bool:
    return path.is_file() and path.name.startswith("fer2013new") and path.suffix == ".csv"


def read_votes(path: Path) -> pd.DataFrame:
    """The votes, one row for each row of the full fer2013.csv: `split` and one column of counts a choice.

    Raises:
        DataError: a column is missing or a count is no number.
    """
    try:
        table = pd.read_csv(path)
        missing = [name for name in ["Usage", *VOTES] if name not in table.columns]
        if missing:
            raise DataError(f"{path}: the column {', '.join(missing)} is missing; expected FER+'s fer2013new.csv.")
        votes = table[list(VOTES)].astype(np.int64).rename(columns=VOTES)
    except (pd.errors.ParserError, ValueError, OSError) as error:
        raise DataError(f"{path}: the votes cannot be read ({error}); download the file again.") from error
    return votes.assign(split=table["Usage"].map(fer2013.USAGES))


def majority(votes: pd.DataFrame) -> pd.Series:
    """The choice that more than half of the votes agree on after single votes are dropped, or “” where none does."""
    counts = votes[list(VOTES.values())].to_numpy()
    counts = np.where(counts > 1, counts, 0)
    agreed = counts.max(axis=1) * 2 > counts.sum(axis=1)
    names = np.array(list(VOTES.values()), dtype=object)[counts.argmax(axis=1)]
    return pd.Series(np.where(agreed, names, ""), index=votes.index)


@reader(
    "ferplus",
    title="FER+ (votes on FER2013)",
    dataset="ferplus",
    recognises=recognises,
    licence="votes: MIT; pictures: FER2013's",
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the votes at `path` and the pictures of the fer2013.csv (.gz, .zip) beside them.

    The votes stay in the index, one column `votes_<choice>` each.

    Raises:
        DataError: no fer2013.csv beside the votes, or its rows are in another order.
    """
    beside = [place for form in ("", ".gz", ".zip") if (place := path.with_name(f"fer2013.csv{form}")).exists()]
    if not beside:
        raise DataError(f"{path}: FER+ holds votes and no pictures; put FER2013's fer2013.csv (.gz, .zip) beside it.")
    pictures = fer2013.read(beside[0], on_bad)
    assert pictures.pixels is not None
    votes = read_votes(path)
    rows = pictures.index["id"].astype(int).to_numpy()
    if rows.max() >= len(votes) or (votes["split"].to_numpy()[rows] != pictures.index["split"].to_numpy()).any():
        raise DataError(
            f"{beside[0]} and {path} do not belong together: their rows differ in number or order; "
            "both must be in the order of the original files."
        )
    votes = votes.iloc[rows].reset_index(drop=True)
    choice = majority(votes)
    kept = choice.isin(FERPLUS8.names).to_numpy()
    undecided, others = int((choice == "").sum()), int(((choice != "") & ~kept).sum())
    index = pictures.index.assign(label=choice, **{f"votes_{name}": votes[name] for name in VOTES.values()})
    left_out = (
        Skipped(f"{undecided:,} pictures", "no majority among the voters"),
        Skipped(f"{others:,} pictures", "voted unknown or no face"),
    )
    return replace(
        pictures,
        index=index[kept].reset_index(drop=True),
        expressions=FERPLUS8,
        pixels=pictures.pixels[kept],
        skipped=(*pictures.skipped, *left_out),
    )
