"""Networks: one file per family, with a registered function for each network."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, validate_call

from fer_core.errors import ConfigError
from fer_core.images import ImageSpec
from fer_core.models.batching import keep_memory
from fer_core.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Network:
    """A registered network.

    Attributes:
        build: (classes, spec, **arguments) -> module; images (N, C, H, W) float -> logits (N, classes).
        spec: the images it was designed for; a recipe may ask for another size.
        attribution_layer: dotted name of the last layer whose map is still at least 6 x 6, for Grad-CAM, with the usual
            arguments, or of the attribute that names several; `attribution_layer` gives it for any arguments.
        head: name of the module that turns features into logits; empty: the last child that has weights; None: the
            network has no head of its own (`head_of` gives the name for a built network).
        imagenet: arguments of the network -> file of its ImageNet weights; None where there are none.
        translate: (tensors of a foreign file, the module) -> the same under the module's own names; a name that it
            does not know stays as it is.
    """

    name: str
    title: str
    build: Callable[..., nn.Module]
    spec: ImageSpec
    attribution_layer: str
    paper: str
    head: str | None = ""
    imagenet: Callable[[Mapping[str, Any]], Path] | None = None
    translate: Callable[[dict[str, torch.Tensor], nn.Module], dict[str, torch.Tensor]] | None = None


class Networks(Registry[Network]):
    """The registered networks; a name with a colon, “timm:resnet18”, is one of a family."""

    def get(self, name: str) -> Network:
        head, colon, rest = name.partition(":")
        return FAMILIES.get(head)(rest) if colon else super().get(name)

    __getitem__ = get


NETWORKS = Networks("network", __name__)
FAMILIES: Registry[Callable[[str], Network]] = Registry("family of networks", __name__)


def family(name: str) -> Callable[[Callable[[str], Network]], Callable[[str], Network]]:
    """Decorator that registers a function (name within the family) -> Network; members are called “<family>:<name>”."""
    return FAMILIES.register(name)


def network(
    name: str,
    *,
    title: str,
    spec: ImageSpec,
    attribution_layer: str,
    paper: str,
    head: str | None = "",
    imagenet: Callable[[Mapping[str, Any]], Path] | None = None,
    translate: Callable[[dict[str, torch.Tensor], nn.Module], dict[str, torch.Tensor]] | None = None,
) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Decorator that registers a function building a network; see `Network` for the arguments."""

    def add(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        NETWORKS.register(name)(Network(name, title, build, spec, attribution_layer, paper, head, imagenet, translate))
        return build

    return add


def attribution_layer(name: str, model: nn.Module) -> str:
    """The layer that a Grad-CAM of a registered network looks at, by its name in `named_modules`: its entry's, or the last
    one beside it where the network was built with fewer, such as a small VGG of three stages. The layers of an ensemble's
    members are joined by “+”."""
    layer = NETWORKS.get(name).attribution_layer
    if isinstance(several := getattr(model, layer, None), tuple):
        return "+".join(several)
    try:
        found = model.get_submodule(layer)
    except AttributeError:
        *_, found = model.get_submodule(layer.rpartition(".")[0]).children()
    places: dict[nn.Module, str] = {module: place for place, module in model.named_modules()}
    return places[found]


def head_of(name: str, model: nn.Module) -> str:
    """Name of the module of a built network that turns features into logits.

    Raises:
        ConfigError: the network is made of trained networks and has no head of its own.
    """
    head = NETWORKS.get(name).head
    if head is None:
        raise ConfigError(f"{name} is made of trained networks and has no head of its own.")
    return head or [child for child, module in model.named_children() if any(True for _ in module.parameters())][-1]


def titles() -> dict[str, str]:
    """Title of each registered network by name, read from the calls in this folder that register them.

    Importing the modules would bring torch, which a form that lists networks does not need.
    """
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words = {given.arg: given.value for given in node.keywords} if isinstance(node, ast.Call) else {}
            if isinstance(node, ast.Call) and "title" in words:  # `network`, or a partial of it for a family
                found[ast.literal_eval(node.args[0])] = ast.literal_eval(words["title"])
    return dict(sorted(found.items()))


def build(name: str, *, classes: int, spec: ImageSpec, arguments: dict[str, Any] | None = None) -> nn.Module:
    """Build a network with fresh weights from torch's global random state.

    Args:
        arguments: of the network's function; every network takes `activation` too: relu, leaky-relu, prelu or silu
            (Swish) in the place of its ReLUs.

    Raises:
        UnknownName: no such network or activation.
        ConfigError: an argument that the network does not take, or of another kind; the message says what it takes.
    """
    from fer_core.models.layers import activate  # brings torch, which the titles do without

    keep_memory()
    entry, given = NETWORKS.get(name), dict(arguments or {})
    activation = given.pop("activation", "relu")
    takes = [key for key in inspect.signature(entry.build).parameters if key not in ("classes", "spec")]
    if unknown := sorted(set(given) - set(takes)):
        raise ConfigError(
            f"{name} takes no argument {', '.join(unknown)}; it takes {', '.join([*takes, 'activation'])}."
        )
    try:
        model: nn.Module = validate_call(entry.build)(classes=classes, spec=spec, **given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"arguments of {name}: {key} = {first['input']!r}: {first['msg']}.") from error
    except ValueError as error:  # torch's word on a value of the right kind, such as a dropout of 2
        raise ConfigError(f"arguments of {name}: {error}.") from error
    except RuntimeError as error:  # its word on a width below 0, or on images that a UNet cannot halve three times
        raise ConfigError(
            f"{name} with these arguments cannot be built for images of {spec.height} x {spec.width}: {error}; take other "
            "arguments or another size ([image])."
        ) from error
    return model if activation == "relu" else activate(model, activation)
