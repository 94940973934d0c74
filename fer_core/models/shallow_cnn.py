"""The shallow CNN of “Emotions Classification” (source `emotions`): 68.39 % reported on FER2013's test rows."""

from __future__ import annotations

import torch
from torch import nn

from fer_core.errors import ConfigError
from fer_core.images import ImageSpec
from fer_core.models import network


class ShallowCNN(nn.Module):
    def __init__(self, classes: int, spec: ImageSpec, width: int, dropout: float) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        before: int = spec.channels
        for after, kernel in ((width, 3), (2 * width, 5), (8 * width, 3), (8 * width, 3)):
            convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2)
            blocks.append(
                nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(dropout))
            )
            before = after
        self.blocks = nn.Sequential(*blocks)
        dense: list[nn.Module] = [nn.Flatten()]
        before = 8 * width * (spec.height // 16) * (spec.width // 16)
        for after in (4 * width, 8 * width):
            dense += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Dropout(dropout)]
            before = after
        self.head = nn.Sequential(*dense, nn.Linear(before, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(images))  # type: ignore[no-any-return]


@network(
    "shallow-cnn",
    title="Shallow CNN",
    spec=ImageSpec(channels=1, height=48, width=48, mean=(0.5,), std=(0.5,)),
    attribution_layer="blocks.3.2",
    paper="source `emotions`, “Emotions Classification”",
)
def shallow_cnn(*, classes: int, spec: ImageSpec, width: int = 64, dropout: float = 0.25) -> nn.Module:
    """Four [conv, BN, ReLU, pool, dropout] blocks of 64, 128, 512, 512 channels and dense layers of 256 and 512."""
    if min(spec.height, spec.width) < 16:
        raise ConfigError(f"shallow-cnn needs images of at least 16 x 16, found {spec.height} x {spec.width}.")
    return ShallowCNN(classes, spec, width, dropout)
