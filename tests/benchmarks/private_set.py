"""FER2013's PublicTest zip as if it were a private set: `python -m tests.benchmarks.private_set ZIP CSV [NETWORK]`.

Its accuracy has to equal the evaluation's, no shift may be found against the PublicTest rows, and the ones that are put
into every sixth picture (darker, blurred, three of four happy faces left out) have to be found, and named right.
"""

import io
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fer_core.archive import Member
from fer_core.datasets import open_dataset
from fer_core.evaluation.predictions import Predictions
from fer_core.inference import Member as Network
from fer_core.inference import Predictor
from fer_core.private import Reference, Report, compare, gather, members, reference, word
from fer_core.runs.store import find


def reported(source: list[Member], network: Network, table: Predictions, known: Reference) -> Report:
    mapping = {name: name for name in network.card.expressions}
    *_, (gathered,) = gather(source, mapping, [network], "none", len(source))
    *_, report = compare(network, gathered, table, "fer2013, val", known)
    return report


def changed(source: list[Member], change) -> list[Member]:
    found = []
    for member in source:
        picture = np.asarray(Image.open(io.BytesIO(member.data)).convert("L"))
        buffer = io.BytesIO()
        Image.fromarray(change(picture)).save(buffer, "PNG")
        found.append(Member(member.name, buffer.getvalue()))
    return found


def main(archive: str, csv: str, name: str = "small-vgg") -> int:
    network, table = Predictor(find(name).folder).members[0], find(name).predictions("fer2013-val")
    known = reference(open_dataset(csv), "val", network.card.image)
    everything = list(members(Path(archive)))
    some = everything[::6]
    sets = {
        "all, as they are": (everything, set()),
        "a sixth, as they are": (some, set()),
        "darker": (changed(some, lambda p: (0.7 * p).astype(np.uint8)), {"brightness", "contrast"}),
        "blurred": (changed(some, lambda p: cv2.GaussianBlur(p, (0, 0), 1.0)), {"sharpness"}),
        "fewer happy": ([m for i, m in enumerate(some) if word(m.name) != "happy" or i % 4 == 0], {"class balance"}),
    }
    good = True
    for title, (source, wanted) in sets.items():
        report = reported(source, network, table, known)
        found = set(report.shifted)
        right = wanted <= found if wanted else not found
        if title == "all, as they are":
            right &= report.private.correct.sum() == table.correct.sum()
        good &= right
        print(
            f"{title}: accuracy {report.private.correct.mean():.4f} (evaluation {table.correct.mean():.4f}), "
            f"n = {len(report.private):,}, gap {report.gap.total:+.4f} = balance {report.gap.prior:+.4f} and rest "
            f"{report.gap.rest:+.4f}; found: {', '.join(sorted(found)) or 'nothing'}; {'right' if right else 'WRONG'}",
            flush=True,
        )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
