"""Penultimate features, their maps and neighbours."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from fer_core.checkpoint import load_network
from fer_core.datasets import open_dataset
from fer_core.errors import CheckpointError, DataError
from fer_core.evaluation.embedding import features, features_of, features_path, neighbours, pca, purity, tsne, tsne_of
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models import NETWORKS, build
from fer_core.models.batching import at_once
from tests.app.examples import make_pictures
from tests.untrained import untrained

SPEC = ImageSpec(channels=1, height=48, width=48)


def hooks(model: nn.Module) -> int:
    return sum(len(layer._forward_hooks) + len(layer._forward_pre_hooks) for layer in model.modules())


@pytest.mark.parametrize("name", ["small-vgg", "shallow-cnn"])
def test_features_with_the_last_layer_give_the_logits(name: str) -> None:
    # the one property that makes them penultimate
    spec = NETWORKS.get(name).spec
    shape = (4, spec.height, spec.width) if spec.channels == 1 else (4, spec.height, spec.width, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    torch.manual_seed(0)
    model = build(name, classes=7, spec=spec).eval()
    found = features(model, images, spec)
    assert found.shape[0] == 4
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.inference_mode():
        logits = model(normalise(to_tensor(images), spec))
        again = last(torch.from_numpy(found))
    torch.testing.assert_close(again, logits, rtol=1e-4, atol=1e-4)
    assert hooks(model) == 0


def test_a_map_is_averaged_over_its_places() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(1, 7, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(images).mean(dim=(2, 3))

    spec = ImageSpec(channels=1, height=16, width=16, mean=(0.0,), std=(1.0,))
    images = np.stack([np.full((16, 16), 51, np.uint8), np.arange(256, dtype=np.uint8).reshape(16, 16)])
    np.testing.assert_allclose(features(Constant(), images, spec), [[0.2], [0.5]], rtol=1e-6)


def test_nothing_stays_behind_after_an_error(pictures: np.ndarray) -> None:
    model = build("small-vgg", classes=7, spec=SPEC, arguments={"widths": (4, 4)}).train()
    calls = []

    def stop(done: int) -> None:
        calls.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features(model, pictures, SPEC, stop)
    assert calls == [at_once(48, 48)]
    assert hooks(model) == 0
    assert model.training


def test_a_network_that_diverged_is_named(pictures: np.ndarray) -> None:
    model = build("small-vgg", classes=7, spec=SPEC, arguments={"widths": (4, 4)})
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(CheckpointError, match="not finite"):
        features(model, pictures, SPEC)


def test_features_of_a_split_are_kept_by_content(tmp_path: Path) -> None:
    dataset, folder = open_dataset(make_pictures(tmp_path / "faces", each=1)), untrained()
    seen: list[int] = []
    found = features_of(folder, dataset, "val", seen.append)
    assert (found.shape, seen) == ((7, 256), [7])
    model, card = load_network(folder)
    np.testing.assert_array_equal(found, features(model, dataset.images(card.image)[dataset.rows("val")], card.image))
    np.testing.assert_array_equal(features_of(folder, dataset, "val", seen.append), found)
    assert seen == [7]  # read, not computed
    assert features_path(folder, dataset, "val") != features_path(folder, dataset, "train")
    plane = tsne_of(features_path(folder, dataset, "val"), np.arange(7))
    np.testing.assert_array_equal(tsne_of(features_path(folder, dataset, "val"), np.arange(7)).points, plane.points)


def test_pca_is_scikit_learns() -> None:
    values = np.random.default_rng(0).normal(size=(200, 12)) * np.arange(1, 13)
    found, theirs = pca(values), PCA(2).fit(values)
    points = theirs.transform(values)
    np.testing.assert_allclose(np.abs(found.points), np.abs(points), atol=1e-4)
    assert found.explained == pytest.approx(theirs.explained_variance_ratio_.tolist(), rel=1e-9)
    np.testing.assert_array_equal(pca(values).points, found.points)


def test_maps_of_too_little_are_refused() -> None:
    with pytest.raises(DataError, match="two images"):
        pca(np.zeros((1, 5)))
    with pytest.raises(DataError, match="4 to 5,000"):
        tsne(np.zeros((3, 5)))
    assert pca(np.ones((5, 3))).explained == (0.0, 0.0)


def test_tsne_keeps_groups_apart_and_is_deterministic() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(size=(40, 8)), random.normal(size=(40, 8)) + 20])
    points = tsne(values).points
    np.testing.assert_array_equal(points, tsne(values).points)
    first, second = points[:40], points[40:]
    between = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert between > 2 * max(np.linalg.norm(part - part.mean(axis=0), axis=1).mean() for part in (first, second))


def test_neighbours_by_hand() -> None:
    others = [[0, 2], [1, 1], [-1, 0], [3, 0], [0, 0]]
    rows, cosine = neighbours([1, 0], others, k=4)
    assert rows.tolist() == [3, 1, 0, 4]  # 1, 0.7071, 0 and 0; a zero vector is like nothing
    assert cosine == pytest.approx([1, 0.7071, 0, 0], abs=1e-4)
    assert len(neighbours([1, 0], others, k=50)[0]) == 5


def test_purity_has_its_ends() -> None:
    labels = np.repeat(["a", "b"], 20)
    apart = np.random.default_rng(0).normal(size=(40, 3)) + 50 * (labels == "a")[:, None]
    assert purity(apart, labels) == (1.0, pytest.approx(2 * 20 * 19 / (40 * 39)))
    mixed = np.random.default_rng(1).normal(size=(400, 3))
    found, chance = purity(mixed, np.tile(["a", "b"], 200))
    assert found == pytest.approx(chance, abs=0.05)
    with pytest.raises(DataError, match="two images or more, found 1"):
        purity(mixed[:1], ["a"])
