"""Layers that several networks share. Every activation is a separate module and never in place, as attribution methods
require."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fer_core.errors import ConfigError, UnknownName

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "prelu": nn.PReLU, "silu": nn.SiLU,
}  # fmt: skip


def activate(model: nn.Module, activation: str) -> nn.Module:
    """The network with another activation in the place of each of its ReLUs.

    Raises:
        ConfigError: an unknown activation, or a network without a ReLU.
    """
    if activation not in ACTIVATIONS:
        raise UnknownName("activation", activation, ACTIVATIONS)
    places = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is nn.ReLU
    ]
    if not places:
        raise ConfigError(
            f"{type(model).__name__} has no ReLU whose place {activation} could take; leave activation out."
        )
    for parent, name in places:
        setattr(parent, name, ACTIVATIONS[activation]())
    return model


class SqueezeExcitation(nn.Module):
    """Channel attention: x * sigmoid(W2 relu(W1 mean(x))), without biases (Hu et al. 2018, arXiv 1709.01507)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, hidden, 1, bias=False), nn.ReLU(),
            nn.Conv2d(hidden, channels, 1, bias=False), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images * self.gate(images)  # type: ignore[no-any-return]


def conv_bn(before: int, after: int, kernel: int = 3, *, stride: int = 1, bias: bool = False) -> list[nn.Module]:
    """[convolution that keeps the size at stride 1, BN, ReLU]."""
    convolution = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=bias)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]


def dense(before: int, hidden: Sequence[int], classes: int, dropout: float) -> nn.Sequential:
    """[dropout, linear, ReLU] for each hidden size, and a last linear layer; only that one where there is none."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Dropout(dropout), nn.Linear(before, size), nn.ReLU()]
        before = size
    return nn.Sequential(*layers, nn.Linear(before, classes))


def size_after(body: nn.Module, shape: tuple[int, int, int]) -> int:
    """Number of values that `body` makes of one image (C, H, W). Nothing is computed, and no statistic is moved."""
    was_training = body.training
    body.eval()
    with torch.no_grad():
        size = body(torch.zeros(1, *shape, device=next(body.parameters()).device)).numel()
    body.train(was_training)
    return int(size)
