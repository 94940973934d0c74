"""Soft voting: several networks as one, which answers with the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fer_core.errors import ConfigError
from fer_core.images import ImageSpec
from fer_core.models import NETWORKS, build, network

PAIR: tuple[Mapping[str, Any], ...] = (
    {"network": "small-vgg", "arguments": {"widths": [8, 16, 32, 64]}},
    {"network": "small-vgg", "arguments": {"widths": [16, 16, 32, 32]}},
)


class Ensemble(nn.Module):
    """The logarithm of the mean probability, log (1/M) sum_m softmax(z_m): its softmax is that mean again."""

    def __init__(self, members: Sequence[nn.Module], layer: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._layer = layer

    @property
    def map(self) -> nn.Module:
        """The first member's attribution layer."""
        return self.members[0].get_submodule(self._layer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logs = torch.stack([member(images).float().log_softmax(dim=1) for member in self.members])
        return logs.logsumexp(dim=0) - torch.log(torch.tensor(float(len(self.members)), device=logs.device))


@network(
    "ensemble",
    title="Ensemble (mean of probabilities)",
    spec=ImageSpec(channels=1, height=48, width=48, standardise="image"),
    attribution_layer="map",
    paper="soft voting, as in the source `emotions`",
    head="",
)
def ensemble(*, classes: int, spec: ImageSpec, members: Sequence[Mapping[str, Any]] = PAIR) -> nn.Module:
    """Members as {network, arguments}; all take the same input. A Grad-CAM is that of the first member."""
    if not members or any(set(member) - {"network", "arguments"} or "network" not in member for member in members):
        raise ConfigError(f"members: expected a list of {{network, arguments}}, found {members!r}.")
    built = [
        build(member["network"], classes=classes, spec=spec, arguments=member.get("arguments")) for member in members
    ]
    return Ensemble(built, NETWORKS.get(members[0]["network"]).attribution_layer)
