"""Comparing networks: tests worked by hand, equality with statsmodels, and tables that do not fit together."""

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from fer_core.errors import DataError
from fer_core.evaluation import comparison
from fer_core.evaluation.comparison import (
    agreement,
    all_pairs,
    cell_differences,
    changed,
    compare,
    holm,
    leaderboard,
    letters,
    mcnemar_exact,
    p_in_words,
    p_value,
    paired_difference,
    shared_images,
)
from fer_core.evaluation.confusion import count_pairs
from fer_core.evaluation.intervals import wilson
from fer_core.evaluation.metrics.decisions import macro_f1
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import evaluate
from fer_core.labels import FER7, RAFDB6, Expressions

TWO = Expressions("custom", ("happy", "sad"))


def answers(labels: str, predicted: str, expressions: Expressions = TWO, ids=None, split: str = "val") -> Predictions:
    """A table from first letters: “hhs” is happy, happy, sad."""
    name = {word[0]: word for word in ("happy", "sad", "fear", "neutral")}
    logits = np.eye(len(expressions))[[expressions.index(name[c]) for c in predicted]]
    ids = range(len(labels)) if ids is None else ids
    return Predictions.from_logits(list(ids), "toy", split, [name[c] for c in labels], logits, expressions)


def simulated(rates: list[float], n: int = 400, seed: int = 0, k: int = 7) -> dict[str, Predictions]:
    """Networks of given accuracy, each wrong independently of the others."""
    random = np.random.default_rng(seed)
    label = random.integers(0, k, n)
    networks = {}
    for i, rate in enumerate(rates):
        predicted = np.where(random.random(n) < rate, label, (label + random.integers(1, k, n)) % k)
        names = [FER7.names[j] for j in label]
        networks[f"net{i}"] = Predictions.from_logits(range(n), "toy", "val", names, np.eye(7)[predicted], FER7)
    return networks


def test_mcnemar_worked_by_hand() -> None:
    #            label  h h h h h h h h
    # A right in 1 + 1, B right in 1 + 5, one wrong in both
    a = answers("hhhhhhhh", "hhssssss")
    b = answers("hhhhhhhh", "hshhhhhs")
    test = mcnemar_exact(a, b)
    # 1 against 5: 2 (C(6,0) + C(6,1)) / 2⁶ = 14 / 64
    assert (test.n, test.only_a, test.only_b, test.p) == (8, 1, 5, pytest.approx(0.21875))


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (3, 3), (0, 9), (40, 71), (700, 500)])
def test_mcnemar_equals_statsmodels(only_a: int, only_b: int) -> None:
    a = answers("h" * 1500, "h" * only_a + "s" * (1500 - only_a))
    b = answers("h" * 1500, "s" * only_a + "h" * only_b + "s" * (1500 - only_a - only_b))
    table = [[0, only_a], [only_b, 1500 - only_a - only_b]]
    assert mcnemar_exact(a, b).p == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_equals_statsmodels(p: list[float]) -> None:
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)


def test_tables_are_joined_by_image_whatever_their_order() -> None:
    a = answers("hhss", "hhss", ids=[1, 2, 3, 4])
    b = answers("sshh", "hsss", ids=[4, 3, 9, 1])  # 4 wrong, 3 right, 9 unknown to A, 1 wrong
    test = mcnemar_exact(a, b)
    assert (test.n, test.only_a, test.only_b) == (3, 2, 0)
    assert shared_images({"a": a, "b": b})["b"].table["id"].tolist() == ["1", "3", "4"]


def test_images_that_are_labelled_otherwise_are_not_compared() -> None:
    a, b = answers("hhs", "hhs"), answers("hss", "hhs")
    assert mcnemar_exact(a, b).n == 2


