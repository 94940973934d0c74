"""A network with random weights, for tests of whatever serves networks."""

from pathlib import Path
from typing import Any

import torch

from fer_core.checkpoint import read_card, save_tensors, write_card
from fer_core.models import build
from tests.app.examples import make_network


def untrained(name: str = "untrained", **card: Any) -> Path:
    """A finished run's folder in the workspace: a small VGG of seed 0, and a card with these fields changed."""
    folder = make_network(name, None)
    changed = read_card(folder).model_copy(update=card)
    write_card(folder, changed)
    torch.manual_seed(0)
    model = build(changed.network, classes=len(changed.expressions), spec=changed.image, arguments=changed.arguments)
    save_tensors(folder / "best.safetensors", model.state_dict())
    return folder
