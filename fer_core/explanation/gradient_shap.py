"""GradientShap: integrated gradients from many noisy baselines, one random point on each path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from fer_core.explanation import Parameters, Question, method

if TYPE_CHECKING:
    import torch


class Draws(Parameters):
    draws: int = Field(32, ge=1, le=1000, description="Baselines, each with one point on its path to the picture.")
    noise: float = Field(0.15, ge=0, le=1, description="Deviation of the baselines, as a part of the picture's range.")
    seed: int = Field(0, ge=0, description="Seed of the draws.")


@method(
    "gradient-shap",
    title="GradientShap",
    paper="Lundberg and Lee 2017, A Unified Approach to Interpreting Model Predictions, arXiv 1705.07874",
    signed=True,
    parameters=Draws,
)
def gradient_shap(question: Question, parameters: Draws) -> torch.Tensor:
    """The mean of (x - b) dS/dx(b + a (x - b)), a uniform in 0..1, b the mean grey plus noise; summed over channels.

    Captum's GradientShap draws from numpy's and torch's global random state and for the batch as a whole. Here each
    picture gets the same seeded draws, stratified in a, so that a map depends on nothing else in the batch.
    """
    import torch
    from captum.attr import Saliency  # three seconds to import

    inputs = question.inputs
    generator = torch.Generator().manual_seed(parameters.seed)
    strata = torch.arange(parameters.draws, dtype=torch.float32)
    points = ((strata + torch.rand(parameters.draws, generator=generator)) / parameters.draws).to(inputs.device)
    noise = torch.randn(parameters.draws, *inputs.shape[1:], generator=generator).to(inputs.device)
    spread = (parameters.noise * (inputs.amax(dim=(1, 2, 3)) - inputs.amin(dim=(1, 2, 3)))).view(-1, 1, 1, 1, 1)
    total = torch.zeros_like(inputs)
    size = max(1, question.at_once // len(inputs))
    for part, along in zip(torch.split(noise, size), torch.split(points, size), strict=True):
        baselines = spread * part
        way = inputs[:, None] - baselines
        copies = (baselines + along.view(1, -1, 1, 1, 1) * way).flatten(0, 1).requires_grad_()
        classes = tuple(c.repeat_interleave(len(part)) for c in question.classes)
        gradient = Saliency(question.score).attribute(copies, abs=False, additional_forward_args=classes)
        total += (gradient.unflatten(0, (len(inputs), len(part))) * way).sum(dim=1)
    return (total / parameters.draws).sum(dim=1)