def test_tables_without_a_shared_image_are_refused_with_their_sizes() -> None:
    a = answers("hh", "hh")
    with pytest.raises(DataError, match=r"share no image.*A has 2, B has 1"):
        mcnemar_exact(a, answers("h", "h", ids=["other"]))
    with pytest.raises(DataError, match="share no image"):
        paired_difference(a, answers("hh", "hh", split="test"))
    with pytest.raises(DataError, match="share no image"):
        leaderboard({"a": a.where([False, False]), "b": a.where([False, False])})


def test_networks_with_other_expressions_are_compared_by_name() -> None:
    # RAF-DB's six are in another order and have no neutral; “fhs” are in both vocabularies.
    a = answers("fhsn", "fhsn", FER7)
    b = answers("fhs", "fhh", RAFDB6)
    difference = paired_difference(a, b)
    assert (difference.n, difference.accuracy) == (3, pytest.approx(-1 / 3))
    # A: all three F1 are 1. B: fear 1, happy 2·1/(1+2) = 2/3, sad 0.
    assert difference.macro_f1 == pytest.approx((1 + 2 / 3 + 0) / 3 - 1)
    assert agreement(a, b).share == pytest.approx(2 / 3)
    cells = cell_differences(a, b).set_index(["label", "predicted"])["difference"]
    assert cells[cells != 0].to_dict() == {("sad", "happy"): 1, ("sad", "sad"): -1}


def test_the_paired_difference_worked_by_hand() -> None:
    a, b = answers("hhhhss", "hhssss"), answers("hhhhss", "hhhshs")
    difference = paired_difference(a, b)
    # Accuracy 4/6 and 4/6. F1 of A: happy 2·2/(4+2) = 2/3, sad 2·2/(2+4) = 2/3; of B: happy 2·3/(4+4) = 3/4,
    # sad 2·1/(2+2) = 1/2.
    assert difference.accuracy == 0
    assert difference.macro_f1 == pytest.approx((3 / 4 + 1 / 2) / 2 - 2 / 3)
    recall = difference.recall.set_index("expression")
    assert recall.loc["happy", ["support", "a", "b", "difference"]].tolist() == [4, 0.5, 0.75, 0.25]
    assert recall.loc["sad", ["support", "a", "b", "difference"]].tolist() == [2, 1.0, 0.5, -0.5]
    # happy: 1 of 4 in B alone; sad: 1 in A alone: an exact p of 1 each
    assert recall["p"].tolist() == recall["p_adjusted"].tolist() == [1, 1]
    assert recall[["low", "high"]].isna().all(axis=None)  # four and two images tell nothing
    many = paired_difference(answers("hhhhss" * 3, "hhssss" * 3), answers("hhhhss" * 3, "hhhshs" * 3)).recall
    assert ((many["low"] < many["difference"]) & (many["difference"] < many["high"])).all()


def test_the_interval_of_macro_f1_agrees_with_drawing_images_with_replacement_where_images_are_many() -> None:
    a, b = simulated([0.5, 0.65], n=2000, k=3).values()
    random = np.random.default_rng(1)
    values = []
    for _ in range(1000):
        rows = random.integers(0, 2000, 2000)  # the same images for both
        stack = [count_pairs(p.label_index[rows], p.predicted_index[rows], 7) for p in (a, b)]
        values.append(np.diff(macro_f1(np.array(stack)))[0])
    interval = paired_difference(a, b).macro_f1_interval
    assert interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.006)


def test_pairing_makes_the_interval_of_similar_networks_narrow() -> None:
    a = simulated([0.6])["net0"]
    mended = a.table.copy()
    wrong = np.flatnonzero(~a.correct)[:4]
    columns = [c for c in mended if c.startswith("logit_")]
    mended.loc[wrong, columns] = np.eye(7, dtype=np.float32)[a.label_index[wrong]]
    difference = paired_difference(a, Predictions(mended))
    assert difference.accuracy == pytest.approx(0.01)
    # With none broken q = 0 at the high end, and (4 - 400 d)² = z² 400 d (1 - d): Wilson's of 4 in 400. At the low end A may
    # have some images to itself, by chance not among these
    low, high = difference.accuracy_interval
    assert high == pytest.approx(wilson(4, 400).high, abs=1e-9)
    assert 0 < low < wilson(4, 400).low


