"""What every registered metric must do: lie in its range, reach its best end, and depend on nothing but the images."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fer_core.evaluation.confusion import confusion_matrix
from fer_core.evaluation.metrics import METRICS
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7, Expressions
from tests.contracts.tables import table, tables

every_metric = pytest.mark.parametrize("name", METRICS.names())


@every_metric
@settings(deadline=None, max_examples=15)
@given(p=tables())
def test_a_metric_and_its_interval_lie_in_the_declared_range(name: str, p: Predictions) -> None:
    metric = METRICS[name]
    value, bounds = metric(p), metric.interval(confusion_matrix(p) if metric.of_matrix else p)
    assert np.isnan(value) or metric.low - 1e-12 <= value <= metric.high + 1e-12
    if bounds is not None and not np.isnan(bounds.low):
        assert metric.low - 1e-12 <= bounds.low <= bounds.high <= metric.high + 1e-12


@every_metric
@settings(deadline=None, max_examples=15)
@given(labels=st.lists(st.integers(0, 3), min_size=2, max_size=20))
def test_perfect_predictions_reach_the_best_end_of_the_range(name: str, labels: list[int]) -> None:
    assume(len(set(labels)) > 1)  # against one constant label neither MCC nor kappa can show skill
    metric = METRICS[name]
    p = table(labels, 900 * np.eye(4)[labels], Expressions("custom", FER7.names[:4]))
    assert metric(p) == pytest.approx(metric.high if metric.higher_is_better else metric.low, abs=1e-12)


@every_metric
@settings(deadline=None, max_examples=15)
@given(p=tables(), random=st.randoms(use_true_random=False))
def test_a_metric_does_not_depend_on_the_order_of_rows(name: str, p: Predictions, random) -> None:
    order = list(range(len(p)))
    random.shuffle(order)
    other = Predictions(p.table.iloc[order])
    assert METRICS[name](other) == pytest.approx(METRICS[name](p), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].of_matrix])
def test_a_stack_of_matrices_gives_what_each_gives_alone(name: str) -> None:
    stack = np.random.default_rng(0).integers(0, 4, (20, 3, 3))
    stack[0] = 0  # no image at all
    alone = [METRICS[name].of(matrix) for matrix in stack]
    np.testing.assert_array_equal(METRICS[name].of(stack), alone)
