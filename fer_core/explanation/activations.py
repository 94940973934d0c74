"""Find the activations that a network runs. Methods that change their backward pass must reach all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fer_core.explanation import replica
from fer_core.images import ImageSpec

if TYPE_CHECKING:
    from torch import nn

# The names of torch's functions; a module's class is called the same without the underscores.
ACTIVATIONS = frozenset(
    {
        "relu", "relu6", "elu", "leaky_relu", "sigmoid", "tanh", "softplus", "softmax", "log_softmax", "silu", "gelu",
        "hardswish", "hardsigmoid", "hardtanh", "prelu", "selu", "celu", "mish",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Activations:
    """What one forward pass runs.

    Attributes:
        modules: how often each kind ran as a module, by its name in `ACTIVATIONS`.
        again: dotted names of activation modules that ran more than once.
        loose: kinds that ran as a function, where no module's hook can reach them.
    """

    modules: Counter[str]
    again: tuple[str, ...]
    loose: tuple[str, ...]


def activations(model: nn.Module, spec: ImageSpec) -> Activations:
    """Watch one forward pass of a black image."""
    import torch
    from torch.overrides import TorchFunctionMode

    network = replica(model)
    kinds = {name.replace("_", ""): name for name in ACTIVATIONS}
    runs: Counter[str] = Counter()
    calls: Counter[str] = Counter()

    def note(layer: nn.Module, name: str) -> None:
        layer.register_forward_pre_hook(lambda _layer, _inputs: runs.update([name]))

    watched = {name: kinds[kind] for name, layer in network.named_modules() if (kind := _kind(layer)) in kinds}
    for name in watched:
        note(network.get_submodule(name), name)

    class Watch(TorchFunctionMode):  # sees a module's own call of its function too
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if (called := getattr(function, "__name__", "").rstrip("_")) in ACTIVATIONS:
                calls[called] += 1
            return function(*args, **(kwargs or {}))

    device = next((p.device for p in model.parameters()), "cpu")
    with torch.inference_mode(), Watch():
        network(torch.zeros(1, *spec.shape, device=device))
    modules: Counter[str] = Counter()
    for name, count in runs.items():
        modules[watched[name]] += count
    return Activations(
        modules,
        tuple(name for name, count in runs.items() if count > 1),
        tuple(kind for kind, count in calls.items() if count > modules[kind]),
    )


def only_relu_modules(model: nn.Module, spec: ImageSpec) -> str | None:
    """For methods that change the way back through nn.ReLU."""
    found = activations(model, spec)
    if "relu" in found.loose:
        return "it calls relu as a function, which this method cannot handle; use nn.ReLU modules"
    if not found.modules["relu"]:
        others = ", ".join(sorted({*found.modules, *found.loose})) or "none"
        return f"it has no ReLU, whose way back the method changes (its activations: {others})"
    return None


def _kind(layer: nn.Module) -> str:
    return type(layer).__name__.lower()
