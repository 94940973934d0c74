"""Score-CAM: the feature maps of a layer, weighted by the score of the image seen through each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from fer_core.explanation import Parameters, Question, method
from fer_core.explanation.grad_cam import at_layer, has_maps

if TYPE_CHECKING:
    import torch

PAPER = "Wang et al. 2020, Score-CAM: Score-Weighted Visual Explanations, arXiv 1910.01279"


class Channels(Parameters):
    channels: int = Field(
        64, ge=1, le=4096, description="Feature maps that are tried, those of the largest variance first; all if fewer."
    )


@method(
    "score-cam",
    title="Score-CAM",
    paper=PAPER,
    signed=False,
    needs_layer=True,
    parameters=Channels,
    suits=has_maps,
    gradients=False,
)
def score_cam(question: Question, parameters: Channels) -> torch.Tensor:
    """ReLU(sum_k a_k A_k), a the softmax over k of S(x H_k) - S(0), H_k the map enlarged and scaled to 0..1.

    A pass of the network for each feature map; `channels` keeps that bounded, as in Faster Score-CAM.

    Raises:
        ConfigError: as `grad_cam`.
    """
    import torch
    from torch.nn import functional

    inputs = question.inputs

    def weighted(maps: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            count = min(parameters.channels, maps.shape[1])
            order = maps.flatten(2).var(dim=2, correction=0).argsort(dim=1, descending=True, stable=True)[:, :count]
            kept = maps.gather(1, order[:, :, None, None].expand(-1, -1, *maps.shape[2:]))
            large = functional.interpolate(kept, inputs.shape[2:], mode="bilinear", align_corners=False)
            low, high = large.amin(dim=(2, 3), keepdim=True), large.amax(dim=(2, 3), keepdim=True)
            masks = (large - low) / (high - low).clamp_min(1e-12)
            blank = question.score(torch.zeros_like(inputs), *question.classes)
            scores = torch.empty(len(inputs), count, device=inputs.device)
            step = max(1, question.at_once // len(inputs))
            for start in range(0, count, step):
                part = masks[:, start : start + step]
                seen = (inputs[:, None] * part[:, :, None]).flatten(0, 1)
                classes = tuple(c.repeat_interleave(part.shape[1]) for c in question.classes)
                scores[:, start : start + step] = question.score(seen, *classes).unflatten(0, part.shape[:2])
            weights = (scores - blank[:, None]).softmax(dim=1)
            return torch.einsum("nk,nkhw->nhw", weights, kept).relu()[:, None]

    return at_layer(question, "Score-CAM", weighted, gradients=False)
