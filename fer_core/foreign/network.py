"""A network of another program as a checkpoint of this workspace: opened, asked, checked on labelled images, and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fer_core.checkpoint import UNKNOWN, save_tensors
from fer_core.datasets import open_dataset
from fer_core.datasets.heads import HEADS
from fer_core.errors import CheckpointError, ConfigError, UnknownName
from fer_core.explanation import spatial_layers
from fer_core.faces import DETECTORS, FaceCrop
from fer_core.foreign import card_of, imported, named_order
from fer_core.foreign.checks import Checked, check
from fer_core.images import ImageSpec
from fer_core.labels import Expressions
from fer_core.models import NETWORKS, build
from fer_core.models.foreign import FORMATS, LARGEST, Answers, Opened, function, values_of
from fer_core.models.foreign.torchscript_file import zip_names
from fer_core.training.transfer import PICKLED, plain, read_weights
from fer_core.untrusted import bounded_file

FINEST = 6  # side of the map that Grad-CAM is made of, as the registered networks have it
KERAS = (
    "pip install tensorflow tf2onnx, then in Python: import tensorflow as tf, tf2onnx; m = tf.keras.models.load_model({file!r}, "
    'compile=False); m.output_names = ["output"]; tf2onnx.convert.from_keras(m, output_path="network.onnx"). Import network.onnx.'
)
WHOLE = (
    "{file} holds a whole Python object, and loading it could run any program, so it is not opened. If you trust it, two "
    "commands make it safe, run where its code is: "
    "python -c \"import torch; m = torch.load({file!r}, weights_only=False, map_location='cpu'); torch.onnx.export(m.eval(), "
    "torch.zeros(1, CHANNELS, SIZE, SIZE), 'network.onnx')\" and ferscope import network network.onnx; or save m.state_dict() "
    "and import that with --network ARCHITECTURE."
)


@dataclass(frozen=True)
class Asked:
    """What somebody says of a network; empty or None where the file says it, or the usual is meant.

    Attributes:
        expressions: in the order of its outputs.
        height, width, channels: of its images; 0 as the file says.
        mean, std: of each channel, in its order and on its scale; its scale is 1 for pixels from 0 to 1, or 255.
        bgr: blue before green before red.
        crop: detector and margin, “mtcnn:0.2”, by which faces are cut out of photos; empty: as FERscope's own.
        answers: what it gives; empty: told by its values.
        output: which of several outputs, from 0.
        network: the architecture, for a file of weights: “small-vgg”, “torchvision:resnet18”, “timm:resnet18”.
        weights: a file of weights for a function that makes a torch module.
        trained_on: the data it learned from, in words.
    """

    expressions: tuple[str, ...] = ()
    height: int = 0
    width: int = 0
    channels: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    scale: float = 1.0
    standardise: str = "fixed"
    bgr: bool = False
    crop: str = ""
    answers: str = ""
    output: int = 0
    network: str = ""
    weights: Path | None = None
    trained_on: str = ""


@dataclass(frozen=True, eq=False)
class Brought:
    """A network that was opened and answers, not kept yet.

    Attributes:
        name: by which its card builds it, with `arguments`; `tensors` are its weights.
        source, content: the name and the bytes of what it came from.
        notes: what has to be said of it, a sentence each.
    """

    model: nn.Module
    name: str
    arguments: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    spec: ImageSpec
    face: FaceCrop
    expressions: Expressions
    source: str
    content: bytes
    notes: tuple[str, ...]
    open_size: bool = False
    card: dict[str, Any] | None = None


def bring(source: str, asked: Asked) -> Brought:
    """Open a network.

    Args:
        source: path of a file, or `module:factory`, a function of one's own code, which is called.

    Raises:
        CheckpointError: it cannot be opened, or gives other values than asked for.
        ConfigError: something has to be said that nothing says.
    """
    path = Path(source)
    if ":" in source and not path.exists():
        return _function(source, asked)
    try:
        content = bounded_file(path, LARGEST).read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no file {source}; give the path of a network (.onnx, .pt2, TorchScript, .safetensors, .pt), or "
            "MODULE:FACTORY."
        ) from error
    except ValueError as error:
        raise ConfigError(f"{source}: {error}.") from error
    refuse_other(path, content)
    for kind, one in FORMATS.items():
        if one.knows(content):
            return _file(path, content, kind, one.open(content, True), asked)
    return _weights(path, content, asked)


def refuse_other(path: Path, content: bytes) -> None:
    """
    Raises:
        CheckpointError: a format that is not opened here; the message says the way.
    """
    name, names = path.name, zip_names(content)
    if content.startswith(b"\x89HDF") or any(one.endswith("model.weights.h5") for one in names):
        raise CheckpointError(f"{name} is a Keras network, which goes through ONNX: {KERAS.format(file=str(path))}")
    if content[4:8] == b"TFL3":
        raise CheckpointError(
            f"{name} is a TensorFlow Lite network, which goes through ONNX: pip install tensorflow tf2onnx; python -m "
            f"tf2onnx.convert --tflite {path} --output network.onnx. Import network.onnx."
        )
    if content.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{name} is a Git LFS pointer, not the file itself; run `git lfs pull` in its folder.")


def _spec(asked: Asked, opened: Opened | None, usual: ImageSpec | None = None) -> tuple[ImageSpec, bool]:
    """The images that a network takes, and whether any size would do.

    Raises:
        ConfigError: size or channels are not known, or not those of the file.
    """
    has = opened.size if opened else (None, None, None)
    wished = (asked.channels, asked.height, asked.width)
    own = usual.shape if usual else (0, 0, 0)
    sides = []
    for name, mine, said, usually in zip(("channels", "height", "width"), has, wished, own, strict=True):
        if mine and said and mine != said:
            raise ConfigError(f"The file takes images with {name} {mine}, and {said} was given; leave it out.")
        sides.append(mine or said or usually)
    if not all(sides):
        raise ConfigError(
            "The file does not say what images it takes: give --size (48, or 64x48) and --channels (1 or 3)."
        )
    channels, height, width = sides
    if channels not in (1, 3):
        raise ConfigError(f"The network takes images of {channels} channels; expected 1 (grey) or 3 (colour).")
    if usual and not asked.mean and not asked.std and asked.standardise == "fixed" and asked.scale == 1:
        mean, std, how = usual.mean, usual.std, usual.standardise
    else:
        turn = slice(None, None, -1) if asked.bgr else slice(None)
        mean = tuple(value / asked.scale for value in asked.mean or (0.0,))[turn]
        std = tuple(value / asked.scale for value in asked.std or (1.0,))[turn]
        how = "image" if asked.standardise == "image" else "fixed"
    try:
        spec = ImageSpec(channels=channels, height=height, width=width, mean=mean, std=std, standardise=how)
    except ValueError as error:
        raise ConfigError(f"These images cannot be made: {str(error).splitlines()[-2].strip()}.") from error
    return spec, opened is not None and not (has[1] and has[2])


def _face(crop: str) -> FaceCrop:
    """“mtcnn:0.2” as a crop.

    Raises:
        ConfigError, UnknownName: no number, or no such detector.
    """
    if not crop:
        return FaceCrop()
    detector, _, margin = crop.partition(":")
    try:
        return FaceCrop(detector=detector, margin=float(margin or DETECTORS.get(detector).margin))
    except ValueError as error:
        raise ConfigError(f"--crop {crop}: expected a detector and a margin, such as mtcnn:0.2.") from error


def _expressions(asked: Asked, opened: Opened | None = None) -> Expressions:
    names = asked.expressions or (tuple(opened.card.get("expressions", ())) if opened else ())
    if len(names) < 2:
        raise ConfigError(
            "Nothing says which expression each output means: give --expressions angry,disgust,... in the "
            "order of the outputs, or "
            "the name of a numbering (fer2013, rafdb-from-0, affectnet, ferplus, alphabet)."
        )
    return named_order(names)


def _file(path: Path, content: bytes, kind: str, opened: Opened, asked: Asked) -> Brought:
    if opened.card:
        return _own(path, content, kind, opened, asked)
    expressions = _expressions(asked, opened)
    spec, open_size = _spec(asked, opened)
    arguments = {
        "size": len(content), "layout": opened.layout, "takes": opened.takes, "bgr": asked.bgr, "output": asked.output,
        "batch": (opened.shape[0] or 0) if opened.shape else 0, "gradients": opened.gradients,
    }  # fmt: skip
    tensors = {"file": torch.frombuffer(bytearray(content), dtype=torch.uint8)}
    given = asked.answers or opened.answers
    return _asked(
        f"file:{kind}", arguments, tensors, spec, expressions, asked, path.name, content, given, open_size, opened.why
    )


def _own(path: Path, content: bytes, kind: str, opened: Opened, asked: Asked) -> Brought:
    """A file that FERscope exported: its card says everything, and what it normalises is part of it."""
    told = opened.card
    image = ImageSpec.model_validate(told["image"])
    spec = image if image.standardise == "fixed" else image.model_copy(update={"standardise": "fixed"})
    temperature = told.get("temperature") or 1.0
    expressions = Expressions(str(told["expressions_name"]), tuple(map(str, told["expressions"])))
    layout = "nhw" if spec.channels == 1 else "nhwc"
    arguments = {
        "size": len(content), "layout": layout, "takes": "pixels", "gradients": opened.gradients, "factor": float(temperature),
    }  # fmt: skip
    tensors = {"file": torch.frombuffer(bytearray(content), dtype=torch.uint8)}
    brought = _asked(
        f"file:{kind}", arguments, tensors, spec, expressions, asked, path.name, content, "logits", False, opened.why
    )  # fmt: skip
    face = FaceCrop.model_validate(told["face"])
    known = {key: told[key] for key in ("title", "temperature", "data", "parameters", "leave_out") if told.get(key)}
    return Brought(**{**vars(brought), "face": face, "card": known})


def _weights(path: Path, content: bytes, asked: Asked) -> Brought:
    """A file of named tensors, for an architecture that is registered here."""
    if path.suffix.lower() not in (".safetensors", *PICKLED):
        raise CheckpointError(
            f"{path.name} is no network that can be opened: expected ONNX, .pt2 of torch.export, TorchScript, or weights "
            f"(.safetensors, {', '.join(PICKLED)})."
        )
    if path.suffix.lower() != ".safetensors" and not zip_names(content) and content[:2] != b"\x80\x02":
        raise CheckpointError(
            f"{path.name} is no file of PyTorch; Torch7's own .t7 and other formats are not opened. "
            "Export it as ONNX where it runs."
        )
    try:
        tensors = plain(read_weights(path))
    except CheckpointError as error:
        if "holds more than tensors" in str(error):
            raise CheckpointError(WHOLE.format(file=path.name)) from error
        raise
    if not asked.network:
        some = ", ".join(f"{name} {'x'.join(map(str, value.shape))}" for name, value in list(tensors.items())[:3])
        raise ConfigError(
            f"{path.name} holds weights ({some}, …) and not the network they belong to: name it with --network (small-vgg, "
            "torchvision:resnet18, timm:resnet18, …), or give a function that makes it: ferscope import network MODULE:FACTORY "
            f"--weights {path.name}."
        )
    expressions = _expressions(asked)
    try:
        entry = NETWORKS.get(asked.network)
    except UnknownName as error:
        raise ConfigError(f"{error} torchvision:NAME and timm:NAME are further ones.") from error
    spec, _ = _spec(asked, None, entry.spec)
    model = build(asked.network, classes=len(expressions), spec=spec)
    _fill(model, tensors, asked.network, path.name)
    return _asked(
        asked.network, {}, dict(model.state_dict()), spec, expressions, asked, path.name, content, "logits", False, "", model
    )  # fmt: skip


def _fill(model: nn.Module, tensors: dict[str, torch.Tensor], what: str, name: str) -> None:
    """
    Raises:
        CheckpointError: the tensors are not those of the network.
    """
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:400]
        raise CheckpointError(f"{name} does not fit {what}: {detail}") from error


def _function(reference: str, asked: Asked) -> Brought:
    """A function of one's own code. It is called, and trusted from now on."""
    made = function.made_by(reference)
    function.trust(reference)
    plain_function = isinstance(made, function.Call)
    expressions = _expressions(asked)
    spec, _ = _spec(asked, None)
    if asked.weights is not None:
        if plain_function:
            raise ConfigError(f"{reference} makes a function, which has no weights to fill; leave out --weights.")
        _fill(made, plain(read_weights(asked.weights)), reference, asked.weights.name)
    arguments = {"takes": "pixels" if plain_function else "normalised", "bgr": asked.bgr, "output": asked.output}
    name = f"function:{reference}"
    tensors = {"file": torch.zeros(0, dtype=torch.uint8)} | {
        f"network.{key}": value.clone() for key, value in made.state_dict().items()
    }
    why = "it is a Python function, of which only the answers are known" if plain_function else ""
    return _asked(
        name, arguments, tensors, spec, expressions, asked, reference, reference.encode(), asked.answers or None, False, why
    )  # fmt: skip


