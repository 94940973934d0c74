"""The built-in set “heads”: seven expressions of 300 rendered people, whose actions, light and view are known.

Source: `fer_core.heads`. Licence: CC0 (shapes from MakeHuman and the Face Units). Protocol: each person is in one
split; choose on the validation set, report the test set. The images ship with the program, so that they have the same
bytes on every machine.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fer_core.datasets import OnBad, Reading, reader
from fer_core.labels import FER7

HEADS = "heads"


@reader(
    HEADS,
    title="Rendered heads",
    dataset=HEADS,
    recognises=lambda path: str(path) == HEADS,
    licence="CC0 (shapes from MakeHuman and the Face Units)",
    protocol="Each person is in one split; choose on the validation set, report the test set.",
)
def read(path: Path, on_bad: OnBad) -> Reading:
    """All images of the set, 48 x 48, grey.

    Raises:
        DataError: the shipped images are missing or damaged.
    """
    from fer_core.heads.shipped import shipped

    found = shipped()
    return Reading(pd.DataFrame(found.rows), FER7, found.images, found.masks)
