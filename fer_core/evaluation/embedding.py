"""The map of faces: a network's penultimate features in two dimensions, and each image's nearest neighbours.

The penultimate features are the input of the last layer with weights. If that is a convolution, they are averaged over
its positions; for an ensemble, they are those of the last member. They are kept in the workspace's cache under a key
made from the weights and the images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fer_core.checkpoint import read_card, weights_path
from fer_core.datasets import Dataset
from fer_core.errors import CheckpointError, DataError
from fer_core.evaluation.intervals import SEED
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models.batching import at_once
from fer_core.workspace import cache, write_atomically

if TYPE_CHECKING:
    from torch import nn

VERSION = 1  # raise when features or maps change
AT_ONCE = 1000  # images whose features take some seconds: nobody is asked before
MOST_MAPPED = 5000  # images: t-SNE takes a minute for so many
BEFORE_TSNE = 50  # principal components that t-SNE is given, as in van der Maaten and Hinton 2008
PERPLEXITY = 30.0

Floats = NDArray[np.float32]


def features(
    model: nn.Module,
    images: NDArray[np.uint8],
    spec: ImageSpec,
    on_batch: Callable[[int], None] = lambda done: None,
) -> Floats:
    """(N, D) penultimate features of images at the network's size; no hook stays behind, also after an error.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8, memory-mapped or not; only a batch at a time is taken into memory.
        on_batch: called with the number of images done.

    Raises:
        CheckpointError: the features are not finite.
    """
    import torch

    device = next((p.device for p in model.parameters()), "cpu")
    last = _last_layer(model, torch.zeros(1, *spec.shape, device=device))
    given: list[Any] = []
    handle = last.register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0]))
    was_training = model.training
    model.eval()
    parts = []
    try:
        size = at_once(spec.height, spec.width, device)
        for start in range(0, len(images), size):
            given.clear()
            with torch.inference_mode():
                model(normalise(to_tensor(images[start : start + size], device), spec))
                values = given[-1]
                parts.append((values.mean(dim=(2, 3)) if values.ndim == 4 else values.flatten(1)).float().cpu().numpy())
            on_batch(min(start + size, len(images)))
    finally:
        handle.remove()
        model.train(was_training)
    found: Floats = np.concatenate(parts)
    if not np.isfinite(found).all():
        raise CheckpointError("The network's features are not finite, so its training failed; choose another.")
    return found


def _last_layer(model: nn.Module, images: Any) -> nn.Module:
    """The linear layer or convolution that runs last."""
    import torch
    from torch import nn

    order: list[nn.Module] = []
    handles = [
        layer.register_forward_pre_hook(lambda layer, inputs: order.append(layer))
        for layer in model.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    if not order:
        raise CheckpointError(
            "The network has neither a linear layer nor a convolution, so it has no penultimate features."
        )
    return order[-1]


def features_of(
    folder: Path, dataset: Dataset, split: str, on_batch: Callable[[int], None] = lambda done: None
) -> Floats:
    """The features of a split, in the order of its rows; from the cache where they are there.

    Raises:
        DataError: no such split.
        CheckpointError: as `load_network` and `features`.
    """
    path = features_path(folder, dataset, split)
    if path.exists():
        found: Floats = np.load(path)
        return found
    from fer_core.checkpoint import load_network

    rows = dataset.rows(split)
    model, card = load_network(folder)
    values = features(model, dataset.images(card.image)[rows], card.image, on_batch)
    _keep(path, values)
    return values


def features_path(folder: Path, dataset: Dataset, split: str) -> Path:
    """Where the features of a split are kept; the data set's own cache folder is named after its content."""
    digest = hashlib.sha256(f"{VERSION}|{dataset.folder.name}|{split}".encode())
    digest.update(read_card(folder).model_dump_json(include={"image"}, exclude_none=True).encode())
    digest.update(weights_path(folder).read_bytes())
    return cache() / "features" / f"{digest.hexdigest()[:20]}.npy"


def _keep(path: Path, values: NDArray[np.float32]) -> None:
    buffer = BytesIO()
    np.save(buffer, values)
    write_atomically(path, buffer.getvalue())


