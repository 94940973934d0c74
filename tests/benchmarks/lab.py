"""How often the interval of a network's threshold covers the true one, how heads are framed, and what an experiment costs.

    python -m tests.benchmarks.lab [repeats] [network]

Simulated people have thresholds of their own (logistic, so that the population's curve is the fitted function) and lapses.
"""

import sys
import time

import numpy as np

from fer_core.evaluation.intervals import wilson
from fer_core.faces import DETECTORS
from fer_core.heads import render
from fer_core.lab import curve
from fer_core.lab.answers import answer, person_scene
from fer_core.lab.psychometric import fit
from fer_core.lab.setting import Setting
from fer_core.runs.store import find
from fer_core.serving.predictor import LoadedNetwork

GRID = np.linspace(0, 1, 11)
LARGE = 192  # pixels of the head on the page


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


def margin(people: int = 60, side: int = 384) -> str:
    """The margin around mtcnn's box in which the default camera shows a head; `view.DEFAULT_MARGIN` is to be its median."""
    find, found = DETECTORS.get("mtcnn").find, []
    for number in range(people):
        faces = find(render([person_scene(number)], side, colour=True)[0], 32)
        found += [side / max(face.size for face in faces) - 1] if faces else []
    low, middle, high = np.quantile(found, [0.25, 0.5, 0.75])
    return f"margin of the default camera: median {middle:.3f}, quartiles {low:.3f} to {high:.3f}, {len(found)} of {people} found"


def picture(name: str, scenes: int = 20) -> str:
    """What the what-if page does when a slider moves: the large head, and the answer of one network."""
    network, taken = LoadedNetwork.of(find(name).folder), []
    for number in range(scenes + 1):  # the first loads the head
        scene, start = Setting(intensity=number / scenes).show("happy", 6).scene, time.process_time()
        render([scene], LARGE, colour=True)
        answer(network, scene)
        taken.append(time.process_time() - start)
    return f"a picture and the answer of {name}: {1000 * np.median(taken[1:]):.0f} ms of processor time (median of {scenes})"


if __name__ == "__main__":
    print(margin(), flush=True)
    for what in (picture, cost):
        print(what(sys.argv[2] if len(sys.argv) > 2 else "mini-xception"), flush=True)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for case in ((60, 0.5, 0.08, 0.04), (60, 0.3, 0.15, 0.1), (20, 0.5, 0.08, 0.04)):
        print(coverage(repeats, *case), flush=True)
