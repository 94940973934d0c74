"""Mean maps of two groups of images side by side: two cells of a confusion matrix, or two networks on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core.checkpoint import Card
from fer_core.datasets import Dataset
from fer_core.evaluation.gallery import positions
from fer_core.evaluation.intervals import SEED
from fer_core.evaluation.predictions import Predictions
from fer_core.explanation.aggregate import maps_of, mean_difference, mean_map, network_difference, relative
from fer_core.explanation.means import Band
from fer_core.images import ImageSpec
from fer_core.models import attribution_layer

if TYPE_CHECKING:
    from torch import nn


def images_of(
    dataset: Dataset, table: Predictions, rows: NDArray[np.int64], spec: ImageSpec
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Those of a table's rows whose images a data set has, and the images (n, H, W[, 3]) at a network's size."""
    places = positions(dataset, table.table.iloc[rows])
    return rows[places >= 0], dataset.images(spec)[places[places >= 0]]


def of_two_cells(
    model: nn.Module, card: Card, table: Predictions, dataset: Dataset, given: str, taken: str, method: str, layer: str
) -> tuple[Band, Band, Band]:
    """Mean maps of an expression where it is predicted as another, where it is recognised, and their difference.

    Args:
        table: of the network's predictions, whose images `dataset` has.
        given, taken: the label, which the maps explain, and the wrong prediction.
    """
    label = table.table["label"].to_numpy() == given
    wrong, right = label & (table.predicted == taken), label & table.correct
    kept, images = images_of(dataset, table, np.flatnonzero(wrong | right), card.image)
    target = [card.vocabulary.index(given)] * len(kept)
    made = relative(maps_of(model, images, card.image, target, method, layer, tta=card.tta))
    one, other = wrong[kept], right[kept]
    return mean_map(made, one), mean_map(made, other), mean_difference(made, one, other)


def of_two_networks(
    networks: Sequence[tuple[nn.Module, Card]], table: Predictions, dataset: Dataset, given: str, method: str, most: int
) -> tuple[int, Band, Band, Band]:
    """The number of images of an expression (at most `most`), the mean map of each of two networks, and their
    difference.

    Each network is asked for the given expression at its own layer; the second one's maps are brought to the first
    one's size.

    Args:
        table: of the first network's predictions, whose images `dataset` has.
    """
    rows = np.flatnonzero(table.table["label"].to_numpy() == given)
    rows = np.sort(np.random.default_rng(SEED).permutation(rows)[:most])
    size = networks[0][1].image.shape[1:]
    found = []
    for model, card in networks:
        kept, images = images_of(dataset, table, rows, card.image)
        target = [card.vocabulary.index(given)] * len(kept)
        layer = attribution_layer(card.network, model)
        made = maps_of(model, images, card.image, target, method, layer, tta=card.tta)
        found.append(relative(_resized(made, size)))
    everything = np.ones(len(found[0]), dtype=bool)
    first, second = (mean_map(maps, everything) for maps in found)
    return len(everything), first, second, network_difference(found[0], found[1], everything)


def _resized(maps: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """(n, h, w) -> (n, H, W), by areas."""
    import cv2

    height, width = size
    if maps.shape[1:] == (height, width):
        return maps
    large = [cv2.resize(each, (width, height), interpolation=cv2.INTER_AREA) for each in maps]
    return np.array(large, np.float32).reshape(-1, height, width)
