"""Several processes that train one network, started by `torchrun`: gloo on processors, NCCL with one GPU per process.

Each process computes a part of every batch. Sums are added up over all processes before dividing, so two processes take
the same steps as one with the same batch, up to rounding. (Dropout draws different numbers.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class World:
    """This process among those that train together; (0, 1) is a process alone."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This process's share of `count` things that stand in a row."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def add_up(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def add_up_gradients(self, model: nn.Module) -> None:
        """Add up every gradient over all processes, as one message."""
        if self.size == 1:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = self.add_up(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, summed in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in their order, at each of them."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Wait until all processes have reached this point."""
        if self.size > 1:
            dist.barrier()


ALONE = World()
PATIENCE = timedelta(days=7)  # torch's own is 10 or 30 minutes; the others wait while the leader waits for its turn


@contextmanager
def joined() -> Iterator[World]:
    """The world that `torchrun` describes in the environment; a process alone without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
    # NCCL refuses two processes on one GPU; gloo carries their sums over the processor.
    backend = "cpu:gloo,cuda:nccl" if gpus >= int(os.environ["LOCAL_WORLD_SIZE"]) else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over the images of all processes. torch's own runs on GPUs only."""

    def _check_input_dim(self, inputs: torch.Tensor) -> None:
        """Of one value a channel, or of a map."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) -> the same shape; statistics of all processes' images while training."""
        if not self.training:
            return super().forward(inputs)
        from torch.distributed.nn.functional import all_reduce

        values = inputs.float()
        others = [dim for dim in range(values.ndim) if dim != 1]
        count = torch.tensor([values.numel() / values.shape[1]])
        sums = torch.cat([values.sum(dim=others), (values * values).sum(dim=others), count])
        total, squares, count = torch.split(all_reduce(sums), [values.shape[1], values.shape[1], 1])  # type: ignore[no-untyped-call]
        mean = total / count
        variance = (squares / count - mean * mean).clamp(min=0)
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * count / (count - 1), share)
        scale: torch.Tensor = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        scale, shift = (value.view(-1, *[1] * (values.ndim - 2)) for value in (scale, shift))
        return (values * scale + shift).to(inputs.dtype)


def synchronised(model: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The network with its batch norms taken over all processes; the names of its weights stay."""
    if world.size == 1:
        return model
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-any-return, no-untyped-call]
    for module in model.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = SyncBatchNorm  # same weights and buffers, another forward
    return model
