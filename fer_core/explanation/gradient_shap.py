"""GradientShap: integrated gradients from many noisy baselines, one random point on each path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from fer_core.explanation import Question, method
from fer_core.explanation.smoothgrad import Noise, gradients_at, paired

if TYPE_CHECKING:
    import torch

PAPER = "Lundberg and Lee 2017, A Unified Approach to Interpreting Model Predictions, arXiv 1705.07874"


class Draws(Noise):
    draws: int = Field(
        256, ge=2, le=5000, description="Baselines, each with one point on its path; with few, seeds differ."
    )


@method("gradient-shap", title="GradientShap", paper=PAPER, signed=True, claims="shares", parameters=Draws)
def gradient_shap(question: Question, parameters: Draws) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of (x - b) dS/dx(b + a (x - b)), a uniform in 0..1, b the mean grey plus noise; summed over channels.

    Captum's GradientShap draws from numpy's and torch's global random state and for the batch as a whole. Here each
    image gets the same seeded draws, stratified in a and in pairs of opposite noise, so a map does not depend on the
    other images of the batch. The views of an image share the draws. The standard error over the draws comes with the
    map.
    """
    import torch

    inputs = question.inputs
    noise = paired(question.draws(parameters.draws, parameters.seed))
    pairs = noise.shape[1] // 2
    generator = torch.Generator().manual_seed(parameters.seed)
    places = (torch.arange(pairs) + torch.rand(len(noise), pairs, generator=generator)) / pairs
    points = places.repeat_interleave(2, dim=1).to(inputs.device)
    spread = (parameters.noise * (inputs.amax(dim=(1, 2, 3)) - inputs.amin(dim=(1, 2, 3)))).view(-1, 1, 1, 1, 1)
    total, squares = torch.zeros_like(inputs[:, 0]), torch.zeros_like(inputs[:, 0])
    each, size = len(inputs) // question.views, 2 * max(1, question.at_once // (2 * len(inputs)))
    for part, along in zip(torch.split(noise, size, dim=1), torch.split(points, size, dim=1), strict=True):
        baselines = spread * part.repeat_interleave(each, dim=0)
        way = inputs[:, None] - baselines
        at = along.repeat_interleave(each, dim=0)[:, :, None, None, None]
        copies = (baselines + at * way).flatten(0, 1)
        classes = tuple(c.repeat_interleave(part.shape[1]) for c in question.classes)
        shares = (gradients_at(question, copies, classes).reshape(way.shape) * way).sum(dim=2)
        shares = shares.reshape(len(inputs), -1, 2, *shares.shape[2:]).mean(dim=2)
        total += shares.sum(dim=1)
        squares += (shares**2).sum(dim=1)
    mean = total / pairs
    return mean, (squares / pairs - mean**2).clamp(min=0).div(max(1, pairs - 1)).sqrt()
