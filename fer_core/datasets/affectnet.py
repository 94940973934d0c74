"""AffectNet (the manually annotated part) with its csv lists.

Source: Mollahosseini, Hasani and Mahoor 2019, “AffectNet: A Database for Facial Expression, Valence, and Arousal
Computing in the Wild” (IEEE TAC, arXiv 1708.03985). 414,799 training and 5,500 validation faces from the web.
Layout: `Manually_Annotated_file_lists/{training,validation}.csv` with the columns `subDirectory_filePath, face_x, face_y,
face_width, face_height, facial_landmarks, expression, valence, arousal` (validation.csv sometimes without that line);
images below `Manually_Annotated_Images/`.
Labels: 0 neutral, 1 happy, 2 sad, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt; 8 none, 9 uncertain and 10 no face
are left out and counted. Protocol: the test set is withheld and the validation set, balanced at 500 a class, is
reported on; it is therefore our test: carve a validation set from train. Licence: research by signed agreement; no
passing on. To get it: a principal investigator asks at mohammadmahoor.com/affectnet.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fer_core.datasets import OnBad, Reading, Skipped, reader
from fer_core.datasets.files import first_of, read_files, several
from fer_core.errors import DataError
from fer_core.labels import FERPLUS8

LABELS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt", "none", "uncertain", "no face")
COLUMNS = [
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
    "valence", "arousal",
]  # fmt: skip
BOX = dict(zip(("left", "top", "width", "height"), COLUMNS[1:5], strict=True))
LISTS = {"train": "training.csv", "test": "validation.csv"}
FOLDERS = ("Manually_Annotated_file_lists", ".")
IMAGES = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated")
PROTOCOL = "Official validation is reported on and is our test, balanced by class; carve a validation set from train."
LICENCE = "research by signed agreement; no passing on"


def _list(path: Path, split: str) -> Path | None:
    return first_of(path, *(f"{folder}/{LISTS[split]}" for folder in FOLDERS))


@reader(
    "affectnet",
    title="AffectNet (csv)",
    dataset="affectnet",
    recognises=lambda path: (
        path.is_dir() and first_of(path, *IMAGES) is not None and any(_list(path, s) for s in LISTS)
    ),
    licence=LICENCE,
    protocol=PROTOCOL,
    expects=("Manually_Annotated_file_lists/training.csv", "Manually_Annotated_file_lists/validation.csv", IMAGES[0]),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the lists; faces are cut out by the box in the list, valence and arousal (-1..1) stay in the index.

    Raises:
        DataError: a list is no csv of nine columns, or entries that cannot be read.
    """
    images = first_of(path, *IMAGES)
    assert images is not None
    tables = [_read_list(place).assign(split=split) for split in LISTS if (place := _list(path, split))]
    table = pd.concat(tables, ignore_index=True)
    number = pd.to_numeric(table["expression"], errors="coerce")
    known = number.isin(range(len(LABELS)))
    bad = [
        Skipped(str(row.subDirectory_filePath), f"expression “{row.expression}”, expected 0 to 10")
        for row in table[~known].itertuples()
    ]
    table = table[known].assign(label=[LABELS[int(n)] for n in number[known]])
    face = table["label"].isin(FERPLUS8.names)
    left_out = [several(n, "image", f"labelled {label}") for label, n in table["label"][~face].value_counts().items()]
    accounted = {str(images / name) for name in table.loc[~face, "subDirectory_filePath"]}
    table = table[face]
    values = {new: pd.to_numeric(table[old], errors="coerce") for new, old in BOX.items()}
    values |= {name: pd.to_numeric(table[name], errors="coerce") for name in ("valence", "arousal")}
    names = table["subDirectory_filePath"].astype(str)
    index = table[["split", "label"]].assign(id=names, file=[str(images / name) for name in names], **values)
    return read_files(
        path,
        [{str(key): value for key, value in row.items()} for row in index.to_dict("records")],
        on_bad,
        FERPLUS8,
        bad,
        left_out,
        accounted=accounted,
        others="named in none of the lists",
    )


def _read_list(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8") as file:
            named = "subDirectory_filePath" in file.readline()
        table = pd.read_csv(path, dtype="str", header=0 if named else None, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error}); copy it again.") from error
    if not named and len(table.columns) == len(COLUMNS):
        table.columns = pd.Index(COLUMNS)
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise DataError(f"{path}: the column {missing[0]} is missing; expected {', '.join(COLUMNS)}.")
    return table
