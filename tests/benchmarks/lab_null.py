"""How often an experiment of the lab reports an effect of a network that has none.

    python -m tests.benchmarks.lab_null [repeats] [people]

Each network answers by chance, image by image (`tests.lab.planted.Noise`): unsure, sure, or happy half of the time. All see
the same people. An effect is one with an adjusted p of 5 % or less in any row of any table; of a curve, it is a threshold.
"""

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from fer_core import workspace
from fer_core.evaluation.intervals import wilson
from fer_core.lab import curve, muscles, view, who
from fer_core.lab.results import Measured
from fer_core.serving.predictor import LoadedNetwork
from tests.lab.planted import Constant, Noise, planted

EXPERIMENTS: dict[str, Callable[[LoadedNetwork, int], Measured]] = {
    "who": lambda network, people: who.measure(network, "neutral", who.MAIN, people),
    "view": lambda network, people: view.measure(network, "margin", people),
    "muscles": lambda network, people: muscles.measure(network, "happy", people),
    "curve": lambda network, people: curve.measure(network, "happy", people),
}
NETWORKS = {"unsure": (1.0, 0.0), "sure": (6.0, 0.0), "happy half of the time": (2.0, 1.3)}  # arguments of `Noise`


def finds(found: Measured) -> bool:
    """Whether an experiment reports an effect."""
    if isinstance(found, curve.Curve):
        return found.psychometric.threshold is not None
    return any((table["p_adjusted"] <= 0.05).any() for table in found.tables().values())


def reported(experiment: str, networks: Iterable[Noise], people: int) -> int:
    """How many of these networks an experiment finds an effect in."""
    card = planted(Constant()).card
    return sum(finds(EXPERIMENTS[experiment](LoadedNetwork(model.eval(), card), people)) for model in networks)


def main(repeats: int = 200, people: int = 12) -> None:
    for experiment in EXPERIMENTS:
        for title, settings in NETWORKS.items():
            with tempfile.TemporaryDirectory() as folder, workspace.at(Path(folder)):
                count = reported(experiment, (Noise(seed, *settings) for seed in range(repeats)), people)
            print(
                f"{experiment}, {title}, {people} people: {count} of {repeats} report an effect, "
                f"{100 * count / repeats:.1f} % ({wilson(count, repeats).text()})", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
