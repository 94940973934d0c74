"""mini-Xception of Arriaga, Plöger and Valdenegro 2017, “Real-time Convolutional Neural Networks for Emotion and Gender
Classification” (arXiv 1710.07557): 58,423 parameters, residual modules of depthwise separable convolutions."""

from __future__ import annotations

import torch
from torch import nn

from fer_core.images import ImageSpec
from fer_core.models import network


def _separable(before: int, after: int) -> list[nn.Module]:
    return [
        nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False),
        nn.Conv2d(before, after, 1, bias=False),
        nn.BatchNorm2d(after),
    ]


class SeparableModule(nn.Module):
    """Two separable convolutions and a 3 x 3 max pool of stride 2, beside a 1 x 1 shortcut of stride 2."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_separable(before, after),
            nn.ReLU(),
            *_separable(after, after),
            nn.MaxPool2d(3, 2, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images) + self.shortcut(images)  # type: ignore[no-any-return]


class MiniXception(nn.Module):
    def __init__(self, classes: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        )  # fmt: skip
        self.body = nn.Sequential(
            *(SeparableModule(width * 2**i, width * 2 ** (i + 1)) for i in range(4)), nn.Dropout2d(dropout)
        )
        self.head = nn.Sequential(nn.Conv2d(16 * width, classes, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.stem(images)))  # type: ignore[no-any-return]


@network(
    "mini-xception",
    title="mini-Xception",
    spec=ImageSpec(channels=1, height=64, width=64, mean=(0.5,), std=(0.5,)),
    attribution_layer="body.2",
    paper="Arriaga et al. 2017, arXiv 1710.07557",
)
def mini_xception(*, classes: int, spec: ImageSpec, width: int = 8, dropout: float = 0.0) -> nn.Module:
    """58,423 parameters for seven expressions; the third module's map is 8 x 8 for 64 x 64 images, 6 x 6 for 48.

    `width` counts the stem's channels, the paper's 8; `dropout` takes whole maps in front of the last convolution.
    """
    return MiniXception(classes, spec.channels, width, dropout)
