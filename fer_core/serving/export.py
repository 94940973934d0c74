"""Export a checkpoint as an ONNX file that includes its card, for programs without torch and FERscope."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_core.checkpoint import Card, load_network
from fer_core.errors import CheckpointError, ConfigError
from fer_core.faces import framed_for
from fer_core.images import normalise, to_tensor
from fer_core.models.logits import logits_with
from fer_core.workspace import write_atomically

if TYPE_CHECKING:
    import torch
    from torch import nn

OPSET = 18
TOLERANCE = 1e-4  # largest difference of a probability between onnxruntime and torch


def export_onnx(folder: Path, target: Path) -> float:
    """Write a checkpoint as ONNX, and check it against the network.

    The file takes `pictures`, (N, H, W) or (N, H, W, 3) uint8 at the card's size, any N, and gives `probs`, (N, K) in
    the order of the card's expressions: normalisation, test-time augmentation and temperature are inside. Its metadata
    hold `card` (JSON) and `haar_margin`, the margin that frames OpenCV's Haar boxes as the card's crop asks for.

    Returns:
        the largest difference of a probability from torch's, on 4 random images.

    Raises:
        CheckpointError: as `load_network`; or the file answers other than the network, which is then not written.
        ConfigError: onnx or onnxruntime is not installed; or the network learned faces that were aligned or evenly lit,
            which the file's users would have to do themselves.
    """
    content, apart = served_bytes(folder)
    write_atomically(target, content)
    return apart


def served_bytes(folder: Path) -> tuple[bytes, float]:
    """What `export_onnx` writes, and what it returns.

    Raises:
        CheckpointError, ConfigError: as `export_onnx`.
    """
    onnx, onnxruntime = _tools()
    import torch

    model, card = load_network(folder)
    served = _served(model, card)
    spec = card.image
    _refuse_prepared(card)
    shape = (spec.height, spec.width) if spec.channels == 1 else (spec.height, spec.width, 3)
    pictures = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    content = _traced(served, torch.from_numpy(pictures[:2]), "pictures", "probs", card.name)
    with torch.no_grad():
        wanted = served(torch.from_numpy(pictures)).numpy()
    file = onnx.load_from_string(content)
    facts = {"card": card.model_dump_json(), "haar_margin": repr(framed_for(card.face, "haar").margin)}
    onnx.helper.set_model_props(file, facts)
    file.doc_string = f"{card.title}: facial expressions, exported by FERscope"
    onnx.checker.check_model(file)
    content = file.SerializeToString()
    session = _session(onnxruntime, content, card.name)
    (found,) = session.run(None, {"pictures": pictures})
    apart = float(np.abs(np.asarray(found) - wanted).max())
    if not apart <= TOLERANCE:
        raise CheckpointError(
            f"The ONNX file of {card.name} gives other probabilities than the network (they differ by up to {apart:.2g}); "
            "it was not written."
        )
    return content, apart


def network_bytes(folder: Path) -> bytes:
    """A checkpoint's network alone as ONNX: `inputs`, (N, C, H, W) float32 normalised, to `logits`, (N, K).

    Raises:
        CheckpointError, ConfigError: as `export_onnx`.
    """
    import torch

    _, onnxruntime = _tools()
    model, card = load_network(folder)
    _refuse_prepared(card)
    inputs = torch.from_numpy(np.random.default_rng(0).normal(size=(4, *card.image.shape)).astype(np.float32))
    content = _traced(model, inputs[:2], "inputs", "logits", card.name)
    with torch.no_grad():
        wanted = model(inputs).softmax(dim=1).numpy()
    session = _session(onnxruntime, content, card.name)
    (logits,) = session.run(None, {"inputs": inputs.numpy()})
    apart = float(np.abs(torch.from_numpy(logits).softmax(dim=1).numpy() - wanted).max())
    if not apart <= TOLERANCE:
        raise CheckpointError(
            f"The ONNX file of {card.name} gives other probabilities than the network (they differ by up to {apart:.2g}); "
            "it was not written."
        )
    return content


def _tools() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"Exporting needs onnx and onnxruntime ({error.name} is missing): pip install 'ferscope[export]'."
        ) from error
    return onnx, onnxruntime


def _refuse_prepared(card: Card) -> None:
    if (done := card.image.preparation) and (done.light or done.align != "none"):
        raise ConfigError(
            f"{card.name} learned faces with align {done.align} and light {', '.join(done.light) or 'none'}, which programs "
            "that take an ONNX file do not do; predict with `ferscope predict`, or export a network of plain faces."
        )


def _session(onnxruntime: Any, content: bytes, name: str) -> Any:
    """The file opened by onnxruntime, whose web form knows the same operations; or `CheckpointError`."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    try:
        return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.NotImplemented) as error:
        raise CheckpointError(
            f"onnxruntime cannot run {name}, so it was not written ({_first_line(error)})."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")


def _traced(model: nn.Module, example: torch.Tensor, given: str, answer: str, name: str) -> bytes:
    """A module as ONNX, for any number of images."""
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns of each Python number, and that it is the older exporter
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            torch.onnx.export(
                model,
                (example,),
                buffer,  # type: ignore[arg-type]  # the older exporter writes into it, the annotation is the newer one's
                input_names=[given],
                output_names=[answer],
                dynamic_axes={given: {0: "n"}, answer: {0: "n"}},
                opset_version=OPSET,
                dynamo=False,  # the newer exporter needs onnxscript and is four times as slow for these networks
            )
        except torch.onnx.OnnxExporterError as error:
            raise CheckpointError(f"{name} cannot be written as ONNX ({_first_line(error)}).") from error
    return buffer.getvalue()


def _served(model: nn.Module, card: Card) -> nn.Module:
    from torch import nn

    class Served(nn.Module):
        """From uint8 images to probabilities, as `Predictor` does it."""

        def __init__(self) -> None:
            super().__init__()
            self.network = model

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            logits = logits_with(self.network, normalise(to_tensor(pictures), card.image), card.tta)
            return (logits / (card.temperature or 1.0)).softmax(dim=1)

    return Served().eval()
