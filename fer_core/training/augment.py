"""Augmentation of a whole batch at once, on the device, each picture with parameters of its own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from fer_core.training.config import Augment


def augment(batch: torch.Tensor, settings: Augment, generator: torch.Generator) -> torch.Tensor:
    """Augment pictures.

    Args:
        batch: (N, C, H, W) uint8.
        settings: the recipe's; zero switches a step off.
        generator: on the CPU, so that every device draws the same parameters from a seed.

    Returns:
        (N, C, H, W) float32 on the scale 0..255. What moves in from outside mirrors the picture's edge.
    """
    count = len(batch)
    images = batch.float()

    def uniform(largest: float) -> torch.Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * largest

    flip = torch.where(torch.rand(count, generator=generator) < settings.flip, -1.0, 1.0)
    if settings.rotate or settings.scale or settings.shear or settings.translate:
        angle, shear = (uniform(a * math.pi / 180) for a in (settings.rotate, settings.shear))
        scale = 1 + uniform(settings.scale)
        shift_x, shift_y = (uniform(2 * settings.translate) for _ in range(2))  # the picture spans -1..1
        cos, sin, tan = torch.cos(angle) / scale, torch.sin(angle) / scale, torch.tan(shear)
        rows = [cos * flip, cos * tan - sin, shift_x, sin * flip, sin * tan + cos, shift_y]
        theta = torch.stack(rows, dim=1).view(count, 2, 3).to(images.device)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    elif settings.flip:
        mirrored = (flip < 0).to(images.device)[:, None, None, None]
        images = torch.where(mirrored, images.flip(3), images)
    if settings.contrast or settings.brightness:
        gain = (1 + uniform(settings.contrast)).to(images.device)[:, None, None, None]
        offset = (255 * uniform(settings.brightness)).to(images.device)[:, None, None, None]
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = ((images - mean) * gain + mean + offset).clamp(0, 255)
    if settings.erase:
        images = _erase(images, settings.erase, generator)
    return images


def _erase(images: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Random erasing (Zhong et al. 2020, arXiv 1708.04896): a rectangle of 2 to 20 % of the area gets its mean grey."""
    count, _, height, width = images.shape
    chosen = torch.rand(count, generator=generator) < probability
    area = torch.empty(count).uniform_(0.02, 0.2, generator=generator)
    ratio = torch.exp(torch.empty(count).uniform_(-1.2, 1.2, generator=generator))
    half_h, half_w = (torch.sqrt(area * r).clamp(max=1.0) / 2 for r in (ratio, 1 / ratio))
    centre_y, centre_x = (torch.rand(count, generator=generator) for _ in range(2))
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    inside_y = (y[None] - centre_y[:, None]).abs() < half_h[:, None]
    inside_x = (x[None] - centre_x[:, None]).abs() < half_w[:, None]
    mask = (inside_y[:, :, None] & inside_x[:, None, :] & chosen[:, None, None])[:, None].to(images.device)
    return torch.where(mask, images.mean(dim=(1, 2, 3), keepdim=True), images)
