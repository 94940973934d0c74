"""Train the network whose maps the tests of `test_faithfulness.py` measure, and write it beside this file.

    python -m tests.fer_core.explanation.trained_heads

It takes some minutes, so its weights are kept: 60 epochs at 32 x 32 on all rendered people but those whose images are
explained.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from fer_core.checkpoint import load_tensors, save_tensors
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models.small_vgg import SmallVGG
from tests.faces import Faces, faces_with_masks

FACES = ImageSpec(channels=1, height=32, width=32, standardise="image")
WEIGHTS = Path(__file__).with_name("trained_heads.safetensors")
FIRST, COUNT = 1470, 126  # images of eighteen people that it does not learn
EXPLAINED = 42  # of these, those of six people are explained
EPOCHS, BATCH = 60, 50


def held_out() -> Faces:
    """All images of the people that it does not learn."""
    return faces_with_masks(COUNT, 32, first=FIRST)


def explained() -> Faces:
    """Images, where they show their expression, and labels of people that the network was not trained on."""
    return faces_with_masks(EXPLAINED, 32, first=FIRST)


def trained() -> nn.Module:
    """The network with its weights from the file."""
    model = network()
    model.load_state_dict(load_tensors(WEIGHTS)[0])
    return model.eval()


def network() -> nn.Module:
    return SmallVGG(7, 1, (16, 48, 96), 0.0)


def moved(inputs: torch.Tensor) -> torch.Tensor:
    """Each face turned by up to 14 degrees, scaled and shifted by up to an eighth, every second one mirrored."""
    n = len(inputs)
    angle, scale = (torch.rand(n) - 0.5) / 2, 1 + (torch.rand(n) - 0.5) / 4
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    cos, sin, shift = scale * angle.cos(), scale * angle.sin(), (torch.rand(n, 2) - 0.5) / 4
    rows = torch.stack([mirror * cos, -sin, shift[:, 0], mirror * sin, cos, shift[:, 1]], dim=1).view(n, 2, 3)
    grid = nn.functional.affine_grid(rows, list(inputs.shape), align_corners=False)
    return nn.functional.grid_sample(inputs, grid, padding_mode="border", align_corners=False)


def train() -> nn.Module:
    before, after = faces_with_masks(FIRST, 32), faces_with_masks(2100 - FIRST - COUNT, 32, first=FIRST + COUNT)
    inputs = normalise(to_tensor(np.concatenate([before.images, after.images])), FACES)
    labels = torch.tensor(np.concatenate([before.labels, after.labels]))
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = EPOCHS * -(-len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(inputs)).split(BATCH):
            loss = nn.functional.cross_entropy(model(moved(inputs[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


if __name__ == "__main__":
    made, faces = train(), held_out()
    with torch.no_grad():
        right = made(normalise(to_tensor(faces.images), FACES)).argmax(dim=1).numpy() == faces.labels
    save_tensors(WEIGHTS, made.state_dict())
    print(f"accuracy on {COUNT} images of other people: {right.mean():.1%}; written to {WEIGHTS.name}")
