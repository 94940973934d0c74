"""timm's networks under their own names, “timm:resnet18” (extra `foreign`); a name with a tag, “resnet18.a1_in1k”, says whose
pretraining."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from fer_core.errors import ConfigError, UnknownName
from fer_core.images import ImageSpec
from fer_core.models import Network, family
from fer_core.models.outputs import last_map, out_of_place


@family("timm")
def timm(name: str) -> Network:
    """A network of timm, made for the spec's channels and, where it depends on it, the spec's size.

    Raises:
        UnknownName: timm has none of that name.
        ConfigError: timm is not installed.
    """
    try:
        import timm as library
    except ImportError as error:
        raise ConfigError("Networks of timm need its package: pip install 'ferscope[foreign]'.") from error
    plain = name.partition(".")[0]
    if plain not in library.list_models():
        raise UnknownName("network of timm", plain, library.list_models())
    told = library.get_pretrained_cfg(name) or library.get_pretrained_cfg(plain)
    mean, std = (told.mean, told.std) if told else ((0.5,), (0.5,))
    side = (
        min(96, int(told.input_size[1]))
        if told and not told.fixed_input_size
        else int(told.input_size[1])
        if told
        else 96
    )
    spec = ImageSpec(channels=3, height=side, width=side, mean=tuple(mean), std=tuple(std))

    def build(*, classes: int, spec: ImageSpec) -> nn.Module:
        settings: dict[str, Any] = {"num_classes": classes, "in_chans": spec.channels}
        try:
            try:
                model = library.create_model(plain, **settings, img_size=(spec.height, spec.width))
            except TypeError:  # a network that takes any size
                model = library.create_model(plain, **settings)
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            raise ConfigError(
                f"timm:{name} cannot be built for images of {spec.height} x {spec.width}: {error}."
            ) from error
        return last_map(out_of_place(model), spec)

    def imagenet(arguments: Mapping[str, Any]) -> Path:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(told.hf_hub_id, "model.safetensors") if told and told.hf_hub_id else None
        if not isinstance(found, str):
            raise ConfigError(
                f'The pretraining of timm:{name} is not here: where there is internet, run python -c "import timm; '
                f"timm.create_model('{name}', pretrained=True)\"."
            )
        return Path(found)

    return Network(f"timm:{name}", f"{name} (timm)", build, spec, "map_layers", "timm", imagenet=imagenet)
