"""What a shipped network predicts for the shipped portraits, with its Grad-CAM maps, so that the first page needs no torch.

    python -m fer_core.serving.showcase

writes the file anew; do so when the network, the portraits or Grad-CAM change.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_core.heads.shipped import portraits
from fer_core.workspace import CHECKPOINTS

NETWORK = "fer2013-best"
FILE = Path(__file__).with_name("showcase.npz")


class Portrait(NamedTuple):
    """A rendered head with a network's prediction.

    Attributes:
        image, overlay: (H, W, 3) uint8, without and with the map of the predicted expression.
        probs: probability by expression, in the network's order.
        limit: the value of the map's last colour, in logits per unit of the feature map.
    """

    image: NDArray[np.uint8]
    overlay: NDArray[np.uint8]
    probs: dict[str, float]
    limit: float

    @property
    def predicted(self) -> str:
        return max(self.probs, key=self.probs.__getitem__)


@cache
def _stored() -> dict[str, NDArray[np.generic]]:
    with np.load(FILE) as stored:
        return {name: stored[name] for name in stored.files}


def people() -> int:
    """Number of people."""
    return len(portraits().images)


def expressions() -> tuple[str, ...]:
    """The expression of each portrait."""
    return portraits().expressions


def portrait(person: int, expression: str) -> Portrait:
    """A portrait by person (0 or more) and one of `expressions()`."""
    from PIL import Image

    stored, found = _stored(), portraits()
    column = found.expressions.index(expression)
    place = person * len(found.expressions) + column
    start, end = (int(value) for value in stored["ends"][place : place + 2])
    overlay = np.asarray(Image.open(io.BytesIO(stored["overlays"][start:end].tobytes())))
    names = [str(name) for name in stored["names"]]
    probs = dict(zip(names, stored["probs"][place].tolist(), strict=True))
    return Portrait(found.images[person, column], overlay, probs, float(stored["limits"][place]))


def write() -> None:
    """Predict and explain every portrait."""
    from PIL import Image

    from fer_core.serving.predictor import Predictor

    predictor, found = Predictor(CHECKPOINTS / NETWORK), portraits()
    overlays, ends, probs, limits = io.BytesIO(), [0], [], []
    for image in found.images.reshape(-1, *found.images.shape[2:]):
        prediction = predictor.predict(image)[0]
        overlay, limit = predictor.explain(image, [prediction])
        Image.fromarray(overlay).save(overlays, "JPEG", quality=90)
        ends.append(overlays.tell())
        probs.append(list(prediction.probs.values()))
        limits.append(limit)
    np.savez_compressed(
        FILE,
        overlays=np.frombuffer(overlays.getvalue(), np.uint8),
        ends=np.array(ends),
        probs=np.array(probs, np.float32),
        limits=np.array(limits, np.float32),
        names=np.array(predictor.expressions),
    )


if __name__ == "__main__":
    write()
    print(f"{FILE.stat().st_size / 1e6:.2f} MB")
