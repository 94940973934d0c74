"""Smiles with and without visible teeth of real people, beside those of rendered heads: does the lab's finding hold on photos?

    python -m tests.benchmarks.teeth FOLDER NETWORK [NETWORK ...]

FOLDER is the Face Research Lab London Set, or a part of it, as `happy/NNN.jpg` (DeBruine and Jones 2017, CC BY). On whose photo
teeth are visible was read by eye by one person, before the networks were asked.
"""

import sys
from pathlib import Path

import numpy as np

from fer_core.evaluation.intervals import wilson
from fer_core.images import decode
from fer_core.runs.store import find
from fer_core.serving.predictor import Predictor

TEETH = (
    "004", "006", "008", "009", "010", "013", "021", "022", "025", "027", "034", "041", "097", "100", "102", "114", "118", "120",
    "125", "127", "128", "129", "132", "137", "139",
)  # fmt: skip


def smiles(name: str, folder: Path) -> None:
    network = Predictor(find(name).folder)
    found: dict[bool, list[bool]] = {True: [], False: []}
    for path in sorted(folder.glob("happy/*.jpg")):
        faces = network.predict(decode(path))
        if faces:
            probs = faces[0].probs
            found[path.stem in TEETH].append(max(probs, key=probs.__getitem__) == "happy")
    for teeth, right in found.items():
        shown, share = "visible" if teeth else "not visible", f"{np.mean(right):.0%}"
        print(f"{name}: teeth {shown}: happy on {share} ({wilson(sum(right), len(right)).text('.0f')}) of {len(right)}")


if __name__ == "__main__":
    for network in sys.argv[2:]:
        smiles(network, Path(sys.argv[1]))
