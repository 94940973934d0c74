"""Networks whose rule is known, and small enough that an experiment takes seconds."""

import hashlib

import numpy as np
import torch
from torch import nn

from fer_core.checkpoint import read_card
from fer_core.images import ImageSpec
from fer_core.serving.predictor import LoadedNetwork
from tests.app.examples import make_network

SIDE = 24  # pixels
MOUTH = (slice(16, 19), slice(10, 15))  # rows and columns of the mouth of a head from the front
CHEEKS = (slice(11, 15), slice(5, 19))
PLAIN = ImageSpec(channels=1, height=SIDE, width=SIDE, standardise="fixed")
HAPPY = 3  # position of the expressions of FER7
ANGRY = 0


class Rule(nn.Module):
    """A network without anything to learn; where it runs is told by its one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(7), requires_grad=False)


class MouthReader(Rule):
    """Happy where the mouth is bright against the cheeks, which teeth make it, whatever the rest of the face does."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = images[:, 0, *MOUTH].mean((1, 2)) - images[:, 0, *CHEEKS].mean((1, 2))
        return nn.functional.one_hot(torch.tensor(HAPPY), 7) * (60 * (bright + 0.09))[:, None]


class Constant(Rule):
    """The same answer to everything."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.arange(7.0).expand(len(images), 7)


class SkinReader(Rule):
    """Angry where the cheeks are dark."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        dark = -images[:, 0, *CHEEKS].mean((1, 2))
        return nn.functional.one_hot(torch.tensor(ANGRY), 7) * (4 * dark)[:, None]


class Noise(Rule):
    """Chance alone: logits that are drawn anew for each image, and know nothing of what it shows.

    Args:
        seed: another one is another network.
        spread: standard deviation of the logits; the larger, the surer the answers.
        happy: added to the logit of happy, in spreads; 1.3 makes it half of the answers.
    """

    def __init__(self, seed: int, spread: float = 1.0, happy: float = 0.0) -> None:
        super().__init__()
        self.bias.data[:3] = torch.tensor([seed, spread, happy])
        self.seed, self.spread, self.happy = seed, spread, happy

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        drawn = np.stack([self._drawn(image.numpy().tobytes()) for image in images])
        drawn[:, HAPPY] += self.happy
        return torch.tensor(self.spread * drawn, dtype=torch.float32)

    def _drawn(self, image: bytes) -> np.ndarray:
        digest = hashlib.sha256(f"{self.seed}|".encode() + image).digest()
        return np.random.default_rng(np.frombuffer(digest, np.uint32)).standard_normal(7)


def planted(model: nn.Module) -> LoadedNetwork:
    """A network as pages and commands load it; images go to it as -1 to 1."""
    card = read_card(make_network(type(model).__name__.lower(), None))
    return LoadedNetwork(
        model.eval(), card.model_copy(update={"image": PLAIN, "tta": "none", "title": type(model).__name__})
    )
