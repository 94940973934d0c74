"""Several networks as one: the mean of their probabilities, a weighted mean, or a layer stacked on their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from fer_core.errors import ConfigError
from fer_core.images import ImageSpec, normalise
from fer_core.models import attribution_layer, build, network

PAIR: tuple[Mapping[str, Any], ...] = (
    {"network": "small-vgg", "arguments": {"widths": [8, 16, 32, 64]}},
    {"network": "small-vgg", "arguments": {"widths": [16, 16, 32, 32]}},
)
KEYS = {"network", "arguments", "image", "expressions"}
GREY = (0.299, 0.587, 0.114)  # shares of red, green and blue, as OpenCV takes them
LEAST = -30.0  # log-probability below which a stacked layer need not tell answers apart


class Resized(nn.Module):
    """Images as the ensemble's spec normalises them -> what a member takes, as its own spec says.

    Size is changed by two matrices, which hold the weights of an antialiased bilinear resizing.
    """

    def __init__(self, before: ImageSpec, after: ImageSpec) -> None:
        super().__init__()
        self.before, self.after = before, after
        for name, old, new in (("rows", before.height, after.height), ("columns", before.width, after.width)):
            whole = F.interpolate(torch.eye(old)[None, None], size=(new, old), mode="bilinear", antialias=True)[0, 0]
            self.register_buffer(name, whole, persistent=False)
        for name, values in (("mean", before.mean), ("std", before.std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images * self.get_buffer("std") + self.get_buffer("mean")  # in 0..1
        if self.after.channels < self.before.channels:
            images = (images * images.new_tensor(GREY).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
        if self.before.shape[1:] != self.after.shape[1:]:
            images = self.get_buffer("rows") @ images @ self.get_buffer("columns").T
        if self.after.channels > self.before.channels:
            images = images.expand(-1, self.after.channels, -1, -1)
        return normalise(images * 255, self.after)


class Vote(nn.Module):
    """Log-probabilities (N, M, K) of M members -> logits (N, K).

    Weighted: log sum_m w_m p_m, whose softmax is that mean again; stacked: a linear layer on all M K values.
    """

    def __init__(self, weights: Sequence[float], classes: int, stacked: bool) -> None:
        super().__init__()
        self.stacker = nn.Linear(len(weights) * classes, classes) if stacked else None
        self.register_buffer("weights", torch.tensor(weights).log()[:, None], persistent=False)

    def forward(self, logs: torch.Tensor) -> torch.Tensor:
        if self.stacker is not None:
            return self.stacker(logs.clamp(min=LEAST).flatten(1))  # type: ignore[no-any-return]
        return (logs + self.get_buffer("weights")).logsumexp(dim=1)


class Ensemble(nn.Module):
    """Each member's log-probabilities over the ensemble's expressions, and the vote on them.

    Args:
        inputs: what brings an image to each member.
        answers: for each member, where its outputs for the ensemble's expressions stand.
        layers: each member's attribution layer.

    Attributes:
        layers: dotted names of all of them in the ensemble.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        inputs: Sequence[nn.Module],
        answers: Sequence[Sequence[int]],
        vote: Vote,
        layers: Sequence[str],
    ) -> None:
        super().__init__()
        self.members, self.inputs, self.vote = nn.ModuleList(members), nn.ModuleList(inputs), vote
        self.layers = tuple(
            f"members.{number}.{part}" for number, layer in enumerate(layers) for part in layer.split("+")
        )
        for number, places in enumerate(answers):
            self.register_buffer(f"answers{number}", torch.tensor(places), persistent=False)

    def log_probs(self, images: torch.Tensor) -> torch.Tensor:
        """(N, M, K): what each member answers, scaled to add up to 1 over the ensemble's expressions."""
        logs = []
        for number, (member, brought) in enumerate(zip(self.members, self.inputs, strict=True)):
            logits = member(brought(images)).float()
            logs.append(logits.index_select(1, self.get_buffer(f"answers{number}")).log_softmax(dim=1))
        return torch.stack(logs, dim=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.vote(self.log_probs(images))  # type: ignore[no-any-return]


@network(
    "ensemble",
    title="Ensemble",
    spec=ImageSpec(channels=1, height=48, width=48, standardise="image"),
    attribution_layer="layers",
    paper="soft voting, as in the source `emotions`; stacking: Wolpert 1992",
    head=None,
)
def ensemble(
    *,
    classes: int,
    spec: ImageSpec,
    members: Sequence[Mapping[str, Any]] = PAIR,
    expressions: Sequence[str] = (),
    weights: Sequence[float] = (),
    stacked: bool = False,
) -> nn.Module:
    """Members as {network, arguments}, with `expressions` (of its outputs) and `image` where those are not the ensemble's.

    With `image`, each member's images are made of the ensemble's. Without `weights` all members count alike.
    A Grad-CAM is the sum of all members', because the score's gradient shares itself out by their votes.
    """
    if not members or any(set(member) - KEYS or "network" not in member for member in members):
        raise ConfigError(f"members: expected a list of {{network, arguments}}, found {members!r}.")
    built: list[nn.Module] = []
    inputs: list[nn.Module] = []
    answers: list[list[int]] = []
    for member in members:
        takes = ImageSpec.model_validate(member["image"]) if "image" in member else spec
        known = list(member.get("expressions", expressions))
        count = len(known) or classes
        built.append(build(member["network"], classes=count, spec=takes, arguments=member.get("arguments")))
        inputs.append(Resized(spec, takes) if "image" in member else nn.Identity())
        answers.append([known.index(name) for name in expressions] if known else list(range(classes)))
    vote = Vote(weights or [1 / len(members)] * len(members), classes, stacked)
    return Ensemble(
        built,
        inputs,
        answers,
        vote,
        [attribution_layer(member["network"], one) for member, one in zip(members, built, strict=True)],
    )
