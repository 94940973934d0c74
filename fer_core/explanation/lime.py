"""LIME: the linear model that is nearest to the network around an image, with superpixels shown or covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from fer_core.explanation import Question, method
from fer_core.explanation.superpixels import Superpixels, fit, grid, scores

if TYPE_CHECKING:
    import torch

PAPER = "Ribeiro, Singh and Guestrin 2016, “Why Should I Trust You?”, arXiv 1602.04938"


class Neighbourhood(Superpixels):
    width: float = Field(0.25, gt=0, le=10, description="Width of the kernel over the cosine distance to the image.")
    ridge: float = Field(1e-3, ge=1e-9, le=100, description="Weight of the penalty on the coefficients.")


@method("lime", title="LIME", paper=PAPER, signed=True, claims="shares", parameters=Neighbourhood, gradients=False)
def lime(question: Question, parameters: Neighbourhood) -> torch.Tensor:
    """Each superpixel's coefficient, spread evenly over its pixels; so the map's sum is what all of them add.

    Superpixels are shown with probability 1/2; samples are weighted by exp(-d²/width²), d the cosine distance of what is
    shown to the whole. All images share the seeded samples, so a map does not depend on the other images of the batch
    (Captum's Lime takes one image at a time and torch's global random state).
    """
    import torch

    segments = grid(question.spec.height, question.spec.width, parameters.cells)
    count = parameters.cells**2
    generator = torch.Generator().manual_seed(parameters.seed)
    shown = torch.rand(parameters.samples, count, generator=generator) < 0.5
    shown[0] = True
    distance = 1 - (shown.double().mean(dim=1)).sqrt()  # cosine of a 0/1 vector with the vector of ones
    weights = torch.exp(-(distance**2) / parameters.width**2)
    design = torch.cat([shown.double(), torch.ones(len(shown), 1, dtype=torch.float64)], dim=1)
    coefficients = fit(design, weights, scores(question, shown, segments), parameters.ridge)[:count].T
    pixels = torch.bincount(segments.flatten(), minlength=count).to(coefficients)
    return (coefficients / pixels)[:, segments.to(coefficients.device)]
