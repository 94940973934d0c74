"""Scores of images of which only some superpixels are shown: what LIME and KernelSHAP are fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from fer_core.explanation import Parameters, Question

if TYPE_CHECKING:
    import torch


class Superpixels(Parameters):
    cells: int = Field(
        4,
        ge=2,
        le=12,
        description="Superpixels along each side of the image: squares of a grid; more need more samples.",
    )
    samples: int = Field(
        1536,
        ge=50,
        le=20_000,
        description="Images with some superpixels covered, for each map; the fewer, the more two seeds differ.",
    )
    seed: int = Field(0, ge=0, description="Seed of the samples.")


def grid(height: int, width: int, cells: int) -> torch.Tensor:
    """(height, width) number of the cell of each pixel, 0..cells²-1, row by row; sizes differ by a pixel at most."""
    import torch

    rows = torch.arange(height) * cells // height
    columns = torch.arange(width) * cells // width
    return rows[:, None] * cells + columns


def scores(question: Question, shown: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    """The score of each image with only the shown superpixels, the others in the mean grey.

    Args:
        shown: (samples, superpixels) bool, the same for all images.
        segments: (H, W), as `grid` gives them.

    Returns:
        (N, samples) float64.
    """
    import torch

    inputs = question.inputs
    found = torch.empty(len(inputs), len(shown), dtype=torch.float64, device=inputs.device)
    masks = shown.to(inputs.device)[:, segments.to(inputs.device)].float()
    step = max(1, question.at_once // len(inputs))
    with torch.no_grad():
        for start in range(0, len(shown), step):
            part = masks[start : start + step]
            seen = (inputs[:, None] * part[None, :, None]).flatten(0, 1)
            classes = tuple(c.repeat_interleave(len(part)) for c in question.classes)
            found[:, start : start + step] = question.score(seen, *classes).unflatten(0, (len(inputs), len(part)))
    return found


def fit(design: torch.Tensor, weights: torch.Tensor, scores: torch.Tensor, ridge: float) -> torch.Tensor:
    """Weighted least squares with a small ridge: (features, N) coefficients of (samples, features) for (N, samples)."""
    import torch

    design, weights = design.to(scores), weights.to(scores)
    weighted = design * weights[:, None]
    gram = design.T @ weighted + ridge * torch.eye(design.shape[1]).to(scores)
    coefficients: torch.Tensor = torch.linalg.solve(gram, weighted.T @ scores.T)
    return coefficients
