"""CK+ as `ckextended.csv`, a csv in FER2013's form found on Kaggle.

Source: as `ckplus`. 920 grey faces of 48 x 48. Columns `emotion,pixels,Usage`; labels in FER2013's order, 7 contempt.
Protocol: the Usage column splits 80:10:10, but not by person, and the persons are not named. Accuracies are therefore
too high; CK+ itself and CK+48 can be split by person. Licence: CK+'s. To get it: Kaggle.
"""

from __future__ import annotations

from pathlib import Path

from fer_core.datasets import OnBad, Reading, fer2013, reader
from fer_core.labels import FERPLUS8

LABELS = fer2013.LABELS | {7: "contempt"}


@reader(
    "ckextended",
    title="CK+ extended (csv)",
    dataset="ckextended",
    recognises=lambda path: path.is_file() and path.name.lower().startswith("ckextended"),
    licence="CK+'s: research by signed agreement; no passing on",
    protocol="The given split is not by person: figures on it are too good.",
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the csv; as `fer2013.read`."""
    return fer2013.read_csv(path, on_bad, LABELS, FERPLUS8)
