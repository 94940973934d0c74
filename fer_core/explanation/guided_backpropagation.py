"""Guided back-propagation: the gradient, where each active ReLU passes only positive values back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Parameters, Question, method
from fer_core.explanation.activations import only_relu_modules

if TYPE_CHECKING:
    import torch

PAPER = "Springenberg et al. 2015, Striving for Simplicity, arXiv 1412.6806"


@method(
    "guided-backpropagation",
    title="Guided back-propagation",
    paper=PAPER,
    signed=True,
    claims="sensitivity",
    suits=only_relu_modules,
)
def guided_backpropagation(question: Question, parameters: Parameters) -> torch.Tensor:
    """dS/dx with the gradient set to 0 at each ReLU where it or the activation is negative, summed over the channels.

    It draws sharp edges of the image and hardly depends on the upper layers (Adebayo et al. 2018, arXiv 1810.03292):
    see its randomisation check before it is believed.
    """
    from captum.attr import GuidedBackprop  # three seconds to import

    return question.slopes(GuidedBackprop(question.score)).sum(dim=1)
