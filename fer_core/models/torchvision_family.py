"""torchvision's classification networks under their own names, “torchvision:resnet18”, with their own pretraining."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from fer_core.errors import ConfigError, UnknownName
from fer_core.images import ImageSpec
from fer_core.models import Network, family
from fer_core.models.outputs import first_for_channels, last_map, out_of_place
from fer_core.models.pretrained import torchvision_file

IMAGENET = ImageSpec(
    channels=3, height=96, width=96, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)  # the mean and deviation of its pretraining


@family("torchvision")
def torchvision(name: str) -> Network:
    """A network of torchvision's list; the first convolution takes the spec's channels.

    Raises:
        UnknownName: torchvision has none of that name.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise UnknownName("network of torchvision", name, known)

    def build(*, classes: int, spec: ImageSpec) -> nn.Module:
        sizes = {"image_size": spec.height} if name.startswith("vit") else {}
        if name in ("inception_v3", "googlenet"):
            sizes |= {"aux_logits": False, "init_weights": False}
        try:
            model = models.get_model(name, weights=None, num_classes=classes, **sizes)
        except (TypeError, AssertionError) as error:
            raise ConfigError(
                f"torchvision:{name} cannot be built for images of {spec.height} x {spec.width}: {error}"
            ) from error
        first_for_channels(model, spec.channels)
        return last_map(out_of_place(model), spec)

    def imagenet(arguments: Mapping[str, Any]) -> Path:
        return torchvision_file(str(models.get_model_weights(name).DEFAULT))

    return Network(
        f"torchvision:{name}", f"{name} (torchvision)", build, IMAGENET, "map_layers", "torchvision", imagenet=imagenet
    )
