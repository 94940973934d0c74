"""Networks of other programs: opened, checked on labelled images, explained; and what is refused."""

import io
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fer_core.checkpoint import load_network, read_card
from fer_core.datasets import open_dataset
from fer_core.errors import CheckpointError, ConfigError, FerError, RunError
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.evaluation.results import obtained
from fer_core.explanation import METHODS
from fer_core.explanation.served import explain_as_served
from fer_core.foreign.checks import check
from fer_core.foreign.network import Asked, bring, checked, keep
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.labels import FER7
from fer_core.models import NETWORKS
from fer_core.models.foreign import FORMATS
from fer_core.models.foreign.function import LIST
from fer_core.models.logits import predict_logits
from fer_core.runs.store import find
from fer_core.serving.export import export_onnx
from fer_core.workspace import CHECKPOINTS, home

SHIPPED = CHECKPOINTS / "mini-xception"
SIDE = 24
SMALL = Asked(FER7.names, SIDE, SIDE, 1)


class Small(nn.Module):
    """Somebody's own network: two convolutions."""

    def __init__(self, classes: int = 7, softmax: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.act, self.head, self.softmax = nn.ReLU(), nn.Linear(8, classes), softmax

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.head(self.act(self.second(self.act(self.first(images)))).mean(dim=(2, 3)))
        return found.softmax(dim=1) if self.softmax else found


def onnx_of(model: nn.Module, place: Path, shape: tuple[int, ...] = (1, SIDE, SIDE), fixed: bool = False) -> Path:
    torch.onnx.export(
        model.eval(), (torch.zeros(1, *shape),), str(place), input_names=["x"], dynamo=False,
        dynamic_axes=None if fixed else {"x": {0: "n"}},
    )  # fmt: skip
    return place


def pt2_of(model: nn.Module, place: Path) -> Path:
    n = torch.export.Dim("n", min=1, max=64)
    torch.export.save(
        torch.export.export(model.eval(), (torch.zeros(2, 1, SIDE, SIDE),), dynamic_shapes=({0: n},)), place
    )
    return place


def script_of(model: nn.Module, place: Path) -> Path:
    torch.jit.script(model.eval()).save(str(place))
    return place


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE), dtype=np.uint8)


def wanted(model: nn.Module, images: np.ndarray, spec: ImageSpec) -> np.ndarray:
    with torch.inference_mode():
        return model.eval()(normalise(to_tensor(images), spec)).numpy()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("write", [onnx_of, pt2_of, script_of])
def test_a_file_of_each_format_answers_as_its_network_and_is_a_checkpoint(write, images, tmp_path: Path) -> None:
    own = Small()
    brought = bring(str(write(own, tmp_path / "own.net")), SMALL)
    folder = keep(brought, "own", title="My own")
    model, card = load_network(folder)
    assert card.title == "My own"
    assert card.imported
    assert not obtained(card, open_dataset("heads"), "test"), "what it was trained on is not known"
    np.testing.assert_allclose(predict_logits(model, images, card.image), wanted(own, images, card.image), atol=1e-5)
    for method in ("occlusion", "integrated-gradients", "kernel-shap"):
        assert explain_as_served(model, card, images[:2], ["happy", "sad"], method).map.any()
    assert not find("own").run.problems()


@pytest.mark.filterwarnings("ignore")
def test_gradients_and_maps_of_an_onnx_file_are_those_of_its_network(images, tmp_path: Path) -> None:
    own = Small()
    brought = bring(str(onnx_of(own, tmp_path / "own.onnx", fixed=True)), SMALL)
    assert brought.arguments["batch"] == 1, "a file for one image at a time is asked so"
    model, card = load_network(keep(brought, "own"))
    targets = ["happy", "sad", "fear", "angry", "neutral"]
    for method, layer in (("saliency", None), ("grad-cam", "act")):
        theirs = explain_as_served(model, card, images, targets, method).map
        if layer is None:
            own_card = card.model_copy(update={"network": "small-vgg"})
            ours = explain_as_served(own, own_card, images, targets, method, "second").map
            np.testing.assert_allclose(theirs, ours, atol=1e-5)
        else:
            assert theirs.any()
    assert card.arguments["layer"]


