"""RAF-DB (basic expressions) as its authors send it.

Source: Li, Deng and Du 2017, “Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in
the Wild” (CVPR). 15,339 aligned colour faces of 100 x 100 from the web: 12,271 train, 3,068 test.
Layout: `EmoLabel/list_patition_label.txt` (sic) with lines `train_00001.jpg 5`; `Image/aligned/train_00001_aligned.jpg`.
Labels: 1 surprise, 2 fear, 3 disgust, 4 happiness, 5 sadness, 6 anger, 7 neutral.
Protocol: train and test as given; there is no validation set, so carve one from train. Papers report accuracy and the
mean accuracy of the classes. Licence: non-commercial research; the images may not be passed on. To get it: a member of
staff of a university asks the authors, from an address of the university (whdeng.cn/raf/model1.html).
"""

from __future__ import annotations

from pathlib import Path

from fer_core.datasets import OnBad, Reading, Skipped, reader
from fer_core.datasets.files import first_of, read_files
from fer_core.errors import DataError
from fer_core.labels import FER7

LABELS = {1: "surprise", 2: "fear", 3: "disgust", 4: "happy", 5: "sad", 6: "angry", 7: "neutral"}
PROTOCOL = (
    "Train and test are given and there is no validation set: carve one from train. Report balanced accuracy too."
)
LICENCE = "non-commercial research; images may not be passed on"
LISTS = ("EmoLabel/list_patition_label.txt", "EmoLabel/list_partition_label.txt")


def _root(path: Path) -> Path | None:
    """The folder that holds EmoLabel: the path itself or its `basic`."""
    return next((root for root in (path, path / "basic") if first_of(root, *LISTS)), None)


@reader(
    "rafdb",
    title="RAF-DB (official)",
    dataset="rafdb",
    recognises=lambda path: path.is_dir() and _root(path) is not None,
    licence=LICENCE,
    protocol=PROTOCOL,
    expects=(LISTS[0], "Image/aligned/*_aligned.jpg"),
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Read the list of labels and the aligned images.

    Raises:
        DataError: no aligned images, or entries that cannot be read.
    """
    root = _root(path)
    table = first_of(root, *LISTS) if root else None
    assert root is not None
    assert table is not None
    aligned = root / "Image" / "aligned"
    if not aligned.is_dir():
        raise DataError(f"{path}: the images are missing; expected {aligned}, unpack aligned.zip there.")
    rows, bad = [], []
    for number, line in enumerate(table.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        name, _, word = line.strip().partition(" ")
        label = LABELS.get(int(word)) if word.strip().isdecimal() else None
        split = name.partition("_")[0]
        if label is None or split not in ("train", "test"):
            bad.append(Skipped(f"line {number}", f"“{line.strip()}”, expected a line such as “train_00001.jpg 5”"))
            continue
        stem = name.removesuffix(".jpg")
        rows.append({"id": stem, "split": split, "label": label, "file": str(aligned / f"{stem}_aligned.jpg")})
    return read_files(path, rows, on_bad, FER7, bad, within=[aligned], others="not in the list of labels")
