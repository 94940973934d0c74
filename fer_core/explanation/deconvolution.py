"""Deconvolution: the gradient, where each ReLU passes only positive values back, whatever its activation was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Parameters, Question, method
from fer_core.explanation.activations import only_relu_modules

if TYPE_CHECKING:
    import torch

PAPER = "Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, arXiv 1311.2901"


@method("deconvolution", title="Deconvolution", paper=PAPER, signed=True, claims="sensitivity", suits=only_relu_modules)
def deconvolution(question: Question, parameters: Parameters) -> torch.Tensor:
    """dS/dx with max(0, gradient) in place of each ReLU's own backward step, summed over the channels.

    Like guided back-propagation it hardly depends on the upper layers; see its randomisation check.
    """
    from captum.attr import Deconvolution  # three seconds to import

    return question.slopes(Deconvolution(question.score)).sum(dim=1)
