"""Ablation of facial regions: how much the score falls when a whole region of the face is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Parameters, Question, method
from fer_core.faces.template import REGIONS, template

if TYPE_CHECKING:
    import torch

PAPER = "after Zeiler and Fergus 2014, arXiv 1311.2901, with the regions of a face in place of squares"


@method("region-ablation", title="Ablation of facial regions", paper=PAPER, signed=True, gradients=False)
def region_ablation(question: Question, parameters: Parameters) -> torch.Tensor:
    """S(x) - S(x with the region in the mean grey) at each pixel of the region; the template of registered faces."""
    import torch
    from captum.attr import FeatureAblation  # three seconds to import

    spec, device = question.spec, question.inputs.device
    regions = torch.from_numpy(template(spec.height, spec.width)).to(device)
    fall: torch.Tensor = FeatureAblation(question.score).attribute(
        question.inputs,
        feature_mask=regions.expand(1, spec.channels, -1, -1),
        additional_forward_args=question.classes,
        perturbations_per_eval=max(1, min(len(REGIONS), question.at_once // len(question.inputs))),
    )
    return fall[:, 0]  # all channels are covered at once, so each holds the same
