"""How far maps can be trusted: figures by hand, and the known truth of the rendered heads on a network trained here."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from fer_core.checkpoint import load_network, save_tensors
from fer_core.errors import DataError
from fer_core.explanation import explain, region_report
from fer_core.explanation.aggregate import CHUNK, maps_of, mean_difference, mean_map, network_difference, relative
from fer_core.explanation.faithfulness import (
    EDGES,
    RANDOM,
    badge,
    deletion_insertion,
    edge_maps,
    infidelity,
    leaderboard,
    mass,
    max_sensitivity,
    pointing,
    random_maps,
    rank_correlation,
    shuffled,
)
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models.small_vgg import SmallVGG
from tests.faces import Faces, faces_with_masks
from tests.untrained import untrained

GREY = ImageSpec(channels=1, height=16, width=16)
FACES = ImageSpec(channels=1, height=32, width=32, standardise="image")


def pictures(n: int, seed: int = 0, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


class Corner(nn.Module):
    """The first logit is 3 times the mean of the upper left quarter of the normalised picture; the second is 0."""

    def __init__(self, weight: float = 3.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        level = self.weight * inputs[:, 0, :8, :8].mean(dim=(1, 2))
        return torch.stack([level, torch.zeros_like(level)], dim=1)


CORNER = np.zeros((1, 16, 16), np.float32)
CORNER[0, :8, :8] = 1


def test_deletion_and_insertion_by_hand():
    # A bright quarter on black: its mean is a quarter of 255. With four steps the whole quarter goes at the first: the
    # probability falls from p(255) to p(64) at once and stays, whatever goes then; the trapezoid is worked out below.
    images = (CORNER * 255).astype(np.uint8)
    p = {level: 1 / (1 + np.exp(-3 * (level / 255 - 0.5) / 0.5)) for level in (255, 64)}
    deletion, insertion = deletion_insertion(Corner(), images, GREY, [0], CORNER, steps=4)
    assert deletion[0] == pytest.approx((p[255] + 7 * p[64]) / 8, abs=1e-3)
    worst = deletion_insertion(Corner(), images, GREY, [0], -CORNER, steps=4)
    assert worst[0][0] == pytest.approx((7 * p[255] + p[64]) / 8, abs=1e-3)
    assert insertion[0] > 0.9 > worst[1][0]


def test_infidelity_of_a_linear_networks_own_gradient_is_none_and_of_noise_all():
    gradient = CORNER * 3 / 64
    images = pictures(4)
    right = infidelity(Corner(), images, GREY, [0] * 4, gradient.repeat(4, axis=0))
    np.testing.assert_allclose(right, 0, atol=1e-6)
    scaled = infidelity(Corner(), images, GREY, [0] * 4, 100 * gradient.repeat(4, axis=0))
    np.testing.assert_allclose(scaled, 0, atol=1e-6)  # the unit of a map does not count
    elsewhere = infidelity(Corner(), images, GREY, [0] * 4, 1 - CORNER.repeat(4, axis=0))
    assert elsewhere.min() > 0.3


def test_max_sensitivity_is_none_for_the_gradient_of_a_linear_network_and_small_for_its_product_with_the_picture():
    images = pictures(3)
    assert max_sensitivity(Corner(), images, GREY, [0] * 3, "saliency").max() < 1e-6
    product = max_sensitivity(Corner(), images, GREY, [0] * 3, "input-x-gradient")
    assert 0.001 < product.min() <= product.max() < 0.1  # noise of 0.02 on pixels of size 0.6
    np.testing.assert_allclose(
        max_sensitivity(Corner(), images[1:2], GREY, [0], "input-x-gradient"), product[1:2], rtol=1e-4
    )


def test_rank_correlation_is_scipys_and_none_for_a_constant_map():
    one, other = random_maps(4, GREY), random_maps(4, GREY, seed=9)
    other[0] = one[0] ** 3
    other[1] = np.round(one[1] + 0.5 * other[1], 1)  # ties
    other[3] = 0
    found = rank_correlation(one, -other)  # absolute values
    wanted = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(one[:3], other[:3], strict=True)]
    np.testing.assert_allclose(found, [*wanted, 0], atol=1e-9)
    assert found[0] == pytest.approx(1)


def test_pointing_and_mass_by_hand():
    maps = np.array([[[9, 1], [0, 0]], [[1, 9], [0, 0]], [[-9, 1], [0, 0]], [[0, 0], [0, 0]]], np.float32)
    masks = np.zeros((4, 2, 2), bool)
    masks[:, 0, 0] = True
    np.testing.assert_array_equal(pointing(maps, masks)[:3], [1, 0, 0])
    np.testing.assert_allclose(mass(maps, masks), [0.9, 0.1, 0.0, 0.25])
    many = np.zeros((4000, 2, 2), np.float32)
    assert set(pointing(many, masks[:1].repeat(4000, axis=0))) <= {0.0, 1.0}


def test_shuffled_weights_are_others_and_leave_the_network_and_the_random_state_alone():
    model = SmallVGG(7, 1, (4, 8), 0.2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    fresh = shuffled(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    ours, theirs = dict(model.named_parameters()), dict(fresh.named_parameters())
    assert not torch.equal(ours["head.3.weight"], theirs["head.3.weight"])
    assert torch.equal(theirs["head.3.weight"], shuffled(model).state_dict()["head.3.weight"])
    assert not torch.equal(shuffled(Corner()).weight, Corner().weight)  # a weight without reset_parameters too


# --- the known truth --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn() -> Faces:
    """Images, where they show their expression, and labels of six people that the network was not trained on."""
    return faces_with_masks(42, 32, first=1470)


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A small VGG with an accuracy of over 80 % on rendered heads; trained here in some seconds."""
    faces = faces_with_masks(1470, 32)
    inputs, labels = normalise(to_tensor(faces.images), FACES), torch.tensor(faces.labels)
    torch.manual_seed(0)
    model = SmallVGG(7, 1, (12, 24, 32), 0.0)
    epochs, batch = 7, 50
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs * len(inputs) // batch)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(batch):
            loss = nn.functional.cross_entropy(model(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@pytest.fixture(scope="module")
def board(trained: nn.Module, drawn: Faces) -> pd.DataFrame:
    targets = drawn.labels.tolist()
    with torch.no_grad():
        right = trained(normalise(to_tensor(drawn.images), FACES)).argmax(dim=1).numpy() == targets
    assert right.mean() > 0.8
    chosen = ["integrated-gradients", "occlusion"]
    table, agreement = leaderboard(trained, drawn.images, FACES, targets, "stages.2", chosen, drawn.masks, few=2)
    assert len(agreement) == 3  # three maps in pairs, the random one left out
    return table.set_index("method")


def test_the_best_methods_find_the_expressions_pixels_far_better_than_chance(board):
    for method in ("integrated-gradients", "occlusion"):
        row = board.loc[method]
        assert row["pointing_low"] > row["chance"] + 0.15, method
        assert row["mass_low"] > row["chance"] + 0.1, method


def test_a_random_map_is_found_to_be_worth_nothing(board):
    row = board.loc[RANDOM]
    assert row["pointing_low"] < row["chance"] < row["pointing_high"]
    assert row["mass"] == pytest.approx(row["chance"], abs=0.01)
    assert abs(row["deletion_gain"]) < 0.05
    assert abs(row["insertion_gain"]) < 0.05
    assert badge(row).level == "not supported"


def test_an_edge_detector_does_not_pass_the_check_with_shuffled_weights_but_methods_do(board):
    assert board.loc[EDGES, "randomisation"] == pytest.approx(1)
    said = badge(board.loc[EDGES])
    assert said.level == "not supported"
    assert "hardly changes when the weights are shuffled" in said.sentence
    assert board.loc["occlusion", "randomisation_high"] < 0.5
    assert badge(board.loc["occlusion"]).level == "supported"


def test_good_methods_beat_a_random_map_both_ways_and_lead_the_board(board):
    for method in ("integrated-gradients", "occlusion"):
        assert board.loc[method, "deletion_gain_low"] > 0.05
        assert board.loc[method, "insertion_gain_low"] > 0.05
    assert board.index[-1] == RANDOM or board.index[-2] == RANDOM
    assert board["n"].eq(42).all()


def test_a_method_that_does_not_suit_is_named_with_its_reason(drawn):
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 7))
    table, _ = leaderboard(model, drawn.images[:2], FACES, [0, 1], None, ["grad-cam", "saliency"], few=1)
    row = table.set_index("method").loc["grad-cam"]
    assert row["n"] == 0
    assert "no convolution" in row["suits"]
    assert badge(row).level == badge(None).level == "not measured"
    with pytest.raises(DataError, match="at least one picture"):
        leaderboard(model, drawn.images[:0], FACES, [], None)


