"""Predictions of other programs: columns in any naming, joined to images, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import classification_report

from fer_core.checkpoint import weights_path
from fer_core.datasets import Dataset, open_dataset
from fer_core.errors import CheckpointError, ConfigError, DataError, FerError
from fer_core.evaluation.comparison import compare
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import evaluate
from fer_core.foreign.order import better_order
from fer_core.foreign.predictions import (
    Columns,
    Imported,
    convert,
    guess,
    import_predictions,
    kind_of,
    ordered,
    positions,
    read_table,
)
from fer_core.labels import FER7
from fer_core.reports.evaluation_report import document
from fer_core.runs.store import find, trash
from tests.app.examples import make_pictures, predictions_on

RAF = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")


@pytest.fixture
def faces(tmp_path: Path) -> Dataset:
    return open_dataset(make_pictures(tmp_path / "faces", each=10))


@pytest.fixture
def answers(faces: Dataset) -> Predictions:
    return predictions_on(faces, "val")


def whole(table: pd.DataFrame, order: str = "", **more: object) -> Imported:
    """A table converted as it is guessed."""
    return convert(table, guess(table, ordered(order)), **({"split": "val"} | more))


def probabilities(answers: Predictions, names: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame(answers.probs, columns=names or list(FER7.names))


def test_the_figures_are_those_of_scikit_learn(answers: Predictions) -> None:
    table = pd.DataFrame({"file": answers.table["id"], "true": answers.table["label"], "pred": answers.predicted})
    report = classification_report(table["true"], table["pred"], output_dict=True, zero_division=0)
    found = evaluate(whole(table).tables["val"])
    assert found.accuracy == pytest.approx(report["accuracy"])
    for row in found.per_class.to_dict("records"):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert row[ours] == pytest.approx(report[row["expression"]][theirs])


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (list(FER7.names), ""),
        ([f"prob_{name}" for name in FER7.names], ""),
        (["P(Anger)", "P(Disgust)", "P(Fear)", "P(Happiness)", "P(Sadness)", "P(Surprise)", "P(Neutral)"], ""),
        ([f"score.{name.upper()}" for name in FER7.names], ""),
        ([f"p{number}" for number in range(7)], "fer2013"),
        ([f"class_{number}" for number in range(1, 8)], "angry,disgust,fear,happy,sad,surprise,neutral"),
    ],
)
def test_columns_are_known_by_any_usual_name(answers: Predictions, names: list[str], order: str) -> None:
    table = probabilities(answers, names).assign(image_path=answers.table["id"], label=answers.table["label"])
    columns = guess(table, ordered(order))
    assert (columns.image, columns.label, columns.kind) == ("image_path", "label", "probabilities")
    found = convert(table, columns, split="val")
    assert not found.notes
    np.testing.assert_allclose(found.tables["val"].probs, answers.probs, atol=1e-6)


@pytest.mark.parametrize("form", ["object", "list", "python"])
def test_json_in_one_column_is_read(answers: Predictions, form: str) -> None:
    rows = [dict(zip(FER7.names, map(float, row), strict=True)) for row in 100 * answers.probs]
    cells = {
        "object": [json.dumps(row) for row in rows],
        "list": [json.dumps(list(row.values())) for row in rows],
        "python": [repr(row) for row in rows],
    }[form]
    table = pd.DataFrame({"img": answers.table["id"], "gt": answers.table["label"], "emotion": cells})
    found = whole(table, "fer2013" if form == "list" else "")
    assert guess(table, FER7.names).kind == "per cent"
    np.testing.assert_allclose(found.tables["val"].probs, answers.probs, atol=1e-6)


def test_logits_and_log_probabilities_give_the_same_probabilities(answers: Predictions) -> None:
    for values, kind in ((answers.logits, "logits"), (np.log(answers.probs), "log-probabilities")):
        assert kind_of(values) == kind
        table = pd.DataFrame(values, columns=list(FER7.names)).assign(
            id=answers.table["id"], label=answers.table["label"]
        )
        np.testing.assert_allclose(whole(table).tables["val"].probs, answers.probs, atol=1e-6)


def test_a_written_table_is_read_again_and_joins_by_content(
    answers: Predictions, faces: Dataset, tmp_path: Path
) -> None:
    answers.to_frame().to_csv(tmp_path / "out.csv", index=False)
    table = read_table(tmp_path / "out.csv").drop(columns="label")
    again = whole(table, dataset=faces, split="").tables["val"]
    assert again.fingerprint == answers.fingerprint
    two = compare(answers, again)
    assert two.agreement.share == 1.0
    np.testing.assert_allclose(again.probs, answers.probs, atol=1e-6)


@pytest.mark.parametrize("name", ["val/happy/03.png", "C:\\data\\val\\happy\\03.png", "/home/me/val/HAPPY/03.PNG"])
def test_an_image_is_found_by_the_end_of_its_path(faces: Dataset, name: str) -> None:
    index = faces.index.reset_index(drop=True)
    (row,) = positions([name], index)
    assert index["id"].iloc[row] == "val/happy/03.png"


def test_a_name_that_several_images_have_means_none(faces: Dataset) -> None:
    assert positions(["03.png", "3", "nowhere.png"], faces.index.reset_index(drop=True)).tolist() == [-1, -1, -1]


def test_a_number_means_the_image_with_that_number() -> None:
    index = pd.DataFrame({"id": ["00007", "00008", "img_9.png"]})
    assert positions(["8", "7.0", "9"], index).tolist() == [1, -1, 2]
    assert positions(["img_7.jpg"], index).tolist() == [0]


def test_what_does_not_fit_is_counted_and_named(answers: Predictions, faces: Dataset) -> None:
    table = probabilities(answers).assign(id=answers.table["id"])
    table.loc[0, "happy"] = np.nan
    table.loc[1, list(FER7.names)] *= 2
    extra = table.iloc[[2]].assign(id="elsewhere.png")
    found = convert(pd.concat([table, extra, table.iloc[[3]]], ignore_index=True), guess(table), dataset=faces)
    assert found.rows == len(answers) - 1
    assert {(one.reason, one.n) for one in found.left_out} == {
        ("a value is missing, no number or not finite", 1), (f"no image of {faces.title}, or several", 1)
    }  # fmt: skip
    assert any(note.startswith("1 rows did not add up to 1") for note in found.notes)
    assert any(note.startswith("1 rows occur twice") for note in found.notes)
    assert any("69 of the 70 images" in note for note in found.notes)


def test_a_table_in_another_order_is_named(tmp_path: Path) -> None:
    answers = predictions_on(open_dataset(make_pictures(tmp_path / "more", each=25)), "val")
    table = probabilities(answers, [f"p{n}" for n in range(7)]).assign(
        id=answers.table["id"], label=answers.table["label"], pred=answers.predicted
    )
    found = whole(table, "rafdb-from-0")
    told = " ".join(found.notes)
    assert "Output 0 behaves like angry, not surprise; output 1 behaves like disgust, not fear" in told
    assert "the order of fer2013" in told
    assert "“pred” is not the expression of the highest value" in told
    assert not whole(table, "fer2013").notes


def test_the_best_order_is_the_inverse_of_any_permutation() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 300)
    logits = 3 * np.eye(7)[labels] + random.normal(size=(300, 7))
    told = [FER7.names[label] for label in labels]
    assert better_order(logits, told, FER7) is None
    for seed in range(5):
        mixed = np.random.default_rng(seed).permutation(7)
        found = better_order(logits[:, mixed], told, FER7)
        assert found is not None
        assert found.names == tuple(FER7.names[number] for number in mixed)
        assert found.accuracy == pytest.approx(float((logits.argmax(1) == labels).mean()))
    assert better_order(random.normal(size=(300, 7)), told, FER7) is None, "chance is no order"
    assert better_order(logits[:10][:, ::-1], told[:10], FER7) is None, "ten images show nothing"


def test_only_classes_have_no_confidence(answers: Predictions) -> None:
    assert not answers.only_classes
    table = pd.DataFrame({"id": answers.table["id"], "label": answers.table["label"], "prediction": answers.predicted})
    found = whole(table)
    one = found.tables["val"]
    assert one.only_classes
    assert "Only the predicted class is known" in found.notes[0]
    figures = evaluate(one).to_json()
    assert figures["accuracy"] == pytest.approx(float(answers.correct.mean()))
    assert figures["ece"] is figures["log_loss"] is figures["macro_auroc"] is figures["calibration_error"] is None
    assert "confidence" not in one.to_frame()


def test_an_import_is_a_network_with_tables_and_no_weights(answers: Predictions, faces: Dataset) -> None:
    table = pd.DataFrame({"id": answers.table["id"], "prediction": answers.predicted})
    folder = import_predictions(whole(table, dataset=faces), "theirs", "theirs.csv", b"x", title="Theirs")
    found = find("theirs")
    assert found.card.title == "Theirs"
    assert found.card.seeds == found.card.chosen_epoch == "–"
    assert found.card.results["faces-val"]["n"] == len(answers)
    assert found.run.status().state == "finished"
    assert not found.run.problems()
    assert "no confidence to judge" in document([found], "faces-val").html
    with pytest.raises(CheckpointError, match="Of theirs only the predictions were imported"):
        weights_path(folder)
    with pytest.raises(FerError, match="already a run called “theirs”"):
        import_predictions(whole(table, dataset=faces), "theirs", "theirs.csv", b"x")
    trash("theirs")


def test_files_of_spreadsheets_and_other_programs_are_read(tmp_path: Path) -> None:
    (tmp_path / "excel.csv").write_text(
        "\ufeffBild;label;happy;sad\na;happy;0,75;0,25\nb;sad;0,5;0,5\n", encoding="utf-8"
    )
    table = read_table(tmp_path / "excel.csv")
    assert table["happy"].tolist() == ["0.75", "0.5"]
    with pytest.raises(ConfigError, match="No column names the image.*“Bild”, “label”, “happy”, “sad”"):
        whole(table)
    table.to_parquet(tmp_path / "p.parquet")
    columns = Columns("Bild", "label", scores={"happy": "happy", "sad": "sad"}, kind="probabilities")
    found = convert(read_table(tmp_path / "p.parquet"), columns, split="test")
    np.testing.assert_allclose(found.tables["test"].probs, [[0.75, 0.25], [0.5, 0.5]], atol=1e-6)


@pytest.mark.parametrize(
    ("columns", "order", "says"),
    [
        ({"id": ["a", "b"], "label": ["happy", "sad"]}, "", "No column says what was predicted"),
        ({"id": ["a", "b"], "p0": [0, 1], "p1": [1, 0], "label": ["sad", "sad"]}, "", "2 columns have numbers .*not given"),
        (
            {"id": ["a", "b"], **{f"p{n}": [0.2, 0.2] for n in range(5)}, "label": ["sad", "sad"]}, "fer2013",
            "5 columns have numbers .p0 to p4. and the order names 7 expressions",
        ),
        ({"id": ["a", "b"], "happy": [0.2, 0.9], "sad": [0.9, 0.9], "label": ["sad", "sad"]}, "", "they are no probabilities"),
        ({"id": ["a", "b"], "happy": [0.2, 0.9], "sad": [0.8, 0.1]}, "", "No column holds the labels"),
        ({"id": ["a", "b"], "pred": ["3", "4"], "label": ["sad", "sad"]}, "", "nothing says which expressions they stand for"),
        ({"id": ["a", "b"], "pred": ["happy", "merry"], "label": ["sad", "sad"]}, "", "row 2: “merry” is no expression"),
        ({"id": ["a", "a"], "pred": ["happy", "sad"], "label": ["sad", "sad"]}, "", "more than once with different answers"),
        ({"id": ["a", "b"], "happy": ["x", ""], "sad": ["1", "2"], "label": ["sad", "sad"]}, "", "are no probabilities"),
        ({"id": ["a"], "pred": ["happy"], "label": ["sad"], "split": ["upper"]}, "", "“split” holds “upper”"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_asked_for(columns: dict[str, list], order: str, says: str) -> None:
    with pytest.raises(FerError, match=says):
        whole(pd.DataFrame(columns), order)


def test_other_images_are_not_taken_for_those_of_the_set(answers: Predictions, faces: Dataset) -> None:
    table = probabilities(answers).assign(id=answers.table["id"])
    with pytest.raises(DataError, match="None of the 70 rows names an image of .*found “x0.png”"):
        whole(table.assign(id=[f"x{n}.png" for n in range(len(table))]), dataset=faces, split="")
    with pytest.raises(DataError, match="has other labels than the table for"):
        whole(table.assign(label=answers.table["label"].to_numpy()[::-1]), dataset=faces, split="")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no readable table"),
        (b"a,b\n", "0 rows"),
        (b"one\ntwo\n", "1 columns"),
        (b"\x80\x04\x95pickle", "neither a csv in UTF-8 nor a parquet"),
        (b"PAR1 cut off", "is no readable table"),
        (b'a,b\n"1,2\n', "is no readable table"),
    ],
)
def test_files_that_are_no_tables_are_refused(content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_table(content, "preds.csv")
    with pytest.raises(DataError, match="there is no such file"):
        read_table(Path("nowhere.csv"))
