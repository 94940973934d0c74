"""Intervals: Wilson against the formula by hand and statsmodels, the bootstrap against what theory says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from fer_core.evaluation import metrics
from fer_core.evaluation.intervals import bootstrap_confusion, percentile, resample, wilson, wilson_bounds


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


def test_equal_seeds_give_equal_intervals() -> None:
    matrix = np.array([[30, 10], [5, 55]])
    assert bootstrap_confusion(matrix, metrics.macro_f1) == bootstrap_confusion(matrix, metrics.macro_f1)
    assert bootstrap_confusion(matrix, metrics.macro_f1) != bootstrap_confusion(matrix, metrics.macro_f1, seed=7)


def test_bootstrap_of_accuracy_agrees_with_the_binomial() -> None:
    # Accuracy 0.8 on 1,000 images: standard error √(0.8·0.2/1000) = 0.012649, so 0.8 ± 1.96·0.012649 = 0.7752..0.8248
    low, high = bootstrap_confusion([[400, 100], [100, 400]], metrics.accuracy, resamples=20_000)
    assert (low, high) == pytest.approx((0.7752, 0.8248), abs=0.002)


def test_the_multinomial_equals_drawing_images_with_replacement() -> None:
    matrix = np.array([[12, 5, 3], [1, 6, 1], [4, 4, 14]])
    rows = np.repeat(np.arange(9), matrix.ravel())
    random = np.random.default_rng(5)
    drawn = random.choice(rows, size=(20_000, len(rows)))
    stack = np.stack([np.bincount(d, minlength=9).reshape(3, 3) for d in drawn])
    by_images = percentile(metrics.macro_f1(stack))
    assert bootstrap_confusion(matrix, metrics.macro_f1, resamples=20_000) == pytest.approx(by_images, abs=0.006)


def test_percentile_of_a_ramp() -> None:
    # 0, 1, ..., 1000: 2.5 % of the way is 25, 97.5 % is 975
    assert percentile(np.arange(1001.0)) == pytest.approx((25, 975))