def test_an_edge_map_ignores_the_brightness_and_sees_an_edge():
    images = np.full((1, 16, 16), 10, np.uint8)
    images[:, 8:] = 90
    found = edge_maps(images)
    assert found[0, 7:9].min() > 0
    assert not found[0, :6].any()
    np.testing.assert_allclose(edge_maps(images + 50), found)


# --- many maps, kept on disk --------------------------------------------------------------------------------------------


class Counting(Corner):
    seen = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        Counting.seen += len(inputs)
        return super().forward(inputs)


def test_maps_come_from_the_disk_the_second_time_and_depend_on_all_that_matters():
    n = CHUNK + 5
    images, targets = pictures(n), [0, 1] * (n // 2) + [0]
    told: list[int] = []
    first = maps_of(Counting(), images, GREY, targets, "input-x-gradient", on_chunk=told.append)
    assert told == [CHUNK, n]
    np.testing.assert_allclose(first, explain(Corner(), images, GREY, targets, "input-x-gradient").map, rtol=1e-5)
    done = Counting.seen
    np.testing.assert_array_equal(maps_of(Counting(), images, GREY, targets, "input-x-gradient"), first)
    assert Counting.seen == done
    others = [
        maps_of(Counting(4.0), images[:2], GREY, targets[:2], "input-x-gradient"),
        maps_of(Counting(), images[2:4], GREY, targets[:2], "input-x-gradient"),
        maps_of(Counting(), images[:2], GREY, [1, 0], "input-x-gradient"),
        maps_of(Counting(), images[:2], GREY, targets[:2], "smoothgrad", copies=2),
        maps_of(Counting(), images[:2], GREY, targets[:2], "smoothgrad", copies=3),
    ]
    assert Counting.seen > done
    np.testing.assert_allclose(others[0], first[:2] * 4 / 3, rtol=1e-5)


def test_what_was_interrupted_goes_on_where_it_stopped(workspace: Path):
    n = 2 * CHUNK
    images = pictures(n, seed=3)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maps_of(Counting(), images, GREY, [0] * n, "saliency", on_chunk=stop)
    kept = list((workspace / "cache" / "maps").glob("*.npy"))
    assert len(kept) == 1
    Counting.seen = 0
    whole = maps_of(Counting(), images, GREY, [0] * n, "saliency")
    assert Counting.seen == n - CHUNK
    kept[0].write_bytes(b"half a file")  # a damaged one is made again
    np.testing.assert_array_equal(maps_of(Counting(), images, GREY, [0] * n, "saliency"), whole)


def test_means_and_differences_of_maps_by_hand():
    maps = relative(np.array([[[1, 3]], [[2, 2]], [[0, 0]], [[-4, 0]]], np.float32))
    np.testing.assert_allclose(maps[:, 0], [[0.5, 1.5], [1, 1], [0, 0], [-2, 0]])
    first, last = np.array([True, True, False, False]), np.array([False, False, True, True])
    np.testing.assert_allclose(mean_map(maps, first).mean, [[0.75, 1.25]])
    np.testing.assert_allclose(mean_difference(maps, first, last).mean, [[1.75, 1.25]])
    paired = network_difference(maps, maps - 0.5, first)
    np.testing.assert_allclose([paired.mean, paired.low, paired.high], 0.5)  # pairs: the band has no width


# --- the report ---------------------------------------------------------------------------------------------------------


def test_a_report_is_written_beside_the_weights_and_read_again(capsys, monkeypatch):
    folder = untrained("looked", arguments={"widths": [4, 8]})
    from tests.trainers.test_explain_command import ferscope

    monkeypatch.setattr(region_report, "REGION_METHODS", ("grad-cam",))
    more = ["--method", "saliency", "--method", "grad-cam", "--limit", "30", "--methods-on", "2", "--layer", "stages.1"]
    code, said, error = ferscope(
        capsys, "explain-report", "looked", "--data", "heads", "--split", "val", *more, "--json"
    )
    assert code == 0, error
    answer = json.loads(said)
    found = region_report.read(region_report.find(folder)["heads-val"])
    assert found.about["n"] == 30 == answer["n"]
    assert found.about["n_of_split"] == 350
    assert {row["method"] for row in answer["methods"]} == {"saliency", "grad-cam", RANDOM, EDGES}
    assert "pointing" in found.methods  # the synthetic set knows its pixels
    assert found.about["verdict"].startswith("Covering eyes, nose and mouth")
    assert set(found.covering["cover"]) == {"blur", "mean", "noise"}
    assert found.covering.query("expression == 'all'")["n"].eq(30).all()
    assert len(found.means) == 7 * 48 * 48
    np.testing.assert_allclose(found.means.groupby("expression")["mean"].mean().max(), 1, atol=0.01)
    assert not region_report.outdated(found, folder)
    model, _ = load_network(folder)
    save_tensors(folder / "best.safetensors", {k: v + 1 for k, v in model.state_dict().items()})
    assert region_report.outdated(found, folder)
    (folder / "explanation-heads-val-means.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="incomplete or damaged.*explain-report"):
        region_report.read(folder / "explanation-heads-val.json")
