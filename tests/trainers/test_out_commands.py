"""What goes out to other programs: TensorBoard's events, and a folder for the Hugging Face hub."""

import json
from pathlib import Path

import pytest
import yaml

from fer_core.checkpoint import load_network
from fer_core.errors import FerError
from fer_core.runs.folder import RunFolder
from tests.trainers.command import ferscope


def test_a_folder_for_the_hub_has_a_card_and_is_a_checkpoint(tmp_path: Path) -> None:
    said = ferscope("model-folder", "mini-xception", "--out", tmp_path / "hub")
    assert "README.md, card.json, config.json, weights.safetensors written" in said
    _, front, text = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["pipeline_tag"] == "image-classification"
    accuracy = told["model-index"][0]["results"][0]["metrics"][0]["value"]
    assert f"{100 * accuracy:.1f}" in text
    config = json.loads((tmp_path / "hub" / "config.json").read_text(encoding="utf-8"))
    assert list(config["id2label"].values()) == list(load_network(tmp_path / "hub")[1].expressions)
    with pytest.raises(FerError, match="is not empty; name a new folder"):
        ferscope("model-folder", "mini-xception", "--out", tmp_path / "hub")


def test_tensorboard_gets_every_epoch_once(learnable: Path, tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (tmp_path / "tiny.toml").write_text("epochs = 2\nbatch_size = 16\nthreads = 1\n[arguments]\nwidths = [4, 4]\n")
    ferscope("train", tmp_path / "tiny.toml", "--data", learnable, "--name", "logged", "--log", "tensorboard")
    run = RunFolder.named("logged")
    events = event_accumulator.EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    logged = [(one.step, one.value) for one in events.Scalars("val/accuracy")]
    assert logged == [(one.epoch, pytest.approx(one.val_accuracy)) for one in run.metrics()]
