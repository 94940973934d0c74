"""Randomisation test: weights are re-initialised from the head downwards. A map that hardly changes does not depend on
them.

Adebayo et al. 2018, Sanity Checks for Saliency Maps, arXiv 1810.03292, section 3.1: cascading randomisation. A fully
random network is too easy a test: guided back-propagation passes it, but keeps most of its map while half of the layers
are random.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fer_core.evaluation.intervals import SEED
from fer_core.explanation import replica
from fer_core.images import ImageSpec

if TYPE_CHECKING:
    from torch import nn

STAGES = {"new_head": 0.0, "half_new": 0.5, "randomisation": 1.0}  # column of the leaderboard -> share of the layers


def cascade(model: nn.Module, spec: ImageSpec, seed: int = SEED) -> Iterator[tuple[str, nn.Module]]:
    """Each of `STAGES` with a copy of the network whose last layers are drawn anew, all of them in the last one."""
    layers = weighted_layers(model, spec)
    for stage, share in STAGES.items():
        count = max(1, round(share * len(layers)))
        yield stage, redrawn(model, None if share == 1 else layers[len(layers) - count :], seed)


def weighted_layers(model: nn.Module, spec: ImageSpec) -> list[str]:
    """Dotted names of the layers that hold parameters of their own, in the order in which they are first run."""
    import torch

    network = replica(model)
    found: list[str] = []
    for name, layer in network.named_modules():
        if any(True for _ in layer.parameters(recurse=False)):
            layer.register_forward_pre_hook(lambda _layer, _inputs, name=name: found.append(name))
    device = next((p.device for p in model.parameters()), "cpu")
    with torch.inference_mode():
        network(torch.zeros(1, *spec.shape, device=device))
    return list(dict.fromkeys(found))


def redrawn(model: nn.Module, layers: list[str] | None = None, seed: int = SEED) -> nn.Module:
    """A copy with the weights of some layers as before a training; None: of all. The global random state is kept.

    The running statistics of a normalisation that is drawn anew are reset too.
    """
    import torch

    fresh = copy.deepcopy(model).eval()
    chosen = list(fresh.modules()) if layers is None else [fresh.get_submodule(name) for name in layers]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for layer in chosen:
            if callable(reset := getattr(layer, "reset_parameters", None)):
                reset()
                continue
            for parameter in layer.parameters(recurse=False):
                torch.nn.init.normal_(parameter, 0, 0.02)
    return fresh
