"""Grad-CAM: the feature maps of a layer, weighted by how much the score rises with each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fer_core.errors import ConfigError
from fer_core.explanation import COARSEST, Parameters, Question, method, spatial_layers
from fer_core.images import ImageSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

PAPER = "Selvaraju et al. 2017, Grad-CAM, arXiv 1610.02391"


def has_maps(model: nn.Module, spec: ImageSpec) -> str | None:
    from torch import nn

    if any(isinstance(layer, nn.Conv2d) for layer in model.modules()):
        return None
    return "it has no convolution, so no layer with spatial extent"


@method("grad-cam", title="Grad-CAM", paper=PAPER, signed=False, needs_layer=True, suits=has_maps)
def grad_cam(question: Question, parameters: Parameters) -> torch.Tensor:
    """ReLU(sum_k a_k A_k), a_k the mean of dS/dA_k over the map (equations 1 and 2), enlarged bilinearly. Of a transformer the
    tokens of places are the map.

    Raises:
        ConfigError: no layer, or one without a map of at least 4 x 4; the message names those that have one.
    """

    def weighted(maps: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        return (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True).relu()

    return at_layer(question, "Grad-CAM", weighted)


def at_layer(
    question: Question,
    title: str,
    coarse_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    gradients: bool = True,
) -> torch.Tensor:
    """The map (N, H, W) that a method makes of the question's layer, enlarged bilinearly; of several layers the sum.

    One pass serves all layers. The graph starts at them, because the replica's weights ask for no gradient.

    Args:
        coarse_of: (feature maps, their gradient), each (N, K, h, w) -> (N, 1, h, w). Without `gradients` the second is
            the feature maps again, and nothing goes back.

    Raises:
        ConfigError: no layer, one that does not exist or is never run, or one whose map is too coarse.
    """
    import torch
    from torch.nn import functional

    from fer_core.models.outputs import Grids, as_maps  # brings torch

    if question.layer is None:
        raise _refusal(question, title, "none was named")
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(_layer: nn.Module, _inputs: Any, output: Any) -> Any:
            whole = isinstance(output, torch.Tensor)
            seen[name] = output.detach().requires_grad_(gradients) if whole else torch.zeros(0)
            return seen[name] if whole else None  # None leaves the output as it is

        return hook

    names, handles = question.layer.split("+"), []
    try:
        for name in names:
            try:
                handles.append(question.network.get_submodule(name).register_forward_hook(keep(name)))
            except AttributeError as error:
                raise _refusal(question, title, f"there is no “{name}”") from error
        score = question.score(question.inputs, *question.classes)
    finally:
        for handle in handles:
            handle.remove()
    for name in names:
        if name not in seen:
            raise _refusal(question, title, f"“{name}” is never run")
    grids: dict[str, tuple[int, int]] = {}
    for name in names:
        if seen[name].ndim == 3:  # tokens; whose places they are only a whole pass tells
            grid = spatial_layers(question.network, question.spec, coarsest=2).get(name)
        else:
            grid = Grids(question.spec).of(seen[name])
        if grid is None:
            raise _refusal(question, title, f"the output of “{name}” has no spatial extent")
        if min(grid) < COARSEST:
            raise _refusal(
                question, title, f"the map of “{name}” is {grid[0]} x {grid[1]}, too coarse to mean anything"
            )
        grids[name] = grid
    maps = [seen[name] for name in names]
    none = 0 * sum(one.sum() for one in maps)  # a layer that the score ignores has a gradient too: zero
    slopes = torch.autograd.grad(score.sum() + none, maps) if gradients else maps
    total = torch.zeros_like(question.inputs[:, 0])
    for name, one, slope in zip(names, maps, slopes, strict=True):
        coarse = coarse_of(as_maps(one.detach(), grids[name]), as_maps(slope.detach(), grids[name]))
        total += functional.interpolate(coarse, question.inputs.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    return total


def _refusal(question: Question, title: str, found: str) -> ConfigError:
    fitting = spatial_layers(question.network, question.spec)
    names = ", ".join(f"{name} ({height} x {width})" for name, (height, width) in fitting.items())
    return ConfigError(
        f"{title} needs a layer with a map of at least {COARSEST} x {COARSEST}, but {found}; "
        f"these have one: {names or 'none'}."
    )
