"""DeepLift: shares of the score's rise from the mean grey, handed back layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Parameters, Question, method
from fer_core.explanation.activations import activations
from fer_core.images import ImageSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

RULED = ("relu", "elu", "leaky_relu", "sigmoid", "tanh", "softplus", "softmax")  # Captum has a rule for these


def has_rules(model: nn.Module, spec: ImageSpec) -> str | None:
    found = activations(model, spec)
    if found.loose:
        return f"it calls {', '.join(found.loose)} as a function, which the method can not get hold of"
    if unruled := sorted(set(found.modules) - set(RULED)):
        return f"there is no rule for its {', '.join(unruled)}"
    if found.again:
        return f"its module {found.again[0]} runs more than once, and the rule keeps one activation a module"
    return None


@method(
    "deep-lift",
    title="DeepLift",
    paper="Shrikumar, Greenside and Kundaje 2017, Learning Important Features, arXiv 1704.02685",
    signed=True,
    suits=has_rules,
)
def deep_lift(question: Question, parameters: Parameters) -> torch.Tensor:
    """(x - 0) times the multipliers of the rescale rule, summed over the channels; the baseline 0 is the mean grey.

    The map's sum is S(x) - S(0) for a network of linear layers, maxima and activations; not for one that multiplies two
    activations (squeeze and excitation), for which no rule is defined.
    """
    import warnings

    from captum.attr import DeepLift  # three seconds to import

    with warnings.catch_warnings():  # that hooks are set and removed; the replica is thrown away anyway
        warnings.simplefilter("ignore", UserWarning)
        shares: torch.Tensor = DeepLift(question.score).attribute(
            question.inputs.requires_grad_(), additional_forward_args=question.classes
        )
    return shares.sum(dim=1)
