"""CK+ (the extended Cohn-Kanade set) as its authors send it.

Source: Lucey et al. 2010, “The Extended Cohn-Kanade Dataset (CK+)” (CVPR workshops). 593 sequences of 123 people, from
neutral to the full expression, mostly grey at 640 x 490; 327 sequences have a label.
Layout: `cohn-kanade-images/S005/001/S005_001_00000011.png`; `Emotion/S005/001/S005_001_00000011_emotion.txt` holds a
float such as 3.0000000e+00; a sequence without that file has no label.
Labels: 0 neutral, 1 anger, 2 contempt, 3 disgust, 4 fear, 5 happy, 6 sadness, 7 surprise. A sequence's last frame shows
its expression, its first frame is neutral; with the mode “three” the last three frames, as many papers take them.
Protocol: none official; k-fold with all frames of a person in one fold. Frames are whole images: cut the faces with
`ferscope data prepare`. Licence: research, signed agreement; no passing on, and only some people may be shown in print.
To get it: ask at jeffcohn.net/resources.
"""

from __future__ import annotations

from pathlib import Path

from fer_core.datasets import OnBad, Reading, Skipped, reader
from fer_core.datasets.files import count, first_of, pictures_below, read_files, subfolders
from fer_core.errors import DataError
from fer_core.labels import FERPLUS8

LABELS = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
IMAGES = ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images")
EMOTION = ("Emotion", "Emotion_labels/Emotion", "Emotion_labels")


@reader(
    "ckplus",
    title="CK+ (official)",
    dataset="ckplus",
    recognises=lambda path: path.is_dir() and bool(first_of(path, *IMAGES)) and bool(first_of(path, *EMOTION)),
    licence="research by signed agreement; no passing on",
    protocol="No official split: take k-fold, grouped by person. Frames are whole images: prepare them first.",
    expects=("cohn-kanade-images", "Emotion"),
    modes=("three",),
)
def read(path: Path, on_bad: OnBad = "refuse", mode: str = "last") -> Reading:
    """Read the labelled sequences: the last frame (with the mode “three” the last three) and the first as neutral.

    Raises:
        DataError: no sequence has a label, or entries cannot be read.
    """
    images, emotions = first_of(path, *IMAGES), first_of(path, *EMOTION)
    assert images is not None
    assert emotions is not None
    rows: list[dict[str, object]] = []
    bad: list[Skipped] = []
    without, unlabelled = 0, list[str]()
    for person in subfolders(images):
        for folder in subfolders(person):
            sequence = f"{person.name}_{folder.name}"
            found = sorted((emotions / person.name / folder.name).glob("*_emotion.txt"))
            frames = list(pictures_below(folder))
            if not found:
                without += 1
                unlabelled += map(str, frames)
                continue
            label = _label(found[0])
            if label is None:
                bad.append(Skipped(sequence, f"{found[0].name} holds no number from 0 to 7"))
            elif len(frames) < 2:
                bad.append(Skipped(sequence, f"has a label and {count(len(frames), 'frame')}, expected two or more"))
            else:
                last = max(1, len(frames) - (3 if mode == "three" else 1))
                for file, shows in [(frames[0], "neutral"), *((frame, label) for frame in frames[last:])]:
                    row = {"id": file.stem, "split": "test", "label": shows, "file": str(file)}
                    rows.append({**row, "person": person.name, "sequence": sequence})
    if not rows and not bad:
        raise DataError(f"{path}: none of the sequences has a label; expected files {emotions}/S005/001/*_emotion.txt.")
    left_out = [Skipped(count(without, "sequence"), "no emotion file", len(unlabelled))] if without else []
    between = "a frame between the neutral face and the full expression"
    return read_files(
        path, rows, on_bad, FERPLUS8, bad, left_out, accounted=unlabelled, others=between, within=[images]
    )


def _label(path: Path) -> str | None:
    try:
        number = float(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError):
        return None
    return LABELS[int(number)] if number in range(len(LABELS)) else None
