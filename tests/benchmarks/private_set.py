"""FER2013's PublicTest as if it were a private set: `python -m tests.benchmarks.private_set ZIP CSV [NETWORK]`.

Every sixth image of the csv, as it is: the accuracy has to equal the evaluation's of the same images, and no shift
may be found; what is put in (darker, blurred, three of four happy faces left out) has to be found, and named right. Then
all of them. Last the zip, whose JPEG copies are others than the csv's images: its accuracy has to equal what the
network says of these copies, and what the compression has done to their sharpness may be found, nothing else.
"""

import io
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fer_core.datasets import open_dataset
from fer_core.datasets.archive import ArchiveEntry
from fer_core.datasets.class_folders import members, word
from fer_core.evaluation.predictions import Predictions
from fer_core.experiments.private_faces import gather
from fer_core.experiments.private_set import PrivateSetReport, Reference, compare, reference
from fer_core.runs.store import find
from fer_core.serving.predictor import LoadedNetwork as Network
from fer_core.serving.predictor import Predictor


def reported(source: list[ArchiveEntry], network: Network, table: Predictions, known: Reference) -> PrivateSetReport:
    mapping = {name: name for name in network.card.expressions}
    *_, (gathered,) = gather(source, mapping, [network], "none", len(source))
    *_, report = compare(network, gathered, table, "fer2013, val", known)
    return report


def changed(source: list[ArchiveEntry], change) -> list[ArchiveEntry]:
    found = []
    for member in source:
        picture = np.asarray(Image.open(io.BytesIO(member.data)).convert("L"))
        buffer = io.BytesIO()
        Image.fromarray(change(picture)).save(buffer, "PNG")
        found.append(ArchiveEntry(member.name, buffer.getvalue()))
    return found


def rows_as_files(csv: str, split: str) -> list[ArchiveEntry]:
    """A split's images as png in class folders, in the order of the table."""
    dataset = open_dataset(csv)
    found = []
    for row in dataset.rows(split):
        buffer = io.BytesIO()
        Image.fromarray(dataset.picture(row)).save(buffer, "PNG")
        found.append(ArchiveEntry(f"{dataset.index['label'].iloc[row]}/{row:05d}.png", buffer.getvalue()))
    return found


def directly(source: list[ArchiveEntry], network: Network) -> float:
    """The network's accuracy on the images, without any of the code that is tested here."""
    pictures = np.stack([np.asarray(Image.open(io.BytesIO(member.data)).convert("L")) for member in source])
    names = np.array(network.card.expressions)
    return float((names[network.probs(pictures).argmax(axis=1)] == [word(member.name) for member in source]).mean())


def main(archive: str, csv: str, name: str = "small-vgg") -> int:
    network, table = Predictor(find(name).folder).members[0], find(name).predictions("fer2013-val")
    known = reference(open_dataset(csv), "val", network.card.image)
    everything = rows_as_files(csv, "val")
    some = everything[::6]
    of_all, of_some = float(table.correct.mean()), float(table.correct[::6].mean())
    sets = [
        ("a sixth, as they are", some, of_some, set(), set()),
        ("darker", changed(some, lambda p: (0.7 * p).astype(np.uint8)), None, {"brightness", "contrast"}, None),
        ("blurred", changed(some, lambda p: cv2.GaussianBlur(p, (0, 0), 1.0)), None, {"sharpness"}, None),
        (
            "fewer happy",
            [m for i, m in enumerate(some) if word(m.name) != "happy" or i % 4 == 0],
            None,
            {"class balance"},
            None,
        ),
        ("all, as they are", everything, of_all, set(), set()),
    ]
    zipped = list(members(Path(archive)))
    sets.append(("the zip's JPEG copies", zipped, directly(zipped, network), set(), {"sharpness"}))
    good = True
    for title, source, accuracy, wanted, allowed in sets:
        report = reported(source, network, table, known)
        found = set(report.shifted)
        right = wanted <= found and (allowed is None or found <= allowed)
        if accuracy is not None:
            right &= abs(report.private.correct.mean() - accuracy) < 1e-9
        good &= right
        beside = "" if accuracy is None else f" (has to be {accuracy:.4f})"
        print(
            f"{title}: accuracy {report.private.correct.mean():.4f}{beside}, n = {len(report.private):,}, gap "
            f"{report.gap.total:+.4f} = balance {report.gap.prior:+.4f} and rest {report.gap.rest:+.4f}; found: "
            f"{', '.join(sorted(found)) or 'nothing'}; {'right' if right else 'WRONG'}",
            flush=True,
        )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
