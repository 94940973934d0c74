"""VarGrad: how much the gradient varies over noisy copies of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Question, method
from fer_core.explanation.smoothgrad import Smoothing, noisy_gradients

if TYPE_CHECKING:
    import torch

PAPER = "Adebayo et al. 2018, Local Explanation Methods for Deep Neural Networks Lack Sensitivity, arXiv 1810.03307"


@method("vargrad", title="VarGrad", paper=PAPER, signed=False, parameters=Smoothing)
def vargrad(question: Question, parameters: Smoothing) -> torch.Tensor:
    """The variance of dS/dx(x + e) over the copies, the largest over the channels; zero for a linear network."""
    import torch

    mean = torch.zeros_like(question.inputs)
    squares = torch.zeros_like(question.inputs)
    seen = 0
    for gradient in noisy_gradients(question, parameters):  # merged as in Chan et al. 1979: no digits are lost
        part, inside = gradient.mean(dim=1), gradient.var(dim=1, correction=0) * gradient.shape[1]
        ahead = part - mean
        mean = mean + ahead * gradient.shape[1] / (seen + gradient.shape[1])
        squares = squares + inside + ahead**2 * seen * gradient.shape[1] / (seen + gradient.shape[1])
        seen += gradient.shape[1]
    return (squares / seen).amax(dim=1)
