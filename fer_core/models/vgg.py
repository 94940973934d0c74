"""VGG-16 and VGG-19 (Simonyan and Zisserman 2015, arXiv 1409.1556) with the head of the source `emotions`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fer_core.images import ImageSpec
from fer_core.models import network
from fer_core.models.layers import dense
from fer_core.models.pretrained import torchvision_file

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


CONVOLUTION = re.compile(r"conv_?(?P<stage>[1-5])_(?P<number>[1-4])")  # Oxford's names, which VGGFace's files keep


def translate(tensors: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """torchvision's `features.N` or Oxford's `convS_I` as names of `VGG`.

    torchvision's convolutions have a bias before a batch norm, ours have none: it is taken into the norm's running
    mean, which gives the same features.
    """
    assert isinstance(model, VGG)
    stages = [list(stage.named_children()) for stage in model.stages]
    theirs: dict[str, str] = {}  # names of modules
    place = 0
    for s, stage in enumerate(stages):
        convolution = 0
        for number, module in stage:
            theirs[f"features.{place}"] = f"stages.{s}.{number}"
            place += 1
            if isinstance(module, nn.Conv2d):
                convolution += 1
                theirs[f"conv{s + 1}_{convolution}"] = f"stages.{s}.{number}"
    named: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        layer, _, kind = CONVOLUTION.sub(r"conv\g<stage>_\g<number>", name).rpartition(".")
        named[f"{theirs[layer]}.{kind}" if layer in theirs else name] = tensor
    for s, stage in enumerate(stages):
        for (number, first), (after, second) in pairwise(stage):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                bias, mean = f"stages.{s}.{number}.bias", f"stages.{s}.{after}.running_mean"
                if bias in named and mean in named:
                    named[mean] = named[mean] - named.pop(bias)
    return named


def imagenet(number: int) -> Callable[[Mapping[str, Any]], Path]:
    """torchvision has weights for VGG with and without batch norm."""
    return lambda arguments: torchvision_file(
        f"VGG{number}{'_BN' if arguments.get('batch_norm', True) else ''}_Weights.IMAGENET1K_V1"
    )


def of(counts: Sequence[int]) -> Callable[..., nn.Module]:
    """The builder of one column of the paper's table 1. Without `batch_norm` it is the paper's: it trains poorly from scratch."""

    def build(
        *,
        classes: int,
        spec: ImageSpec,
        width: int = 64,
        batch_norm: bool = True,
        head: Sequence[int] = (4096, 1024),
        dropout: float = 0.5,
    ) -> nn.Module:
        return VGG(counts, classes, spec.channels, width=width, batch_norm=batch_norm, head=head, dropout=dropout)

    return build


vgg = partial(network, spec=SPEC, attribution_layer="stages.3", paper=PAPER, translate=translate)
vgg("vgg16", title="VGG-16", imagenet=imagenet(16))(of((2, 2, 3, 3, 3)))
vgg("vgg19", title="VGG-19", imagenet=imagenet(19))(of((2, 2, 4, 4, 4)))
