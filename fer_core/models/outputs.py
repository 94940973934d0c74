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


class Grids:
    """Which outputs of a forward pass have places, told layer by layer: maps (N, K, h, w), maps with the channels last
    (N, h, w, K) as Swin's, and a transformer's tokens (N, T, K), which stand for the places of the map they were made from."""

    def __init__(self, spec: ImageSpec) -> None:
        self.spec = spec
        self.known: list[tuple[int, int]] = []

    def of(self, output: Any) -> tuple[int, int] | None:
        """(height, width) of a layer's output; None where it has no places."""
        if not isinstance(output, torch.Tensor):
            return None
        shape = tuple(output.shape)
        if len(shape) == 4:
            grid = next((g for g in (shape[2:], shape[1:3]) if self._shaped_like_the_image(*g)), None)
            self.known += [grid] if grid else []
            return grid
        if len(shape) == 3:
            return next((g for g in reversed(self.known) if stands_for(shape[1], g)), None)
        return None

    def _shaped_like_the_image(self, height: int, width: int) -> bool:
        """Up to the rounding of a stride; queries and keys (N, heads, T, K) are not."""
        return abs(height * self.spec.width - width * self.spec.height) < max(self.spec.height, self.spec.width)


EXTRA = 5  # tokens that stand for no place: of the class, of distillation, four registers


def stands_for(tokens: int, grid: tuple[int, int]) -> bool:
    """Whether so many tokens are the places of a grid, after a few that stand for none."""
    return min(grid) > 1 and 0 <= tokens - grid[0] * grid[1] <= EXTRA


def as_maps(output: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """A layer's output, whose grid `Grids` told, as maps (N, K, h, w)."""
    if output.ndim == 3:
        return output[:, output.shape[1] - grid[0] * grid[1] :].reshape(len(output), *grid, -1).permute(0, 3, 1, 2)
    return output if tuple(output.shape[2:]) == grid else output.permute(0, 3, 1, 2)


def last_map(model: nn.Module, spec: ImageSpec) -> nn.Module:
    """The network with `map_layers`: the name of the last layer whose output is a map of at least 6 x 6, else 4 x 4; empty where
    none is. Of a transformer it is the last norm whose tokens of places have a part in the answer: behind the last attention
    only the class token has one."""
    found: list[tuple[str, int]] = []
    tokens: dict[str, tuple[torch.Tensor, tuple[int, int]]] = {}
    features: list[torch.Tensor] = []
    grids, was_training = Grids(spec), model.training

    def note(name: str) -> Any:
        def hook(layer: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(layer, nn.Linear):
                features[:] = [inputs[0]]
            if (grid := grids.of(output)) is None or isinstance(
                layer, (nn.Dropout, nn.Softmax)
            ):  # they may hold attention
                return
            if output.ndim == 4 and output.shape[1] <= grid[1] // 2 and tuple(output.shape[2:]) == grid:
                return  # few channels: a gate or a sum over channels, not features
            if output.ndim == 3 and "norm" in type(layer).__name__.lower():
                output.retain_grad()
                tokens[name] = output, grid
            if output.ndim == 4 or name in tokens:
                found.append((name, min(grid)))

        return hook

    handles = [layer.register_forward_hook(note(name)) for name, layer in model.named_modules() if name]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            given = torch.randn(1, *spec.shape, generator=torch.Generator().manual_seed(0))
            model.eval()(given.requires_grad_())
            if tokens and features:  # what goes into the head: new heads may be zero
                mixed = torch.randn(features[0].shape, generator=torch.Generator().manual_seed(1))
                torch.autograd.backward((mixed * features[0]).sum())
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad()
        model.train(was_training)
    slopes = {name: as_maps(output.grad, grid) for name, (output, grid) in tokens.items() if output.grad is not None}
    found = [
        (name, side) for name, side in found if name not in tokens or (name in slopes and bool(slopes[name].any()))
    ]
    fine = [name for name, side in found if side >= FINEST] or [name for name, side in found if side >= COARSE]
    model.map_layers = tuple(fine[-1:])  # type: ignore[assignment]
    return model
