"""`ferscope compare`, `calibrate` and `report`: what they print, what they write, and what they refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fer_core.checkpoint import load_tensors, read_card, save_tensors, write_card
from fer_core.datasets import open_dataset
from fer_core.errors import ConfigError, DataError, UnknownName
from fer_core.evaluation.calibration import temperature, with_temperature
from fer_core.evaluation.comparison import compare, leaderboard
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from fer_core.serving.predictor import Predictor
from tests.app.examples import make_network, make_pictures, predictions_elsewhere
from tests.trainers.command import ferscope
from tests.untrained import untrained


def test_compare_prints_the_sentence_and_gives_the_same_as_json() -> None:
    one, two = predictions_elsewhere(seed=1, skill=0.4), predictions_elsewhere(seed=2, skill=0.9)
    make_network("one", one, title="First")
    make_network("two", two, title="Second")
    found = compare(one, two)
    assert f"elsewhere-val: {found.sentence('First', 'Second')}" in ferscope("compare", "one", "two")
    told = json.loads(ferscope("compare", "one", "two", "--json"))
    assert (told["a"], told["b"], told["table"], told["better"]) == ("one", "two", "elsewhere-val", "b")
    assert told["p"] == found.test.p


def test_compare_ranks_more_than_two() -> None:
    tables = {f"net{seed}": predictions_elsewhere(seed=seed) for seed in range(3)}
    for name, table in tables.items():
        make_network(name, table)
    said = ferscope("compare", *tables)
    assert "0 of the 3 pairs of networks differ significantly on the 210 images" in said
    assert "Two networks that share a letter do not differ significantly" in said
    told = json.loads(ferscope("compare", *tables, "--json"))
    assert [row["name"] for row in told["leaderboard"]] == leaderboard(tables)["name"].tolist()
    assert len(told["pairs"]) == 3


def test_compare_refuses_one_network_an_unknown_one_and_an_unknown_table() -> None:
    make_network("one", predictions_elsewhere())
    make_network("two", predictions_elsewhere(seed=1))
    with pytest.raises(ConfigError, match="needs two networks or more"):
        ferscope("compare", "one", "one")
    with pytest.raises(UnknownName, match="nothing"):
        ferscope("compare", "one", "nothing")
    with pytest.raises(UnknownName, match="elsewhere-test"):
        ferscope("compare", "one", "two", "--table", "elsewhere-test")


@pytest.fixture
def sure(tmp_path: Path) -> tuple[Path, Path]:
    """A network that is far too sure, and a data set on whose validation set two of three answers are right."""
    folder = untrained("one")
    tensors, _ = load_tensors(folder / "best.safetensors")
    tensors["head.3.bias"][FER7.index("sad")] += 10  # sad, whatever it is shown
    save_tensors(folder / "best.safetensors", tensors)
    place = make_pictures(tmp_path / "faces", each=3)
    table, _ = predict_checkpoint(folder, open_dataset(place), "val")
    for number, (image, predicted) in enumerate(zip(table.table["id"], table.predicted, strict=True)):
        label = predicted if number % 3 else FER7.names[(FER7.index(predicted) + 1) % 7]
        target = tmp_path / "labelled" / "val" / label / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place / image if (place / image).exists() else place / "val" / image, target)
    return folder, tmp_path / "labelled"


def test_calibrate_stores_what_the_predictor_then_applies(sure: tuple[Path, Path]) -> None:
    folder, data = sure
    before = read_card(folder)
    told = json.loads(ferscope("calibrate", "one", "--data", data, "--json"))
    table = Predictions.read(folder / "predictions-labelled-val.parquet")
    assert told["n"] == len(table) == 21
    assert told["temperature"] == pytest.approx(temperature(table), abs=1e-4)
    assert told["after"]["log_loss"] < told["before"]["log_loss"]
    assert read_card(folder) == before.model_copy(update={"temperature": told["temperature"]})
    picture = open_dataset(data).picture(0)
    (answer,) = Predictor(folder).predict(picture, "none")
    raw = Predictions.read(folder / "predictions-labelled-val.parquet")
    scaled = with_temperature(raw, told["temperature"])
    row = raw.table.index[raw.table["id"] == open_dataset(data).index["id"][0]][0]
    np.testing.assert_allclose(list(answer.probs.values()), scaled.probs[row], atol=1e-4)
    assert answer.confidence < raw.confidence[row]


def test_calibrate_counts_only_the_pictures_that_it_was_fitted_on(sure: tuple[Path, Path]) -> None:
    folder, data = sure
    write_card(folder, read_card(folder).model_copy(update={"leave_out": ("contempt",)}))
    (data / "val" / "contempt").mkdir()
    shutil.copy(next(data.rglob("*.png")), data / "val" / "contempt" / "none.png")
    assert json.loads(ferscope("calibrate", "one", "--data", data, "--json"))["n"] == 21


def test_calibrate_says_when_the_set_has_no_validation_part(learnable: Path) -> None:
    untrained("one")
    for path in (learnable / "val").rglob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match="val"):
        ferscope("calibrate", "one", "--data", learnable)


def test_report_writes_its_files_and_lists_them(tmp_path: Path) -> None:
    make_network("one", predictions_elsewhere())
    paths = json.loads(ferscope("report", "one", "--to", tmp_path / "out", "--json"))
    assert Path(paths[0]) == tmp_path / "out" / "report.html"
    assert all(Path(path).stat().st_size for path in paths)
    assert "report.html and" in ferscope("report", "one", "one", "--to", tmp_path / "out").replace("\n", "")
