"""Parts that several networks share. Every activation is a module of its own and never works in place, so that all
attribution methods are valid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

Activation = Literal["relu", "leaky-relu", "prelu", "silu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "prelu": nn.PReLU, "silu": nn.SiLU,
}  # fmt: skip


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


def conv_bn(
    before: int, after: int, kernel: int = 3, *, stride: int = 1, bias: bool = False, activation: Activation = "relu"
) -> list[nn.Module]:
    """[convolution that keeps the size at stride 1, BN, activation]."""
    convolution = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=bias)
    return [convolution, nn.BatchNorm2d(after), ACTIVATIONS[activation]()]


def dense(before: int, hidden: Sequence[int], classes: int, dropout: float) -> nn.Sequential:
    """[dropout, linear, ReLU] for each hidden size, and a last linear layer; only that one where there is none."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Dropout(dropout), nn.Linear(before, size), nn.ReLU()]
        before = size
    return nn.Sequential(*layers, nn.Linear(before, classes))


def size_after(body: nn.Module, shape: tuple[int, int, int]) -> int:
    """Number of values that `body` makes of one picture (C, H, W). Nothing is computed, and no statistic is moved."""
    was_training = body.training
    body.eval()
    with torch.no_grad():
        size = body(torch.zeros(1, *shape, device=next(body.parameters()).device)).numel()
    body.train(was_training)
    return int(size)