def test_a_network_does_not_differ_from_itself() -> None:
    a = simulated([0.6])["net0"]
    difference = paired_difference(a, a)
    # 400 images without a difference leave room for z² / (400 + z²) on either side, not for none
    assert difference.accuracy_interval == pytest.approx((-0.009512, 0.009512), abs=1e-6)
    assert difference.macro_f1_interval.low < 0 < difference.macro_f1_interval.high
    assert mcnemar_exact(a, a).p == 1
    assert changed(a, a).empty
    assert (cell_differences(a, a)["p_adjusted"] == 1).all()
    same = agreement(a, a)
    assert (same.share, same.interval.high, same.kappa) == (1, 1, pytest.approx(1))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_exchanging_the_networks_turns_the_sign(seed: int) -> None:
    a, b = simulated([0.4, 0.7], n=40, seed=seed).values()
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there.accuracy == pytest.approx(-back.accuracy)
    assert there.macro_f1 == pytest.approx(-back.macro_f1)
    assert there.accuracy_interval == pytest.approx(
        (-back.accuracy_interval.high, -back.accuracy_interval.low), abs=1e-9
    )
    assert there.macro_f1_interval == pytest.approx(
        (-back.macro_f1_interval.high, -back.macro_f1_interval.low), abs=1e-6
    )
    assert mcnemar_exact(a, b).p == pytest.approx(mcnemar_exact(b, a).p)


def test_fixed_and_broken_images_are_named() -> None:
    a = answers("hhss", "hsss", ids=["keeps", "fixed", "keeps too", "broken"])
    b = answers("hhss", "hhsh", ids=["keeps", "fixed", "keeps too", "broken"])
    table = changed(a, b)
    told = table[["id", "label", "predicted_a", "predicted_b", "change"]].to_numpy().tolist()
    assert told == [["fixed", "happy", "sad", "happy", "fixed"], ["broken", "sad", "sad", "happy", "broken"]]


def test_an_image_wrong_in_both_ways_is_neither_fixed_nor_broken() -> None:
    a, b = answers("fh", "hh", FER7), answers("fh", "sh", FER7)
    assert changed(a, b).empty
    assert agreement(a, b).share == 0.5


def test_cells_differ_by_the_images_only_one_network_puts_there() -> None:
    a, b = answers("h" * 10, "h" * 2 + "s" * 8), answers("h" * 10, "h" * 10)
    cells = cell_differences(a, b).set_index(["label", "predicted"])
    row = cells.loc[("happy", "happy")]
    assert (row["a"], row["b"], row["difference"]) == (2, 10, 8)
    assert row["p"] == pytest.approx(2 / 2**8)  # 8 against 0
    assert row["p_adjusted"] == pytest.approx(4 / 2**8)  # two cells were tried
    assert cells.loc[("sad", "happy"), "p_adjusted"] == 1


def test_networks_share_a_letter_where_they_do_not_differ_significantly() -> None:
    networks = simulated([0.55, 0.9, 0.56, 0.91, 0.2])
    table = leaderboard(networks)
    assert table["accuracy"].is_monotonic_decreasing
    groups = table.groupby("letters")["name"].apply(set).to_dict()
    assert groups == {"a": {"net1", "net3"}, "b": {"net0", "net2"}, "c": {"net4"}}
    assert table["n"].unique().tolist() == [400]
    assert ((table["accuracy_low"] < table["accuracy"]) & (table["accuracy"] < table["accuracy_high"])).all()


