"""Attention rollout: how far a transformer's answer attends to each part of the image, through all its layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fer_core.errors import ConfigError
from fer_core.explanation import COARSEST, Parameters, Question, method
from fer_core.images import ImageSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

PAPER = "Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers, arXiv 2005.00928"


def attentions(model: nn.Module) -> list[nn.Module]:
    """The modules whose attention can be read: torch's `MultiheadAttention`, and timm's, which has `qkv` and `attn_drop`."""
    from torch import nn

    def readable(module: nn.Module) -> bool:
        timms = all(hasattr(module, name) for name in ("qkv", "attn_drop", "fused_attn"))
        return timms or isinstance(module, nn.MultiheadAttention)

    return [module for module in model.modules() if readable(module)]


def attends(model: nn.Module, spec: ImageSpec) -> str | None:
    return None if attentions(model) else "it has no attention that can be read"


@method(
    "attention-rollout", title="Attention rollout", paper=PAPER, signed=False, suits=attends, gradients=False,
    kind="class activation",
)  # fmt: skip
def attention_rollout(question: Question, parameters: Parameters) -> torch.Tensor:
    """R = B_L ... B_1 with B = (A + I) / 2, A the attention of a layer averaged over its heads (section 3 of the paper). The map
    is the row of the class token, or the mean of all rows where there is none, enlarged bilinearly.

    It does not depend on the target: every expression has the same map.

    Raises:
        ConfigError: the attention is not over the whole image, as in a Swin transformer, or its grid is too coarse.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    from fer_core.models.outputs import Grids, stands_for  # brings torch

    seen: list[torch.Tensor] = []
    grids, handles = Grids(question.spec), []

    def told(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        grids.of(output)

    def weights_please(_layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any]:
        return given, {**named, "need_weights": True, "average_attn_weights": True}

    def keep(of: Callable[[Any, Any], torch.Tensor]) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _layer, inputs, output: seen.append(of(inputs, output).detach())

    for module in question.network.modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(told))
    for module in attentions(question.network):
        if isinstance(module, nn.MultiheadAttention):
            handles.append(module.register_forward_pre_hook(weights_please, with_kwargs=True))
            handles.append(module.register_forward_hook(keep(lambda _, output: output[1])))
        else:
            module.fused_attn = False  # type: ignore[assignment]  # otherwise the attention is never written down
            drop = module.get_submodule("attn_drop")
            handles.append(drop.register_forward_hook(keep(lambda inputs, _: inputs[0].mean(dim=1))))
    try:
        with torch.no_grad():
            question.score(question.inputs, *question.classes)
    finally:
        for handle in handles:
            handle.remove()
    sizes = {tuple(one.shape) for one in seen}
    count = len(question.inputs)
    grid = next((g for g in reversed(grids.known) if seen and stands_for(seen[0].shape[-1], g)), None)
    if len(sizes) != 1 or seen[0].shape[0] != count or grid is None:
        raise ConfigError(
            "Attention rollout needs attention over the whole image, but this network's is over parts of it."
        )
    if min(grid) < COARSEST:
        raise ConfigError(
            f"Attention rollout needs at least {COARSEST} x {COARSEST} tokens, found {grid[0]} x {grid[1]}; use larger images."
        )
    tokens = seen[0].shape[-1]
    identity = torch.eye(tokens, device=question.inputs.device)
    rolled = identity.expand(count, tokens, tokens)
    for attention in seen:
        rolled = (attention.float() + identity) / 2 @ rolled
    extra = tokens - grid[0] * grid[1]
    row = rolled[:, 0] if extra else rolled.mean(dim=1)
    coarse = row[:, extra:].reshape(count, 1, *grid)
    return functional.interpolate(coarse, question.inputs.shape[2:], mode="bilinear", align_corners=False)[:, 0]
