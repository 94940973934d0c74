"""How often the interval of a network's threshold covers the true one, and what an experiment costs.

    python -m tests.benchmarks.lab [repeats] [network]

Simulated people have thresholds of their own (logistic, so that the population's curve is the fitted function) and lapses.
"""

import sys
import time

import numpy as np

from fer_core.evaluation.intervals import wilson
from fer_core.lab import curve
from fer_core.lab.psychometric import fit
from fer_core.runs.store import find
from fer_core.serving.predictor import LoadedNetwork

GRID = np.linspace(0, 1, 11)


def coverage(repeats: int, people: int, centre: float, width: float, lapse: float) -> str:
    rng, covered, none = np.random.default_rng(0), 0, 0
    true = centre + width * np.log(0.5 / (0.5 - lapse))  # (1 - lapse) F = 0.5
    for number in range(repeats):
        own = centre + rng.logistic(0, width, (people, 1))
        found = fit(GRID, (own <= GRID) & (rng.random((people, len(GRID))) >= lapse), seed=number)
        if found.threshold_interval is None:
            none += 1
        else:
            covered += found.threshold_interval.low <= true <= found.threshold_interval.high
    measured = repeats - none
    return (
        f"{people} people, threshold {true:.2f}, width {width}, lapse {lapse}: {covered} of {measured} cover "
        f"({wilson(covered, measured).text()} %), {none} without a threshold"
    )


def cost(name: str, people: int = 8) -> str:
    network, start = LoadedNetwork.of(find(name).folder), time.process_time()
    curve.measure(network, "surprise", people, seed=int(time.time()))  # people that were never measured
    each = (time.process_time() - start) / (people * curve.STEPS)
    return (
        f"{name}: {1000 * each:.1f} ms of processor time a head; 60 people x 7 x 11: {60 * 77 * each / 60:.1f} minutes"
    )


if __name__ == "__main__":
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for case in ((60, 0.5, 0.08, 0.04), (60, 0.3, 0.15, 0.1), (20, 0.5, 0.08, 0.04)):
        print(coverage(repeats, *case), flush=True)
    print(cost(sys.argv[2] if len(sys.argv) > 2 else "mini-xception"))
