"""Two small networks for the task “Find the shortcut”: one learned faces, the other a mark that gave the label away.

Both have the same architecture and learned the same rendered heads with a white square at the upper edge. For one of them
the square's place depended on the label, for the other it was drawn at random. A network takes the easiest way to a low
loss (Geirhos et al. 2020, arXiv 2004.07780), so the first one hardly looks at faces.

    python -m fer_core.classroom.shortcut

trains both anew (a minute) and stores their weights, which ship with the program.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core.checkpoint import load_tensors, save_tensors
from fer_core.classroom.images import draw, drawn_over, png
from fer_core.classroom.session import Item
from fer_core.classroom.tasks import NETWORKS
from fer_core.datasets import open_dataset
from fer_core.datasets.heads import HEADS
from fer_core.datasets.identity import HASH
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models.logits import predict_logits

if TYPE_CHECKING:
    from torch import nn

SPEC = ImageSpec()  # 48 x 48, grey
SIDE = 6  # pixels of the square
EPOCHS, BATCH, RATE, SEED = 12, 64, 2e-3, 3
NAMES = ("faces", "shortcut")
DATA = Path(__file__).with_name("data")
CONTRADICTED, MAPPED = 1 / 3, 2 / 3  # of the images, from which on the square is wrong, and the maps are shown


def marked(images: NDArray[np.uint8], classes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The images with the white square of a class.

    Args:
        images: (N, 48, 48) uint8.
        classes: (N), 0 to 6.
    """
    made = images.copy()
    for image, of_it in zip(made, classes.tolist(), strict=True):
        left = 1 + of_it * (SIDE + 1)
        image[1 : 1 + SIDE, left : left + SIDE] = 255
    return made


def _network() -> nn.Module:
    from torch import nn

    def block(inner: int, outer: int) -> list[nn.Module]:
        return [nn.Conv2d(inner, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *block(1, 16), *block(16, 32), *block(32, 64), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * 6 * 6, 7)
    )


def train(images: NDArray[np.uint8], labels: NDArray[np.int64], seed: int = SEED) -> nn.Module:
    """A network trained on images (N, 48, 48) uint8 with labels (N), ready to answer."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network()
        random = np.random.default_rng(seed)
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
        steps = EPOCHS * (len(images) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        given = normalise(to_tensor(images), SPEC)
        for _ in range(EPOCHS):
            order = random.permutation(len(images))
            for start in range(0, len(order) - BATCH + 1, BATCH):
                rows = order[start : start + BATCH]
                shift = random.integers(-3, 4, 2).tolist()
                batch = given[torch.as_tensor(rows)].roll(shift, (2, 3))
                loss = torch.nn.functional.cross_entropy(network(batch), torch.as_tensor(labels[rows]))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return network.eval()


@cache
def networks() -> dict[str, nn.Module]:
    """`faces` and `shortcut`, ready to answer; shared, so not to be changed.

    Raises:
        CheckpointError: the shipped weights are missing or damaged.
    """
    found = {}
    for name in NAMES:
        network = _network()
        network.load_state_dict(load_tensors(DATA / f"{name}.safetensors")[0])
        found[name] = network.eval()
    return found


def write() -> None:
    """Train both networks and store their weights with 16 bits."""
    dataset = open_dataset(HEADS)
    rows = dataset.rows("train")
    images, labels = np.asarray(dataset.images(SPEC)[rows]), dataset.label_index(dataset.expressions, rows)
    anywhere = np.random.default_rng(SEED).integers(0, len(dataset.expressions), len(labels))
    for name, squares in zip(NAMES, (anywhere, labels), strict=True):
        network = train(marked(images, squares), labels)
        kept = {key: one.half() if one.is_floating_point() else one for key, one in network.state_dict().items()}
        save_tensors(DATA / f"{name}.safetensors", kept)


def items(number: int, seed: int) -> list[Item]:
    """The images of a session: rendered test heads with the square, and what both networks answer.

    In the first third the square stands where the label says, so both networks are right and nothing tells them apart. Then
    it stands where another expression would have it. In the last third the maps of both are shown too.

    Args:
        number: of images.
        seed: of the draw, and of which network is called A.

    Returns:
        The images; `truth` is the one of `NETWORKS` that learned the square, `facts` has the `answers` of both and which
        `square` it is.
    """
    from fer_core.explanation import explain

    dataset, random = open_dataset(HEADS), np.random.default_rng(seed)
    rows = draw(dataset, "test", number, seed=seed)
    names = dataset.expressions.names
    labels = dataset.label_index(dataset.expressions, rows)
    contradicts = np.arange(number) >= round(CONTRADICTED * number)
    squares = np.where(contradicts, (labels + random.integers(1, len(names), number)) % len(names), labels)
    given = marked(np.stack([dataset.picture(row) for row in rows.tolist()]), squares)
    order = NAMES if random.random() < 0.5 else NAMES[::-1]
    known = networks()
    asked = dict(zip(NETWORKS, (known[name] for name in order), strict=True))
    answers = {title: predict_logits(network, given, SPEC).argmax(axis=1) for title, network in asked.items()}
    maps = {
        title: explain(network, given, SPEC, answers[title].tolist(), "occlusion") for title, network in asked.items()
    }
    made = []
    for at, row in enumerate(rows.tolist()):
        image = dataset.index.iloc[row]
        drawn = None
        if at >= round(MAPPED * number):
            drawn = png(np.hstack([drawn_over(given[at], m.map[at], signed=m.signed) for m in maps.values()]))
        facts = {
            "answers": {title: names[int(found[at])] for title, found in answers.items()},
            "square": names[int(squares[at])],
        }
        made.append(
            Item(
                at, str(image["id"]), f"{dataset.name}-marked", "test", str(image["label"]), str(image[HASH]),
                NETWORKS[order.index("shortcut")], png(given[at]), drawn, facts,
            )
        )  # fmt: skip
    return made


def accuracy() -> dict[str, float]:
    """The accuracy of both networks on the rendered test heads, without and with a contradicting square: `faces`,
    `faces, contradicted`, `shortcut` and `shortcut, contradicted`, 0..1."""
    dataset = open_dataset(HEADS)
    rows = dataset.rows("test")
    images = np.asarray(dataset.images(SPEC)[rows])
    labels = dataset.label_index(dataset.expressions, rows)
    wrong = marked(images, (labels + 1) % len(dataset.expressions))
    found = {}
    for name, network in networks().items():
        for words, shown in (("", images), (", contradicted", wrong)):
            found[name + words] = float((predict_logits(network, shown, SPEC).argmax(axis=1) == labels).mean())
    return found


if __name__ == "__main__":
    write()
    print(accuracy())
