"""The CNNs of “Emotion Recognition From Facial Expressions: A Preliminary Report” (source `lmu`) and their GiMeFive."""

from __future__ import annotations

import torch
from torch import nn

from fer_core.images import ImageSpec
from fer_core.models import network
from fer_core.models.layers import SqueezeExcitation, conv_bn

SPEC = ImageSpec(channels=3, height=64, width=64)
PAPER = "source `lmu`, “Emotion Recognition From Facial Expressions: A Preliminary Report”"


class PlainCNN(nn.Module):
    """Blocks of [conv 3x3, BN, activation, (SE,) max pool, dropout], average, and two dense layers."""

    def __init__(
        self,
        classes: int,
        channels: int,
        widths: list[int],
        hidden: int,
        dropout: float,
        block_dropout: float,
        attention: bool,
    ) -> None:
        super().__init__()
        blocks = []
        for before, after in zip([channels, *widths], widths, strict=False):
            block = conv_bn(before, after, bias=True)
            block += [SqueezeExcitation(after)] if attention else []
            blocks.append(nn.Sequential(*block, nn.MaxPool2d(2), nn.Dropout(block_dropout)))
        self.blocks = nn.Sequential(*blocks)
        last = widths[-1]
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden // 2), nn.Linear(hidden // 2, classes),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(images))  # type: ignore[no-any-return]


@network("lmu-cnn", title="CNN baseline (lmu)", spec=SPEC, attribution_layer="blocks.3.2", paper=PAPER)
def lmu_cnn(
    *, classes: int, spec: ImageSpec, width: int = 64, dropout: float = 0.5, block_dropout: float = 0.2
) -> nn.Module:
    """Four blocks of 64 to 512 channels and dense layers of 1024 and 512: 2,606,086 parameters for six expressions."""
    widths = [width, 2 * width, 4 * width, 8 * width]
    return PlainCNN(classes, spec.channels, widths, 16 * width, dropout, block_dropout, attention=False)


@network("lmu-cnn-se", title="CNN with SE (lmu)", spec=SPEC, attribution_layer="blocks.3.2", paper=PAPER)
def lmu_cnn_se(
    *, classes: int, spec: ImageSpec, width: int = 64, dropout: float = 0.5, block_dropout: float = 0.0
) -> nn.Module:
    """The baseline with squeeze and excitation in each block."""
    widths = [width, 2 * width, 4 * width, 8 * width]
    return PlainCNN(classes, spec.channels, widths, 16 * width, dropout, block_dropout, attention=True)


@network("gimefive", title="GiMeFive (lmu)", spec=SPEC, attribution_layer="blocks.3.2", paper=PAPER)
def gimefive(
    *, classes: int, spec: ImageSpec, width: int = 64, dropout: float = 0.5, block_dropout: float = 0.2
) -> nn.Module:
    """The baseline with a fifth block of 1024 and dense layers of 2048 and 1024: 10,478,086 for six expressions."""
    widths = [width * factor for factor in (1, 2, 4, 8, 16)]
    return PlainCNN(classes, spec.channels, widths, 32 * width, dropout, block_dropout, attention=False)


class AttentionBlock(nn.Module):
    """Two 3x3 convolutions of stride 2 and 1, SE, and a 1x1 shortcut of stride 2."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn(before, after, stride=2),
            nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), SqueezeExcitation(after),
        )  # fmt: skip
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))
        self.last = nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.body(images) + self.shortcut(images))  # type: ignore[no-any-return]


class ResidualAttentionCNN(nn.Module):
    def __init__(self, classes: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(channels, width), SqueezeExcitation(width))
        blocks = [AttentionBlock(width * 2**i, width * 2 ** (i + 1)) for i in range(5)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32 * width, 64 * width), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(64 * width, 32 * width), nn.Linear(32 * width, classes),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(images)))  # type: ignore[no-any-return]


@network(
    "lmu-cnn-se-residual", title="CNN with SE and residuals (lmu)", spec=SPEC, attribution_layer="blocks.2", paper=PAPER
)
def lmu_cnn_se_residual(*, classes: int, spec: ImageSpec, width: int = 64, dropout: float = 0.5) -> nn.Module:
    """A stem of 64 and five residual SE blocks of 128 to 2048 channels; dense layers of 4096 and 2048."""
    return ResidualAttentionCNN(classes, spec.channels, width, dropout)
