"""Smiles of real photos, framed as FER2013 and as now: `python -m tests.benchmarks.photos FOLDER [NETWORK ...]`.

FOLDER holds `neutral/` and `happy/` with one photo of each person under the same name, and may hold `people.csv` with the
column `person` and others such as `gender` and `ancestry`. The Face Research Lab London Set (figshare, doi
10.6084/m9.figshare.5047666) sorted that way is what the framing was chosen with, on a half of its people.

Every photo is searched once and predicted as a photo is served. Printed for each network: the AUC of smiling against
neutral by the probability of happy, with the bootstrap's interval over people, and of its gain; smiles and neutral faces
found, with Wilson's interval; how many answers are below half of certain ("not sure"), right and wrong ones apart; how
many faces have a warning; and the same rates in every group. How much somebody smiled is not known: all is not to be had.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from fer_core.evaluation.intervals import percentile, wilson
from fer_core.faces import FER2013_MARGIN, FaceCrop, find_faces
from fer_core.images import decode, fit, quality
from fer_core.runs.store import find
from fer_core.serving.predictor import LoadedNetwork
from fer_core.workspace import CHECKPOINTS

BEFORE = FaceCrop(margin=FER2013_MARGIN)
SURE = 0.5
RESAMPLES = 2000


def photos(folder: Path) -> pd.DataFrame:
    """One row a photo in which a face is found: `person`, `happy`, `image`, `face`, and what `people.csv` says."""
    rows = []
    for label in ("neutral", "happy"):
        for path in sorted((folder / label).iterdir()):
            image = decode(path)
            if faces := find_faces(image):
                rows.append({"person": path.stem, "happy": label == "happy", "image": image, "face": faces[0]})
            else:
                print(f"{label}/{path.name}: no face was found")
    found = pd.DataFrame(rows)
    people = folder / "people.csv"
    return found.merge(pd.read_csv(people, dtype={"person": str}), "left", "person") if people.is_file() else found


def auc(score: np.ndarray, happy: np.ndarray) -> float:
    smiling, neutral = score[happy][:, None], score[~happy][None]
    return float(((smiling > neutral) + 0.5 * (smiling == neutral)).mean())


def answers(network: LoadedNetwork, table: pd.DataFrame, framing: FaceCrop) -> np.ndarray:
    """Probabilities (n, K) as a photo's are made."""
    cuts = [framing.cut(image, face) for image, face in zip(table["image"], table["face"], strict=True)]
    return network.probs(np.stack([fit(cut, network.card.image) for cut in cuts]))


def rate(right: np.ndarray) -> str:
    interval = wilson(int(right.sum()), len(right))
    return f"{100 * right.mean():3.0f} % ({100 * interval.low:.0f} to {100 * interval.high:.0f}, n = {len(right)})"


def rates(right: np.ndarray, happy: np.ndarray, here: np.ndarray) -> str:
    return f"smiles found {rate(right[happy & here])}, neutral found {rate(right[~happy & here])}"


def measure(name: str, table: pd.DataFrame) -> None:
    network = LoadedNetwork.of(find(name).folder)
    names = network.card.expressions
    happy, people = table["happy"].to_numpy(), table["person"].to_numpy()
    random = np.random.default_rng(0)
    of = [np.flatnonzero(people == person) for person in np.unique(people)]
    draws = [np.concatenate([of[i] for i in random.integers(0, len(of), len(of))]) for _ in range(RESAMPLES)]
    areas, drawn = {}, {}
    print(f"\n{name}, test-time augmentation {network.card.tta}, {len(of)} people")
    for when, framing in (("before", BEFORE), ("now", network.card.face)):
        probs = answers(network, table, framing)
        right = np.array(names)[probs.argmax(axis=1)] == np.where(happy, "happy", "neutral")
        score, unsure = probs[:, names.index("happy")], probs.max(axis=1) < SURE
        areas[when] = auc(score, happy)
        drawn[when] = np.array([auc(score[draw], happy[draw]) for draw in draws])
        ends = percentile(drawn[when])
        print(f"  {when}, margin {framing.margin:g}, softened by {framing.soft:g} of the side:")
        print(f"    AUC {areas[when]:.3f} ({ends.low:.3f} to {ends.high:.3f})")
        print(f"    all: {rates(right, happy, np.ones(len(right), dtype=bool))}")
        for group in ("gender", "ancestry"):
            for value in sorted(table[group].dropna().unique()) if group in table else ():
                print(f"    {value}: {rates(right, happy, (table[group] == value).to_numpy())}")
        warned = sum(
            bool(quality.warnings(face, framing.window(image, face), network.card.image))
            for image, face in zip(table["image"], table["face"], strict=True)
        )
        print(
            f"    not sure: {unsure[right].sum()} of {right.sum()} right answers and {unsure[~right].sum()} of "
            f"{(~right).sum()} wrong ones; faces with a warning: {warned} of {len(right)}"
        )
    gain = percentile(drawn["now"] - drawn["before"])
    print(f"  gain of AUC: {areas['now'] - areas['before']:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    found = photos(Path(sys.argv[1]))
    for given in sys.argv[2:] or [path.name for path in sorted(CHECKPOINTS.iterdir())]:
        measure(given, found)
