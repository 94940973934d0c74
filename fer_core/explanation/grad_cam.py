"""Grad-CAM: the feature maps of a layer, weighted by how much the score rises with each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fer_core.errors import ConfigError
from fer_core.explanation import COARSEST, Parameters, Question, method, spatial_layers
from fer_core.images import ImageSpec

if TYPE_CHECKING:
    import torch
    from torch import nn


def has_maps(model: nn.Module, spec: ImageSpec) -> str | None:
    from torch import nn

    if any(isinstance(layer, nn.Conv2d) for layer in model.modules()):
        return None
    return "it has no convolution, so no layer with spatial extent"


@method(
    "grad-cam",
    title="Grad-CAM",
    paper="Selvaraju et al. 2017, Grad-CAM, arXiv 1610.02391",
    signed=False,
    needs_layer=True,
    suits=has_maps,
)
def grad_cam(question: Question, parameters: Parameters) -> torch.Tensor:
    """ReLU(sum_k a_k A_k), a_k the mean of dS/dA_k over the map (equations 1 and 2), enlarged bilinearly.

    The replica's weights ask for no gradient, so the graph starts at the layer and the backward pass ends there.

    Raises:
        ConfigError: no layer, or one without a map of at least 4 x 4; the message names those that have one.
    """
    from captum.attr import LayerGradCam  # three seconds to import

    return at_layer(
        question,
        "Grad-CAM",
        lambda layer: LayerGradCam(question.score, layer).attribute(
            question.inputs, additional_forward_args=question.classes, relu_attributions=True
        ),
    )


def at_layer(question: Question, title: str, coarse_of: Callable[[nn.Module], torch.Tensor]) -> torch.Tensor:
    """The map (N, 1, h, w) that a method makes of the question's layer, enlarged bilinearly to (N, H, W).

    Raises:
        ConfigError: as `grad_cam`.
    """
    from captum.attr import LayerAttribution

    if question.layer is None:
        raise _refusal(question, title, "none was named")
    try:
        layer = question.network.get_submodule(question.layer)
    except AttributeError as error:
        raise _refusal(question, title, f"there is no “{question.layer}”") from error
    try:
        coarse = coarse_of(layer)
    except AssertionError as error:  # Captum's word for a layer that the network does not run
        if question.layer in spatial_layers(question.network, question.spec):
            raise
        raise _refusal(question, title, f"“{question.layer}” is never run") from error
    if isinstance(coarse, tuple) or coarse.ndim != 4:
        raise _refusal(question, title, f"the output of “{question.layer}” has no spatial extent")
    if min(coarse.shape[2:]) < COARSEST:
        size = f"{coarse.shape[2]} x {coarse.shape[3]}"
        raise _refusal(question, title, f"the map of “{question.layer}” is {size}, too coarse to mean anything")
    fine: torch.Tensor = LayerAttribution.interpolate(coarse, tuple(question.inputs.shape[2:]), "bilinear")
    return fine[:, 0]


def _refusal(question: Question, title: str, found: str) -> ConfigError:
    fitting = spatial_layers(question.network, question.spec)
    names = ", ".join(f"{name} ({height} x {width})" for name, (height, width) in fitting.items())
    return ConfigError(
        f"{title} needs a layer with a map of at least {COARSEST} x {COARSEST}, but {found}; "
        f"these have one: {names or 'none'}."
    )
