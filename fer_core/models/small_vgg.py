"""A small VGG with batch normalisation: pairs of 3 x 3 convolutions, as in Simonyan and Zisserman 2015 (arXiv
1409.1556), without the fully connected layers that hold most of VGG's weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fer_core.errors import ConfigError
from fer_core.images import ImageSpec
from fer_core.models import network


class SmallVGG(nn.Module):
    """Stages of [conv 3x3, BN, ReLU] x 2, halved in size between stages; global average; dropout; one linear layer."""

    def __init__(self, classes: int, channels: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        stages = []
        before = channels
        for i, width in enumerate(widths):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if i else []
            for _ in range(2):
                layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
                before = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(before, classes)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.stages(images))  # type: ignore[no-any-return]


@network(
    "small-vgg",
    title="Small VGG with batch norm",
    spec=ImageSpec(channels=1, height=48, width=48, standardise="image"),
    attribution_layer="stages.3",
    paper="after Simonyan and Zisserman 2015, arXiv 1409.1556",
)
def small_vgg(
    *, classes: int, spec: ImageSpec, widths: Sequence[int] = (32, 64, 128, 256), dropout: float = 0.2
) -> nn.Module:
    """1.2 million parameters at the default widths; the last of its maps is 6 x 6 for 48 x 48 images."""
    if not widths:
        raise ConfigError("arguments of small-vgg: widths is empty; give the channels of at least one stage.")
    return SmallVGG(classes, spec.channels, widths, dropout)
