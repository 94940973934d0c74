"""The six networks of “Emotion Recognition From Facial Expressions” (source `buffalo`), without its log-softmax before the
cross entropy and its convolution whose output was not used."""

from __future__ import annotations

import torch
from torch import nn

from fer_core.images import ImageSpec
from fer_core.models import network
from fer_core.models.layers import conv_bn, size_after
from fer_core.models.resnet import BasicBlock

SPEC = ImageSpec(channels=3, height=48, width=48, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
PAPER = "source `buffalo`, “Emotion Recognition From Facial Expressions”"


class Classifier(nn.Module):
    """A body, flattened, and a head on as many values as the body leaves."""

    def __init__(self, body: nn.Sequential, spec: ImageSpec, *head: nn.Module, hidden: int, classes: int) -> None:
        super().__init__()
        self.body = body
        size = size_after(body, spec.shape)
        if hidden:
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(size, hidden), *head, nn.Linear(hidden, classes))
        else:
            self.head = nn.Sequential(nn.Flatten(), *head, nn.Linear(size, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images))  # type: ignore[no-any-return]


@network("buffalo-cnn", title="Basic CNN (buffalo)", spec=SPEC, attribution_layer="body.7", paper=PAPER)
def buffalo_cnn(*, classes: int, spec: ImageSpec, width: int = 16, dropout: float = 0.1) -> nn.Module:
    """Two convolutions of 16 and 32 channels, and a dense layer of 256."""
    body: list[nn.Module] = []
    for before, after in ((spec.channels, width), (width, 2 * width)):
        body += [*conv_bn(before, after, bias=True), nn.Dropout(dropout), nn.MaxPool2d(2)]
    head = nn.BatchNorm1d(16 * width), nn.ReLU(), nn.Dropout(dropout)
    return Classifier(nn.Sequential(*body), spec, *head, hidden=16 * width, classes=classes)


@network("buffalo-resnet", title="Simple ResNet (buffalo)", spec=SPEC, attribution_layer="body.9", paper=PAPER)
def buffalo_resnet(*, classes: int, spec: ImageSpec, width: int = 64) -> nn.Module:
    """7x7 of stride 2 and max pool; two residual blocks each of 64, 128 and 256 channels; average over 5x5."""
    stages = [(width, width, 1), (width, 2 * width, 1), (2 * width, 4 * width, 2)]
    blocks = [block for a, b, stride in stages for block in (BasicBlock(a, b, stride), BasicBlock(b, b, 1))]
    stem = [*conv_bn(spec.channels, width, 7, stride=2), nn.MaxPool2d(3, 2, 1)]
    return Classifier(nn.Sequential(*stem, *blocks, nn.AvgPool2d(5, 1)), spec, hidden=0, classes=classes)


class Inception(nn.Module):
    """Four paths side by side: 1x1, and 3x3, 5x5, 7x7 after 1x1 reductions to 16, 32, 32; each gives `out` channels."""

    def __init__(self, before: int, out: int = 16) -> None:
        super().__init__()
        paths: list[nn.Module] = [nn.Sequential(*conv_bn(before, out, 1))]
        for kernel, reduced in ((3, 16), (5, 32), (7, 32)):
            paths.append(nn.Sequential(*conv_bn(before, reduced, 1), *conv_bn(reduced, out, kernel)))
        self.paths = nn.ModuleList(paths)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([path(images) for path in self.paths], dim=1)


