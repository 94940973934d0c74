"""Cohen's kappa of right and wrong, by hand, against scikit-learn, and its interval."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from fer_core.evaluation.error_consistency import of_counts


def test_a_table_worked_by_hand() -> None:
    """10 both wrong, 5 only B right, 15 only A right, 70 both right. Observed 0.80. A is right on 85 %, B on 75 %: chance
    0.85 * 0.75 + 0.15 * 0.25 = 0.675. Kappa = 0.125 / 0.325 = 5 / 13."""
    found = of_counts(np.array([[10, 5], [15, 70]]))
    assert (found.n, found.observed) == (100, pytest.approx(0.8))
    assert found.expected == pytest.approx(0.675)
    assert found.kappa == pytest.approx(5 / 13)
    assert 0 < found.interval.low < found.kappa < found.interval.high < 1
    assert "same images more often" in found.sentence


def test_it_is_scikit_learns_kappa() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        a = random.random(60) < 0.7
        b = np.where(random.random(60) < 0.4, a, random.random(60) < 0.6)
        counts = np.bincount(2 * a + b, minlength=4).reshape(2, 2)
        assert of_counts(counts).kappa == pytest.approx(cohen_kappa_score(a, b))


@pytest.mark.parametrize(
    ("counts", "kappa"), [([[5, 0], [0, 5]], 1.0), ([[0, 5], [5, 0]], -1.0), ([[4, 4], [4, 4]], 0.0)]
)
def test_its_ends(counts: list[list[int]], kappa: float) -> None:
    assert of_counts(np.array(counts)).kappa == pytest.approx(kappa)


def test_without_errors_it_is_not_defined() -> None:
    found = of_counts(np.array([[0, 0], [0, 9]]))
    assert np.isnan(found.kappa)
    assert "not defined" in found.sentence


@pytest.mark.simulation
@pytest.mark.parametrize("n", [12, 60, 300])
@pytest.mark.parametrize("shares", [(0.2, 0.1, 0.15, 0.55), (0.3, 0.02, 0.03, 0.65)])
def test_its_interval_covers(shares: tuple[float, ...], n: int) -> None:
    random = np.random.default_rng(1)
    truth = of_counts((1000 * np.array(shares)).round().astype(np.int64).reshape(2, 2)).kappa
    found = [of_counts(random.multinomial(n, shares).reshape(2, 2)) for _ in range(200)]
    known = [one.interval for one in found if np.isfinite(one.kappa)]
    assert np.mean([low <= truth <= high for low, high in known]) >= 0.91
    assert all(low < high for low, high in known)  # never of zero width
