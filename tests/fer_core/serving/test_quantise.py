"""Eight bits: the file is smaller, answers nearly as the network, and one that loses too much is not written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from typer.testing import CliRunner

from fer_core.checkpoint import read_card
from fer_core.datasets import open_dataset
from fer_core.datasets.known import add
from fer_core.errors import ConfigError
from fer_core.serving import quantise
from fer_core.serving.predictor import Predictor
from fer_core.workspace import CHECKPOINTS
from trainers.cli import app

NETWORK = CHECKPOINTS / "mini-xception"


def test_the_file_is_smaller_and_answers_nearly_as_the_network(tmp_path: Path) -> None:
    said = CliRunner().invoke(
        app, ["export", "mini-xception", "--int8", "--out", str(tmp_path / "n.onnx"), "--json"], catch_exceptions=False
    )
    assert "was not added, so rendered heads calibrate and measure" in said.stderr
    facts = json.loads(said.stdout)
    file = tmp_path / "n.onnx"
    assert facts["bytes"] == file.stat().st_size < 0.6 * facts["bytes_before"]
    heads = open_dataset("heads")
    images = heads.images(read_card(NETWORK).image)[heads.rows("val")]
    (probs,) = onnxruntime.InferenceSession(file).run(None, {"pictures": images})
    assert facts["n"] == len(images)
    wanted = Predictor(NETWORK).members[0].probs(images)
    right = heads.label_index(read_card(NETWORK).vocabulary, heads.rows("val"))
    ours, theirs = (found.argmax(axis=1) == right for found in (probs, wanted))
    assert facts["accuracy"] == pytest.approx(ours.mean())
    assert facts["difference"] == pytest.approx(ours.mean() - theirs.mean())
    low, high = facts["difference_interval"]
    assert low < facts["difference"] < high
    assert np.abs(probs - wanted).mean() < 0.02
    assert not np.array_equal(probs, wanted)
    kinds = {tensor.data_type for tensor in onnx.load(file).graph.initializer}
    assert onnx.TensorProto.INT8 in kinds


def test_a_file_that_loses_more_than_a_point_is_written_only_if_one_asks(tmp_path: Path) -> None:
    """Calibrated on black images alone, every range is wrong."""
    heads = open_dataset("heads")
    images = heads.images(read_card(NETWORK).image)
    for row in heads.rows("val")[::3]:
        label = heads.index["label"].iloc[row]
        for split, image in (("train", np.zeros_like(images[row])), ("val", images[row])):
            file = tmp_path / "dark" / split / label / f"{row}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)
    dark = open_dataset(tmp_path / "dark")
    with pytest.raises(ConfigError, match=r"loses \d+\.\d points of accuracy on .*, val \(n = 105\).*--accept-loss"):
        quantise.export_int8(NETWORK, tmp_path / "n.onnx", dark)
    assert not (tmp_path / "n.onnx").exists()
    lost = quantise.export_int8(NETWORK, tmp_path / "n.onnx", dark, accept_loss=True)
    assert lost.difference.accuracy < -0.01
    assert (tmp_path / "n.onnx").exists()


def test_the_set_that_it_was_trained_on_calibrates_where_it_was_added(
    tmp_path: Path, csv_of: Callable[..., str]
) -> None:
    card = read_card(NETWORK)
    assert quantise.calibrating_data(card).name == "heads"
    file = tmp_path / "fer2013.csv"
    file.write_text(csv_of([(3, np.full((48, 48), shade), "Training") for shade in (80, 90)]), encoding="utf-8")
    add(file)
    assert quantise.calibrating_data(card).title.startswith("FER2013")
    assert quantise.calibrating_data(card, "heads").name == "heads"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--web", "x", "--int8"], "32 bits"),
        (["--out", "x.onnx", "--data", "heads"], "belong to --int8"),
        (["--out", "x.onnx", "--offline"], "belongs to --web"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(arguments: list[str], said: str) -> None:
    refused = CliRunner().invoke(app, ["export", "mini-xception", *arguments])
    assert isinstance(refused.exception, ConfigError)
    assert said in str(refused.exception)
