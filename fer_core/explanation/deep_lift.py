"""DeepLift: shares of the score's rise from the mean grey, handed back layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Parameters, Question, method, replica, score_of
from fer_core.explanation.activations import activations
from fer_core.images import ImageSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

PAPER = "Shrikumar, Greenside and Kundaje 2017, Learning Important Features, arXiv 1704.02685"
RULED = ("relu", "elu", "leaky_relu", "sigmoid", "tanh", "softplus", "softmax")  # Captum has a rule for these


def has_rules(model: nn.Module, spec: ImageSpec) -> str | None:
    found = activations(model, spec)
    if found.loose:
        return f"it calls {', '.join(found.loose)} as a function, which this method cannot handle"
    if unruled := sorted(set(found.modules) - set(RULED)):
        return f"there is no rule for its {', '.join(unruled)}"
    if found.again:
        return f"its module {found.again[0]} runs more than once, and the rule keeps one activation a module"
    if odd := [name for name, pool in _overlapping(model) if pool.ceil_mode or pool.dilation not in (1, (1, 1))]:
        return f"the windows of {odd[0]} overlap and are dilated or cut at the edge, for which there is no rule"
    return None


@method("deep-lift", title="DeepLift", paper=PAPER, signed=True, claims="shares", suits=has_rules)
def deep_lift(question: Question, parameters: Parameters) -> torch.Tensor:
    """(x - 0) times the multipliers of the rescale rule, summed over the channels; the baseline 0 is the mean grey.

    The map's sum is S(x) - S(0) for a network of linear layers, maxima and activations; not for one that multiplies two
    activations (squeeze and excitation), for which no rule is defined.
    """
    from captum.attr import DeepLift  # three seconds to import

    return question.slopes(DeepLift(score_of(_as_captum_takes_it(question.network)))).sum(dim=1)


def _as_captum_takes_it(network: nn.Module) -> nn.Module:
    """A replica that computes the same, on which Captum's rules hold.

    Captum's hooks sit on what a layer takes and gives. Where two layers with rules follow each other, such as a ReLU and
    a maximum, both sit on one tensor and the first is told the gradient from before the second's rule; so each layer
    takes a copy. And of a pixel that several windows of a maximum share Captum counts one window; so windows are laid
    out side by side.
    """
    from torch import nn

    fresh = replica(network)
    for name, pool in _overlapping(fresh):
        parent, _, own = name.rpartition(".")
        height, width = _pair(pool.kernel_size)
        setattr(fresh.get_submodule(parent), own, nn.Sequential(_windows(pool), nn.MaxPool2d((1, height * width))))
    ruled = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softmax, nn.MaxPool2d)
    for layer in fresh.modules():
        if isinstance(layer, ruled):
            layer.register_forward_pre_hook(lambda _layer, inputs: tuple(one.clone() for one in inputs))
    return fresh


def _overlapping(network: nn.Module) -> list[tuple[str, nn.MaxPool2d]]:
    from torch import nn

    pools = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.MaxPool2d)]
    return [
        (name, pool)
        for name, pool in pools
        if any(size > step for size, step in zip(_pair(pool.kernel_size), _pair(pool.stride), strict=True))
    ]


def _windows(pool: nn.MaxPool2d) -> nn.Module:
    """(N, C, H, W) -> (N, C, h, w k): the k pixels of each window beside each other."""
    import torch
    from torch import nn

    (height, width), (down, right), (top, left) = map(_pair, (pool.kernel_size, pool.stride, pool.padding))

    class Windows(nn.Module):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            # the edge is never the largest; infinite, its difference from the baseline's would not be a number
            padded = nn.functional.pad(maps, (left, left, top, top), value=torch.finfo(maps.dtype).min)
            return padded.unfold(2, height, down).unfold(3, width, right).flatten(3)

    return Windows()


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