def test_the_letters_worked_by_hand() -> None:
    # Piepho 2004: A-C, A-D and B-D differ. abcd is divided by A-C into bcd and abd, by A-D into bcd, bd and ab, of which bd
    # is absorbed; by B-D into cd, bc and ab. From the best: ab is a, bc is b, cd is c.
    differing = {frozenset("AC"), frozenset("AD"), frozenset("BD")}
    assert letters(list("ABCD"), differing) == ["a", "ab", "bc", "c"]
    assert letters(list("AB"), set()) == ["a", "a"]


@given(
    st.integers(1, 7).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(list(combinations(range(7), 2)))))
    )
)
def test_two_share_a_letter_exactly_where_they_do_not_differ(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    n, pairs = drawn
    names = [f"n{i}" for i in range(n)]
    differing = {frozenset((names[i], names[j])) for i, j in pairs if j < n}
    told = dict(zip(names, map(set, letters(names, differing)), strict=True))
    for a, b in combinations(names, 2):
        assert bool(told[a] & told[b]) == (frozenset((a, b)) not in differing)
    assert "a" in told[names[0]]


def test_a_network_that_does_not_differ_from_the_best_shares_its_letter() -> None:
    # It stood in group 2, led by another, though its own p against the best was 0.68
    networks = simulated([0.80, 0.74, 0.77], n=600, seed=3)
    table = leaderboard(networks)
    alike = table["p_best"] > 0.05
    assert (table["letters"].str.contains("a") == alike).all()


def test_all_pairs_equal_one_test_at_a_time_with_holm_over_all() -> None:
    networks = simulated([0.5, 0.6, 0.7])
    pairs = all_pairs(networks)
    single = [mcnemar_exact(networks[a], networks[b]) for a, b in zip(pairs["a"], pairs["b"], strict=True)]
    assert pairs["only_a"].tolist() == [t.only_a for t in single]
    np.testing.assert_allclose(pairs["p"], [t.p for t in single])
    np.testing.assert_allclose(pairs["p_adjusted"], holm([t.p for t in single]))
    expected = [
        networks[b].correct.mean() - networks[a].correct.mean() for a, b in zip(pairs["a"], pairs["b"], strict=True)
    ]
    np.testing.assert_allclose(pairs["difference"], expected)


def test_networks_of_different_splits_are_ranked_on_what_all_share() -> None:
    networks = simulated([0.5, 0.9])
    part = {**networks, "part": networks["net1"].where(np.arange(400) < 50)}
    table = leaderboard(part).set_index("name")
    assert (table["n"] == 50).all()
    assert table.loc["part", "accuracy"] == table.loc["net1", "accuracy"]


def test_one_network_alone_leads() -> None:
    table = leaderboard(simulated([0.5]))
    assert (len(table), table["letters"].tolist()) == (1, ["a"])
    assert isinstance(comparison.all_pairs(simulated([0.5])), pd.DataFrame)


def test_an_expression_whose_recall_differs_is_told_from_those_that_do_not() -> None:
    # happy: 0 against 8 of 10 images in one network alone, 2 / 2⁸; sad: 1 against 1, 2 (1 + 2) / 2² cut at 1
    a = answers("h" * 10 + "ssss", "ss" + "s" * 8 + "sshh")
    b = answers("h" * 10 + "ssss", "ss" + "h" * 8 + "hssh")
    recall = paired_difference(a, b).recall.set_index("expression")
    assert recall["p"].tolist() == pytest.approx([2 / 2**8, 1])
    assert recall["p_adjusted"].tolist() == pytest.approx([2 * 2 / 2**8, 1])
    one = mcnemar_exact(*(p.where(p.table["label"] == "happy") for p in (a, b)))
    assert recall.loc["happy", "p"] == pytest.approx(one.p)


def test_the_sentence_names_the_better_network_and_how_much() -> None:
    a, b = simulated([0.5, 0.8]).values()
    found = compare(a, b)
    assert found.better == "b"
    points = 100 * (b.correct.mean() - a.correct.mean())
    assert found.sentence("Old", "New").startswith(f"New is better than Old: its accuracy is {points:.1f} points (")
    assert found.sentence("Old", "New").endswith("higher on the same 400 images (p < 0.001).")
    back = compare(b, a)
    assert back.better == "a"
    assert back.sentence("New", "Old").startswith(f"New is better than Old: its accuracy is {points:.1f} points (")


def test_the_sentence_says_when_two_cannot_be_told_apart() -> None:
    a, b = answers("hhhhss", "hhssss"), answers("hhhhss", "hhhshs")
    found = compare(a, b)
    assert found.better is None
    assert found.sentence("A", "B").startswith("B and A are not significantly different: they differ by 0.0 points (")
    assert found.sentence("A", "B").endswith("on the same 6 images (p = 1.000).")


def test_a_comparison_in_json_says_how_many_of_each_table_are_shared() -> None:
    a = answers("hhss", "hhss", ids=[1, 2, 3, 4])
    b = answers("sshh", "hsss", ids=[4, 3, 9, 1])
    told = json.loads(json.dumps(compare(a, b).to_json(), allow_nan=False))
    assert (told["n"], told["n_a"], told["n_b"]) == (3, 4, 4)
    assert (told["only_a"], told["only_b"], told["better"]) == (2, 0, None)
    assert (told["accuracy_a"], told["accuracy_b"]) == (1, pytest.approx(1 / 3))
    assert [row["expression"] for row in told["recall"]] == ["happy", "sad"]


def test_one_shared_image_is_compared_without_a_verdict() -> None:
    found = compare(answers("h", "h"), answers("h", "s"))
    assert (found.test.n, found.better, found.test.p) == (1, None, 1.0)
    assert found.difference.accuracy_interval == pytest.approx((-1, 0.586901), abs=1e-6)  # (z² - 1) / (z² + 1)


def test_the_leaderboard_carries_intervals_and_the_distance_from_the_best() -> None:
    networks = simulated([0.55, 0.9, 0.2])
    table = leaderboard(networks).set_index("name")
    report = evaluate(networks["net1"])
    assert (table.loc["net1", "macro_f1_low"], table.loc["net1", "macro_f1_high"]) == report.macro_f1_interval
    pairs = all_pairs(networks).set_index(["a", "b"])
    assert table.loc["net1", "p_best"] == 1
    assert table.loc["net0", "p_best"] == pairs.loc[("net0", "net1"), "p_adjusted"]
    assert table["p_above"].tolist() == [
        1, pairs.loc[("net0", "net1"), "p_adjusted"], pairs.loc[("net0", "net2"), "p_adjusted"],
    ]  # fmt: skip


def test_a_p_value_is_written_as_far_as_it_says_something() -> None:
    assert [p_value(p) for p in (0.0, 0.0009, 0.001, 0.0324, 1.0, float("nan"))] == [
        "< 0.001", "< 0.001", "0.001", "0.032", "1.000", "",
    ]  # fmt: skip
    assert (p_in_words(0.0001), p_in_words(0.5)) == ("p < 0.001", "p = 0.500")


@pytest.mark.simulation
def test_a_million_rows_are_compared() -> None:
    n = 1_000_000
    random = np.random.default_rng(0)
    label = random.integers(0, 2, n)
    frame = pd.DataFrame({"id": np.arange(n).astype(str), "dataset": "toy", "split": "val"})
    frame["label"] = np.array(TWO.names)[label]
    tables = []
    for rate in (0.7, 0.71):
        right = random.random(n) < rate
        happy = np.where(right, label == 0, label == 1).astype(float)
        tables.append(Predictions(frame.assign(logit_happy=happy, logit_sad=0.5)))
    found = compare(*tables)
    assert found.test.n == n
    assert found.better == "b"
    assert found.difference.accuracy == pytest.approx(0.01, abs=0.003)
