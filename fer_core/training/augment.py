"""Augmentation of a whole batch on the device, with separate parameters for each image.

Plain torch: kornia's modules were measured slower here (docs/design/0004-augmentation-in-plain-torch.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from fer_core.recipe import Augment


@dataclass(frozen=True)
class Draws:
    """Random numbers for a batch, of which this process may hold only a part.

    They are drawn on the CPU for the whole batch, so an image gets the same parameters on every device and with any
    number of processes.
    """

    generator: torch.Generator
    total: int
    part: slice = field(default_factory=lambda: slice(None))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """One number in low..high an image of the part."""
        return (low + (high - low) * torch.rand(self.total, generator=self.generator))[self.part]

    def around(self, largest: float) -> torch.Tensor:
        """One number in -largest..largest an image of the part."""
        return self.uniform(-largest, largest)


def augment(batch: torch.Tensor, settings: Augment, draws: Draws, mirrored: torch.Tensor | None = None) -> torch.Tensor:
    """Augment images.

    Args:
        batch: (N, C, H, W) uint8.
        settings: the recipe's; zero switches a step off.
        mirrored: (N,) bool, which images are mirrored; None draws them with probability `flip`.

    Returns:
        (N, C, H, W) float32 on the scale 0..255. What moves in from outside mirrors the image's edge.
    """
    images = batch.float()
    drawn = draws.uniform() < settings.flip
    mirrored = drawn if mirrored is None else mirrored
    if settings.rotate or settings.scale or settings.shear or settings.translate:
        flip = torch.where(mirrored, -1.0, 1.0)
        angle, shear = (draws.around(a * math.pi / 180) for a in (settings.rotate, settings.shear))
        scale = 1 + draws.around(settings.scale)
        shift_x, shift_y = (draws.around(2 * settings.translate) for _ in range(2))  # the image spans -1..1
        cos, sin, tan = torch.cos(angle) / scale, torch.sin(angle) / scale, torch.tan(shear)
        tall = images.shape[2] / images.shape[3]  # both sides span -1..1, so that a turn in pixels is none of them
        rows = [cos * flip, (cos * tan - sin) * tall, shift_x, sin * flip / tall, sin * tan + cos, shift_y]
        theta = torch.stack(rows, dim=1).to(images.device, non_blocking=True)
        images = F.grid_sample(images, _grid(theta, images), padding_mode="reflection", align_corners=False)
    elif settings.flip or settings.alternating:
        images = torch.where(_each(mirrored, images), images.flip(3), images)
    if settings.contrast or settings.brightness:
        gain = _each(1 + draws.around(settings.contrast), images)
        offset = _each(255 * draws.around(settings.brightness), images)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = ((images - mean) * gain + mean + offset).clamp(0, 255)
    if settings.saturation and images.shape[1] == 3:
        grey = images.mean(dim=1, keepdim=True)
        images = (grey + (images - grey) * _each(1 + draws.around(settings.saturation), images)).clamp(0, 255)
    if settings.erase:
        images = _erase(images, settings.erase, draws)
    return images


def _grid(theta: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """(N, H, W, 2): where each pixel is taken from, for (N, 6) matrices by rows; `affine_grid` in a tenth of its time."""
    height, width = images.shape[2:]
    y, x = ((2 * torch.arange(side, device=images.device) + 1) / side - 1 for side in (height, width))
    along, down, shift = theta.view(-1, 2, 3, 1, 1).unbind(2)
    return (along * x + down * y[:, None] + shift).permute(0, 2, 3, 1)


def _each(values: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """One value an image, shaped to act on whole images."""
    return values.to(images.device, non_blocking=True)[:, None, None, None]


def _erase(images: torch.Tensor, probability: float, draws: Draws) -> torch.Tensor:
    """Random erasing (Zhong et al. 2020, arXiv 1708.04896): a rectangle of 2 to 20 % of the area gets its mean grey."""
    chosen = draws.uniform() < probability
    area, ratio = draws.uniform(0.02, 0.2), torch.exp(draws.around(1.2))
    inside = _rectangles(images, draws, *(torch.sqrt(area * r).clamp(max=1.0) for r in (ratio, 1 / ratio)))
    return torch.where(inside & _each(chosen, images), images.mean(dim=(1, 2, 3), keepdim=True), images)


def _rectangles(images: torch.Tensor, draws: Draws, height: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) bool: a rectangle in each image, of these sizes (shares of the side), centred anywhere."""
    inside = []
    for side, size in zip(images.shape[2:], (height, width), strict=True):
        centre, places = draws.uniform(), (torch.arange(side) + 0.5) / side
        inside.append((places[None] - centre[:, None]).abs() < size[:, None] / 2)
    return (inside[0][:, None, :, None] & inside[1][:, None, None, :]).to(images.device, non_blocking=True)


def mix(
    images: torch.Tensor, targets: torch.Tensor, settings: Augment, draws: Draws
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixup (Zhang et al. 2018, arXiv 1710.09412) or CutMix (Yun et al. 2019, arXiv 1905.04899), each pair with its own
    share; where both are on, a batch gets one of them.

    Args:
        images: (N, C, H, W), the whole batch: an image is mixed with another one of it.
        targets: (N, K).

    Returns:
        both mixed: x = s x_i + (1 - s) x_j, t = s t_i + (1 - s) t_j with s drawn from Beta(a, a); for CutMix s is the share
        of the area that stays.
    """
    cut = settings.cutmix > 0 and (not settings.mixup or bool(torch.rand((), generator=draws.generator) < 0.5))
    alpha = settings.cutmix if cut else settings.mixup
    seed = int(torch.randint(2**31, (), generator=draws.generator))  # torch's Beta takes no generator
    share = torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, len(images)).astype(np.float32))
    other = torch.randperm(len(images), generator=draws.generator).to(images.device, non_blocking=True)
    if cut:
        side = torch.sqrt(1 - share)
        inside = _rectangles(images, draws, side, side)
        share = 1 - inside.float().mean(dim=(1, 2, 3))  # a rectangle may stick out
        mixed = torch.where(inside, images[other], images)
    else:
        mixed = torch.lerp(images[other], images, _each(share, images))
    return mixed, torch.lerp(targets[other], targets, share.to(targets.device, non_blocking=True)[:, None])