class Plane(NamedTuple):
    """Points in two dimensions, (N, 2), and notes on how to read the map."""

    points: Floats
    explained: tuple[float, float] | None  # share of the variance along each axis; None where axes mean nothing


def pca(values: ArrayLike) -> Plane:
    """The first two principal components. Their signs make the largest weight of each positive.

    Raises:
        DataError: fewer than two images or features.
    """
    centred, axes, variance = _components(values)
    total = float(variance.sum())
    points = (centred @ axes[:2].T).astype(np.float32)
    first, second = (float(v) / total if total > 0 else 0.0 for v in variance[:2])
    return Plane(points, (first, second))


def _components(values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Centred values (N, D), principal axes as rows and the variance along each, the largest first."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or len(table) < 2 or table.shape[1] < 2:
        raise DataError(f"A map needs two images and two features or more, found the shape {table.shape}.")
    centred = table - table.mean(axis=0)
    variance, axes = np.linalg.eigh(centred.T @ centred)  # D is at most some thousand, N any number
    axes, variance = axes.T[::-1], variance[::-1].clip(0)
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    return centred, axes, variance


def tsne(values: ArrayLike, seed: int = SEED) -> Plane:
    """t-SNE (van der Maaten and Hinton 2008) of the first 50 principal components, begun at the PCA.

    Near points have similar features; the sizes of groups and the distances between them mean little.

    Raises:
        DataError: fewer than four images, or more than `MOST_MAPPED`.
    """
    from sklearn.manifold import TSNE

    centred, axes, _ = _components(values)
    if not 4 <= len(centred) <= MOST_MAPPED:
        raise DataError(f"t-SNE takes 4 to {MOST_MAPPED:,} images, found {len(centred):,}; choose a smaller part.")
    reduced = (centred @ axes[:BEFORE_TSNE].T).astype(np.float32)
    perplexity = min(PERPLEXITY, (len(reduced) - 1) / 3)
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return Plane(np.asarray(found, dtype=np.float32), None)


def tsne_of(path: Path, rows: NDArray[np.int64], seed: int = SEED) -> Plane:
    """t-SNE of some rows of kept features; kept beside them.

    Args:
        path: what `features_path` gives.
    """
    key = hashlib.sha256(f"{VERSION}|{seed}".encode() + rows.tobytes()).hexdigest()[:12]
    place = path.with_name(f"{path.stem}-tsne-{key}.npy")
    if place.exists():
        return Plane(np.load(place), None)
    plane = tsne(np.load(path, mmap_mode="r")[rows], seed)
    _keep(place, plane.points)
    return plane


def neighbours(one: ArrayLike, others: ArrayLike, k: int = 12) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k images most alike to one, by the cosine of their features.

    Args:
        one: (D,).
        others: (N, D).

    Returns:
        Rows of `others` and cosines (-1..1), the most alike first; of equal ones the earlier row first.
    """
    single, table = np.asarray(one, dtype=np.float32), np.asarray(others, dtype=np.float32)
    length = np.linalg.norm(table, axis=1) * np.linalg.norm(single)
    cosine = np.divide(table @ single, length, out=np.zeros(len(table), np.float32), where=length > 0)
    order = np.argsort(-cosine, kind="stable")[:k]
    return order.astype(np.int64), cosine[order].astype(np.float64)


def purity(values: ArrayLike, labels: ArrayLike, k: int = 10) -> tuple[float, float]:
    """How well images of one label cluster: the share of the k nearest neighbours with the same label, and chance
    level.

    Args:
        values: (N, D) features.
        labels: (N,).

    Raises:
        DataError: fewer than two images.
    """
    from sklearn.neighbors import NearestNeighbors

    table, names = np.asarray(values, dtype=np.float32), np.asarray(labels)
    n = len(table)
    if n < 2:
        raise DataError(f"An image's neighbours need two images or more, found {n}; choose a larger part.")
    near = NearestNeighbors(n_neighbors=min(k, n - 1)).fit(table).kneighbors(return_distance=False)
    _, counts = np.unique(names, return_counts=True)
    chance = float((counts * (counts - 1)).sum() / (n * (n - 1)))
    return float((names[near] == names[:, None]).mean()), chance
