"""SmoothGrad: saliency with the gradient averaged over noisy copies of the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from fer_core.explanation import Parameters, Question, method

if TYPE_CHECKING:
    import torch


class Smoothing(Parameters):
    copies: int = Field(20, ge=1, le=500, description="Noisy copies of each picture.")
    noise: float = Field(0.15, ge=0, le=1, description="Deviation of the noise, as a part of the picture's range.")
    seed: int = Field(0, ge=0, description="Seed of the noise.")


@method(
    "smoothgrad",
    title="SmoothGrad",
    paper="Smilkov et al. 2017, SmoothGrad: removing noise by adding noise, arXiv 1706.03825",
    signed=False,
    parameters=Smoothing,
)
def smoothgrad(question: Question, parameters: Smoothing) -> torch.Tensor:
    """|1/n sum dS/dx(x + e)|, e normal with deviation noise (max x - min x), the largest over the channels."""
    import torch

    total = torch.zeros_like(question.inputs)
    for gradient in noisy_gradients(question, parameters):
        total += gradient.sum(dim=1)
    return (total / parameters.copies).abs().amax(dim=1)


def noisy_gradients(question: Question, parameters: Smoothing) -> Iterator[torch.Tensor]:
    """dS/dx of noisy copies, (N, copies of this part, C, H, W).

    Captum's NoiseTunnel draws from torch's global random state and for the batch as a whole. Here each picture gets
    the same seeded noise, so that a map depends on nothing else in the batch or the program.
    """
    import torch
    from captum.attr import Saliency  # three seconds to import

    inputs = question.inputs
    generator = torch.Generator().manual_seed(parameters.seed)
    noise = torch.randn(parameters.copies, *inputs.shape[1:], generator=generator).to(inputs.device)
    spread = parameters.noise * (inputs.amax(dim=(1, 2, 3)) - inputs.amin(dim=(1, 2, 3)))
    for part in torch.split(noise, max(1, question.at_once // len(inputs))):
        copies = (inputs[:, None] + spread.view(-1, 1, 1, 1, 1) * part).flatten(0, 1).requires_grad_()
        classes = tuple(c.repeat_interleave(len(part)) for c in question.classes)
        gradient = Saliency(question.score).attribute(copies, abs=False, additional_forward_args=classes)
        yield gradient.unflatten(0, (len(inputs), len(part)))
