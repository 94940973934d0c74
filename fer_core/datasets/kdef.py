"""KDEF, the Karolinska Directed Emotional Faces.

Source: Lundqvist, Flykt and Öhman 1998, Karolinska Institutet. 4,900 colour images of 562 x 762: 70 people, half of
them women, show 7 expressions in two sessions from 5 angles.
Layout: `KDEF/AF01/AF01ANS.JPG`: session A or B, gender F or M, person, expression (AF afraid, AN angry, DI disgusted, HA
happy, NE neutral, SA sad, SU surprised), angle (FL full left, HL half left, S straight, HR half right, FR full right).
Protocol: none official; split by person, who is in both sessions. The `nit` report trains on women and tests on men
(`ferscope data split PATH --how female-to-male`). A few files are misnamed (AF31V.JPG, AM31H.JPG) or nearly black: the
former are left out and listed, the latter found by `ferscope data check`.
Licence: non-commercial research; images may be shown in papers, with credit. To get it: kdef.se.
"""

from __future__ import annotations

import re
from pathlib import Path

from fer_core.datasets import OnBad, Reading, Skipped, reader
from fer_core.datasets.files import pictures_below, read_files, root_of, subfolders
from fer_core.labels import FER7, canonical

NAME = re.compile(r"^([AB])([FM])(\d\d)(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)$", re.IGNORECASE)
FOLDER = re.compile(r"^[AB][FM]\d\d$", re.IGNORECASE)


def _has_people(root: Path) -> bool:
    return any(FOLDER.match(folder.name) for folder in subfolders(root))


@reader(
    "kdef",
    title="KDEF",
    dataset="kdef",
    recognises=lambda path: root_of(path, _has_people) is not None,
    licence="non-commercial research; may be shown with credit",
    protocol="No official split: group by person (who is in both sessions), or train on women and test on men as `nit`.",
    expects=("AF01", "KDEF/AF01", "*/AF01ANS.JPG"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read every image whose name says what it shows; `person` is “F01” in both sessions.

    Raises:
        DataError: entries that cannot be read.
    """
    rows, left_out, accounted = [], [], set()
    for folder in subfolders(root_of(path, _has_people) or path):
        for file in pictures_below(folder):
            found = NAME.match(file.stem)
            if not found:
                accounted.add(str(file))
                left_out.append(Skipped(file.name, "the name does not say expression and angle, as AF01ANS.JPG does"))
                continue
            session, sex, number, expression, angle = (part.upper() for part in found.groups())
            label = "fear" if expression == "AF" else canonical(expression)
            row = {"id": file.stem.upper(), "split": "test", "label": str(label), "file": str(file)}
            rows.append({**row, "person": sex + number, "sex": sex, "session": session, "angle": angle})
    return read_files(path, rows, on_bad, FER7, left_out=left_out, accounted=accounted)
