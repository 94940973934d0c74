"""ONNX: converted to torch where onnx2torch can, so that gradients and maps exist, else run by onnxruntime.

A file's last Softmax is taken off, so that there are logits. The file is data: operators outside the standard are refused,
and so are weights in a second file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from fer_core.errors import CheckpointError, shortened
from fer_core.models.foreign import FORMATS, Answers, Format, Opened, Takes

if TYPE_CHECKING:
    import onnx

STANDARD = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
TYPES = {1: np.float32, 2: np.uint8, 10: np.float16, 11: np.float64}  # onnx.TensorProto
OPSET = 17  # the newest that onnx2torch knows all of
SAME = 1e-3  # largest difference of a value between the converted network and onnxruntime, relative to the largest


class Session:
    """An onnxruntime session; several threads and copies of a network share one."""

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def __deepcopy__(self, memo: dict[int, Any]) -> Session:
        return self


class Run(nn.Module):
    """A network that onnxruntime runs; gradients do not go through it."""

    def __init__(self, content: bytes, kind: Any) -> None:
        super().__init__()
        self.session, self.kind = Session(content), kind

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        values = images.detach().cpu().numpy()
        values = np.rint(values.clip(0, 255)) if self.kind is np.uint8 else values
        found = self.session.session.run(None, {self.session.input: np.ascontiguousarray(values, dtype=self.kind)})
        return [torch.from_numpy(np.asarray(one, dtype=np.float32)).to(images.device) for one in found]


def knows(content: bytes) -> bool:
    return content[:1] == b"\x08" and (b"\x12" in content[:64] or b"ir_version" in content[:64] or b":" in content[:64])


def open_onnx(content: bytes, gradients: bool) -> Opened:
    """
    Raises:
        CheckpointError: onnx or onnxruntime is missing, or the file is damaged, has custom operators, several inputs, an input
            that is no batch of images, or weights in another file.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise CheckpointError(
            f"An ONNX network needs onnx and onnxruntime ({error.name} is missing): pip install 'ferscope[export]'."
        ) from error
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_from_string(content)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"This is no intact ONNX file ({shortened(str(error))}); copy or export it again."
        ) from error
    shape, kind = _input(model)
    answers: Answers | None = "logits" if _without_softmax(model) else None
    card = _own_card(model)
    pixels = bool(card) or kind == 2
    if kind == 2:  # whole numbers have no gradient, and 127.5 is the mean grey: let what follows take floats
        model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        for node in model.graph.node:
            if node.op_type == "Cast" and node.input[0] == model.graph.input[0].name:
                node.attribute[0].i = onnx.TensorProto.FLOAT
        kind = 1
    plain = model.SerializeToString()
    try:
        run = Run(plain, TYPES[kind])
    except Exception as error:  # onnxruntime's errors have no common base but Exception
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise CheckpointError(
            f"onnxruntime cannot open the file: {shortened(' '.join(str(error).split()), 300)}."
        ) from error
    network, why = _converted(model, run, shape, pixels) if gradients else (None, "it is run by onnxruntime")
    takes: Takes = "pixels" if pixels else "normalised"
    return Opened(network or run, shape, network is not None, why, takes, answers, card)


def _input(model: onnx.ModelProto) -> tuple[tuple[int | None, ...], int]:
    """The input's shape and type.

    Raises:
        CheckpointError: it cannot be given images, or the file is not whole.
    """
    graph = model.graph
    custom = sorted({f"{n.domain}.{n.op_type}" for n in graph.node if n.domain not in STANDARD})
    if custom:
        raise CheckpointError(
            f"The ONNX file needs operators that only its own program has ({', '.join(custom[:4])}); export it with standard "
            "operators alone."
        )
    if any(one.data_location == 1 for one in graph.initializer):  # EXTERNAL
        raise CheckpointError(
            "The ONNX file keeps its weights in a second file. Save it as one: "
            "python -c \"import onnx; onnx.save(onnx.load('net.onnx'), 'whole.onnx')\"."
        )
    own = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in own]
    if len(inputs) != 1:
        raise CheckpointError(
            f"The ONNX network has {len(inputs)} inputs ({', '.join(one.name for one in inputs)}); expected "
            "one, a batch of images."
        )
    kind = inputs[0].type.tensor_type
    shape = tuple(side.dim_value or None for side in kind.shape.dim)
    if len(shape) not in (3, 4) or kind.elem_type not in TYPES:
        raise CheckpointError(
            f"The ONNX network takes {shape} of type {kind.elem_type}; expected numbers (N, C, H, W), (N, H, W, C) or (N, H, W)."
        )
    return shape, kind.elem_type


def _without_softmax(model: onnx.ModelProto) -> bool:
    """Take off a Softmax at the end, if there is one; whether there was."""
    import onnx

    graph = model.graph
    last = {node.output[0]: node for node in graph.node}.get(graph.output[0].name)
    if last is None or last.op_type != "Softmax" or len(graph.output) > 1:
        return False
    kind = graph.output[0].type.tensor_type
    wanted = onnx.helper.make_tensor_value_info(last.input[0], kind.elem_type, None)
    graph.node.remove(last)
    del graph.output[:]
    graph.output.append(wanted)
    return True


def _simpler(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph as onnx2torch knows it: of opset 17 at most, constants and copies of weights among the weights."""
    import onnx
    import onnx.version_converter

    if model.opset_import[0].version > OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    graph = model.graph
    held = {one.name: one for one in graph.initializer}
    for node in list(graph.node):
        value = None
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            value = node.attribute[0].t
        elif node.op_type == "Identity" and node.input[0] in held:
            value = held[node.input[0]]
        if value is not None:
            copy = onnx.TensorProto()
            copy.CopyFrom(value)
            copy.name = node.output[0]
            graph.initializer.append(copy)
            held[copy.name] = copy
            graph.node.remove(node)
    return model


def _own_card(model: onnx.ModelProto) -> dict[str, Any]:
    """The card of a file that FERscope exported; empty for any other."""
    found = {one.key: one.value for one in model.metadata_props}
    try:
        card = json.loads(found.get("card", "{}"))
    except ValueError:
        return {}
    return card if isinstance(card, dict) and "haar_margin" in found else {}


def _converted(
    model: onnx.ModelProto, run: Run, shape: tuple[int | None, ...], pixels: bool
) -> tuple[nn.Module | None, str]:
    """The same network in torch, if onnx2torch can and it answers as onnxruntime does; else None and the reason."""
    try:
        from onnx2torch import convert
    except ImportError:
        return None, "onnx2torch is not installed (pip install 'ferscope[foreign]'), so it is run by onnxruntime"
    size = [side or open_side for side, open_side in zip(shape, (2, 3, 48, 48), strict=False)]
    seen = torch.from_numpy(np.random.default_rng(0).random(size, dtype=np.float32)) * (255 if pixels else 1)
    try:
        network = convert(_simpler(model)).eval()
        with torch.inference_mode():
            ours, theirs = network(seen), run(seen)[0]
        ours = ours[0] if isinstance(ours, list | tuple) else ours
    except Exception as error:  # a converter meets any graph, and fails on an unknown one in any way
        return (
            None,
            f"onnx2torch cannot convert it ({shortened(' '.join(str(error).split()))}), so it is run by onnxruntime",
        )
    if ours.shape != theirs.shape or not float((ours - theirs).abs().max()) <= SAME * max(
        1.0, float(theirs.abs().max())
    ):
        return None, "its conversion answers otherwise, so it is run by onnxruntime"
    return network, ""


FORMATS.register("onnx")(Format("ONNX network", knows, open_onnx))
