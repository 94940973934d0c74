"""A Python function of one's own code, `module:factory`, as a network: for what no file can hold.

Python code can do anything, so a function is called only in a workspace where its name was imported on the command line; a
checkpoint folder that somebody sends cannot bring one along.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from fer_core.errors import CheckpointError, shortened
from fer_core.images import ImageSpec
from fer_core.models import Network, family
from fer_core.models.foreign import Answers, Foreign, Layout
from fer_core.untrusted import read_json
from fer_core.workspace import home, write_atomically

LIST = "functions.json"  # of the workspace: the functions that were imported here


class Call(nn.Module):
    """A function from images (n, H, W) or (n, H, W, 3) uint8 to values (n, K); gradients do not go through it."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = [function]  # in a list it is no method, and copies share it

    def __deepcopy__(self, memo: dict[int, Any]) -> Call:
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.detach().clamp(0, 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        found = np.asarray(self.function[0](pixels[..., 0] if pixels.shape[3] == 1 else pixels), dtype=np.float32)
        return torch.from_numpy(found).to(images.device)


def made_by(reference: str) -> nn.Module:
    """What a factory makes: a module (N, C, H, W) -> (N, K), or a function of uint8 images as one.

    Raises:
        CheckpointError: there is no such module or function, it fails, or makes neither.
    """
    module, _, name = reference.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
        made = factory()
    except Exception as error:  # whatever another's code raises
        raise CheckpointError(
            f"{reference} cannot be called ({type(error).__name__}: {shortened(str(error), 200)}); expected "
            "MODULE:FACTORY, where "
            "MODULE can be imported from here and FACTORY() gives a torch module or a function of images."
        ) from error
    if isinstance(made, nn.Module):
        return made.eval()
    if not callable(made):
        raise CheckpointError(
            f"{reference}() gives a {type(made).__name__}; expected a torch module or a function of images."
        )
    return Call(made)


def trusted() -> list[str]:
    """The functions that were imported in this workspace."""
    path = home() / LIST
    try:
        found = read_json(path)
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}); delete it and import the functions again.") from error
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def trust(reference: str) -> None:
    """Let a function be called in this workspace from now on."""
    write_atomically(home() / LIST, json.dumps(sorted({*trusted(), reference})).encode())


class Function(Foreign):
    """A function's network; the parameters of a torch module are weights of the checkpoint."""

    def __init__(self, reference: str, *settings: Any) -> None:
        super().__init__("function", *settings)
        self.network = made_by(reference)
        if isinstance(self.network, Call):
            self.differentiable, self.why_not = False, "it is a Python function, of which only the answers are known"

    def open(self) -> None:
        """There is no file to open."""


@family("function")
def function(reference: str) -> Network:
    """The network “function:module:factory”.

    Raises:
        CheckpointError: the function was not imported in this workspace.
    """
    if reference not in trusted():
        raise CheckpointError(
            f"The network is the Python function {shortened(reference)}, which was not imported in this workspace. If you trust "
            f"that code: ferscope import network {shortened(reference)}."
        )

    def build(
        *, classes: int, spec: ImageSpec, answers: Answers = "logits", takes: str = "normalised", layout: Layout = "nchw",
        bgr: bool = False, output: int = 0, layer: str = "",
    ) -> nn.Module:  # fmt: skip
        return Function(reference, classes, spec, 0, answers, takes, layout, bgr, 0, output, 1.0, True, layer)

    return Network(f"function:{reference}", reference, build, ImageSpec(), "layers", "imported", head=None)