def _asked(
    name: str, arguments: dict[str, Any], tensors: dict[str, torch.Tensor], spec: ImageSpec, expressions: Expressions,
    asked: Asked, source: str, content: bytes, answers: str | None, open_size: bool, why: str, model: nn.Module | None = None,
) -> Brought:  # fmt: skip
    """The network asked for the first time: how many values it gives, which kind they are, and which layer has maps."""
    notes = [f"Gradients do not go through it: {why}. Methods that need none work."] if why else []
    if model is None:
        raw = build(name, classes=len(expressions), spec=spec, arguments=arguments)
        raw.load_state_dict(tensors)
        model = raw.eval()
        kind, said = _kind(model, spec, arguments.get("batch", 0), answers)
        notes += said
        layer = _layer(model, spec) if not why else ""
        arguments = arguments | {"answers": kind, "layer": layer}
        model = build(name, classes=len(expressions), spec=spec, arguments=arguments)
        model.load_state_dict(tensors)
    model.eval()
    with torch.inference_mode():
        values_of(model(torch.zeros(1, *spec.shape)))
    return Brought(
        model, name, arguments, tensors, spec, _face(asked.crop), expressions, source, content, tuple(notes), open_size
    )  # fmt: skip


def _kind(model: nn.Module, spec: ImageSpec, batch: int, answers: str | None) -> tuple[Answers, list[str]]:
    """Whether values are probabilities or logits, told by those of noise; log-probabilities are logits already."""
    noise = torch.from_numpy(np.random.default_rng(0).random((8, *spec.shape), dtype=np.float32))
    with torch.inference_mode():
        values = model((noise - 0.5) * 2).double()
    sums = values.sum(dim=1)
    shares = bool((values >= 0).all() and (values <= 1 + 1e-3).all() and ((sums - 1).abs() < 1e-2).all())
    if answers == "probabilities" and not shares:
        raise CheckpointError(
            f"The network's values are no probabilities: they lie from {values.min():.3g} to {values.max():.3g} and add up to "
            f"{sums.min():.3g} to {sums.max():.3g}."
        )
    if shares and answers != "logits":
        return "probabilities", ["It gives probabilities; their logarithms are its logits."]
    if bool(torch.isfinite(values).all() and (values <= 0).all() and (values.exp().sum(dim=1) - 1).abs().max() < 1e-2):
        return "logits", ["It gives log-probabilities, which have the same softmax as its logits."]
    return "logits", []


