"""`ferscope import` and `ferscope table`: what they print, keep and refuse."""

import json
from pathlib import Path

import pandas as pd
import pytest

from fer_core.datasets import open_dataset
from fer_core.errors import ConfigError, FerError
from fer_core.evaluation.predictions import Predictions
from fer_core.runs.store import find
from tests.app.examples import make_network, make_pictures, predictions_on
from tests.trainers.command import ferscope


@pytest.fixture
def answers(tmp_path: Path) -> Predictions:
    return predictions_on(open_dataset(make_pictures(tmp_path / "faces")), "val")


def test_a_table_goes_out_and_comes_in_again_and_is_compared(answers: Predictions, tmp_path: Path) -> None:
    make_network("ours", answers)
    written = tmp_path / "theirs.csv"
    assert f"{len(answers):,} rows written" in ferscope("table", "ours", "--out", written)
    said = ferscope("import", "predictions", written, "--data", tmp_path / "faces")
    assert "Understood: images in “id”; labels in “label”; split in “split”; predicted class in “predicted”;" in said
    assert f"faces-val: {len(answers):,} images, accuracy {answers.correct.mean():.2%}" in said
    assert find("theirs").predictions("faces-val").fingerprint == answers.fingerprint
    assert json.loads(ferscope("compare", "ours", "theirs", "--json"))["p"] == 1.0


def test_columns_are_named_by_hand_and_nothing_is_kept_before_it_is_asked_for(
    answers: Predictions, tmp_path: Path
) -> None:
    table = pd.DataFrame({"wo": answers.table["id"], "was": answers.table["label"], "wert": answers.predicted})
    table.to_csv(tmp_path / "p.csv", index=False)
    options = ("--image", "wo", "--label", "was", "--predicted", "wert", "--json")
    told = json.loads(ferscope("import", "predictions", tmp_path / "p.csv", *options, "--dry-run"))
    assert told["network"] is None
    assert told["rows"] == len(answers)
    with pytest.raises(FerError, match="There is no network or checkpoint folder “p”"):
        find("p")
    assert json.loads(ferscope("import", "predictions", tmp_path / "p.csv", *options))["tables"] == ["p-test"]
    assert find("p").predictions("p-test").only_classes


def test_options_that_say_nothing_are_refused(answers: Predictions, tmp_path: Path) -> None:
    answers.to_frame().to_csv(tmp_path / "p.csv", index=False)
    for options, says in (
        (("--kind", "odds"), "--kind odds: expected logits, probabilities"),
        (("--scores", "happy"), "--scores happy: expected EXPRESSION=COLUMN"),
        (("--order", "mine"), "“mine” is no numbering"),
        (("--image", "nothing"), "There is no column “nothing”; the table has “id”"),
    ):
        with pytest.raises(ConfigError, match=says):
            ferscope("import", "predictions", tmp_path / "p.csv", *options)
    make_network("bare", None)
    with pytest.raises(ConfigError, match="has no predictions table"):
        ferscope("table", "bare", "--out", tmp_path / "x.csv")


def test_a_csv_in_the_place_of_a_network_is_told_the_way(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("x")
    with pytest.raises(FerError, match="ferscope import predictions"):
        ferscope("evaluate", tmp_path / "p.csv", "--data", "heads")


@pytest.mark.filterwarnings("ignore")
def test_a_network_in_another_order_is_named_and_kept_only_when_asked(tmp_path: Path) -> None:
    from fer_core.serving.export import export_onnx
    from fer_core.workspace import CHECKPOINTS

    export_onnx(CHECKPOINTS / "mini-xception", tmp_path / "net.onnx")
    said = ferscope("import", "network", tmp_path / "net.onnx", "--name", "back")
    assert "Checked on 140 images of heads" in said
    assert "no other order, scale or normalisation is significantly better" in said
    assert find("back").card.title == "mini-Xception"
    for options, says in (
        (("--size", "big"), "--size big: expected pixels"),
        (("--mean", "half"), "--mean half: expected a number"),
        (("--expressions", "angry,anger"), "lists an expression twice"),
    ):
        with pytest.raises(FerError, match=says):
            ferscope("import", "network", tmp_path / "net.onnx", *options)
