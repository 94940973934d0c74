"""Metrics: a table worked by hand, equality with scikit-learn, and what must hold for any table."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from fer_core.errors import DataError
from fer_core.evaluation import confusion
from fer_core.evaluation.confusion import confusion_matrix, most_confused
from fer_core.evaluation.intervals import wilson
from fer_core.evaluation.metrics import METRICS, decisions, probabilities
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import CLASS_FIGURES, evaluate
from fer_core.labels import FER7, Expressions
from tests.contracts.tables import THREE, table, tables


def by_hand() -> Predictions:
    """Ten images: happy x5 (4 right, 1 taken for sad), sad x3 (1 right, 2 taken for happy), neutral x2 (2 for sad)."""
    return table([0] * 5 + [1] * 3 + [2] * 2, np.eye(3)[[0, 0, 0, 0, 1, 0, 0, 1, 1, 1]])


def test_a_table_worked_by_hand() -> None:
    matrix = confusion_matrix(by_hand())
    assert matrix.tolist() == [[4, 1, 0], [2, 1, 0], [0, 2, 0]]
    assert matrix.dtype == np.int64
    # happy: predicted 6 times, 4 right. sad: predicted 4 times, 1 right. neutral: never predicted.
    np.testing.assert_allclose(confusion.precision(matrix), [4 / 6, 1 / 4, 0])
    np.testing.assert_allclose(confusion.recall(matrix), [4 / 5, 1 / 3, 0])
    np.testing.assert_allclose(confusion.f1(matrix), [8 / 11, 2 / 7, 0])  # 2·4/(5+6), 2·1/(3+4), 0/2
    assert confusion.support(matrix).tolist() == [5, 3, 2]
    assert decisions.accuracy(matrix) == pytest.approx(0.5)
    assert decisions.balanced_accuracy(matrix) == pytest.approx((4 / 5 + 1 / 3) / 3)
    assert decisions.macro_f1(matrix) == pytest.approx((8 / 11 + 2 / 7) / 3)
    assert decisions.weighted_f1(matrix) == pytest.approx((5 * 8 / 11 + 3 * 2 / 7) / 10)
    # kappa: expected agreement (5·6 + 3·4 + 2·0)/100 = 0.42, so (0.5 - 0.42)/0.58
    assert decisions.kappa(matrix) == pytest.approx(0.08 / 0.58)
    # MCC: (5·10 - 42) / √((100 - 25 - 9 - 4)(100 - 36 - 16)) = 8 / √(62·48)
    assert decisions.mcc(matrix) == pytest.approx(8 / np.sqrt(62 * 48))


def test_scores_of_probabilities_worked_by_hand() -> None:
    p = table([0, 1], np.log([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]))
    assert probabilities.log_loss(p) == pytest.approx((-np.log(0.7) - np.log(0.3)) / 2)
    # (0.3² + 0.2² + 0.1²) = 0.14 and (0.5² + 0.7² + 0.2²) = 0.78
    assert probabilities.brier(p) == pytest.approx((0.14 + 0.78) / 2)
    assert probabilities.top2(p) == 1.0
    # Confidence 0.7 and right, 0.5 and wrong, each alone in its bin: (|1 - 0.7| + |0 - 0.5|) / 2
    assert probabilities.ece(p) == pytest.approx(0.4, abs=1e-6)
    assert probabilities.ece(p, bins=1) == pytest.approx(abs(0.5 - 0.6), abs=1e-6)


def test_a_confidence_of_exactly_one_counts_in_the_calibration_error() -> None:
    p = table([1, 1], [[900, 0, 0], [0, 900, 0]])  # certain twice, wrong once
    assert p.confidence.tolist() == [1.0, 1.0]
    assert probabilities.ece(p) == pytest.approx(0.5)
    assert probabilities.ece_equal_mass(p) == pytest.approx(0.5)


def test_top2_counts_two_of_equal_logits_not_three() -> None:
    assert [probabilities.top2(table([i], [[1, 1, 1]])) for i in range(3)] == [1.0, 1.0, 0.0]


def test_one_image_is_enough() -> None:
    report = evaluate(table([1], [[0, 3, 0]]))
    assert (report.n, report.accuracy, report.macro_f1, report.balanced_accuracy) == (1, 1.0, 1.0, 1.0)
    assert report.accuracy_interval == pytest.approx((0.206549, 1.0), abs=1e-5)  # 1 / (1 + z²)
    json.dumps(report.to_json(), allow_nan=False)


def test_an_expression_that_neither_occurs_nor_is_predicted_is_left_out_of_means_but_listed() -> None:
    report = evaluate(table([0, 1], [[9, 0, 0], [0, 9, 0]]))
    assert (report.macro_f1, report.balanced_accuracy) == (1.0, 1.0)
    row = report.to_json()["per_class"]["neutral"]
    assert (row["precision"], row["recall"], row["f1"], row["support"], row["predicted"]) == (0, 0, 0, 0, 0)
    assert row["precision_interval"] is row["recall_interval"] is row["f1_interval"] is None


def test_an_expression_predicted_but_without_examples_pulls_macro_f1_down_not_balanced_accuracy() -> None:
    matrix = confusion_matrix(table([0, 0], [[9, 0, 0], [0, 9, 0]]))
    assert decisions.balanced_accuracy(matrix) == pytest.approx(1 / 2)
    assert decisions.macro_f1(matrix) == pytest.approx((2 / 3 + 0) / 2)  # happy 2·1/(2+1); sad 0; neutral left out


@settings(deadline=None, max_examples=40)
@given(tables())
def test_figures_equal_scikit_learn(p: Predictions) -> None:
    y, predicted, matrix = p.table["label"].to_numpy(), p.predicted, confusion_matrix(p)
    names = list(p.expressions.names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert matrix.tolist() == sk.confusion_matrix(y, predicted, labels=names).tolist()
        ours = [confusion.precision(matrix), confusion.recall(matrix), confusion.f1(matrix), confusion.support(matrix)]
        theirs = sk.precision_recall_fscore_support(y, predicted, labels=names, zero_division=0)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
        assert METRICS["accuracy"](p) == pytest.approx(sk.accuracy_score(y, predicted))
        assert METRICS["balanced_accuracy"](p) == pytest.approx(sk.balanced_accuracy_score(y, predicted))
        for mean in ("macro", "weighted"):
            for figure in ("precision", "recall", "f1"):
                theirs = getattr(sk, f"{figure}_score")(y, predicted, average=mean, zero_division=0)
                assert METRICS[f"{mean}_{figure}"](p) == pytest.approx(theirs), (mean, figure)
        assert METRICS["mcc"](p) == pytest.approx(sk.matthews_corrcoef(y, predicted), abs=1e-9)
        if set(y) != set(predicted) or len(set(y)) > 1:  # else chance agrees fully; scikit-learn gives NaN, we 0
            assert METRICS["kappa"](p) == pytest.approx(sk.cohen_kappa_score(y, predicted), abs=1e-9)
        index = range(len(names))
        # scikit-learn cuts probabilities of 0 at the machine's precision, we do not need to
        if p.loss.max() < 30:
            assert probabilities.log_loss(p) == pytest.approx(
                sk.log_loss(p.label_index, p.probs, labels=index), abs=1e-9
            )
        # Its Brier score for several classes is ours too; it wants every class named
        theirs = sk.brier_score_loss(p.label_index, p.probs, labels=list(index), scale_by_half=False)
        assert probabilities.brier(p) == pytest.approx(theirs, abs=1e-9)


def test_top2_equals_scikit_learn_where_nothing_is_tied() -> None:
    random = np.random.default_rng(3)
    p = table(random.integers(0, 7, 500).tolist(), random.normal(size=(500, 7)), FER7)
    assert probabilities.top2(p) == pytest.approx(
        sk.top_k_accuracy_score(p.label_index, p.logits, k=2, labels=range(7))
    )


@settings(deadline=None, max_examples=15)
@given(tables(), st.permutations(range(4)))
def test_figures_do_not_depend_on_names_or_order_of_the_expressions(p: Predictions, order: list[int]) -> None:
    ties = np.sort(p.logits, axis=1)
    assume((ties[:, 1:] > ties[:, :-1]).all())  # between equal logits the order decides
    words = ["w", "x", "y", "z"]
    renamed = Expressions("custom", tuple(words[i] for i in order))
    labels = [words[i] for i in p.label_index]
    other = Predictions.from_logits(range(len(p)), "toy", "val", labels, p.logits[:, order], renamed)
    # A softmax added up in another order differs in its last bit, which breaks ties between images.
    for name in set(METRICS) - {"macro_auroc", "macro_average_precision"}:
        assert METRICS[name](other) == pytest.approx(METRICS[name](p), abs=1e-9), name


@settings(deadline=None, max_examples=15)
@given(tables())
def test_doubled_rows_keep_the_figures_and_narrow_the_interval(p: Predictions) -> None:
    again = p.table.assign(id="copy-" + p.table["id"])
    both = Predictions(pd.concat([p.table, again]))
    # Quantiles of doubled confidences move, so bins of equal mass may; chance adds less to twice the images.
    for name in set(METRICS) - {"ece_equal_mass", "calibration_error"}:
        assert METRICS[name](both) == pytest.approx(METRICS[name](p), abs=1e-9, nan_ok=True), name
    one, two = (wilson(int(t.correct.sum()), len(t)) for t in (p, both))
    assert two.high - two.low < one.high - one.low


def test_the_interval_of_perfect_means_has_some_width() -> None:
    report = evaluate(table([0, 1, 2, 2], 900 * np.eye(3)[[0, 1, 2, 2]]))
    for low, high in (report.macro_f1_interval, report.balanced_accuracy_interval):
        assert low < high == 1.0  # it was 1 to 1


@settings(deadline=None, max_examples=15)
@given(tables())
def test_the_report_holds_every_metric_with_its_interval(p: Predictions) -> None:
    report = evaluate(p)
    matrix = confusion_matrix(p)
    for name, metric in METRICS.items():
        value = report.others[name] if name in report.others else getattr(report, name)
        assert value == pytest.approx(metric(p), nan_ok=True), name
        bounds = report.intervals.get(name, getattr(report, f"{name}_interval", None))
        alone = metric.interval(matrix if metric.of_matrix else p)
        assert (bounds is None) == (alone is None), name
        if bounds is not None and alone is not None:
            assert list(bounds) == pytest.approx(list(alone), nan_ok=True), name
    for name in ("top2", "log_loss", "brier", "calibration_error"):
        low, high = report.intervals[name]
        assert low - 1e-12 <= report.others[name] <= high + 1e-12, name
    assert report.accuracy_interval.low <= report.accuracy <= report.accuracy_interval.high
    for figure in CLASS_FIGURES:
        known = report.per_class[report.per_class[f"{figure}_low"].notna()]
        assert (known[f"{figure}_low"] <= known[figure]).all()
        assert (known[figure] <= known[f"{figure}_high"]).all()
        assert (known[f"{figure}_low"] < known[f"{figure}_high"]).all()


def test_a_report_says_the_same_in_json() -> None:
    report = evaluate(by_hand())
    told = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert told["n"] == 10
    assert told["accuracy"] == 0.5
    # Wilson for 5 of 10: (5 + 1.920729 ± √(3.841459·(2.5 + 0.960365))) / 13.841459 = 0.5 ± 3.645932/13.841459
    assert told["accuracy_interval"] == pytest.approx([0.236593, 0.763407], abs=1e-5)
    assert told["macro_f1_interval"] == list(report.macro_f1_interval)
    assert told["macro_f1_interval"][0] < told["macro_f1"] < told["macro_f1_interval"][1]
    assert list(told["per_class"]) == ["happy", "sad", "neutral"]
    assert told["per_class"]["happy"]["precision"] == pytest.approx(4 / 6)
    assert told["per_class"]["neutral"]["support"] == 2
    assert told["confusion"] == [[4, 1, 0], [2, 1, 0], [0, 2, 0]]
    assert told["expressions"] == ["happy", "sad", "neutral"]
    assert set(METRICS) <= told.keys()


def test_most_confused_pairs_come_first_with_their_share() -> None:
    pairs = most_confused(confusion_matrix(by_hand()), THREE.names, top=5)
    told = [(c.label, c.predicted, c.count, c.share) for c in pairs]
    # Both with 2 images: all of neutral before two thirds of sad. Never seen: left out.
    assert told == [("neutral", "sad", 2, 1.0), ("sad", "happy", 2, 2 / 3), ("happy", "sad", 1, 1 / 5)]
    assert most_confused(confusion_matrix(by_hand()), THREE.names, top=1) == pairs[:1]


def test_intervals_of_means_equal_drawing_images_with_replacement() -> None:
    random = np.random.default_rng(8)
    logits = 2 * random.normal(size=(300, 3))
    p = table((logits / 2 + random.gumbel(size=(300, 3))).argmax(axis=1).tolist(), logits)
    squares = ((p.probs - np.eye(3)[p.label_index]) ** 2).sum(axis=1)
    rows = random.integers(0, 300, (2000, 300))
    report = evaluate(p)
    for name, values in {"log_loss": p.loss[rows].mean(axis=1), "brier": squares[rows].mean(axis=1)}.items():
        low, high = np.quantile(values, [0.025, 0.975])
        width = high - low
        assert report.intervals[name].low == pytest.approx(low, abs=0.1 * width), name
        assert report.intervals[name].high == pytest.approx(high, abs=0.1 * width), name


def test_a_figure_that_one_label_cannot_tell_is_null_in_json() -> None:
    told = json.loads(json.dumps(evaluate(table([0, 0], [[9, 0, 0], [0, 9, 0]])).to_json(), allow_nan=False))
    assert told["macro_auroc"] is None
    assert told["per_class"]["sad"]["average_precision"] is None
    assert told["per_class"]["happy"]["average_precision"] == 1.0


def test_no_image_is_no_figure() -> None:
    with pytest.raises(DataError, match="no image to evaluate"):
        evaluate(by_hand().where([False] * 10))


def test_the_orders_of_a_matrix() -> None:
    names = ("angry", "happy", "sad", "fear")
    # angry and fear are taken for each other, so are fear and sad; happy stands alone
    matrix = np.array([[5, 0, 0, 5], [0, 9, 1, 0], [0, 0, 7, 3], [2, 0, 2, 6]])
    assert confusion.ordered(matrix, names, "given") == list(names)
    assert confusion.ordered(matrix, names, "recall") == ["happy", "sad", "fear", "angry"]
    # neighbours' shares: angry-fear 0.5 + 0.2, fear-sad 0.2 + 0.3, sad-happy 0.1
    assert confusion.ordered(matrix, names, "confusion") == ["angry", "fear", "sad", "happy"]
    assert confusion.ordered(np.zeros((1, 1), int), ("happy",), "confusion") == ["happy"]
    assert confusion.ordered(np.zeros((2, 2), int), ("happy", "sad"), "confusion") == ["happy", "sad"]
