"""The built-in set “heads”: seven expressions of 300 rendered people, whose actions, light and view are known.

Source: `fer_core.heads`. Licence: CC0 (shapes from MakeHuman and the Face Units). Protocol: each person is in one
split; choose on the validation set, report the test set. The images ship with the program, so that they have the same
bytes on every machine.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fer_core.datasets import OnBad, Reading, reader
from fer_core.datasets.columns import Column
from fer_core.heads.actions import ACTIONS, unit_of
from fer_core.labels import FER7

HEADS = "heads"


def _of_action(name: str) -> Column:
    """“AU 12, lip corner puller (left)” for mouthSmileLeft."""
    unit = unit_of(name)
    side = next((f" ({side.lower()})" for side in ("Left", "Right") if name.endswith(side)), "")
    number = "" if unit.number is None else f"AU {unit.number}, "
    return Column(f"{number}{unit.title.partition(' (')[0]}{side}", acted=True)


COLUMNS = {
    "age": Column("age", " years"),
    "sex": Column("sex", values={"male": "men", "female": "women"}),
    "ancestry": Column(
        "ancestry", values={name: f"{name.title()} ancestry" for name in ("african", "asian", "caucasian")}
    ),
    "skin": Column("skin tone", meaning="Skin tone: 1 (light) to 10 (dark) on the Monk scale."),
    "yaw": Column(
        "yaw", "°", meaning="Yaw: degrees that the head turns to the right of the image, negative to the left."
    ),
    "pitch": Column("pitch", "°", meaning="Pitch: degrees that the head tips up, negative down."),
    "light": Column("light at", "°", meaning="Light: degrees to the right of the image, negative to the left."),
    "glasses": Column(
        "glasses", values={"none": "no glasses"} | {cut: f"{cut} glasses" for cut in ("round", "thin", "square")}
    ),
    "beard": Column(
        "beard",
        values={"none": "no beard", "full": "full beard"} | {cut: cut for cut in ("stubble", "goatee", "moustache")},
    ),
    "hair": Column(
        "hair",
        values={cut: f"{cut} hair" for cut in ("short", "long", "curly", "tied")}
        | {cut: cut for cut in ("afro", "bald", "bob", "quiff")}
        | {"buzz": "buzz cut", "side": "hair parted at the side"},
    ),
    **{name: _of_action(name) for name in ACTIONS},
}


@reader(
    HEADS,
    title="Rendered heads",
    dataset=HEADS,
    recognises=lambda path: str(path) == HEADS,
    licence="CC0 (shapes from MakeHuman and the Face Units)",
    protocol="Each person is in one split; choose on the validation set, report the test set.",
    columns=COLUMNS,
)
def read(path: Path, on_bad: OnBad) -> Reading:
    """All images of the set, 48 x 48, grey.

    Raises:
        DataError: the shipped images are missing or damaged.
    """
    from fer_core.heads.shipped import shipped

    found = shipped()
    return Reading(pd.DataFrame(found.rows), FER7, found.images)
