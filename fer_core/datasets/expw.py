"""ExpW, expressions in the wild.

Source: Zhang, Luo, Loy and Tang 2018, “From Facial Expression Recognition to Interpersonal Relation Prediction” (IJCV,
arXiv 1609.06426). 91,793 faces in 106,962 web images.
Layout: `label.lst` with lines `name face_id top left right bottom confidence label`; images in `image/origin/` or
`image/`. Labels in FER2013's order: 0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral.
Protocol: none official; papers draw 80:10:10 at random, faces of one image on one side. Licence: non-commercial
research; no passing on. To get it: mmlab.ie.cuhk.edu.hk/projects/socialrelation.
"""

from __future__ import annotations

from pathlib import Path

from fer_core.datasets import OnBad, Reading, Skipped, fer2013, reader
from fer_core.datasets.files import first_of, read_files
from fer_core.errors import DataError
from fer_core.labels import FER7

LISTS = ("label.lst", "label/label.lst")
IMAGES = ("image/origin", "image/origin_all", "origin", "image", "images")


@reader(
    "expw",
    title="ExpW",
    dataset="expw",
    recognises=lambda path: path.is_dir() and first_of(path, *LISTS) is not None,
    licence="non-commercial research; no passing on",
    protocol="No official split: 80:10:10, with the faces of one image on one side (grouped by photo).",
    expects=("label.lst", "image/origin"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the list; each row is a face, cut out of its image by the box; `photo` names the image.

    Raises:
        DataError: no images beside the list, or entries that cannot be read.
    """
    table, images = first_of(path, *LISTS), first_of(path, *IMAGES)
    assert table is not None
    if images is None:
        raise DataError(f"{path}: the images are missing; expected {path / IMAGES[0]}, unpack origin.7z there.")
    rows, bad = [], []
    for number, line in enumerate(table.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            name, face, *rest = line.rsplit(maxsplit=7)  # a name may hold spaces
            top, left, right, bottom, confidence = (float(value) for value in rest[:5])
            label = fer2013.LABELS[int(rest[5])]
        except (ValueError, IndexError, KeyError):
            bad.append(
                Skipped(f"line {number}", f"“{line[:60]}”, expected name, face, box, confidence and label 0 to 6")
            )
            continue
        if right <= left or bottom <= top:
            bad.append(Skipped(f"line {number}", f"an empty box from ({left:g}, {top:g}) to ({right:g}, {bottom:g})"))
            continue
        row = {"id": f"{name}#{face}", "split": "test", "label": label, "file": str(images / name), "photo": name}
        box = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        rows.append({**row, **box, "confidence": confidence})
    return read_files(path, rows, on_bad, FER7, bad, within=[images], others="no face in the list")
