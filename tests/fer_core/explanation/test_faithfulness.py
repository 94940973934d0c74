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
from fer_core.explanation.badge import badge
from fer_core.explanation.faithfulness import (
    Curves,
    Explained,
    Perturbations,
    mass,
    max_sensitivity,
    pointing,
    rank_correlation,
)
from fer_core.explanation.leaderboard import EDGES, FACE, RANDOM, another, leaderboard, random_maps, same_spectrum
from fer_core.explanation.means import band
from fer_core.explanation.randomisation import cascade, redrawn, weighted_layers
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models.logits import predict_logits
from fer_core.models.small_vgg import SmallVGG
from tests.benchmarks.null_methods import pass_rates, tiny_images, tiny_network
from tests.faces import Faces
from tests.fer_core.explanation.trained_heads import FACES, explained, held_out
from tests.fer_core.explanation.trained_heads import trained as trained_on_heads
from tests.untrained import untrained

GREY = ImageSpec(channels=1, height=16, width=16)


def pictures(n: int, seed: int = 0, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


class Corner(nn.Module):
    """The first logit is 3 times the mean of the upper left quarter of the normalised image; the second is 0."""

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
    curves = Curves(Explained(Corner(), images, GREY, [0]), steps=4)
    deletion, insertion = curves.of(CORNER)
    assert deletion[0] == pytest.approx((p[255] + 7 * p[64]) / 8, abs=1e-3)
    worst = curves.of(-CORNER)
    assert worst[0][0] == pytest.approx((7 * p[255] + p[64]) / 8, abs=1e-3)
    assert insertion[0] > 0.9 > worst[1][0]


def infidelity(images: np.ndarray, maps: np.ndarray, claims: str, signed: bool = True, model: nn.Module | None = None):
    return Perturbations(Explained(model or Corner(), images, GREY, [0] * len(images))).infidelity(maps, claims, signed)


def test_exact_maps_of_a_linear_network_foretell_everything_each_asked_what_it_claims():
    # Input x gradient, exact shares, was asked about noise and scored 0.81; here it is asked about what it claims.
    images = pictures(4)
    gradient = (CORNER * 3 / 64).repeat(4, axis=0)
    shares = gradient * normalise(to_tensor(images), GREY)[:, 0].numpy()
    np.testing.assert_allclose(infidelity(images, shares, "shares"), 0, atol=1e-6)
    np.testing.assert_allclose(infidelity(images, gradient, "sensitivity"), 0, atol=1e-6)
    np.testing.assert_allclose(infidelity(images, 100 * shares, "shares"), 0, atol=1e-6)  # the unit does not count
    assert infidelity(images, gradient, "shares").min() > 0.2  # a gradient is no share
    assert infidelity(images, shares, "sensitivity").min() > 0.2


def test_infidelity_is_left_out_for_maps_whose_values_foretell_nothing():
    images = pictures(2)
    assert infidelity(images, CORNER.repeat(2, axis=0), "place") is None
    assert infidelity(images, CORNER.repeat(2, axis=0), "sensitivity", signed=False) is None  # the sign is lost


def test_random_maps_foretell_less_than_integrated_gradients_of_a_trained_network(trained, drawn):
    targets = drawn.labels[:12].tolist()
    changes = Perturbations(Explained(trained, drawn.images[:12], FACES, targets))
    maps = explain(trained, drawn.images[:12], FACES, targets, "integrated-gradients").map
    own = changes.infidelity(maps, "shares", True).mean()
    assert own < changes.infidelity(random_maps(12, FACES), "shares", True).mean() - 0.1
    even = changes.infidelity(np.ones((12, 32, 32), np.float32), "shares", True)
    np.testing.assert_allclose(even, 1)  # that more is lost where more is taken away is no merit of a map


def test_max_sensitivity_is_none_for_the_gradient_of_a_linear_network_and_small_for_its_product_with_the_picture():
    images = pictures(3)
    assert max_sensitivity(Explained(Corner(), images, GREY, [0] * 3), "saliency").max() < 1e-6
    product = max_sensitivity(Explained(Corner(), images, GREY, [0] * 3), "input-x-gradient")
    assert 0.001 < product.min() <= product.max() < 0.1  # noise of 0.02 on pixels of size 0.6
    np.testing.assert_allclose(
        max_sensitivity(Explained(Corner(), images[1:2], GREY, [0]), "input-x-gradient"), product[1:2], rtol=1e-4
    )


def test_max_sensitivity_of_a_method_that_draws_shows_its_draws():
    class Bent(Corner):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.tanh(20 * super().forward(inputs)) + 0 * inputs.mean()

    images = pictures(2)
    few = max_sensitivity(Explained(Bent(), images, GREY, [0] * 2), "smoothgrad", copies=2, noise=0.3)
    many = max_sensitivity(Explained(Bent(), images, GREY, [0] * 2), "smoothgrad", copies=400, noise=0.3)
    assert few.min() > many.max() > 0  # with one seed for all both were small


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
    np.testing.assert_array_equal(pointing(maps, masks), [1, 0, 0, 0.25])
    np.testing.assert_allclose(mass(maps, masks), [0.9, 0.1, 0.0, 0.25])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_constant_map_points_into_the_mask_as_often_as_the_mask_is_large(share):
    masks = np.zeros((3, 4, 4), bool)
    masks.reshape(3, 16)[:, : round(16 * share)] = True
    np.testing.assert_allclose(pointing(np.ones((3, 4, 4), np.float32), masks), share)


def test_redrawn_weights_are_others_and_leave_the_network_and_the_random_state_alone():
    model = SmallVGG(7, 1, (4, 8), 0.2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    fresh = redrawn(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    ours, theirs = dict(model.named_parameters()), dict(fresh.named_parameters())
    assert not torch.equal(ours["head.3.weight"], theirs["head.3.weight"])
    assert torch.equal(theirs["head.3.weight"], redrawn(model).state_dict()["head.3.weight"])
    assert not torch.equal(redrawn(Corner()).weight, Corner().weight)  # a weight without reset_parameters too


def test_a_cascade_redraws_from_the_head_downwards():
    model, spec = SmallVGG(7, 1, (4, 8), 0.2), ImageSpec(channels=1, height=16, width=16)
    layers = weighted_layers(model, spec)
    assert layers[-1] == "head.3"
    assert layers[0].startswith("stages.0")
    stages = dict(cascade(model, spec))
    ours = dict(model.named_parameters())

    def new(stage: str) -> set[str]:
        theirs = dict(stages[stage].named_parameters())
        return {name.rpartition(".")[0] for name, value in ours.items() if not torch.equal(value, theirs[name])}

    assert new("new_head") == {"head.3"}
    assert "head.3" in new("half_new")
    convolutions = [name for name in layers if model.get_submodule(name).weight.ndim > 1]
    assert convolutions[0] not in new("half_new")
    assert new("randomisation") >= set(convolutions)


def test_another_image_is_never_the_same_one_and_of_the_same_target_where_there_is_one():
    targets = [0, 0, 0, 1, 1, 2]
    found = another(targets)
    assert sorted(found) == list(range(6))
    assert all(found[i] != i for i in range(6))
    assert [targets[found[i]] for i in range(3)] == [0, 0, 0]
    assert sorted(another([0, 1])) == [0, 1]
    assert another([3, 4]).tolist() == [1, 0]


def test_noise_of_a_maps_spectrum_is_as_smooth_and_elsewhere():
    maps = np.zeros((2, 16, 16), np.float32)
    maps[:, 4:9, 4:9] = 1
    noise = same_spectrum(maps)
    np.testing.assert_allclose(np.abs(np.fft.fft2(noise)), np.abs(np.fft.fft2(maps)), atol=0.05)
    assert abs(np.corrcoef(noise[0].ravel(), maps[0].ravel())[0, 1]) < 0.5


# --- the known truth --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn() -> Faces:
    """Images, where they show their expression, and labels of six people that the network was not trained on."""
    return explained()


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A small VGG with an accuracy of 85 % on rendered heads of people that it was not trained on."""
    return trained_on_heads()


@pytest.fixture(scope="module")
def board(trained: nn.Module, drawn: Faces) -> pd.DataFrame:
    others = held_out()
    with torch.no_grad():
        right = trained(normalise(to_tensor(others.images), FACES)).argmax(dim=1).numpy() == others.labels
    assert right.mean() > 0.8  # of 126 images; it was trained on none of these people
    targets = drawn.labels.tolist()
    chosen = ["integrated-gradients", "occlusion"]
    explained = Explained(trained, drawn.images, FACES, targets)
    table, agreement = leaderboard(explained, "stages.2", chosen, few=16)
    assert len(agreement) == 6  # four maps in pairs, the random one left out
    return table.set_index("method")


def test_the_best_methods_find_the_expressions_pixels_far_better_than_chance(trained, drawn):
    chance = drawn.masks.mean()
    for method in ("integrated-gradients", "occlusion"):
        maps = explain(trained, drawn.images, FACES, drawn.labels.tolist(), method).map
        assert band(pointing(maps, drawn.masks))[1] > chance + 0.15, method
        assert band(mass(maps, drawn.masks))[1] > chance + 0.1, method
    drawn_at_random = random_maps(len(drawn.images), FACES)
    low, high = band(pointing(drawn_at_random, drawn.masks))[1:]
    assert low < chance < high
    assert mass(drawn_at_random, drawn.masks).mean() == pytest.approx(chance, abs=0.01)


def test_a_random_map_is_found_to_be_worth_nothing(board):
    row = board.loc[RANDOM]
    assert row["gain_low"] < 0 < row["gain_high"]
    assert badge(row).level == "not supported"


def test_edges_and_a_fixed_face_do_not_pass_although_no_pixel_of_theirs_is_random(board):
    for control in (EDGES, FACE):
        assert board.loc[control, "new_head"] == pytest.approx(1)
        said = badge(board.loc[control])
        assert said.level == "not supported"
        assert "hardly changes when the last layer is new" in said.sentence
    np.testing.assert_array_equal(board.loc[FACE, ["gain", "gain_low", "gain_high"]].astype(float), 0)


def test_good_methods_beat_another_images_map_and_depend_on_weights_and_expression(board):
    for method in ("integrated-gradients", "occlusion"):
        row = board.loc[method]
        assert row["gain_low"] > 0
        assert row["gain"] == pytest.approx((row["deletion_gain"] + row["insertion_gain"]) / 2)
        assert row["half_new_high"] < 0.6
        assert "about the network, right or wrong, and not about the label" in badge(row).sentence
    assert board["n"].eq(42).all()
    assert board["compared"].eq(2).all()


def test_a_badge_says_which_control_a_method_is_not_shown_to_beat(board):
    # Of this network and these 42 images, occlusion beats every control. Integrated gradients beat another image's map and
    # smooth noise, and one fixed face only by 3.5 points, with an interval from -1.5.
    assert badge(board.loc["occlusion"]).level == "supported"
    gradients = board.loc["integrated-gradients"]
    assert gradients["over_noise_low"] > 0 > gradients["over_face_low"]
    assert badge(gradients).level == "partly supported"
    assert "not shown to be better than one fixed map of eyes, nose and mouth." in badge(gradients).sentence


def test_guided_back_propagation_is_not_praised_for_changing_in_a_wholly_new_network():
    row = made_row(new_head=0.96, half_new=0.83, randomisation=0.27, other_class=0.97)  # of the shipped small VGG
    assert badge(row).level == "not supported"
    assert badge(made_row(new_head=0.5, half_new=0.83, randomisation=0.27)).level == "not supported"
    assert badge(made_row(other_class=0.97)).level == "not supported"
    assert "second most likely" in badge(made_row(other_class=0.97)).sentence


def made_row(**changes: float) -> pd.Series:
    """A row of a leaderboard that is supported by a wide margin, but for these figures."""
    values = {"gain": 0.1, "over_face": 0.1, "over_noise": 0.1, "new_head": 0.5, "half_new": 0.3, "randomisation": 0.1}
    values |= {"other_class": 0.4, **changes}
    ends = {
        name + end: value + step for name, value in values.items() for end, step in (("_low", -0.03), ("_high", 0.03))
    }
    return pd.Series({"n": 128, **values, **ends})


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({}, "supported", "by 10.0 points (7.0 to 13.0) of probability"),
        ({"gain": 0.01}, "not supported", "which chance explains"),
        ({"gain": 0.0}, "not supported", "which chance explains"),
        ({"over_face": 0.0}, "partly supported", "not shown to be better than one fixed map of eyes, nose and mouth"),
        ({"over_noise": -0.1}, "partly supported", "noise that is as smooth"),
    ],
)
def test_a_badge_needs_all_of_its_evidence(changes, level, words):
    said = badge(made_row(**changes))
    assert said.level == level
    assert words in said.sentence


def test_a_gain_that_is_sure_but_tiny_and_one_of_few_images_get_no_badge():
    tiny = made_row()
    tiny["gain"], tiny["gain_low"], tiny["gain_high"] = 0.005, 0.004, 0.006
    assert badge(tiny).level == "not supported"
    assert "less than the 2 points" in badge(tiny).sentence
    few = made_row()
    few["n"] = 16
    assert badge(few).level == "not measured"
    assert "Too few images" in badge(few).sentence


def test_a_row_of_an_earlier_version_is_said_to_be_outdated():
    old = pd.Series({"n": 16, "deletion_gain_low": 0.1, "insertion_gain_low": 0.1, "randomisation_high": 0.1})
    assert badge(old).level == "not measured"
    assert "against random pixels by an earlier version" in badge(old).sentence


@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_network_gets_no_badge(drawn, seed):
    torch.manual_seed(seed)
    model = SmallVGG(7, 1, (8, 12), 0.0).eval()
    images = drawn.images[:36]
    targets = predict_logits(model, images, FACES).argmax(axis=1).tolist()
    table, _ = leaderboard(
        Explained(model, images, FACES, targets), "stages.1", ["grad-cam", "saliency", "input-x-gradient"], few=10
    )
    assert set(table.apply(lambda row: badge(row).level, axis=1)) == {"not supported"}


def test_null_methods_pass_in_at_most_five_of_a_hundred():
    rates, any_of_them = pass_rates(tiny_network(), *tiny_images(), repetitions=15)
    assert len(rates) == 10
    assert max(rates.values()) <= 2 / 15  # one in twenty, as far as fifteen tries can tell
    assert sum(rates.values()) / 10 <= 0.05
    assert any_of_them <= 3 / 15


def test_grad_cam_and_hi_res_cam_are_counted_once_on_a_network_that_ends_in_a_global_average(drawn):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 7)
    )
    targets = drawn.labels[:8].tolist()
    table, _ = leaderboard(
        Explained(model, drawn.images[:8], FACES, targets), "1", ["grad-cam", "hi-res-cam", "saliency"], few=2
    )
    rows = table.set_index("method")
    assert rows.loc["hi-res-cam", "n"] == 0
    assert "those of Grad-CAM" in rows.loc["hi-res-cam", "suits"]
    assert "counted once" in badge(rows.loc["hi-res-cam"]).sentence
    assert rows["compared"].eq(2).all()


def test_a_method_that_does_not_suit_is_named_with_its_reason(drawn):
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 7))
    table, _ = leaderboard(Explained(model, drawn.images[:2], FACES, [0, 1]), None, ["grad-cam", "saliency"], few=1)
    row = table.set_index("method").loc["grad-cam"]
    assert row["n"] == 0
    assert "no convolution" in row["suits"]
    assert badge(row).level == badge(None).level == "not measured"
    for few in (0, 1):
        with pytest.raises(DataError, match="at least two images"):
            leaderboard(Explained(model, drawn.images[:few], FACES, [0] * few), None)


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
    more = ["--method", "saliency", "--method", "grad-cam", "--limit", "30", "--methods-on", "4", "--layer", "stages.1"]
    code, said, error = ferscope(
        capsys, "explain-report", "looked", "--data", "heads", "--split", "val", *more, "--json"
    )
    assert code == 0, error
    answer = json.loads(said)
    found = region_report.read(region_report.find(folder)["heads-val"])
    assert found.about["n"] == 30 == answer["n"]
    assert found.about["n_of_split"] == 315
    assert {row["method"] for row in answer["methods"]} == {"saliency", "grad-cam", RANDOM, EDGES, FACE}
    assert found.about["verdict"].startswith("Covering eyes, nose and mouth")
    assert set(found.covering["cover"]) == {"blur", "mean", "noise"}
    assert found.covering.query("expression == 'all'")["n"].eq(30).all()
    assert len(found.means) == 7 * 48 * 48
    np.testing.assert_allclose(found.means.groupby("expression")["mean"].mean().max(), 1, atol=0.01)
    assert (found.about["tta"], found.about["template"]["faces"]) == ("none", 30)
    assert not region_report.outdated(found, folder)
    found.about["format"] = 1
    assert "An earlier version made this report" in region_report.outdated(found, folder)
    model, _ = load_network(folder)
    save_tensors(folder / "best.safetensors", {k: v + 1 for k, v in model.state_dict().items()})
    assert "weights have changed" in region_report.outdated(found, folder)
    (folder / "explanation-heads-val-means.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="incomplete or damaged.*explain-report"):
        region_report.read(folder / "explanation-heads-val.json")
