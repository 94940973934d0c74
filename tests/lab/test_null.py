"""Experiments without an effect report one in at most 5 of 100 cases; `python -m tests.benchmarks.lab_null` has more of them.

Each test counts in 200 experiments. Were the true rate 5 %, more than 18 would report an effect in 5 of 1,000 such tests.
"""

import numpy as np

from fer_core.lab.muscles import Muscles
from fer_core.lab.psychometric import fit
from fer_core.lab.view import VIEWS, Seen
from fer_core.labels import FER7
from tests.benchmarks.lab_null import finds, reported
from tests.lab.planted import Noise

REPEATS, MOST = 200, 18


def test_accuracy_by_chance_depends_on_no_setting() -> None:
    """Overall and by expression together; each of both alone would be corrected for 5 %, and both together reach 11."""
    rng, values = np.random.default_rng(0), len(VIEWS["margin"].values)
    found = sum(finds(Seen("N", "margin", FER7.names, rng.random((12, 7, values)) < 0.5)) for _ in range(REPEATS))
    assert found <= MOST


def test_answers_by_chance_use_no_muscle_and_no_pair_of_them() -> None:
    rng, units = np.random.default_rng(0), {12: 1.0, 6: 1.0, 25: 0.5, 10: 0.3}
    found = sum(finds(Muscles("N", "happy", "open", units, rng.random((12, 16)))) for _ in range(REPEATS))
    assert found <= MOST


def test_a_network_that_is_happy_half_of_the_time_has_no_threshold() -> None:
    rng, grid = np.random.default_rng(0), np.linspace(0, 1, 11)
    found = [fit(grid, rng.random((12, 11)) < 0.5, resamples=20).threshold for _ in range(REPEATS)]
    assert sum(one is not None for one in found) <= MOST


def test_networks_that_answer_by_chance_depend_on_nobody() -> None:
    assert reported("who", map(Noise, range(10)), 8) <= 2  # were it 5 %, more in 12 of 1,000
