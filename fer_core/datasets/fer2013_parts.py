"""FER2013's form in one csv a part: a folder with `train.csv` and `test.csv`, and perhaps `val.csv`.

Source, licence: as `fer2013`; the Kaggle challenge itself handed out `train.csv` (`emotion,pixels`) and a `test.csv`
that has `pixels` alone. Protocol: the files are the splits. Images of a csv without `emotion` have no labels: a network
can predict them, and nothing can be scored on them. An id is the file's name and the number
of the row in it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from fer_core.datasets import OnBad, Reading, Skipped, fer2013, reader
from fer_core.labels import FER7, vocabulary


def _tables(path: Path) -> list[tuple[str | None, Path]]:
    """Each csv of images in a folder, with the split that its name says."""
    if not path.is_dir():
        return []
    files = (file for file in sorted(path.iterdir()) if file.name.lower().endswith((".csv", ".csv.gz")))
    return [(fer2013.split_in_name(file.name), file) for file in files if fer2013.recognises(file)]


@reader(
    "fer2013-parts",
    title="FER2013's form, one csv a part",
    recognises=lambda path: any(split for split, _ in _tables(path)),
    licence="as its owner says",
    protocol="The files are the splits; images without labels can be predicted, and not scored.",
    expects=("train.csv", "test.csv"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read each csv; a column `Usage` is ignored.

    Raises:
        DataError: as `fer2013.read_csv`.
    """
    indices, pixels, skipped = [], [], list[Skipped]()
    for split, file in _tables(path):
        part = fer2013.read_csv(file, on_bad, fer2013.LABELS, FER7)
        assert part.pixels is not None
        if split is None:
            skipped.append(Skipped(file.name, "its name says no split; open it by itself", len(part.index)))
            continue
        stem = file.name.partition(".")[0]
        indices.append(part.index.assign(id=stem + "/" + part.index["id"], split=split))
        pixels.append(part.pixels)
        skipped += [Skipped(f"{file.name}, {entry.id}", entry.reason, entry.n) for entry in part.skipped]
    index = pd.concat(indices, ignore_index=True)
    known = set(index["label"].dropna())
    expressions = FER7 if known <= set(FER7.names) else vocabulary(known)
    return Reading(index, expressions, np.concatenate(pixels), skipped=tuple(skipped))
