"""Guided Grad-CAM: guided back-propagation, multiplied by Grad-CAM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Parameters, Question, method
from fer_core.explanation.activations import only_relu_modules
from fer_core.explanation.grad_cam import grad_cam, has_maps
from fer_core.explanation.guided_backpropagation import guided_backpropagation
from fer_core.images import ImageSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

PAPER = "Selvaraju et al. 2017, Grad-CAM, arXiv 1610.02391"


def has_both(model: nn.Module, spec: ImageSpec) -> str | None:
    return has_maps(model, spec) or only_relu_modules(model, spec)


@method("guided-grad-cam", title="Guided Grad-CAM", paper=PAPER, signed=True, needs_layer=True, suits=has_both)
def guided_grad_cam(question: Question, parameters: Parameters) -> torch.Tensor:
    """The product of both maps, section 3.2 of the paper, with Grad-CAM enlarged bilinearly.

    Raises:
        ConfigError: as `grad_cam`.
    """
    where = grad_cam(question, parameters)
    return guided_backpropagation(question, parameters) * where
