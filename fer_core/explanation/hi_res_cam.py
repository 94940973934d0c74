"""HiResCAM: the feature maps of a layer times the gradient at each of their places, without Grad-CAM's averaging."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Parameters, Question, method
from fer_core.explanation.grad_cam import at_layer, has_maps

if TYPE_CHECKING:
    import torch

PAPER = "Draelos and Carin 2020, Use HiResCAM instead of Grad-CAM, arXiv 2011.08891"


@method("hi-res-cam", title="HiResCAM", paper=PAPER, signed=False, needs_layer=True, suits=has_maps)
def hi_res_cam(question: Question, parameters: Parameters) -> torch.Tensor:
    """ReLU(sum_k dS/dA_k A_k), enlarged bilinearly. With a linear layer on the maps its sum before the ReLU is the score.

    On a network that ends in a global average it equals Grad-CAM.

    Raises:
        ConfigError: as `grad_cam`.
    """
    return at_layer(question, "HiResCAM", lambda maps, gradient: (gradient * maps).sum(dim=1, keepdim=True).relu())