@pytest.mark.filterwarnings("ignore")
def test_probabilities_become_logits_and_a_last_softmax_is_taken_off(images, tmp_path: Path) -> None:
    spec = ImageSpec(height=SIDE, width=SIDE, mean=(0.0,), std=(1.0,))
    expected = wanted(Small(softmax=True), images, spec)
    for write in (onnx_of, pt2_of):
        brought = bring(str(write(Small(softmax=True), tmp_path / "soft.net")), SMALL)
        logits = predict_logits(brought.model, images, brought.spec)
        np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), expected, atol=1e-5)
    assert brought.arguments["answers"] == "probabilities"
    assert bring(str(tmp_path / "soft.net"), SMALL).notes


@pytest.mark.filterwarnings("ignore")
def test_without_gradients_a_method_is_refused_with_the_reason_and_others_work(images, tmp_path: Path) -> None:
    (tmp_path / "theirs_of_a_test.py").write_text(
        "import numpy as np\n"
        "def make():\n"
        "    return lambda images: np.stack([images[:, :8].mean((1, 2)), images[:, 8:].mean((1, 2))], axis=1) / 255 + 0.1\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        folder = keep(bring("theirs_of_a_test:make", Asked(("happy", "sad"), SIDE, SIDE, 1)), "theirs")
        model, card = load_network(folder)
        assert not model.differentiable
        done = []
        for name, method in METHODS.items():
            if method.kind != "perturbation":
                with pytest.raises(
                    ConfigError,
                    match="needs gradients.*Python function|has no convolution|needs a layer|has no attention",
                ):
                    explain_as_served(model, card, images[:1], ["happy"], name)
            else:
                done.append(name)
                few = {"samples": 60} if "samples" in method.parameters.model_fields else {}
                assert explain_as_served(model, card, images[:1], ["happy"], name, **few).map.any()
        assert {"occlusion", "lime", "kernel-shap", "region-ablation"} <= set(done)
        (home() / LIST).unlink()
        with pytest.raises(CheckpointError, match="was not imported in this workspace.*ferscope import network"):
            load_network(folder)
    sys.modules.pop("theirs_of_a_test")


@pytest.mark.filterwarnings("ignore")
def test_weights_fill_a_named_architecture_or_ones_own_module(images, tmp_path: Path) -> None:
    _, card = load_network(SHIPPED)
    asked = Asked(card.expressions, network="mini-xception")
    brought = bring(str(SHIPPED / "weights.safetensors"), asked)
    assert brought.spec == NETWORKS.get("mini-xception").spec
    state = {"net": {f"module.{key}": value for key, value in Small().state_dict().items()}, "epoch": 3}
    torch.save(state, tmp_path / "PrivateTest_model.t7")
    with pytest.raises(ConfigError, match="first.weight 6x1x3x3.*name it with --network"):
        bring(str(tmp_path / "PrivateTest_model.t7"), SMALL)
    with pytest.raises(CheckpointError, match="does not fit small-vgg: .*Missing key"):
        bring(str(tmp_path / "PrivateTest_model.t7"), Asked(FER7.names, network="small-vgg"))
    reference = f"{__name__}:Small"
    asked = Asked(FER7.names, SIDE, SIDE, 1, weights=tmp_path / "PrivateTest_model.t7")
    folder = keep(bring(reference, asked), "theirs")
    model, card = load_network(folder)
    np.testing.assert_allclose(
        predict_logits(model, images, card.image), wanted(Small(), images, card.image), atol=1e-6
    )


@pytest.mark.filterwarnings("ignore")
def test_a_shipped_network_comes_back_from_its_own_export(tmp_path: Path) -> None:
    """The same table (1e-4) and the same occlusion map: mirrored views, temperature and normalisation are inside the file."""
    export_onnx(SHIPPED, tmp_path / "out.onnx")
    folder = keep(bring(str(tmp_path / "out.onnx"), Asked()), "back")
    dataset = open_dataset("heads")
    few = dataset.without(FER7.names[1:])
    ours = shutil.copytree(SHIPPED, tmp_path / "workspace" / "runs" / "shipped")
    for table in ours.glob("predictions-*"):
        table.unlink()
    one, two = (predict_checkpoint(place, few, "test")[0] for place in (ours, folder))
    assert len(one) == 45
    np.testing.assert_allclose(
        two.logits - two.logits.mean(1, keepdims=True), one.logits - one.logits.mean(1, keepdims=True), atol=1e-3
    )
    np.testing.assert_allclose(two.probs, one.probs, atol=1e-4)
    pictures = dataset.images(read_card(SHIPPED).image)[dataset.rows("test")[:2]]
    maps = []
    for place in (ours, folder):
        model, card = load_network(place)
        maps.append(explain_as_served(model, card, pictures, ["happy", "happy"], "occlusion", against="sad").map)
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-3 * np.abs(maps[0]).max())


