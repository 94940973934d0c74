"""How a network wants its images, checked on labelled ones and not believed: scale, normalisation, colours, size, order.

Each other way is tried on the same images and counts only if it is significantly better than the given one. Which output
means what is left open while ways are compared, so that a wrong order hides no wrong scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_core.datasets import Dataset
from fer_core.errors import CheckpointError
from fer_core.foreign.order import ALPHA, FEWEST, Order, assignment, better_order
from fer_core.images import ImageSpec
from fer_core.labels import Expressions
from fer_core.models.logits import predict_logits

if TYPE_CHECKING:
    from torch import nn

MOST = 140  # images that are looked at
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIZES = (48, 64, 96, 112, 224)


@dataclass(frozen=True)
class Way:
    """A way to give images to a network: in words, the options that ask for it, the spec, and blue before red or not."""

    words: str
    options: str
    spec: ImageSpec
    bgr: bool = False


@dataclass(frozen=True)
class Checked:
    """What a labelled sample says of a network.

    Attributes:
        n: images.
        accuracy: with the given way and order, 0..1.
        way: one that is significantly better than the given, or None; with its accuracy and the given one's, each with the best
            order of the outputs, and p.
        order: of the outputs that is significantly better than the given, in the better way, or None.
        grey: all images are grey, so that the order of the colours cannot show.
    """

    n: int
    accuracy: float
    way: Way | None = None
    of_way: tuple[float, float, float] = (0.0, 0.0, 1.0)
    order: Order | None = None
    grey: bool = False

    @property
    def wrong(self) -> list[str]:
        """What is better otherwise, a sentence each."""
        found = []
        if self.way:
            other, given, p = self.of_way
            found.append(
                f"The network behaves as one that takes {self.way.words}: {100 * other:.1f} % instead of {100 * given:.1f} % of "
                f"{self.n:,} images (p {'< 0.0001' if p < 1e-4 else f'= {p:.4f}'}). Use {self.way.options}."
            )
        if self.order:
            found.append(f"{self.order.sentence} Use --expressions {','.join(self.order.names)}.")
        return found


def check(
    model: nn.Module,
    spec: ImageSpec,
    expressions: Expressions,
    dataset: Dataset,
    split: str,
    *,
    open_size: bool = False,
    fixed_scale: bool = False,
) -> Checked:
    """Ask a network about a labelled sample in every usual way.

    Args:
        open_size: it takes images of any size, so that others are tried.
        fixed_scale: it normalises by itself, so that no other scale is tried.

    Raises:
        CheckpointError: its output is not finite, or the same for all images.
    """
    rows = dataset.rows(split)
    labels = dataset.index["label"].iloc[rows].fillna("").to_numpy()
    rows = rows[np.isin(labels, expressions.names)]
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST])
    told = dataset.index["label"].iloc[rows].tolist()
    known = np.array([expressions.index(label) for label in told])
    images = (
        dataset.images(spec)[rows]
        if len(rows)
        else np.zeros((1, *spec.shape[1:], *(spec.shape[:1] * (spec.channels > 1))), np.uint8)
    )
    given = predict_logits(model, images, spec)
    if not np.isfinite(given).all():
        raise CheckpointError(
            f"The network's output is not finite for {int((~np.isfinite(given).all(axis=1)).sum()):,} of {len(given):,} images; "
            "its training failed, or it takes images on another scale."
        )
    if len(rows) > 1 and np.ptp(given, axis=0).max() <= 1e-6 * max(1.0, float(np.abs(given).max())):
        raise CheckpointError(
            f"The network gives the same answer for {len(given):,} different images; its weights were not loaded, or it takes "
            "images on another scale."
        )
    if len(rows) < FEWEST:
        return Checked(len(rows), float((given.argmax(axis=1) == known).mean()) if len(rows) else float("nan"))
    grey = spec.channels == 1 or bool((images[..., 0] == images[..., -1]).all())
    before = _hits(given, known)
    best, found = None, given
    tried = list(_ways(spec, open_size=open_size, fixed_scale=fixed_scale, grey=grey))
    for way in tried:
        logits = predict_logits(_asked(model, way), dataset.images(way.spec)[rows], way.spec)
        if not np.isfinite(logits).all():
            continue
        hits = _hits(logits, known)
        p = min(1.0, len(tried) * _p(before, hits))
        if hits.mean() > before.mean() and p <= ALPHA and (best is None or hits.mean() > best[1].mean()):
            best, found = (way, hits, p), logits
    order = better_order(found, told, expressions)
    accuracy = float((given.argmax(axis=1) == known).mean())
    if best is None:
        return Checked(len(rows), accuracy, order=order, grey=grey)
    way, hits, p = best
    return Checked(len(rows), accuracy, way, (float(hits.mean()), float(before.mean()), p), order, grey)


def _hits(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether the answer is the label, with the order of the outputs that fits best."""
    answer = logits.argmax(axis=1)
    return np.asarray(assignment(answer, labels, logits.shape[1])[answer] == labels)


def _p(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> float:
    """McNemar's exact test."""
    from scipy.stats import binom

    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return min(1.0, 2 * float(binom.cdf(min(gained, lost), gained + lost, 0.5)))


def _ways(spec: ImageSpec, *, open_size: bool, fixed_scale: bool, grey: bool) -> Iterator[Way]:
    """Every usual way but the given one."""
    scales: list[tuple[str, str, dict[str, Any]]] = [
        ("pixels from 0 to 255", "--scale 255 --mean 0 --std 1", {"mean": (0.0,), "std": (1 / 255,)}),
        ("pixels from 0 to 1", "--mean 0 --std 1", {"mean": (0.0,), "std": (1.0,)}),
        ("pixels from -1 to 1", "--mean 0.5 --std 0.5", {"mean": (0.5,), "std": (0.5,)}),
        ("each image brought to mean 0 and deviation 1", "--standardise image", {"standardise": "image"}),
    ]
    if spec.channels == 3:
        mean, std = IMAGENET
        numbers = f"--mean {','.join(map(str, mean))} --std {','.join(map(str, std))}"
        scales.append(("ImageNet's mean and deviation", numbers, {"mean": mean, "std": std}))
    for words, options, change in scales:
        other = spec.model_copy(update={"standardise": "fixed"} | change)
        if other != spec and not (other.standardise == spec.standardise == "image") and not fixed_scale:
            yield Way(words, options, other)
    if not grey:
        yield Way("blue before green before red", "--bgr (or leave it out, if it was given)", spec, bgr=True)
    for side in SIZES if open_size else ():
        if (side, side) != (spec.height, spec.width):
            yield Way(
                f"images of {side} x {side}", f"--size {side}", spec.model_copy(update={"height": side, "width": side})
            )


def _asked(model: nn.Module, way: Way) -> nn.Module:
    import torch
    from torch import nn

    class Swapped(nn.Module):
        foldable = False

        def __init__(self) -> None:
            super().__init__()
            self.network = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            answers: torch.Tensor = self.network(images.flip(1))
            return answers

    return Swapped() if way.bgr else model
