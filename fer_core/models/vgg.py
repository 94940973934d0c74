"""VGG-16 and VGG-19 (Simonyan and Zisserman 2015, arXiv 1409.1556) with the head of the source `emotions`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fer_core.images import ImageSpec
from fer_core.models import network
from fer_core.models.layers import dense

SPEC = ImageSpec(channels=1, height=48, width=48, standardise="image")
PAPER = "Simonyan and Zisserman 2015, arXiv 1409.1556"


class VGG(nn.Module):
    """Five stages of 3x3 convolutions, each but the first after a max pool; average; dense layers with dropout."""

    def __init__(
        self,
        counts: Sequence[int],
        classes: int,
        channels: int,
        *,
        width: int,
        batch_norm: bool,
        head: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        stages = []
        before = channels
        for number, (count, after) in enumerate(zip(counts, (1, 2, 4, 8, 8), strict=True)):
            stage: list[nn.Module] = [nn.MaxPool2d(2)] if number else []
            for _ in range(count):
                stage.append(nn.Conv2d(before, width * after, 3, padding=1, bias=not batch_norm))
                stage += [nn.BatchNorm2d(width * after)] if batch_norm else []
                stage.append(nn.ReLU())
                before = width * after
            stages.append(nn.Sequential(*stage))
        self.stages = nn.Sequential(*stages)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = dense(before, head, classes, dropout)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.stages(images)))  # type: ignore[no-any-return]


@network("vgg16", title="VGG-16", spec=SPEC, attribution_layer="stages.3", paper=PAPER)
def vgg16(
    *,
    classes: int,
    spec: ImageSpec,
    width: int = 64,
    batch_norm: bool = True,
    head: Sequence[int] = (4096, 1024),
    dropout: float = 0.5,
) -> nn.Module:
    """13 convolutions; without `batch_norm` it is the paper's, which trains poorly from scratch."""
    return VGG((2, 2, 3, 3, 3), classes, spec.channels, width=width, batch_norm=batch_norm, head=head, dropout=dropout)


@network("vgg19", title="VGG-19", spec=SPEC, attribution_layer="stages.3", paper=PAPER)
def vgg19(
    *,
    classes: int,
    spec: ImageSpec,
    width: int = 64,
    batch_norm: bool = True,
    head: Sequence[int] = (4096, 1024),
    dropout: float = 0.5,
) -> nn.Module:
    """16 convolutions; arguments as `vgg16`."""
    return VGG((2, 2, 4, 4, 4), classes, spec.channels, width=width, batch_norm=batch_norm, head=head, dropout=dropout)