def test_a_permuted_and_a_scaled_import_of_a_shipped_network_are_named(tmp_path: Path) -> None:
    model, card = load_network(SHIPPED)
    heads = open_dataset("heads")
    names = ("neutral", "angry", "disgust", "fear", "happy", "sad", "surprise")
    mixed = check(model, card.image, named(names), heads, "test")
    assert mixed.order is not None
    assert mixed.order.names == card.expressions
    assert "Output 0 behaves like angry, not neutral" in mixed.wrong[0]
    assert "--expressions angry,disgust" in mixed.wrong[0]
    raw = card.image.model_copy(update={"mean": (0.0,), "std": (1 / 255,)})
    scaled = check(model, raw, card.vocabulary, heads, "test")
    assert scaled.way is not None
    assert scaled.way.words == "pixels from -1 to 1"
    assert "Use --mean 0.5 --std 0.5" in scaled.wrong[0]
    assert not check(model, card.image, card.vocabulary, heads, "test").wrong


def named(names: tuple[str, ...]):
    from fer_core.labels import Expressions

    return Expressions("custom", names)


class Red(nn.Module):
    """A shipped network for grey faces that looks at the red of colour images."""

    def __init__(self) -> None:
        super().__init__()
        self.network, card = load_network(SHIPPED)
        self.spec = card.image

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(normalise(images[:, :1] * 255, self.spec))