@network("buffalo-googlenet", title="GoogLeNet variation (buffalo)", spec=SPEC, attribution_layer="body.4", paper=PAPER)
def buffalo_googlenet(*, classes: int, spec: ImageSpec, width: int = 64, dropout: float = 0.1) -> nn.Module:
    """A convolution of 64, two inception modules of 4 x 16 channels, global average."""
    inception = [Inception(before, width // 4) for before in (width, width // 4 * 4)]
    body = [*conv_bn(spec.channels, width), *inception, nn.Dropout(dropout), nn.AdaptiveAvgPool2d(1)]
    return Classifier(nn.Sequential(*body), spec, hidden=0, classes=classes)


def _twice(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU()
    )


class UNet(nn.Module):
    """Ronneberger et al. 2015 (arXiv 1505.04597) without batch norm; (N, C, H, W) -> (N, 16, H, W), sides by eight."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        self.down = nn.ModuleList(_twice(a, b) for a, b in zip([channels, *widths], widths, strict=False))
        self.pools = nn.ModuleList(nn.MaxPool2d(2) for _ in widths)
        self.bottom = _twice(4 * width, 8 * width)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[::-1])
        self.merge = nn.ModuleList(_twice(2 * w, w) for w in widths[::-1])
        self.last = nn.Conv2d(width, 16, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kept = []
        for down, pool in zip(self.down, self.pools, strict=True):
            images = down(images)
            kept.append(images)
            images = pool(images)
        images = self.bottom(images)
        for up, merge in zip(self.up, self.merge, strict=True):
            images = merge(torch.cat([up(images), kept.pop()], dim=1))
        return self.last(images)  # type: ignore[no-any-return]


@network("buffalo-unet", title="UNet classifier (buffalo)", spec=SPEC, attribution_layer="body.0", paper=PAPER)
def buffalo_unet(*, classes: int, spec: ImageSpec, width: int = 64) -> nn.Module:
    """A UNet of 64 to 512 channels down to a map of 16, averaged over 5x5 of stride 2, and one linear layer."""
    return Classifier(nn.Sequential(UNet(spec.channels, width), nn.AvgPool2d(5, 2)), spec, hidden=0, classes=classes)


@network(
    "buffalo-newnet", title="NewNet: UNet + inception (buffalo)", spec=SPEC, attribution_layer="body.5", paper=PAPER
)
def buffalo_newnet(*, classes: int, spec: ImageSpec, width: int = 64, dropout: float = 0.1) -> nn.Module:
    """The UNet's map, a convolution of 64, two inception modules, average over 5x5, a convolution of 16 of stride 2."""
    unet = [UNet(spec.channels, width), *conv_bn(16, 64), Inception(64), Inception(64)]
    body = nn.Sequential(*unet, nn.AvgPool2d(5, 2), *conv_bn(64, 16, stride=2))
    return Classifier(body, spec, nn.Dropout(dropout), hidden=0, classes=classes)


class Paths(nn.Module):
    """RogleNet's start: a convolution, 1x1 then 3x3, and 1x1 then 5x5, side by side, with 1, 1 and 2 x `width` channels."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            [
                nn.Sequential(*conv_bn(channels, width)),
                nn.Sequential(*conv_bn(channels, width, 1), *conv_bn(width, width, 3)),
                nn.Sequential(*conv_bn(channels, width, 1), *conv_bn(width, 2 * width, 5)),
            ]
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([path(images) for path in self.paths], dim=1)


class AddedBack(nn.Module):
    """A residual of two convolutions through half the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*conv_bn(channels, channels // 2), *conv_bn(channels // 2, channels))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + self.body(images)  # type: ignore[no-any-return]


@network("roglenet", title="RogleNet: ResNet + GoogLeNet (buffalo)", spec=SPEC, attribution_layer="body.5", paper=PAPER)
def roglenet(*, classes: int, spec: ImageSpec, width: int = 64, dropout: float = 0.1) -> nn.Module:
    """Three paths to 256 channels, max pool, a residual added back, a convolution, and a dense layer of 512."""
    wide = 4 * width
    body = [Paths(spec.channels, width), nn.MaxPool2d(2), AddedBack(wide), *conv_bn(wide, wide)]
    head = nn.ReLU(), nn.Dropout(dropout)
    return Classifier(nn.Sequential(*body), spec, *head, hidden=8 * width, classes=classes)
