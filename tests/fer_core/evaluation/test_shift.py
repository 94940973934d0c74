"""Why one set is harder than another: parts that add up, shifts that are put in are found, and none where there is none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import energy_distance, fisher_exact
from statsmodels.stats.proportion import proportion_confint

from fer_core.errors import DataError
from fer_core.evaluation import shift
from fer_core.evaluation.comparison import holm
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import Expressions

AB = Expressions("ab", ("angry", "happy"))


def table(counts: list[list[int]], name: str = "x") -> Predictions:
    """A table with this confusion matrix, rows the label."""
    labels, logits = [], []
    for row, label in zip(counts, AB.names, strict=True):
        for column, n in enumerate(row):
            labels += [label] * n
            logits += [np.eye(2)[column]] * n
    return Predictions.from_logits([str(i) for i in range(len(labels))], name, "test", labels, np.array(logits), AB)


A = table([[80, 20], [10, 90]])  # recall 0.8 and 0.9, balanced: accuracy 0.85
B = table([[30, 30], [6, 34]])  # recall 0.5 and 0.85, 60 to 40: accuracy 0.64


def test_the_gap_and_its_parts_by_hand():
    gap = shift.gap_split(A, B)
    assert gap.total == pytest.approx(0.64 - 0.85)
    assert gap.prior == pytest.approx(0.1 * 0.8 - 0.1 * 0.9)  # shares 0.6 and 0.4 instead of 0.5 and 0.5
    assert gap.rest == pytest.approx(0.6 * (0.5 - 0.8) + 0.4 * (0.85 - 0.9))
    for value, bounds in (
        (gap.total, gap.total_interval),
        (gap.prior, gap.prior_interval),
        (gap.rest, gap.rest_interval),
    ):
        assert bounds.low < value < bounds.high


counts = st.lists(st.integers(1, 60), min_size=4, max_size=4).map(lambda n: [n[:2], n[2:]])


@settings(max_examples=15, deadline=None)
@given(counts, counts)
def test_the_parts_add_up_and_a_set_against_itself_has_no_gap(first, second):
    gap = shift.gap_split(table(first), table(second))
    assert gap.prior + gap.rest == pytest.approx(gap.total)
    same = shift.gap_split(table(first), table(first))
    assert same.total_interval.low < 0 < same.total_interval.high
    assert (same.total, same.prior, same.rest) == pytest.approx((0, 0, 0))


def test_one_correction_holds_over_all_that_two_sets_may_differ_in():
    """Sets that are alike were said to differ in 11 to 15 % of cases, since each of three families was tested at 5 %."""
    random = np.random.default_rng(7)
    names = ("angry", "happy", "sad")
    wrong, samples = 0, 120
    for seed in range(samples):
        labels = [random.choice(names, n).tolist() for n in (200, 60)]
        pictures = [pd.DataFrame(random.normal(size=(n, 4)), columns=list("wxyz")) for n in (200, 60)]
        seen = [random.normal(size=(n, 3)) for n in (100, 60)]
        found = shift.shifts(
            shift.class_balance(*labels, names),
            shift.differences(*pictures),
            shift.feature_distance(*seen, permutations=199, seed=seed),
        )
        assert len(found) == 6
        wrong += bool((found["p_adjusted"] <= 0.05).any())
    low, _ = proportion_confint(wrong, samples, method="beta")
    assert low <= 0.05


def test_recall_beside_recall_with_fishers_test_and_holm():
    found = shift.per_expression(A, B).set_index("expression")
    assert list(found.index) == ["all", "angry", "happy"]
    assert found.loc["angry", ["n_a", "n_b"]].tolist() == [100, 60]
    assert found.loc["angry", "difference"] == pytest.approx(-0.3)
    angry, happy = fisher_exact([[80, 20], [30, 30]])[1], fisher_exact([[90, 10], [34, 6]])[1]
    assert found["p"].tolist()[1:] == pytest.approx([angry, happy])
    assert found["p_adjusted"].tolist()[1:] == pytest.approx(holm([angry, happy]))
    assert found.loc["all", "p"] == pytest.approx(fisher_exact([[170, 30], [64, 36]])[1])
    # Wilson 95 % of 30 of 60, by the formula: 0.5 -+ 1.96 sqrt(0.25/60 + 1.96^2/4/3600) / (1 + 1.96^2/60)
    assert found.loc["angry", ["low_b", "high_b"]].tolist() == pytest.approx([0.3773, 0.6227], abs=5e-4)


def test_an_expression_of_one_set_alone_is_shown_without_a_test():
    found = shift.per_expression(A, table([[0, 0], [5, 5]])).set_index("expression")
    assert found.loc["angry", "n_b"] == 0
    assert np.isnan(found.loc["angry", "p"])
    assert found.loc["happy", "p_adjusted"] == found.loc["happy", "p"]
    gap = shift.gap_split(table([[0, 0], [10, 90]]), A)
    assert gap.prior + gap.rest == pytest.approx(gap.total)


def test_class_balance_is_the_share_that_would_have_to_change():
    balance = shift.class_balance(
        ["happy"] * 50 + ["sad"] * 50, ["happy"] * 90 + ["sad"] * 10, ("happy", "sad", "fear")
    )
    assert balance.distance == pytest.approx(0.4)
    assert balance.p < 1e-6
    assert shift.class_balance(["happy", "sad"], ["happy", "sad"], ("happy", "sad")).p == pytest.approx(1)
    assert shift.class_balance(["happy"], ["happy"], ("happy", "sad")).p == 1


def clouds(n: int, m: int, apart: float, seed: int = 0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 6)), random.normal(size=(m, 6)) + apart


def test_the_distance_is_the_energy_distance():
    a, b = np.random.default_rng(1).normal(size=(40, 1)), np.random.default_rng(2).normal(1, 1, size=(30, 1))
    found = shift.feature_distance(a, b, permutations=9)
    assert found.value == pytest.approx(energy_distance(a[:, 0], b[:, 0]) ** 2, rel=1e-4)


def test_a_shift_that_is_put_in_is_found_and_equal_sets_are_not_told_apart():
    assert shift.feature_distance(*clouds(80, 60, 0.6), permutations=199).p == 1 / 200
    a, _ = clouds(80, 60, 0)
    assert shift.feature_distance(a, a, permutations=199).p == 1.0


def test_without_a_shift_the_p_values_are_spread_evenly():
    p = [shift.feature_distance(*clouds(30, 25, 0, seed), permutations=99).p for seed in range(60)]
    assert np.mean(np.array(p) <= 0.1) < 0.25  # 6 of 60 expected
    assert 0.35 < np.mean(p) < 0.65


def test_another_class_balance_alone_is_a_distance_only_when_labels_are_left_out():
    random = np.random.default_rng(0)
    places = {"happy": 0.0, "sad": 4.0}

    def sample(happy: int, sad: int):
        labels = ["happy"] * happy + ["sad"] * sad
        return np.array([places[name] for name in labels])[:, None] + random.normal(size=(happy + sad, 4)), labels

    (a, of_a), (b, of_b) = sample(60, 20), sample(20, 60)
    assert shift.feature_distance(a, b, permutations=99).p == 0.01
    assert shift.feature_distance(a, b, of_a, of_b, permutations=99).p > 0.05
    assert shift.feature_distance(a, b + 1, of_a, of_b, permutations=99).p == 0.01
    with pytest.raises(DataError, match="share no expression"):
        shift.feature_distance(a, b, ["happy"] * len(a), ["sad"] * len(b))


def faces(n: int, seed: int = 0):
    random = np.random.default_rng(seed)
    return random.integers(60, 200, (n, 48, 48)).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda p: p, set()),
        (lambda p: (p * 0.5).astype(np.uint8), {"brightness", "contrast"}),
        (lambda p: p + 30, {"brightness"}),
        (
            lambda p: np.stack([(one + np.roll(one, 1, 0).astype(int)) // 2 for one in p]).astype(np.uint8),
            {"sharpness", "contrast"},
        ),
    ],
    ids=["nothing", "darker", "brighter", "blurred"],
)
def test_what_was_changed_is_what_is_found(change, found):
    a, b = shift.picture_statistics(faces(60)), shift.picture_statistics(change(faces(50, 1)))
    report = shift.differences(a, b)
    assert set(report.loc[report["p_adjusted"] <= 0.05, "statistic"]) == found


def test_the_effect_is_cliffs_delta():
    import pandas as pd

    report = shift.differences(pd.DataFrame({"x": [1.0, 2, 3]}), pd.DataFrame({"x": [2.5, 9.0]}))
    assert report["effect"].item() == pytest.approx((5 - 1) / 6)


def test_relit_pictures_have_the_asked_light():
    lit = shift.relit(faces(3), 120, 30)
    assert lit.mean(axis=(1, 2)) == pytest.approx([120] * 3, abs=0.5)
    assert lit.std(axis=(1, 2)) == pytest.approx([30] * 3, abs=0.5)
    assert (shift.relit(np.full((1, 48, 48), 9, np.uint8), 100, 20) == 100).all()


def test_nearest_finds_itself():
    features = np.random.default_rng(0).normal(size=(20, 5))
    rows, distances = shift.nearest(features[3:5], features, k=2)
    assert rows[:, 0].tolist() == [3, 4]
    assert distances[:, 0] == pytest.approx([0, 0], abs=1e-5)


def test_empty_sets_are_refused():
    empty = A.where(np.zeros(len(A), bool))
    for ask in (shift.gap_split, shift.per_expression):
        with pytest.raises(DataError, match="nothing to compare"):
            ask(A, empty)