def test_blue_before_red_is_named(tmp_path: Path) -> None:
    from PIL import Image

    heads, random = open_dataset("heads"), np.random.default_rng(0)
    rows = heads.rows("test")
    for row in rows[np.isin(heads.index["label"].iloc[rows], FER7.names)][:140]:
        grey = heads.picture(row)
        grey = grey if grey.ndim == 2 else grey[..., 0]
        other = random.integers(0, 80, grey.shape, dtype=np.uint8)
        folder = tmp_path / "colour" / "test" / str(heads.index["label"].iloc[row])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.dstack([grey, grey // 2, other])).save(folder / f"{row}.png")
    colour = open_dataset(tmp_path / "colour")
    spec = ImageSpec(channels=3, mean=(0.0,), std=(1.0,))
    swapped = nn.Sequential(Flip(), Red()).eval()
    found = check(swapped, spec, FER7, colour, "test", fixed_scale=True)
    assert found.way is not None
    assert found.way.words == "blue before green before red"
    assert not check(Red().eval(), spec, FER7, colour, "test", fixed_scale=True).wrong


class Flip(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flip(1)


@pytest.mark.filterwarnings("ignore")
def test_files_that_could_run_a_program_are_not_opened(tmp_path: Path) -> None:
    torch.save(Small(), tmp_path / "whole.pt")
    with pytest.raises(
        CheckpointError, match="whole Python object.*not opened.*torch.onnx.export.*ferscope import network"
    ):
        bring(str(tmp_path / "whole.pt"), SMALL)
    place = pt2_of(Small(), tmp_path / "net.pt2")
    whole = zipfile.ZipFile(place)
    for change, says in (
        (
            ("models/model.json", b"torch.ops.aten.relu.default", b"torch._utils.os.system"),
            "it calls torch._utils.os.system",
        ),
        (("model_weights_config.json", b'"use_pickle": false', b'"use_pickle": true'), "names a pickled tensor"),
        (("", b"", b""), "it holds archive/extra/evil.pkl"),
    ):
        name, old, new = change
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as other:
            for entry in whole.namelist():
                data = whole.read(entry)
                other.writestr(entry, data.replace(old, new) if name and entry.endswith(name) else data)
            if not name:
                other.writestr("archive/extra/evil.pkl", b"x")
        with pytest.raises(CheckpointError, match=says):
            FORMATS.get("pt2").open(made.getvalue(), True)


@pytest.mark.filterwarnings("ignore")
def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    place = str(onnx_of(Small(5), tmp_path / "five.onnx"))
    with pytest.raises(CheckpointError, match="gives 5 values for 7 expressions"):
        bring(place, SMALL)
    with pytest.raises(ConfigError, match="height 24, and 48 was given"):
        bring(place, Asked(FER7.names[:5], 48, 48))
    with pytest.raises(ConfigError, match="give --expressions"):
        bring(place, Asked())
    with pytest.raises(CheckpointError, match="there is no output 3|has 1 outputs"):
        bring(place, Asked(FER7.names[:5], output=3))
    with pytest.raises(CheckpointError, match="values are no probabilities"):
        bring(place, Asked(FER7.names[:5], answers="probabilities"))
    with pytest.raises(FerError, match="no face detector “other”"):
        bring(place, Asked(FER7.names[:5], crop="other:0.2"))
    keep(bring(place, Asked(FER7.names[:5])), "five")
    with pytest.raises(RunError, match="already a run called “five”"):
        keep(bring(place, Asked(FER7.names[:5])), "five")
    dead = Small()
    nn.init.zeros_(dead.head.weight)
    with pytest.raises(CheckpointError, match="the same answer for 140 different images"):
        checked(bring(str(onnx_of(dead, tmp_path / "dead.onnx")), SMALL), "heads", "test")
    nn.init.constant_(dead.head.weight, float("nan"))
    with pytest.raises(CheckpointError, match="not finite for 140 of 140"):
        checked(bring(str(onnx_of(dead, tmp_path / "nan.onnx")), SMALL), "heads", "test")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("net.h5", b"\x89HDF\r\n\x1a\n", "is a Keras network.*tf2onnx.convert.from_keras"),
        ("net.tflite", b"\0\0\0\0TFL3", "tf2onnx.convert --tflite"),
        ("net.onnx", b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        ("net.pt", b"nothing", "no file of PyTorch"),
        ("net.exe", b"MZ", "no network that can be opened"),
        ("net.onnx", b"\x08\x09\x12\x07pytorch cut", "no intact ONNX file"),
    ],
)
def test_other_files_are_told_the_way(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FerError, match=says):
        bring(str(tmp_path / name), SMALL)
    with pytest.raises(ConfigError, match="There is no file"):
        bring(str(tmp_path / "nowhere.onnx"), SMALL)


def test_an_onnx_file_with_custom_operators_two_inputs_or_weights_elsewhere_is_refused() -> None:
    import onnx
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])
    more = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    flat = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    out = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    for inputs, domain, says in (
        ([image], "mine", "operators that only its own program has .mine.Odd"),
        ([image, more], "", "has 2 inputs .x, y."),
        ([flat], "", "expected numbers .N, C, H, W."),
    ):
        node = helper.make_node("Odd" if domain else "Relu", ["x"], ["z"], domain=domain)
        model = helper.make_model(helper.make_graph([node], "g", inputs, [out]))
        with pytest.raises(CheckpointError, match=says):
            FORMATS.get("onnx").open(model.SerializeToString(), True)
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    weight.data_location = TensorProto.EXTERNAL
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["z"])], "g", [image], [out], [weight])
    with pytest.raises(CheckpointError, match="weights in a second file.*onnx.save"):
        FORMATS.get("onnx").open(helper.make_model(graph).SerializeToString(), True)
    assert onnx.__version__
