"""Images to a table of probabilities, one row a face: what `ferscope predict` and the live app's Folder tab write."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fer_core.datasets import Dataset, open_dataset
from fer_core.datasets.archive import pictures_in
from fer_core.datasets.files import picture_files
from fer_core.errors import DataError, ImageError
from fer_core.faces import CERTAIN, lying, turns_to_upright
from fer_core.images import PICTURE_SUFFIXES, UPLOAD, decode, shown
from fer_core.serving.predictor import Prediction, Predictor

COLUMNS = ("file", "face", "left", "top", "width", "height", "verdict", "predicted", "confidence")
TEXT_COLUMNS = ("warnings", "problem")


@dataclass(frozen=True)
class Entry:
    """An image to predict: its name for the column `file`, its source, or its problem."""

    name: str
    source: bytes | Path = b""
    problem: str = ""
    is_face: bool = False  # of a data set, cut out already


def entries(places: Iterable[str], split: str = "") -> Iterator[Entry]:
    """The images of files, folders, zips and data sets, in order.

    Args:
        places: paths, and names of data sets. A folder without images is opened as a data set, as is a table.
        split: of a data set, the part that is wanted; “” for all of it.

    Raises:
        DataError: a place is nothing of the kind, or a set has no such split.
    """
    for place in places:
        path = Path(place).expanduser()
        files = list(picture_files([path])) if path.is_dir() else []
        if files or path.suffix.lower() in PICTURE_SUFFIXES:
            yield from (Entry(shown(str(file)), file) for file in files or [path])
        elif path.suffix.lower() == ".zip" and path.is_file() and not _is_table(path):
            for member in pictures_in(path):
                yield Entry(member.name, member.data or b"", member.reason)
        else:
            try:
                dataset = open_dataset(place)
            except DataError as error:
                if not path.is_dir():
                    raise
                raise DataError(f"There is no image in {place}, and it is no data set: {error}") from error
            yield from _of_set(dataset, split)


def _is_table(path: Path) -> bool:
    from fer_core.datasets.fer2013 import recognises

    return recognises(path)


def _of_set(dataset: Dataset, split: str) -> Iterator[Entry]:
    from PIL import Image

    for row in dataset.rows(split or "+".join(dataset.splits)):
        written = io.BytesIO()
        Image.fromarray(dataset.picture(int(row))).save(written, "PNG")
        part, id_ = dataset.index[["split", "id"]].iloc[row]
        yield Entry(f"{part}/{id_}", written.getvalue(), is_face=True)


def columns(expressions: Sequence[str]) -> list[str]:
    """The sheet's columns: place of the face, the answer, `prob_<expression>` each, warnings and problem."""
    return [*COLUMNS, *(f"prob_{name}" for name in expressions), *TEXT_COLUMNS]


def face_row(prediction: Prediction, threshold: float = 0.0) -> dict[str, Any]:
    """One face's cells, without `file` and `face`."""
    left, top, width, height = (round(value, 1) for value in prediction.face.box)
    return {
        "left": left,
        "top": top,
        "width": width,
        "height": height,
        "verdict": prediction.verdict(threshold),
        "predicted": prediction.predicted,
        "confidence": round(prediction.confidence, 6),
        **{f"prob_{name}": round(share, 6) for name, share in prediction.probs.items()},
        "warnings": "; ".join(prediction.warnings),
        "problem": "",
    }


def picture_rows(
    name: str,
    source: bytes | Path,
    predictor: Predictor,
    detector: str = "mtcnn",
    *,
    threshold: float = 0.0,
    tta: str | None = None,
) -> list[dict[str, Any]]:
    """The rows of one image: one a face, the largest first; a single row with `problem` where there is none.

    Args:
        name: what the column `file` says.
        threshold: confidence below which `verdict` is “not sure”.
    """
    try:
        image = decode(source)
        predictions = predictor.predict(image, detector, tta=tta)
    except ImageError as error:
        called = UPLOAD if isinstance(source, bytes) else shown(str(source))  # `file` says which image it is
        return [problem_row(name, str(error).removeprefix(f"{called}: "))]
    scores = [prediction.face.score for prediction in predictions]
    doubtful = detector != "none" and all(score is not None and score < CERTAIN for score in scores)
    turns = turns_to_upright(image, detector) if doubtful else 0  # of no face at all every score is doubtful too
    if not predictions:
        return [problem_row(name, "no face was found" + (f"; {lying(turns)}" if turns else ""))]
    if turns:
        predictions = [replace(one, warnings=(*one.warnings, lying(turns))) for one in predictions]
    return [
        {"file": name, "face": number, **face_row(prediction, threshold)}
        for number, prediction in enumerate(predictions, 1)
    ]


def problem_row(name: str, problem: str) -> dict[str, Any]:
    """The row of an image without a prediction."""
    return {"file": name, "problem": problem}
