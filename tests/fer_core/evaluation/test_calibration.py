"""Calibration: bins and temperatures worked by hand, and equality with scikit-learn."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from fer_core.checkpoint import read_card, write_card
from fer_core.errors import DataError
from fer_core.evaluation.calibration import (
    at_threshold,
    by_expression,
    calibrate,
    calibration_by_expression,
    calibration_error,
    overconfidence,
    reliability,
    risk_coverage,
    temperature,
    temperature_interval,
    validation_split,
    with_temperature,
)
from fer_core.evaluation.intervals import wilson
from fer_core.evaluation.metrics import probabilities
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7, Expressions
from tests.app.examples import make_network

TWO = Expressions("custom", ("happy", "sad"))


def sure(confidence: list[float], correct: list[bool]) -> Predictions:
    """Always “happy”, with these probabilities."""
    p = np.array(confidence)
    with np.errstate(divide="ignore"):
        logits = np.column_stack([np.log(p), np.maximum(np.log(1 - p), -1000)])
    labels = ["happy" if right else "sad" for right in correct]
    return Predictions.from_logits(range(len(p)), "toy", "val", labels, logits, TWO)


def simulated(n: int = 500, sharpness: float = 1.0) -> Predictions:
    """Labels drawn from the softmax of the logits, which are then multiplied by `sharpness`."""
    random = np.random.default_rng(11)
    logits = random.normal(scale=1.5, size=(n, 7))
    label = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    names = [FER7.names[i] for i in label]
    return Predictions.from_logits(range(n), "toy", "val", names, logits * sharpness, FER7)


def test_reliability_worked_by_hand() -> None:
    table = reliability(sure([0.55, 0.75, 0.77, 0.79, 1.0], [True, True, False, True, True]), bins=10)
    np.testing.assert_allclose(table["low"], [0.5, 0.7, 0.9])
    np.testing.assert_allclose(table["high"], [0.6, 0.8, 1.0])
    assert table["n"].tolist() == [1, 3, 1]
    np.testing.assert_allclose(table["confidence"], [0.55, 0.77, 1.0], atol=1e-6)
    np.testing.assert_allclose(table["accuracy"], [1, 2 / 3, 1])
    assert (table["accuracy_low"][1], table["accuracy_high"][1]) == wilson(2, 3)


def test_a_confidence_of_exactly_one_is_in_the_last_bin() -> None:
    p = sure([1.0], [True])
    assert p.confidence[0] == 1.0
    for bins in (1, 2, 10, 15):
        table = reliability(p, bins)
        assert (table["high"].tolist(), table["n"].tolist()) == ([1.0], [1])


def test_a_confidence_on_an_edge_is_in_the_lower_bin() -> None:
    assert reliability(sure([0.5], [True]), bins=2)[["low", "high"]].to_numpy().tolist() == [[0.0, 0.5]]


def test_equal_confidences_share_one_bin_of_equal_mass() -> None:
    table = reliability(sure([0.8] * 6, [True] * 3 + [False] * 3), bins=4, equal="mass")
    assert table["n"].tolist() == [6]
    assert table["accuracy"].tolist() == [0.5]


@pytest.mark.parametrize(("equal", "strategy"), [("width", "uniform"), ("mass", "quantile")])
@pytest.mark.parametrize("bins", [5, 10, 15])
def test_bins_equal_scikit_learn(equal, strategy: str, bins: int) -> None:
    p = simulated()
    accuracy, confidence = calibration_curve(p.correct, p.confidence, n_bins=bins, strategy=strategy)
    table = reliability(p, bins, equal)
    np.testing.assert_allclose(table["accuracy"], accuracy)
    np.testing.assert_allclose(table["confidence"], confidence)
    assert table["n"].sum() == len(p)


def test_temperature_worked_by_hand() -> None:
    # 0.9 sure and right in 7 of 10: best is a confidence of 0.7, so ln(0.9/0.1) / T = ln(0.7/0.3), T = 2.5932
    p = sure([0.9] * 10, [True] * 7 + [False] * 3)
    assert temperature(p) == pytest.approx(np.log(9) / np.log(7 / 3), rel=1e-4)
    np.testing.assert_allclose(with_temperature(p, temperature(p)).confidence, 0.7, atol=1e-4)


def test_temperature_equals_a_logistic_regression_of_two_expressions() -> None:
    random = np.random.default_rng(2)
    margin = random.normal(size=300) * 4
    label = random.random(300) < 1 / (1 + np.exp(-margin / 3))
    p = Predictions.from_logits(
        range(300), "toy", "val", ["happy" if y else "sad" for y in label], np.column_stack([margin, 0 * margin]), TWO
    )
    # Without intercept and penalty its one weight is 1/T.
    fitted = LogisticRegression(C=1e10, fit_intercept=False, tol=1e-8).fit(margin[:, None], label)
    assert 1 / temperature(p) == pytest.approx(fitted.coef_[0, 0], rel=1e-3)


def test_temperature_undoes_too_sharp_logits_and_mends_the_calibration_error() -> None:
    honest, sharp = simulated(2000), simulated(2000, sharpness=3)
    assert temperature(sharp) == pytest.approx(3 * temperature(honest), rel=1e-3)
    cooled = with_temperature(sharp, temperature(sharp))
    assert cooled.predicted.tolist() == sharp.predicted.tolist()
    assert probabilities.ece(cooled) < probabilities.ece(sharp) / 4
    assert probabilities.log_loss(cooled) < probabilities.log_loss(sharp)


def test_a_network_without_an_error_gets_the_lowest_temperature() -> None:
    assert temperature(sure([0.9, 0.8], [True, True])) == pytest.approx(0.05, rel=0.01)
    assert temperature(sure([0.9, 0.8], [False, False])) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_a_temperature_must_be_positive(bad: float) -> None:
    with pytest.raises(DataError, match="positive number"):
        with_temperature(simulated(10), bad)


def test_risk_and_coverage_worked_by_hand() -> None:
    # From the surest: right, wrong and right (equal confidence, so together), right
    table = risk_coverage(sure([0.6, 0.8, 0.9, 0.8], [True, False, True, True]))
    np.testing.assert_allclose(table["threshold"], [0.9, 0.8, 0.6], atol=1e-6)
    assert table["n"].tolist() == [1, 3, 4]
    assert table["coverage"].tolist() == [0.25, 0.75, 1.0]
    np.testing.assert_allclose(table["accuracy"], [1, 2 / 3, 3 / 4])
    np.testing.assert_allclose(table["risk"], [0, 1 / 3, 1 / 4])
    assert (table["accuracy_low"][1], table["accuracy_high"][1]) == wilson(2, 3)


def test_a_long_curve_is_thinned_but_keeps_its_ends() -> None:
    p = simulated(500)
    full, thin = risk_coverage(p, points=500), risk_coverage(p, points=20)
    assert len(thin) == 20
    assert thin["coverage"].iloc[-1] == 1
    assert thin["accuracy"].iloc[-1] == pytest.approx(p.correct.mean())
    assert thin.merge(full).shape == thin.shape, "each point of the thin curve is one of the full curve"


def test_a_threshold_says_what_it_costs_and_saves() -> None:
    p = sure([0.6, 0.8, 0.9, 0.7], [False, False, True, True])
    told = at_threshold(p, p.confidence[1])  # exactly a confidence: that image is answered
    assert (told.n, told.answered, told.coverage, told.accuracy) == (4, 2, 0.5, 0.5)
    assert (told.abstained, told.abstained_errors) == (2, 1)
    assert told.accuracy_interval == wilson(1, 2)


def test_a_threshold_above_all_answers_nothing() -> None:
    told = at_threshold(sure([0.6], [True]), 0.99)
    assert (told.answered, told.accuracy, told.accuracy_interval) == (0, None, (0, 1))


def test_every_point_of_the_curve_is_what_its_threshold_gives() -> None:
    p = simulated(200)
    for row in risk_coverage(p, points=10).itertuples():
        told = at_threshold(p, row.threshold)
        assert (told.answered, told.accuracy) == (row.n, pytest.approx(row.accuracy))


@pytest.mark.parametrize("function", [reliability, temperature, risk_coverage, lambda p: at_threshold(p, 0.5)])
def test_no_image_is_refused_in_a_sentence(function) -> None:
    with pytest.raises(DataError, match="There is no image"):
        function(simulated(2).where([False, False]))


@pytest.fixture
def network() -> Path:
    return make_network("one", None)


def test_calibrate_stores_the_temperature_in_the_card(network: Path) -> None:
    p = simulated(sharpness=2)
    found = calibrate(network, p)
    assert found == pytest.approx(temperature(p), abs=1e-4)
    assert read_card(network).temperature == found
    assert 1.6 < found < 2.4  # the logits were made twice too large


def test_calibrate_refuses_any_split_but_the_one_that_chose_the_epoch(network: Path) -> None:
    p = simulated(50)
    for other in (Predictions(p.table.assign(split="test")), p.where([False] * 50)):
        with pytest.raises(DataError, match="validation set"):
            calibrate(network, other)
    mixed = Predictions(p.table.assign(split=["val"] * 49 + ["test"]))
    with pytest.raises(DataError, match="test, val"):
        calibrate(network, mixed)
    assert read_card(network).temperature is None


def test_calibrate_follows_the_recipe_where_another_split_chose_the_epoch(network: Path) -> None:
    card = read_card(network)
    write_card(network, card.model_copy(update={"recipe": {**card.recipe, "val_split": "dev"}}))
    p = simulated(50)
    with pytest.raises(DataError, match="“dev”"):
        calibrate(network, p)
    assert calibrate(network, Predictions(p.table.assign(split="dev"))) > 0


def test_an_ensemble_is_calibrated_where_all_its_members_chose_their_epoch_and_nowhere_else(network: Path) -> None:
    card = read_card(network)

    def of(*splits: str) -> str:
        members = {f"member{number}": {**card.recipe, "val_split": split} for number, split in enumerate(splits)}
        return validation_split(card.model_copy(update={"recipe": {"members": {"inner": {"members": members}}}}))

    assert of("dev", "dev") == "dev"
    assert of("val", "") == ""  # the second has learned the first one's validation set
    assert of("val", "dev") == ""


def test_calibrate_refuses_what_no_temperature_fits(network: Path) -> None:
    right = Predictions.from_logits(range(7), "toy", "val", list(FER7.names), 5 * np.eye(7), FER7)
    with pytest.raises(DataError, match=r"7 images \(0 errors\)"):
        calibrate(network, right)
    with pytest.raises(DataError, match="has the expressions happy, sad"):
        calibrate(network, sure([0.9, 0.8], [True, False]))
    assert read_card(network).temperature is None


def test_whom_a_threshold_leaves_without_an_answer() -> None:
    p = sure([0.95, 0.9, 0.6, 0.7, 0.99], [True, True, True, False, False])
    table = by_expression(p, 0.8).set_index("expression")
    assert table.loc["happy", ["n", "answered", "coverage", "accuracy"]].tolist() == [3, 2, 2 / 3, 1.0]
    assert table.loc["sad", ["n", "answered", "coverage", "accuracy"]].tolist() == [2, 1, 0.5, 0.0]
    assert (table.loc["happy", "coverage_low"], table.loc["happy", "coverage_high"]) == wilson(2, 3)
    assert by_expression(p, 1.1)["accuracy"].isna().all()
    assert by_expression(p.where([True, True, True, False, False]), 0)["expression"].tolist() == ["happy"]


def test_overconfidence_is_mean_confidence_minus_accuracy() -> None:
    assert overconfidence(sure([0.9, 0.7], [True, False])) == pytest.approx(0.8 - 0.5)


def test_the_debiased_error_worked_by_hand() -> None:
    # One bin, confidence 0.8, 6 of 10 right: (0.8 - 0.6)² - 0.6 · 0.4 / 9 = 0.04 - 0.026667 (Kumar, Liang and Ma 2019)
    found = calibration_error(sure([0.8] * 10, [True] * 6 + [False] * 4))
    assert found.bins == 1
    assert found.debiased == pytest.approx(np.sqrt(0.04 - 0.24 / 9), abs=1e-6)
    assert found.ece == pytest.approx(0.2, abs=1e-6)
    # By chance: 10 answers that are right with 0.8, the mean of |hits / 10 - 0.8| is 0.0989 (binomial distribution)
    assert found.by_chance == pytest.approx(0.0989, abs=0.02)
    # 8 of 10 right: no more than chance gives
    assert calibration_error(sure([0.8] * 10, [True] * 8 + [False] * 2)).debiased == 0


@pytest.mark.simulation
@pytest.mark.parametrize("n", [60, 300, 3589])
def test_a_calibrated_network_may_be_calibrated(n: int) -> None:
    """It was printed as 13.4, 6.1 and 1.8 points off, with an interval that held 0 in 0, 0.3 and 81 % of samples."""
    random = np.random.default_rng(n)
    held, usual, chance = [], [], []
    for _ in range(150):
        confidence = random.uniform(0.5, 1, n)
        found = calibration_error(sure(confidence.tolist(), (random.random(n) < confidence).tolist()))
        held.append(found.interval.low == 0)
        usual.append(found.ece)
        chance.append(found.by_chance)
    assert 0.9 <= np.mean(held) <= 0.995  # the coverage itself is simulated in tests/benchmarks/coverage.py
    assert np.mean(usual) == pytest.approx(np.mean(chance), rel=0.1)


@pytest.mark.simulation
def test_the_square_of_the_debiased_error_has_no_bias() -> None:
    random = np.random.default_rng(2)
    squares = []
    for _ in range(400):
        right = random.random(120) < 0.7  # confidence 0.85: 15 points off
        squares.append(calibration_error(sure([0.85] * 120, right.tolist())).debiased ** 2)
    assert np.mean(squares) == pytest.approx(0.15**2, abs=4 * np.std(squares) / 20)


def test_each_expression_has_a_calibration_of_its_own() -> None:
    p = simulated(2000, sharpness=2.5)
    table = calibration_by_expression(p)
    assert (table["low"] > 0).all()
    assert (calibration_by_expression(simulated(2000))["low"] == 0).sum() >= 6
    assert calibration_by_expression(sure([0.8] * 10, [True] * 8 + [False] * 2)).empty  # two of one expression


@pytest.mark.simulation
def test_the_interval_of_a_temperature_agrees_with_drawing_images_with_replacement() -> None:
    p = simulated(400, sharpness=1.5)
    random = np.random.default_rng(4)
    drawn = []
    for _ in range(200):
        rows = random.integers(0, 400, 400)
        drawn.append(temperature(Predictions(p.table.iloc[rows].assign(id=np.arange(400)))))
    low, high = temperature_interval(p, temperature(p))
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.06)
    assert low < 1.5 < high
