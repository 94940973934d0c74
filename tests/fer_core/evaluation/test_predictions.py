"""The predictions table: what it refuses, what follows from it, and that it survives the disk."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from fer_core.errors import DataError
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7, RAFDB6, Expressions

THREE = Expressions("custom", ("happy", "sad", "neutral"))


def small() -> Predictions:
    # Logits are logarithms of the wanted probabilities, so softmax gives them back.
    probs = [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]
    return Predictions.from_logits(["a", "b", "c"], "toy", "val", ["happy", "sad", "neutral"], np.log(probs), THREE)


def test_derived_values_follow_from_the_logits() -> None:
    p = small()
    assert len(p) == 3
    np.testing.assert_allclose(p.probs, [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], rtol=1e-6)
    assert p.label_index.tolist() == [0, 1, 2]
    assert p.predicted_index.tolist() == [0, 0, 2]
    assert p.predicted.tolist() == ["happy", "happy", "neutral"]
    np.testing.assert_allclose(p.confidence, [0.7, 0.5, 0.8], rtol=1e-6)
    assert p.correct.tolist() == [True, False, True]
    np.testing.assert_allclose(p.loss, [0.3566749, 1.2039728, 0.2231436], rtol=1e-5)  # -ln .7, -ln .3, -ln .8


def test_probabilities_and_loss_stay_finite_for_huge_logits() -> None:
    p = Predictions.from_logits([1], "toy", "val", ["sad"], [[1e30, 0, -1e30]], THREE)
    assert p.probs.tolist() == [[1.0, 0.0, 0.0]]
    assert p.loss[0] == pytest.approx(1e30, rel=1e-6)


def test_equal_logits_predict_the_first_expression() -> None:
    assert Predictions.from_logits([1], "toy", "val", ["sad"], [[0, 2, 2]], THREE).predicted.tolist() == ["sad"]


def test_a_known_vocabulary_is_recognised_by_names_and_order() -> None:
    def of(names: tuple[str, ...]) -> Expressions:
        logits = np.zeros((1, len(names)))
        return Predictions.from_logits([1], "toy", "val", ["sad"], logits, Expressions("any", names)).expressions

    assert of(FER7.names) == FER7
    assert of(RAFDB6.names) == RAFDB6
    assert of(FER7.names[::-1]) == Expressions("custom", FER7.names[::-1])


def test_a_table_survives_the_disk_unchanged(tmp_path) -> None:
    path = tmp_path / "new" / "predictions-toy-val.parquet"
    p = small()
    p.write(path)
    p.where([True, False, True]).write(path)  # replaces
    again = Predictions.read(path)
    pd.testing.assert_frame_equal(again.table, p.where([True, False, True]).table)
    assert again.table["logit_happy"].dtype == np.float32
    assert os.listdir(path.parent) == [path.name], "no temporary file stays behind"


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch) -> None:
    path = tmp_path / "t.parquet"
    small().write(path)
    before = path.read_bytes()

    def full_disk(table, target) -> None:
        target.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(pyarrow.parquet, "write_table", full_disk)
    with pytest.raises(OSError, match="No space"):
        small().where([True, False, False]).write(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["t.parquet"]


def test_only_the_table_is_stored(tmp_path) -> None:
    p = small()
    assert p.confidence.size
    p.write(tmp_path / "t.parquet")
    stored = pd.read_parquet(tmp_path / "t.parquet").columns
    assert list(stored) == ["id", "dataset", "split", "label", "logit_happy", "logit_sad", "logit_neutral"]


def test_where_keeps_order_and_may_leave_nothing() -> None:
    assert small().where([False, True, True]).table["id"].tolist() == ["b", "c"]
    nothing = small().where([False, False, False])
    assert (len(nothing), nothing.probs.shape, nothing.loss.shape) == (0, (0, 3), (0,))


def test_the_same_id_in_another_split_is_another_image() -> None:
    p = Predictions.from_logits(["1", "1"], "toy", ["train", "val"], ["sad", "sad"], np.zeros((2, 3)), THREE)
    assert len(p) == 2


def test_numbers_as_ids_become_text_and_other_columns_are_left_out() -> None:
    p = Predictions(small().table.assign(id=[1, 2, 3], brightness=0.5))
    assert p.table["id"].tolist() == ["1", "2", "3"]
    assert "brightness" not in p.table


def test_a_subclass_of_text_columns_such_as_categories_is_taken() -> None:
    table = small().table.astype({"label": "category", "split": "category"})
    assert Predictions(table).predicted.tolist() == small().predicted.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="label"), "missing: label"),
        (lambda t: t.drop(columns=["logit_sad", "logit_happy"]), "missing: logits"),
        (
            lambda t: t.assign(logit_sad=[0, np.nan, np.inf]),
            r"2 of 3 rows have a logit that is not finite.*first: b of",
        ),
        (lambda t: t.assign(logit_sad=[0, 1e300, 0]), "1 of 3 rows have a logit that is not finite"),
        (lambda t: t.assign(logit_sad=["x", "y", "z"]), "holds no numbers"),
        (lambda t: t.assign(id=["a", "b", "a"]), "1 of 3 rows have an id that occurs earlier.*first: a of toy val"),
        (
            lambda t: t.assign(label=["happy", "joy", "fear"]),
            "2 of 3 rows have a label.*first: b of toy val, label joy",
        ),
        (lambda t: t.assign(label=["happy", None, "sad"]), "1 of 3 rows have an empty id, dataset, split or label"),
    ],
)
def test_a_bad_table_is_refused_with_count_and_first_example(change, message) -> None:
    with pytest.raises(DataError, match=message):
        Predictions(change(small().table))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(2, 4\); expected logits of shape \(2, 3\)"):
        Predictions.from_logits([1, 2], "toy", "val", ["sad", "sad"], np.zeros((2, 4)), THREE)
    with pytest.raises(DataError, match="1 labels"):
        Predictions.from_logits([1, 2], "toy", "val", ["sad"], np.zeros((2, 3)), THREE)


def test_a_missing_or_foreign_file_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match=r"none.parquet: there is no such"):
        Predictions.read(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("id,label\n")
    with pytest.raises(DataError, match=r"text.parquet: this is no readable parquet"):
        Predictions.read(tmp_path / "text.parquet")
    pd.DataFrame({"id": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"other.parquet: A predictions table needs the columns"):
        Predictions.read(tmp_path / "other.parquet")


@pytest.mark.process
def test_evaluation_opens_without_torch_scikit_learn_or_scipy() -> None:
    modules = "predictions, metrics, intervals, comparison, calibration"
    code = (
        f"import sys; from fer_core.evaluation import {modules}; "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'statsmodels', 'streamlit', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
