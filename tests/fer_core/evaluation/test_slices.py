"""Slices: their table by hand, their test against statsmodels, and what they must not find."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from fer_core.datasets import open_dataset
from fer_core.datasets.columns import Column
from fer_core.datasets.titles import columns_in_words
from fer_core.errors import DataError
from fer_core.evaluation.intervals import wilson
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.slices import columns_of, find
from fer_core.labels import FER7
from tests.app.examples import predictions_elsewhere


def made(labels: list[str], correct: np.ndarray) -> Predictions:
    right = np.array([FER7.index(name) for name in labels])
    said = np.where(correct, right, (right + 1) % 7)
    return Predictions.from_logits(range(len(labels)), "faces", "val", labels, np.eye(7)[said], FER7)


def test_a_slice_worked_by_hand() -> None:
    # 40 images, half by lamp light. Lamp: 20 sad, 10 right; sun: 10 sad all right, 10 happy all right. All sad: 20
    # of 30 right, so 20 sad by lamp light would give 20 * 20 / 30 = 13.33, and the ten happy ones in the sun 10 more.
    labels = ["sad"] * 30 + ["happy"] * 10
    correct = np.array([i >= 10 for i in range(40)])
    light = pd.DataFrame({"light": ["lamp"] * 20 + ["sun"] * 20})
    table = find(made(labels, correct), light, min_support=20).table.set_index("slice")
    assert table.loc["light lamp", "n"] == 20
    assert table.loc["light lamp", "accuracy"] == 0.5
    assert (table.loc["light lamp", "low"], table.loc["light lamp", "high"]) == pytest.approx(wilson(10, 20))
    assert table.loc["light lamp", "expected"] == pytest.approx(2 / 3)
    assert table.loc["light sun", "expected"] == pytest.approx((20 / 3 + 10) / 20)
    # hypergeometric among the sad: variance 20 * 10 * 20 * 10 / (30^2 * 29) = 1.5326; (10 - 13.333)^2 / 1.5326 = 7.25
    assert table.loc["light lamp", "p"] == pytest.approx(0.00709, abs=1e-4)
    assert table["p_adjusted"].tolist() == pytest.approx([min(1, 2 * p) for p in table["p"]])


def test_the_test_is_cochran_mantel_haenszel() -> None:
    table = predictions_elsewhere(420, seed=3)
    groups = pd.DataFrame({"group": np.random.default_rng(0).choice(["a", "b", "c"], 420)})
    found = find(table, groups).table.set_index("slice")
    for group in ("a", "b", "c"):
        inside = (groups["group"] == group).to_numpy()
        strata = []
        for label in FER7.names:
            of = (table.table["label"] == label).to_numpy()
            strata.append([[(of & m & c).sum() for c in (table.correct, ~table.correct)] for m in (inside, ~inside)])
        theirs = StratifiedTable([np.array(one, float) for one in strata]).test_null_odds(correction=False)
        assert found.loc[f"group {group}", "p"] == pytest.approx(theirs.pvalue, rel=1e-9)


def test_a_mix_of_hard_labels_is_no_weakness_of_its_own() -> None:
    random = np.random.default_rng(1)
    labels = ["fear"] * 500 + ["happy"] * 500
    correct = np.concatenate([random.random(500) < 0.4, random.random(500) < 0.9])
    place = np.concatenate([random.random(500) < 0.8, random.random(500) < 0.2])  # most fear was taken indoors
    table = find(made(labels, correct), pd.DataFrame({"place": np.where(place, "in", "out")})).table
    row = table.set_index("slice").loc["place in"]
    assert row["accuracy"] < 0.55  # much below the 65 % of all
    assert abs(row["difference"]) < 0.03
    assert row["p_adjusted"] > 0.05


def test_a_real_weakness_is_found_among_many_that_are_none() -> None:
    random = np.random.default_rng(2)
    labels = [FER7.names[i % 7] for i in range(2100)]
    columns = pd.DataFrame({f"noise {i}": random.random(2100) for i in range(5)} | {"brightness": random.random(2100)})
    correct = random.random(2100) < np.where(columns["brightness"] < 0.2, 0.5, 0.75)
    found = find(made(labels, correct), columns, crossed=False)
    significant = found.table[found.table["p_adjusted"] <= 0.05]
    assert found.table["slice"].iloc[0].startswith("brightness up to 0.")
    assert all(words.startswith("brightness") for words in significant["slice"])
    assert len(found.table) == 30
    np.testing.assert_array_equal(found.members.sum(axis=1), found.table["n"])


def test_crossed_slices_meet_both_conditions_and_keep_their_support() -> None:
    random = np.random.default_rng(4)
    columns = pd.DataFrame({"a": random.random(400), "b": random.choice(["x", "y"], 400)})
    found = find(predictions_elsewhere(400), columns, min_support=30, crossed=True)
    pairs = found.table[found.table["columns"] == 2]
    assert len(pairs)
    assert found.table["n"].min() >= 30
    for i in pairs.index:
        part, group = pairs.loc[i, "key"].split(", ")
        rows = columns[found.members[i]]
        assert set(rows["b"]) == {group.removeprefix("b ")}
        low, high = (float(word) for word in part.removeprefix("a ").split(" to "))
        assert rows["a"].between(low - 1e-3, high + 1e-3).all()


def test_slices_are_said_in_declared_words_and_keep_the_key_of_the_index() -> None:
    columns = pd.DataFrame(
        {"yaw": np.repeat([-30.5, -8.0, 1.0, 9.0, 15.0, 40.0], 35), "glasses": ["none", "thin"] * 105}
    )
    said = {"yaw": Column("yaw", "°"), "glasses": Column("glasses", values={"none": "no glasses"})}
    found = find(predictions_elsewhere(210), columns, min_support=20, said=said).table.set_index("key")["slice"]
    assert found["yaw -30.5 to -8"] == "yaw up to −8°"  # two of the six values are in the lowest part
    assert found["yaw 9 to 9"] == "yaw 9 to 9°"
    assert found["yaw 40 to 40"] == "yaw above 15°"
    assert found["glasses none"] == "no glasses"
    assert found["glasses thin"] == "glasses thin"


def test_the_actions_of_a_rendered_face_are_said_by_facs_and_left_out_unless_asked_for() -> None:
    said = columns_in_words("heads")
    assert said["mouthSmileLeft"].title == "AU 12, lip corner puller (left)"
    heads = open_dataset("heads")
    table = Predictions.from_logits(
        heads.index["id"], "heads", "test", heads.index["label"], np.zeros((len(heads), 7)), FER7
    )
    assert "mouthSmileLeft" not in columns_of(heads, table)
    assert "mouthSmileLeft" in columns_of(heads, table, acted=True)


def test_the_order_of_rows_changes_nothing() -> None:
    table, columns = predictions_elsewhere(300), pd.DataFrame({"a": np.random.default_rng(0).random(300)})
    order = np.random.default_rng(1).permutation(300)
    turned = find(Predictions(table.table.iloc[order]), columns.iloc[order].reset_index(drop=True))
    pd.testing.assert_frame_equal(turned.table, find(table, columns).table)


def test_empty_values_belong_to_no_slice_and_small_ones_are_not_tried() -> None:
    columns = pd.DataFrame({"person": ["anna"] * 60 + ["ben"] * 60 + [None] * 60 + ["carl"] * 30, "all": "same"})
    found = find(predictions_elsewhere(210), columns).table
    assert sorted(found["slice"]) == ["person anna", "person ben"]
    assert find(predictions_elsewhere(210), columns[["all"]]).table.empty


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match="Found 5 rows of columns for 7"):
        find(predictions_elsewhere(7), pd.DataFrame({"a": range(5)}))
    with pytest.raises(DataError, match="20 images or more"):
        find(predictions_elsewhere(7), pd.DataFrame({"a": range(7)}), min_support=5)
