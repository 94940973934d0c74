"""Remove and retrain: what is covered, and a network that learns stripes with and without them."""

from pathlib import Path

import numpy as np
import pytest

from fer_core.checkpoint import load_network
from fer_core.datasets import open_dataset
from fer_core.errors import ConfigError
from fer_core.experiments.roar import RANDOM, at_random, by_map, covered, remove_and_retrain
from fer_core.runs.folder import RunFolder
from tests.tiny import tiny


def test_the_highest_pixels_are_covered_by_the_images_mean_and_no_others() -> None:
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    values = images.astype(np.float32)
    found = covered(images, values, 0.25)
    np.testing.assert_array_equal(found[0].ravel(), [*range(12), 8, 8, 8, 8])  # mean 7.5, rounded to even
    np.testing.assert_array_equal(found[1].ravel()[:12], images[1].ravel()[:12])
    colour = np.stack([images] * 3, axis=-1)
    np.testing.assert_array_equal(covered(colour, values, 0.25)[..., 1], found)
    assert (covered(images, np.zeros_like(values), 0.5) != images).sum() >= 14  # of equal ones a seeded order decides


def test_what_carries_the_expression_costs_more_than_as_many_random_pixels(learnable: Path) -> None:
    dataset = open_dataset(learnable)
    config = tiny(epochs=3)
    left_half = lambda images: np.broadcast_to(np.arange(16) < 15, images.shape).astype(np.float32)  # noqa: E731
    table = remove_and_retrain(
        "roar", config, dataset, str(learnable), {"nearly-all": left_half, RANDOM: at_random}, shares=(0.9,)
    )
    assert table["run"].tolist() == ["roar-whole", "roar-nearly-all-90", "roar-random-90"]
    assert (table["low"] < table["accuracy"] + 1e-9).all()
    assert (table["accuracy"] < table["high"] + 1e-9).all()
    before = RunFolder.named("roar-whole").metrics()
    again = remove_and_retrain(
        "roar", config, dataset, str(learnable), {"nearly-all": left_half, RANDOM: at_random}, shares=(0.9,)
    )
    assert again["accuracy"].tolist() == table["accuracy"].tolist()  # finished runs are not repeated
    assert RunFolder.named("roar-whole").metrics() == before
    model, card = load_network(RunFolder.named("roar-whole").path)
    maps = by_map(model, card, "saliency")(np.asarray(dataset.images(card.image))[:3])
    assert maps.shape == (3, 16, 16)


def test_without_a_control_or_with_an_impossible_share_nothing_is_trained(learnable: Path) -> None:
    dataset = open_dataset(learnable)
    with pytest.raises(ConfigError, match="no control"):
        remove_and_retrain("roar", tiny(), dataset, str(learnable), {"mine": at_random})
    with pytest.raises(ConfigError, match="between 0 and 1"):
        remove_and_retrain("roar", tiny(), dataset, str(learnable), {RANDOM: at_random}, shares=(1.5,))
