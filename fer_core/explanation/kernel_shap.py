"""KernelSHAP: each superpixel's Shapley value, the fair share of the score's rise from the mean grey."""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

from fer_core.explanation import Question, method
from fer_core.explanation.superpixels import Superpixels, fit, grid, scores

if TYPE_CHECKING:
    import torch

PAPER = "Lundberg and Lee 2017, A Unified Approach to Interpreting Model Predictions, arXiv 1705.07874"


@method(
    "kernel-shap",
    title="KernelSHAP",
    paper=PAPER,
    signed=True,
    claims="shares",
    parameters=Superpixels,
    gradients=False,
)
def kernel_shap(question: Question, parameters: Superpixels) -> torch.Tensor:
    """Shapley values of the superpixels, spread evenly over their pixels; the map's sum is S(x) - S(0) exactly.

    The weighted regression of the paper's theorem 2: exact where all coalitions fit into `samples` (up to 3 x 3 cells
    with 1,536 samples), else on coalitions drawn by the kernel, each with its complement (Covert and Lee 2021, arXiv 2012.01536).
    All images share the seeded coalitions, so a map does not depend on the other images of the batch.
    """
    import torch

    segments = grid(question.spec.height, question.spec.width, parameters.cells)
    count = parameters.cells**2
    if 2**count - 2 <= parameters.samples:
        numbers = torch.arange(1, 2**count - 1)
        shown = (numbers[:, None] >> torch.arange(count)) % 2 == 1
        sizes = shown.sum(dim=1)
        kernel = [0.0, *((count - 1) / (comb(count, k) * k * (count - k)) for k in range(1, count))]
        weights = torch.tensor(kernel, dtype=torch.float64)[sizes]
    else:
        generator = torch.Generator().manual_seed(parameters.seed)
        per_size = torch.tensor([1 / (k * (count - k)) for k in range(1, count)], dtype=torch.float64)
        half = parameters.samples // 2
        sizes = 1 + torch.multinomial(per_size, half, replacement=True, generator=generator)
        ranks = torch.rand(half, count, generator=generator).argsort(dim=1).argsort(dim=1)
        drawn = ranks < sizes[:, None]
        shown = torch.cat([drawn, ~drawn])
        weights = torch.ones(len(shown), dtype=torch.float64)  # drawn by the kernel, so counted alike
    ends = torch.stack([torch.zeros(count, dtype=torch.bool), torch.ones(count, dtype=torch.bool)])
    found = scores(question, torch.cat([ends, shown]), segments)
    nothing, everything, partly = found[:, :1], found[:, 1:2], found[:, 2:]
    # The values add up to S(x) - S(0): the last one is put in terms of the others.
    last = shown[:, -1:].double()
    design = shown[:, :-1].double() - last
    rest = partly - nothing - (everything - nothing) * last[:, 0].to(found)
    others = fit(design, weights, rest, 1e-9).T
    values = torch.cat([others, everything - nothing - others.sum(dim=1, keepdim=True)], dim=1)
    pixels = torch.bincount(segments.flatten(), minlength=count).to(values)
    return (values / pixels)[:, segments.to(values.device)]
