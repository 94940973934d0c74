"""Intervals: Wilson, Tango and Newcombe by hand and against other libraries, the delta method against the bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from fer_core.evaluation import confusion
from fer_core.evaluation.intervals import (
    independent_interval,
    interval_of,
    paired_interval,
    percentile,
    resample,
    wilson,
    wilson_bounds,
)
from fer_core.evaluation.metrics import METRICS, decisions


def test_wilson_worked_by_hand() -> None:
    # k = 1, n = 2, z² = 3.841459: centre (1 + 1.920729) / 5.841459 = 0.5,
    # reach √(3.841459 (1·1/2 + 0.960365)) / 5.841459 = √5.609931 / 5.841459 = 2.368529 / 5.841459 = 0.405469
    assert wilson(1, 2) == pytest.approx((0.094531, 0.905469), abs=2e-6)
    # k = 1, n = 1: low end 1 / (1 + z²) = 1 / 4.841459 = 0.206550
    assert wilson(1, 1) == pytest.approx((0.206550, 1.0), abs=1e-6)


@settings(deadline=None)
@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_equals_statsmodels(kn: tuple[int, int], level: float) -> None:
    k, n = kn
    assert wilson(k, n, level) == pytest.approx(proportion_confint(k, n, 1 - level, method="wilson"), abs=1e-9)


def test_wilson_reaches_the_ends_exactly_and_knows_nothing_of_no_images() -> None:
    assert wilson(0, 10).low == 0.0
    assert wilson(10, 10).high == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_wilson_bounds_take_arrays() -> None:
    low, high = wilson_bounds([0, 1], [0, 2])
    assert (low[1], high[1]) == wilson(1, 2)
    assert (low[0], high[0]) == (0.0, 1.0)


def test_samples_keep_the_total_and_the_empty_cells() -> None:
    matrix = np.array([[5, 0], [2, 3]])
    samples = resample(matrix, resamples=50, seed=1)
    assert samples.shape == (50, 2, 2)
    assert (samples.sum(axis=(1, 2)) == 10).all()
    assert (samples[:, 0, 1] == 0).all()


def test_tango_worked_by_hand() -> None:
    # No difference among eight: with q = 0 the ends solve (n d)² = z² n d (1 - d), so that d = z² / (n + z²)
    assert paired_interval(0, 0, 8) == pytest.approx((-0.324407, 0.324407), abs=1e-6)
    # All of n in B alone: the low end is where (n - n d)² = z² n (2 q + d (1 - d)) with q = 0: d = (n - z²) / (n + z²)
    assert paired_interval(0, 20, 20) == pytest.approx((0.677750, 1.0), abs=1e-6)


@pytest.mark.parametrize(("b", "c", "n"), [(3, 9, 40), (1, 0, 44), (12, 2, 30), (7, 7, 200)])
def test_at_tangos_ends_the_score_is_at_its_quantile(b: int, c: int, n: int) -> None:
    """The likeliest share of B's losses is found by a search here, by a formula there."""
    for d in paired_interval(b, c, n):

        def loss(q: float, d: float = d) -> float:
            cells = np.array([q, q + d, 1 - 2 * q - d])
            return -float(np.sum(np.array([b, c, n - b - c]) * np.log(np.maximum(cells, 1e-300))))

        q = minimize_scalar(loss, bounds=(max(0.0, -d), (1 - d) / 2), method="bounded", options={"xatol": 1e-12}).x
        assert abs(c - b - n * d) / np.sqrt(n * (2 * q + d * (1 - d))) == pytest.approx(1.959964, abs=1e-4)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 60))
def test_tango_holds_the_difference_turns_with_it_and_has_some_width(b: int, c: int, rest: int) -> None:
    n = b + c + rest
    low, high = paired_interval(b, c, n)
    assert -1 <= low <= (c - b) / n <= high <= 1
    assert high - low > 1 / n
    assert paired_interval(c, b, n) == pytest.approx((-high, -low), abs=1e-9)


def test_newcombe_equals_statsmodels() -> None:
    theirs = confint_proportions_2indep(56, 70, 48, 80, method="newcomb", compare="diff")  # Newcombe 1998, example (a)
    assert independent_interval(48, 80, 56, 70) == pytest.approx(theirs, abs=1e-9)
    assert theirs == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_the_delta_method_of_accuracy_agrees_with_the_binomial() -> None:
    # Accuracy 0.8 on 1,000 images: standard error √(0.8·0.2/1000) = 0.012649, so 0.8 ± 1.96·0.012649 = 0.7752..0.8248
    matrix = np.array([[400, 100], [100, 400]])
    assert interval_of(decisions.accuracy, matrix, np.zeros((2, 2))) == pytest.approx((0.7752, 0.8248), abs=2e-4)


def test_the_delta_method_agrees_with_drawing_images_with_replacement_where_images_are_many() -> None:
    matrix = 60 * np.array([[12, 5, 3], [1, 6, 1], [4, 4, 14]])
    for name in ("macro_f1", "macro_precision", "kappa", "mcc", "weighted_f1"):
        drawn = percentile(METRICS[name].of(resample(matrix, resamples=20_000)))
        assert METRICS[name].interval(matrix) == pytest.approx(drawn, abs=0.003), name


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.of_matrix])
@pytest.mark.parametrize(
    "matrix", [np.diag([20, 5, 30]), 7 * (1 - np.eye(3, dtype=int))], ids=["perfect", "never right"]
)
def test_no_interval_of_a_matrix_is_without_width(name: str, matrix: np.ndarray) -> None:
    low, high = METRICS[name].interval(matrix)
    assert low <= float(METRICS[name].of(matrix)) <= high
    assert high - low > 0.01


def test_the_f1_of_none_of_five_has_the_upper_end_of_a_proportion() -> None:
    # 0 of 5 recognised and never predicted: J = 0 of 5, Wilson's upper end z² / (5 + z²) = 0.434483, F1 = 2 J / (1 + J)
    matrix = np.array([[0, 5], [0, 20]])
    _, high = confusion.f1_bounds(matrix)
    assert high[0] == pytest.approx(2 * 0.434483 / 1.434483, abs=1e-6)  # it was “0 (0 to 0)”


def test_a_rare_class_is_covered() -> None:
    """F1 of a class of 1.6 % was covered in 79 % of samples of 300 by the percentile bootstrap."""
    random = np.random.default_rng(0)
    cells = np.array([[0.010, 0.006], [0.004, 0.98]])
    true = confusion.f1(cells)[0]
    inside = total = 0
    for _ in range(1500):
        matrix = random.multinomial(300, cells.ravel()).reshape(2, 2)
        if matrix[0].sum() + matrix[1, 0] < 5:
            continue  # not printed
        low, high = confusion.f1_bounds(matrix)
        inside, total = inside + (low[0] <= true <= high[0]), total + 1
    assert 0.93 <= inside / total <= 0.985


def test_percentile_of_a_ramp() -> None:
    # 0, 1, ..., 1000: 2.5 % of the way is 25, 97.5 % is 975
    assert percentile(np.arange(1001.0)) == pytest.approx((25, 975))
