"""Networks taken from torchvision: AlexNet, InceptionV3, EfficientNet-B0; the first convolution takes the spec's channels.

Activations are put out of place, and InceptionV3's functional ones become modules, so that attribution methods see them.
"""

from __future__ import annotations

import torch
from torch import nn

from fer_core.errors import ConfigError
from fer_core.images import ImageSpec
from fer_core.models import network
from fer_core.models.outputs import for_channels, out_of_place
from fer_core.models.pretrained import from_torchvision


@network(
    "alexnet",
    title="AlexNet",
    spec=ImageSpec(channels=3, height=64, width=64),
    attribution_layer="features.4",
    paper="Krizhevsky et al. 2012; torchvision",
    head="classifier",
    imagenet=from_torchvision("AlexNet_Weights.IMAGENET1K_V1"),
)
def alexnet(*, classes: int, spec: ImageSpec, dropout: float = 0.5) -> nn.Module:
    """57 million parameters, nearly all in its dense layers."""
    from torchvision import models  # seconds to import, and not needed to list networks

    if min(spec.height, spec.width) < 63:
        raise ConfigError(f"alexnet needs images of at least 63 x 63, found {spec.height} x {spec.width}.")
    model = models.alexnet(num_classes=classes, dropout=dropout)
    model.features[0] = for_channels(model.features[0], spec.channels)
    return out_of_place(model)


@network(
    "inception-v3",
    title="InceptionV3",
    spec=ImageSpec(channels=3, height=75, width=75),
    attribution_layer="Mixed_5d",
    paper="Szegedy et al. 2016, arXiv 1512.00567; torchvision",
    head="fc",
    imagenet=from_torchvision("Inception_V3_Weights.IMAGENET1K_V1"),
)
def inception_v3(*, classes: int, spec: ImageSpec, dropout: float = 0.5) -> nn.Module:
    """Without its auxiliary classifier. Needs images of at least 75 x 75, as the source `emotions` takes."""
    from torchvision import models
    from torchvision.models.inception import BasicConv2d

    class ConvBN(BasicConv2d):  # type: ignore[misc]
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.activation(self.bn(self.conv(images)))  # type: ignore[no-any-return]

    if min(spec.height, spec.width) < 75:
        raise ConfigError(f"inception-v3 needs images of at least 75 x 75, found {spec.height} x {spec.width}.")
    model = models.inception_v3(num_classes=classes, aux_logits=False, init_weights=False, dropout=dropout)
    for module in model.modules():
        if type(module) is BasicConv2d:
            module.__class__ = ConvBN
            module.add_module("activation", nn.ReLU())
    first = model.Conv2d_1a_3x3
    first.conv = for_channels(first.conv, spec.channels)
    return model  # type: ignore[no-any-return]


@network(
    "efficientnet-b0",
    title="EfficientNet-B0",
    spec=ImageSpec(channels=3, height=48, width=48),
    attribution_layer="features.3",
    paper="Tan and Le 2019, arXiv 1905.11946; torchvision",
    head="classifier",
    imagenet=from_torchvision("EfficientNet_B0_Weights.IMAGENET1K_V1"),
)
def efficientnet_b0(*, classes: int, spec: ImageSpec, dropout: float = 0.2, stochastic_depth: float = 0.2) -> nn.Module:
    """4 million parameters; for 48 x 48 images its last maps are 2 x 2, those of `features.3` 6 x 6."""
    from torchvision import models

    model = models.efficientnet_b0(num_classes=classes, dropout=dropout, stochastic_depth_prob=stochastic_depth)
    first = model.features[0]
    first[0] = for_channels(first[0], spec.channels)
    return out_of_place(model)
