"""torch.export's .pt2: a graph of torch's operators as data, and its weights.

torch.export.load unpickles what else an archive may hold (sample inputs, constants of other kinds) and follows the name of
any function. So the archive is looked through first: sample inputs are emptied, any other part than tensors and text is
refused, and so is every operator that is none of ATen's.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

import torch

from fer_core.errors import CheckpointError, shortened
from fer_core.models.foreign import FORMATS, LARGEST, Format, Opened
from fer_core.models.foreign.torchscript_file import zip_names

FREE = re.compile(
    r"(archive_format|archive_version|byteorder|\.data/(version|serialization_id)|data/(weights|constants)/\w+_config\.json|"
    r"data/(weights/weight|constants/tensor)_\d+|models/model\.json|data/sample_inputs/model\.pt)"
)
OPERATOR = re.compile(r"(torch\.ops\.(aten|prims|higher_order)\.\w+(\.\w+)?|_operator\.\w+|math\.\w+|torch\.sym_\w+)")
SAMPLE = "data/sample_inputs/model.pt"


def knows(content: bytes) -> bool:
    return any(name.endswith(("/archive_format", "serialized_exported_program.json")) for name in zip_names(content))


def open_exported(content: bytes, gradients: bool) -> Opened:
    """
    Raises:
        CheckpointError: the file is damaged, of an older form, or holds a pickle or another program's operator.
    """
    safe = _without_pickles(content)
    try:
        program = torch.export.load(io.BytesIO(safe))
        network = program.module()
        del network.train, network.eval  # which refuse to be called; the graph knows no modes
    except Exception as error:  # a file that was changed by hand fails in any way
        raise CheckpointError(
            f"torch cannot open this .pt2 file: {shortened(' '.join(str(error).split()), 200)}."
        ) from error
    inputs = [
        node.meta["val"].shape
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs
    ]
    if len(inputs) != 1:
        raise CheckpointError(f"The exported network has {len(inputs)} inputs; expected one, a batch of images.")
    return Opened(network, tuple(int(side) if isinstance(side, int) else None for side in inputs[0]))


def _without_pickles(content: bytes) -> bytes:
    """The archive with nothing in it that torch would unpickle.

    Raises:
        CheckpointError: it holds what is neither a tensor nor text.
    """
    made = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(made, "w") as safe:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise CheckpointError("The .pt2 file unpacks to more than 2 GB.")
            for entry in archive.namelist():
                name = entry.partition("/")[2]
                if not FREE.fullmatch(name):
                    raise _refusal(f"it holds {shortened(entry)}")
                data = b"" if name == SAMPLE else archive.read(entry)
                if name.endswith(".json"):
                    for key, value in _pairs(json.loads(data)):
                        if key == "use_pickle" and value is not False:
                            raise _refusal(f"{entry} names a pickled tensor")
                        if key == "target" and isinstance(value, str) and not OPERATOR.fullmatch(value):
                            raise _refusal(f"it calls {shortened(value)}")
                safe.writestr(entry, data)
    except (zipfile.BadZipFile, ValueError, RecursionError) as error:
        raise CheckpointError(f"The .pt2 file is damaged ({shortened(str(error))}); export it again.") from error
    return made.getvalue()


def _refusal(found: str) -> CheckpointError:
    return CheckpointError(
        f"The .pt2 file could run any program: {found}. Only tensors and ATen's operators are opened."
    )


def _pairs(value: Any) -> list[tuple[str, Any]]:
    """Every key of nested tables, with its value."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in ((key, inner), *_pairs(inner))]
    return [pair for inner in value for pair in _pairs(inner)] if isinstance(value, list) else []


FORMATS.register("pt2")(Format("network of torch.export", knows, open_exported))
