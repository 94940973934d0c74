"""What networks of other libraries need to be explained as our own: activations out of place, and a layer for Grad-CAM."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fer_core.images import ImageSpec

FINEST, COARSE = 6, 4  # sides of the map that is looked for: the last of at least the first, else of the second


def out_of_place(model: nn.Module) -> nn.Module:
    """The network with its activations out of place, so that attribution methods see them."""
    for module in model.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    return model


def for_channels(convolution: nn.Conv2d, channels: int) -> nn.Conv2d:
    """The same convolution for another number of channels."""
    if channels == convolution.in_channels:
        return convolution
    kernel, stride, padding = convolution.kernel_size, convolution.stride, convolution.padding
    return nn.Conv2d(channels, convolution.out_channels, kernel, stride, padding, bias=convolution.bias is not None)  # type: ignore[arg-type]


def first_for_channels(model: nn.Module, channels: int) -> None:
    """Let the first convolution take another number of channels."""
    name, first = next((name, one) for name, one in model.named_modules() if isinstance(one, nn.Conv2d))
    if first.in_channels != channels:
        model.set_submodule(name, for_channels(first, channels))


def last_map(model: nn.Module, spec: ImageSpec) -> nn.Module:
    """The network with `layers`: the name of the last layer whose output is a map (N, C, h, w) of at least 6 x 6, else 4 x 4;
    empty where none is."""
    found: list[tuple[str, int]] = []

    def note(name: str) -> Any:
        def hook(layer: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.ndim == 4 and output.shape[1] > output.shape[3] // 2:
                found.append((name, min(output.shape[2:])))

        return hook

    handles = [layer.register_forward_hook(note(name)) for name, layer in model.named_modules() if name]
    was_training = model.training
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, *spec.shape))
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    fine = [name for name, side in found if side >= FINEST] or [name for name, side in found if side >= COARSE]
    model.layers = tuple(fine[-1:])  # type: ignore[assignment]
    return model
