"""AUROC and average precision: worked by hand, equal to scikit-learn, and DeLong's interval against the bootstrap."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from fer_core.evaluation.metrics import METRICS
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.ranking import auroc, average_precision, macro_bounds, ranking
from fer_core.evaluation.report import evaluate
from fer_core.labels import FER7


def simulated(n: int, seed: int = 0) -> Predictions:
    random = np.random.default_rng(seed)
    logits = 1.5 * random.normal(size=(n, 7))
    label = (logits + random.gumbel(size=(n, 7))).argmax(axis=1)
    return Predictions.from_logits(range(n), "toy", "val", [FER7.names[i] for i in label], logits, FER7)


def test_worked_by_hand() -> None:
    scores, positive = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, False, True, True, False])
    # Of 3 x 2 pairs the positive is above in 2 (0.9) + 1 (0.7) + 1 (0.6) = 4.
    area, (low, high) = auroc(scores, positive)
    assert area == pytest.approx(4 / 6)
    # DeLong: positives outrank 1, 1/2, 1/2 of the negatives, variance 1/12; negatives are outranked by 1/3 and 1 of the
    # positives, variance 2/9: 1/12/3 + 2/9/2 = 5/36. Newcombe's at 2/3: 2/3 · 1/3 (1 + 1.5 · 1/4 + 1.5 · 2/5) / 6
    # = 0.073148. Drawn to 1 by five degrees of freedom beside one: (1 · 1.898734 + 5) / 6 = 1.149789.
    for end in (low, high):
        variance = 1.149789 * end * (1 - end) * (1 + 1.5 * (1 - end) / (2 - end) + 1.5 * end / (1 + end)) / 6
        assert (end - 2 / 3) ** 2 == pytest.approx(2.446912**2 * variance, rel=1e-5)  # Student's, 6 degrees of freedom
    # Precision at the positives: 1/1, 2/3, 3/4
    value, _ = average_precision(scores, positive)
    assert value == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_ties_count_half_and_share_one_precision() -> None:
    scores, positive = np.array([0.5, 0.5, 0.5, 0.1]), np.array([True, False, True, False])
    assert auroc(scores, positive)[0] == pytest.approx((0.5 + 0.5 + 1 + 1) / 4)
    assert average_precision(scores, positive)[0] == pytest.approx(2 / 3)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
def test_one_against_the_rest_equals_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([r[0] / 6 for r in rows]), np.array([r[1] for r in rows])
    if positive.any() and not positive.all():
        assert auroc(scores, positive)[0] == pytest.approx(roc_auc_score(positive, scores))
    else:
        assert np.isnan(auroc(scores, positive)[0])
        assert auroc(scores, positive)[1] == (0, 1)
    value, bounds = average_precision(scores, positive)
    if positive.any():
        assert value == pytest.approx(average_precision_score(positive, scores))
        assert bounds.low <= value <= bounds.high
    else:
        assert np.isnan(value)


def test_macro_figures_equal_scikit_learn() -> None:
    p = simulated(400)
    assert METRICS["macro_auroc"](p) == pytest.approx(
        roc_auc_score(p.label_index, p.probs, multi_class="ovr", average="macro")
    )
    truth = np.eye(7)[p.label_index]
    assert METRICS["macro_average_precision"](p) == pytest.approx(average_precision_score(truth, p.probs))
    report = evaluate(p)
    np.testing.assert_allclose(report.per_class["auroc"], roc_auc_score(truth, p.probs, average=None))
    assert report.others["macro_auroc"] == METRICS["macro_auroc"](p)


def test_an_expression_that_does_not_occur_is_unknown_and_left_out_of_the_mean() -> None:
    p = simulated(200)
    p = p.where(p.table["label"] != "disgust")
    table = ranking(p).set_index("expression")
    assert table.loc["disgust", ["auroc", "average_precision"]].isna().all()
    assert table.loc["disgust", ["auroc_low", "auroc_high"]].isna().all()
    assert METRICS["macro_auroc"](p) == pytest.approx(table["auroc"].drop("disgust").mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of the missing class
        theirs = average_precision_score(np.eye(7)[p.label_index], p.probs, average=None)
    expected = pd.Series(theirs, FER7.names).drop("disgust").mean()
    assert METRICS["macro_average_precision"](p) == pytest.approx(expected)


def test_intervals_agree_with_drawing_images_with_replacement() -> None:
    p = simulated(600, seed=4)
    scores, positive = p.probs[:, 3], p.label_index == 3
    random = np.random.default_rng(0)
    draws = random.integers(0, 600, (1500, 600))
    areas, precisions = zip(
        *((auroc(scores[d], positive[d])[0], average_precision(scores[d], positive[d])[0]) for d in draws), strict=True
    )
    (_, area), (_, precision) = auroc(scores, positive), average_precision(scores, positive)
    assert area == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=0.01)
    # the binomial interval does not know how precisions hang together: wider than the bootstrap's by up to a half
    low, high = np.quantile(precisions, [0.025, 0.975])
    assert 0.8 < (precision.high - precision.low) / (high - low) < 1.6


def test_one_image_of_a_side_says_little_of_the_spread() -> None:
    area, (low, high) = auroc(np.array([0.9, 0.1, 0.2]), np.array([True, False, False]))
    assert (area, high) == (1.0, 1.0)
    assert 0 < low < 0.3  # it was 0 to 1


@pytest.mark.parametrize("upwards", [True, False])
def test_a_few_images_that_are_all_ranked_alike_are_not_certain(upwards: bool) -> None:
    positive = np.arange(53) < 3
    area, (low, high) = auroc(positive * 1.0 if upwards else 1.0 - positive, positive)
    assert area == upwards
    assert 0.25 < high - low < 0.7
    many = np.arange(2000) < 1000
    assert auroc(many * 1.0, many)[1].low > 0.99


def test_a_rare_class_is_covered() -> None:
    """DeLong's interval held the area of a class with some five images in 69 % of samples."""
    random = np.random.default_rng(3)
    true = 0.921350  # Φ(2 / √2)
    inside, samples = 0, 600
    for _ in range(samples):
        positive = np.arange(300) < random.integers(3, 8)
        low, high = auroc(random.normal(size=300) + 2 * positive, positive)[1]
        inside += low <= true <= high
    assert 0.93 <= inside / samples <= 0.985


def test_the_means_have_intervals_that_agree_with_drawing_images_with_replacement() -> None:
    p = simulated(600, seed=5)
    random = np.random.default_rng(0)
    areas, precisions = [], []
    for _ in range(150):
        rows = random.integers(0, 600, 600)
        parts = [(p.probs[rows, k], p.label_index[rows] == k) for k in range(7)]
        areas.append(np.mean([auroc(*part)[0] for part in parts]))
        precisions.append(np.mean([average_precision(*part)[0] for part in parts]))
    for bounds, drawn in zip(macro_bounds(p), (areas, precisions), strict=True):
        assert (bounds.high - bounds.low) / (4 * np.std(drawn)) == pytest.approx(1, abs=0.25)
