"""Residual networks (He et al. 2016, arXiv 1512.03385), with torchvision's names of weights.

torchvision's own blocks use one activation twice and in place, which several attribution methods do not allow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import nn

from fer_core.images import ImageSpec
from fer_core.models import network
from fer_core.models.layers import dense
from fer_core.models.pretrained import from_torchvision

SPEC = ImageSpec(channels=1, height=48, width=48, standardise="image")
PAPER = "He et al. 2016, arXiv 1512.03385"
Stem = Literal["small", "imagenet", "strided"]


def _shortcut(before: int, after: int, stride: int) -> nn.Sequential:
    if stride == 1 and before == after:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the shortcut."""

    expansion = 1

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1, self.relu1 = nn.BatchNorm2d(width), nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(width), nn.ReLU()
        self.downsample = _shortcut(before, width, stride)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        inner = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(images)))))
        return self.relu2(inner + self.downsample(images))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside the shortcut; the stride is in the 3x3 one, as in torchvision."""

    expansion = 4

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1, self.relu1 = nn.BatchNorm2d(width), nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(width), nn.ReLU()
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3, self.relu3 = nn.BatchNorm2d(4 * width), nn.ReLU()
        self.downsample = _shortcut(before, 4 * width, stride)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        inner = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(images))))))
        return self.relu3(self.bn3(self.conv3(inner)) + self.downsample(images))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        counts: Sequence[int],
        classes: int,
        channels: int,
        *,
        width: int,
        stem: Stem,
        head: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        kernel, stride = (3, 1) if stem == "small" else (7, 2)
        self.conv1 = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem == "imagenet" else nn.Identity()
        before = width
        for number, count in enumerate(counts):
            blocks = []
            for i in range(count):
                blocks.append(block(before, width * 2**number, 2 if number and i == 0 else 1))
                before = width * 2**number * block.expansion
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
        self.layers = len(counts)
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = dense(before, head, classes, dropout) if head else nn.Linear(before, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for number in range(self.layers):
            maps = self.get_submodule(f"layer{number + 1}")(maps)
        return self.fc(self.avgpool(maps))  # type: ignore[no-any-return]


def of(block: type[BasicBlock | Bottleneck], counts: Sequence[int]) -> Callable[..., nn.Module]:
    """The builder of one column of the paper's table 1.

    Stem “small” is 3x3 without pooling, for small faces; “imagenet” the paper's; “strided” without its pooling (`lmu`). Heads of
    ResNet-50: (4096, 1024) in `emotions`, (1024, 128, 32) with dropout 0.2 in `nit`.
    """

    def build(
        *,
        classes: int,
        spec: ImageSpec,
        width: int = 64,
        stem: Stem = "small",
        head: Sequence[int] = (),
        dropout: float = 0.5,
    ) -> nn.Module:
        return ResNet(block, counts, classes, spec.channels, width=width, stem=stem, head=head, dropout=dropout)

    return build


resnet = partial(network, spec=SPEC, attribution_layer="layer4", paper=PAPER, head="fc")
resnet("resnet18", title="ResNet-18", imagenet=from_torchvision("ResNet18_Weights.IMAGENET1K_V1"))(
    of(BasicBlock, (2, 2, 2, 2))
)
resnet("resnet34", title="ResNet-34", imagenet=from_torchvision("ResNet34_Weights.IMAGENET1K_V1"))(
    of(BasicBlock, (3, 4, 6, 3))
)
resnet("resnet50", title="ResNet-50", imagenet=from_torchvision("ResNet50_Weights.IMAGENET1K_V1"))(
    of(Bottleneck, (3, 4, 6, 3))
)