def _layer(model: nn.Module, spec: ImageSpec) -> str:
    """The last layer whose map is at least 6 x 6, or 4 x 4; empty where none has one."""
    for coarsest in (FINEST, 4):
        found = [name for name in spatial_layers(model, spec, coarsest) if name != "network"]
        if found:
            return found[-1]
    return ""


def checked(brought: Brought, data: str = HEADS, split: str = "") -> Checked:
    """The network asked about a labelled sample; see `checks.check`.

    Args:
        data: a data set's name or path. Split: empty for the validation set, or the test set where there is none.
    """
    dataset = open_dataset(data)
    part = split or next(name for name in ("val", "test", "train") if name in dataset.splits)
    return check(
        brought.model, brought.spec, brought.expressions, dataset, part,
        open_size=brought.open_size, fixed_scale=brought.arguments.get("takes") == "pixels",
    )  # fmt: skip


def keep(brought: Brought, name: str, *, title: str = "", trained_on: str = "") -> Path:
    """Write the network as a finished run of the workspace; its folder.

    Raises:
        RunError: the name is taken or cannot be a network's.
    """
    known = dict(brought.card or {})
    title = title or str(known.pop("title", "")) or name
    known.pop("title", None)
    with imported(name, title, brought.source, brought.content, brought.name) as run:
        save_tensors(run.path / "best.safetensors", brought.tensors)
        parameters = sum(value.numel() for value in brought.model.parameters())
        fields = {
            "arguments": brought.arguments, "image": brought.spec, "face": brought.face, "parameters": parameters,
            "data": trained_on or UNKNOWN,
        } | known  # fmt: skip
        card_of(run, title, brought.expressions, brought.name, **fields)
    return run.path
