"""Optimizers, and the moving average of weights."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from fer_core.recipe import Optimizer


def make_optimizer(
    model: nn.Module,
    settings: Optimizer,
    progress: float = 0.0,
    slower: Collection[nn.Parameter] = (),
    slower_share: float = 1.0,
) -> torch.optim.Optimizer:
    """The recipe's optimizer at a point of the run (0..1).

    Biases and the scales of norms are not decayed: there is nothing to regularise in them.

    Args:
        slower: parameters whose learning rate is `slower_share` of that of the others. Each group's `share` says so;
            it is the loop that applies it, as it does the schedule's factor.
    """
    apart = {id(parameter) for parameter in slower}
    groups: list[dict[str, Any]] = []
    for share, inside in ((1.0, False), (slower_share, True)):
        if part := [p for p in model.parameters() if (id(p) in apart) is inside]:
            decayed, plain = [p for p in part if p.ndim > 1], [p for p in part if p.ndim <= 1]
            groups.append({"params": decayed, "weight_decay": settings.weight_decay, "share": share})
            groups.append({"params": plain, "weight_decay": 0.0, "share": share})
    if settings.name == "sgd" or taken_over(settings, progress):
        lr = settings.lr if settings.name == "sgd" else settings.sgd_lr
        return torch.optim.SGD(groups, lr=lr, momentum=settings.momentum, nesterov=settings.momentum > 0)
    family = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    return family(groups, lr=settings.lr)


def taken_over(settings: Optimizer, progress: float) -> bool:
    """Whether SGD has taken over from Adam (Keskar and Socher 2017, arXiv 1712.07628, with a fixed switch)."""
    return 0 < settings.sgd_after <= progress


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state as named tensors, so that it can be saved without a pickle."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{key}": torch.as_tensor(value)
        for number, entry in state.items()
        for key, value in entry.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


class MovingAverage:
    """Average of a network's weights and buffers over the steps: w <- d w + (1 - d) w_t.

    With `decay`, an exponential one whose d in the first steps is (1 + t) / (10 + t), so that the random start is soon
    forgotten. With `tail`, an equal one over the last share of the run (stochastic weight averaging, Izmailov et al.
    2018, arXiv 1803.05407, here of every step); before that, the weights themselves.
    """

    def __init__(self, model: nn.Module, decay: float, tail: float = 0.0) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.tail = decay, tail

    @torch.no_grad()
    def update(self, model: nn.Module, step: int, steps: int) -> None:
        """Take in the weights after step `step` of `steps`, counted from 0."""
        if self.tail:
            taken = step - round(steps * (1 - self.tail))
            decay = taken / (taken + 1) if taken > 0 else 0.0
        else:
            decay = min(self.decay, (1 + step) / (10 + step))
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in floats], [value for _, value in floats], 1 - decay)
        for mean, value in pairs:
            if not mean.is_floating_point():  # batch norm's count of batches
                mean.copy_(value)
