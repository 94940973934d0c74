"""Attribution: functions whose maps are known on paper, independent implementations, and a network left as it was."""

import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import numpy as np
import pytest
import torch
from captum.attr import GuidedGradCam, NoiseTunnel, Saliency
from torch import nn
from torch.nn import functional as F

from fer_core.checkpoint import load_network
from fer_core.errors import ConfigError, DataError, UnknownName
from fer_core.explanation import METHODS, explain, spatial_layers
from fer_core.explanation.faithfulness import rank_correlation
from fer_core.faces.template import template
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models import NETWORKS, attribution_layer, build
from fer_core.models.batching import at_once
from fer_core.models.logits import predict_logits, views
from fer_core.workspace import CHECKPOINTS
from tests.faces import heads

GREY = ImageSpec(channels=1, height=16, width=16)  # x = (pixel / 255 - 0.5) / 0.5
RGB = ImageSpec(channels=3, height=16, width=16)
ALL = [
    "deconvolution", "deep-lift", "grad-cam", "gradient-shap", "guided-backpropagation", "guided-grad-cam", "hi-res-cam",
    "input-x-gradient", "integrated-gradients", "kernel-shap", "lime", "occlusion", "region-ablation", "saliency",
    "score-cam", "smoothgrad", "vargrad",
]  # fmt: skip
SMALL = {
    "smoothgrad": {"copies": 4}, "vargrad": {"copies": 4}, "integrated-gradients": {"steps": 4},
    "occlusion": {"window": 8, "stride": 8}, "gradient-shap": {"draws": 4}, "score-cam": {"channels": 3},
    "lime": {"cells": 3, "samples": 60}, "kernel-shap": {"cells": 4, "samples": 60},
}  # fmt: skip
GUIDED = ["deconvolution", "guided-backpropagation", "guided-grad-cam"]
COVERING = ["kernel-shap", "lime", "occlusion", "region-ablation", "score-cam"]
GRADIENTS = sorted(set(ALL) - set(COVERING))


def pictures(n: int, spec: ImageSpec = GREY, seed: int = 0) -> np.ndarray:
    shape = (n, spec.height, spec.width) if spec.channels == 1 else (n, spec.height, spec.width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def linear(spec: ImageSpec = GREY, classes: int = 3) -> tuple[nn.Module, np.ndarray]:
    """logits = W x; W (classes, C, H, W)."""
    torch.manual_seed(1)
    layer = nn.Linear(spec.channels * spec.height * spec.width, classes)
    return nn.Sequential(nn.Flatten(), layer), layer.weight.detach().numpy().reshape(classes, *spec.shape)


def pooled(stride: int = 1) -> nn.Sequential:
    """Convolution, ReLU, global average, linear: the network for which Grad-CAM is Zhou's CAM."""
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, stride=stride), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    )


def curved(activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    """Without a kink, so that few points integrate it exactly; with dropout and batch norm, so that modes matter."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), activation(), nn.Dropout(0.5), nn.AvgPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1), activation(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, 3),
    )  # fmt: skip


def fitting(method: str) -> nn.Sequential:
    return curved(nn.ReLU if method in GUIDED else nn.Tanh)


def run(model: nn.Module, images: np.ndarray, targets: list[int], method: str, **more):
    return explain(model, images, GREY, targets, method, "0", **(SMALL.get(method, {}) | more))


def inputs_of(images: np.ndarray, spec: ImageSpec = GREY) -> torch.Tensor:
    return normalise(to_tensor(images), spec)


def test_every_method_of_the_package_is_covered_here():
    assert set(ALL) <= set(METHODS.names())


# --- known on paper ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["saliency", "smoothgrad"])
def test_gradient_maps_of_a_linear_network_are_the_sizes_of_its_weights(method):
    model, w = linear()
    found = explain(model, pictures(3), GREY, [0, 2, 1], method)
    np.testing.assert_allclose(found.map, np.abs(w[[0, 2, 1], 0]), rtol=1e-5)
    assert found.map.dtype == np.float32
    assert not found.signed


def test_saliency_of_a_colour_picture_is_the_largest_over_the_channels():
    model, w = linear(RGB)
    np.testing.assert_allclose(
        explain(model, pictures(1, RGB), RGB, [1], "saliency").map[0], np.abs(w[1]).max(axis=0), rtol=1e-5
    )


@pytest.mark.parametrize("spec", [GREY, RGB], ids=["grey", "rgb"])
@pytest.mark.parametrize(
    ("method", "settings"),
    [("input-x-gradient", {}), ("integrated-gradients", {"steps": 2}), ("occlusion", {"window": 1, "stride": 1})],
)
def test_a_linear_networks_pixels_each_give_weight_times_value(method, settings, spec):
    # S = sum w x, so the part of pixel i is w_i x_i, and setting x_i to 0 takes away just that; channels are summed.
    model, w = linear(spec)
    images = pictures(2, spec)
    found = explain(model, images, spec, [2, 0], method, **settings)
    np.testing.assert_allclose(
        found.map, (w[[2, 0]] * inputs_of(images, spec).numpy()).sum(axis=1), rtol=1e-3, atol=1e-5
    )
    assert found.signed


def test_occlusion_of_quarters_gives_each_pixel_the_fall_of_its_quarter():
    # A window of 8 with a stride of 8 on 16 x 16: four squares; the fall is the sum of w x in the square.
    model, w = linear()
    images = pictures(1)
    parts = (w[1, 0] * inputs_of(images).numpy()[0, 0]).reshape(2, 8, 2, 8).sum(axis=(1, 3))
    found = explain(model, images, GREY, [1], "occlusion", window=8, stride=8).map[0]
    np.testing.assert_allclose(found, np.kron(parts, np.ones((8, 8))), rtol=1e-3, atol=1e-5)


def test_occlusion_averages_the_squares_that_cover_a_pixel():
    # 16 wide, window 12, stride 4: squares from 0 and 4 each way. The corner pixel lies in one, the middle in four.
    model, w = linear()
    images = pictures(1)
    wx = w[0, 0] * inputs_of(images).numpy()[0, 0]
    falls = [wx[y : y + 12, x : x + 12].sum() for y in (0, 4) for x in (0, 4)]
    found = explain(model, images, GREY, [0], "occlusion", window=12, stride=4).map[0]
    assert found[0, 0] == pytest.approx(falls[0], rel=1e-3, abs=1e-4)
    assert found[0, 15] == pytest.approx(falls[1], rel=1e-3, abs=1e-4)
    assert found[8, 8] == pytest.approx(np.mean(falls), rel=1e-3, abs=1e-4)


def test_the_contrast_of_a_linear_network_is_the_difference_of_its_weights():
    model, w = linear()
    found = explain(model, pictures(2), GREY, [0, 1], "saliency", against=[2, 0])
    np.testing.assert_allclose(found.map, np.abs(np.stack([w[0, 0] - w[2, 0], w[1, 0] - w[0, 0]])), rtol=1e-5)
    assert (found.target, found.against) == ((0, 1), (2, 0))


@pytest.mark.parametrize("method", ["input-x-gradient", "integrated-gradients", "occlusion"])
def test_the_contrast_of_a_signed_map_is_the_difference_of_two_maps_and_none_against_itself(method):
    model, images = curved(), pictures(2)
    one, other = (run(model, images, [t, t], method).map for t in (0, 2))
    np.testing.assert_allclose(run(model, images, [0, 0], method, against=[2, 2]).map, one - other, atol=1e-5)
    np.testing.assert_allclose(run(model, images, [1, 1], method, against=[1, 1]).map, 0, atol=1e-7)


@pytest.mark.parametrize("against", [None, [1, 1, 1]])
def test_integrated_gradients_sum_to_the_rise_from_the_mean_grey(against):
    model, images = curved().eval(), pictures(3)
    found = explain(model, images, GREY, [0, 1, 2], "integrated-gradients", against=against, steps=64)
    with torch.no_grad():
        rise = model(inputs_of(images)) - model(torch.zeros(1, *GREY.shape))
    wanted = rise[range(3), [0, 1, 2]] - (rise[:, 1] if against else 0)
    np.testing.assert_allclose(found.map.sum(axis=(1, 2)), wanted, atol=2e-4)


def test_grad_cam_is_the_analytic_cam_of_a_global_average_network():
    # S_c = sum_k w_ck mean(A_k) + b, so dS/dA_k is w_ck / (16 * 16) everywhere and so is its mean:
    # Grad-CAM = ReLU(sum_k w_ck A_k) / 256, at the image's size as the convolution keeps it.
    model, images = pooled(), pictures(3)
    maps = model[:2](inputs_of(images)).detach().numpy()
    w = model[4].weight.detach().numpy()[[3, 0, 1]]
    cam = np.maximum(np.einsum("nk,nkhw->nhw", w, maps), 0) / 256
    found = explain(model, images, GREY, [3, 0, 1], "grad-cam", "1")
    assert cam.max() > 0
    np.testing.assert_allclose(found.map, cam, rtol=1e-4, atol=1e-7)
    assert found.layer == "1"


def hooked_grad_cam(model: nn.Module, layer: str, inputs: torch.Tensor, targets: list[int]) -> np.ndarray:
    """Grad-CAM after the paper, with plain hooks and a backward pass through the whole network."""
    kept: dict[str, torch.Tensor] = {}
    module = model.get_submodule(layer)
    handles = [
        module.register_forward_hook(lambda _m, _i, out: kept.update(a=out)),
        module.register_full_backward_hook(lambda _m, _i, out: kept.update(g=out[0])),
    ]
    logits = model(inputs.clone().requires_grad_())
    sum(logits[row, target] for row, target in enumerate(targets)).backward()
    for handle in handles:
        handle.remove()
    model.zero_grad()
    cam = (kept["g"].mean(dim=(2, 3), keepdim=True) * kept["a"]).sum(dim=1, keepdim=True).relu()
    return F.interpolate(cam, inputs.shape[2:], mode="bilinear", align_corners=False)[:, 0].detach().numpy()


def registered(name: str) -> tuple[nn.Module, ImageSpec, str]:
    torch.manual_seed(4)
    entry = NETWORKS.get(name)
    model = build(name, classes=7, spec=entry.spec)
    for layer in model.modules():  # as after a training: not all maps have mean 0 and deviation 1
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.5)
    return model.eval(), entry.spec, entry.attribution_layer


@pytest.mark.parametrize("name", ["mini-xception", "shallow-cnn", "small-vgg"])
def test_grad_cam_of_each_network_equals_an_independent_one_and_is_fine_enough(name):
    model, spec, layer = registered(name)
    images, targets = pictures(2, spec), [3, 6]
    found = explain(model, images, spec, targets, "grad-cam", layer)
    wanted = hooked_grad_cam(model, layer, inputs_of(images, spec), targets)
    assert wanted.max() > 0
    np.testing.assert_allclose(found.map, wanted, rtol=1e-3, atol=1e-4 * wanted.max())
    assert min(spatial_layers(model, spec)[layer]) >= 6


@pytest.mark.parametrize("name", ["mini-xception", "small-vgg"])
@pytest.mark.parametrize("method", ALL)
def test_each_method_maps_each_network_finitely_and_not_to_nothing(name, method):
    # One image, A against B and B against A: of two opposite Grad-CAMs the ReLU can not take both.
    model, spec, layer = registered(name)
    settings = {**SMALL, "occlusion": {"window": 16, "stride": 16}, "score-cam": {}}.get(method, {})
    if reason := METHODS.get(method).suits(model, spec):
        pytest.fail(reason)
    images = pictures(1, spec).repeat(2, axis=0)
    found = explain(model, images, spec, [3, 6], method, layer, against=[6, 3], **settings)
    assert found.map.shape == (2, spec.height, spec.width)
    assert np.isfinite(found.map).all()
    assert found.map.any()
    assert found.signed or found.map.min() >= 0


def opposite(noise: torch.Tensor) -> torch.Tensor:
    """Each second draw is the one before with the other sign."""
    return torch.stack([noise[::2], -noise[::2]], dim=1).flatten(0, 1)


def test_smoothgrad_equals_captums_noise_tunnel_given_the_same_noise():
    model, images = curved().eval(), pictures(2)
    inputs = inputs_of(images)
    noise = opposite(torch.randn(6, *GREY.shape, generator=torch.Generator().manual_seed(7)))
    spread = 0.1 * (inputs.amax(dim=(1, 2, 3)) - inputs.amin(dim=(1, 2, 3)))

    class Seeded(NoiseTunnel):
        @staticmethod
        def _add_noise_to_input(one: torch.Tensor, _deviation: float, copies: int) -> torch.Tensor:
            return (one[:, None] + spread.view(-1, 1, 1, 1, 1) * noise[None, :copies]).flatten(0, 1)

    mean = Seeded(Saliency(model)).attribute(inputs, nt_samples=6, target=[0, 2], abs=False)
    found = explain(model, images, GREY, [0, 2], "smoothgrad", copies=6, noise=0.1, seed=7)
    np.testing.assert_allclose(found.map, mean.abs().amax(dim=1).detach().numpy(), rtol=1e-4, atol=1e-7)
    plain = explain(model, images, GREY, [0, 2], "saliency").map
    assert not np.allclose(found.map, plain, rtol=1e-3)
    np.testing.assert_allclose(
        explain(model, images, GREY, [0, 2], "smoothgrad", copies=4, noise=0.0).map, plain, rtol=1e-5, atol=1e-8
    )


def test_vargrad_is_the_variance_of_the_gradients_of_the_noisy_copies_and_zero_for_a_linear_network():
    model, images = curved().eval(), pictures(2)
    inputs = inputs_of(images)
    noise = opposite(torch.randn(6, *GREY.shape, generator=torch.Generator().manual_seed(5)))
    spread = 0.2 * (inputs.amax(dim=(1, 2, 3)) - inputs.amin(dim=(1, 2, 3)))
    copies = (inputs[:, None] + spread.view(-1, 1, 1, 1, 1) * noise).requires_grad_()
    logits = model(copies.flatten(0, 1)).unflatten(0, (2, 6))
    (gradient,) = torch.autograd.grad(logits[0, :, 1].sum() + logits[1, :, 2].sum(), copies)
    found = explain(model, images, GREY, [1, 2], "vargrad", copies=6, noise=0.2, seed=5).map
    np.testing.assert_allclose(found, gradient.numpy().var(axis=1)[:, 0], rtol=1e-3, atol=1e-9)
    many = explain(
        model, pictures(1), GREY, [1], "vargrad", copies=200, noise=0.15
    ).map  # more copies than fit one pass
    noise = opposite(torch.randn(200, *GREY.shape, generator=torch.Generator().manual_seed(0)))
    copies = (inputs[:1] + 0.15 * spread[:1].view(-1, 1, 1, 1) / 0.2 * noise).requires_grad_()
    (gradient,) = torch.autograd.grad(model(copies)[:, 1].sum(), copies)
    np.testing.assert_allclose(many[0], gradient.numpy().var(axis=0)[0], rtol=1e-3, atol=1e-9)
    assert explain(linear()[0], images, GREY, [0, 1], "vargrad").map.max() < 1e-12


class TwoUnits(nn.Module):
    """S = 2 relu(u x) - 3 relu(v x) + relu(-u x), u the left half of the image, v the upper half: sums of pixels."""

    def __init__(self) -> None:
        super().__init__()
        left, upper = np.zeros((16, 16)), np.zeros((16, 16))
        left[:, :8], upper[:8] = 1, 1
        self.units = nn.Linear(256, 3, bias=False)
        self.units.weight = nn.Parameter(torch.tensor(np.stack([left, upper, -left]).reshape(3, 256)).float())
        self.relu = nn.ReLU()
        self.top = nn.Linear(3, 1, bias=False)
        self.top.weight = nn.Parameter(torch.tensor([[2.0, -3.0, 1.0]]))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.top(self.relu(self.units(inputs.flatten(1))))


@pytest.mark.parametrize(
    ("method", "of_left"),
    # Bright image: units 1 and 2 are on. Guided: only unit 1 is on and has a positive weight, so 2 on the left half.
    # Deconvolution: units 1 and 3 have positive weights, on or not: 2 - 1 on the left half. Gradient: 2 and -3.
    [("guided-backpropagation", 2.0), ("deconvolution", 1.0)],
)
def test_guided_methods_let_pass_what_their_papers_say(method, of_left):
    images = np.full((1, 16, 16), 200, np.uint8)
    images[0, 0, 0] = 201
    wanted = np.zeros((16, 16))
    wanted[:, :8] = of_left
    np.testing.assert_allclose(explain(TwoUnits(), images, GREY, [0], method).map[0], wanted, atol=1e-6)
    plain = explain(TwoUnits(), images, GREY, [0], "saliency").map[0]
    assert {round(float(v), 4) for v in plain.ravel()} == {0.0, 1.0, 2.0, 3.0}


def test_guided_grad_cam_equals_captums():
    model, images = curved(nn.ReLU).eval(), pictures(2)
    model_of = copy.deepcopy(model)
    wanted = GuidedGradCam(model_of, model_of[2]).attribute(
        inputs_of(images), target=torch.tensor([1, 2]), interpolate_mode="bilinear"
    )
    found = explain(model, images, GREY, [1, 2], "guided-grad-cam", "2").map
    assert found.any()
    np.testing.assert_allclose(found, wanted.sum(dim=1).detach().numpy(), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid])
def test_deep_lift_sums_to_the_rise_from_the_mean_grey_also_through_a_maximum(activation):
    torch.manual_seed(6)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        activation(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3),
        activation(),
        nn.Flatten(),
        nn.Linear(100, 3),
    )
    images = pictures(3)
    found = explain(model, images, GREY, [0, 1, 2], "deep-lift", against=[1, 2, 0]).map
    with torch.no_grad():
        rise = model(inputs_of(images)) - model(torch.zeros(1, *GREY.shape))
    np.testing.assert_allclose(
        found.sum(axis=(1, 2)), rise[range(3), [0, 1, 2]] - rise[range(3), [1, 2, 0]], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", ["mini-xception", "resnet18", "shallow-cnn", "small-vgg"])
def test_deep_lift_sums_to_the_rise_in_whole_networks_too(name):
    # a ReLU that a maximum follows, maxima whose windows overlap, and what is added back
    model, spec, _ = registered(name)
    images = pictures(2, spec)
    found = explain(model, images, spec, [1, 3], "deep-lift").map
    with torch.no_grad():
        rise = model(inputs_of(images, spec)) - model(torch.zeros(1, *spec.shape))
    np.testing.assert_allclose(found.sum(axis=(1, 2)), rise[range(2), [1, 3]], rtol=0.01, atol=1e-6)


def test_deep_lift_does_not_suit_an_ensemble_whose_logarithms_have_no_rule():
    model, spec, _ = registered("ensemble")
    assert "log_softmax" in METHODS.get("deep-lift").suits(model, spec)


@pytest.mark.parametrize(("pool", "fits"), [({}, True), ({"ceil_mode": True}, False), ({"dilation": 2}, False)])
def test_deep_lift_lays_out_windows_that_overlap_or_refuses_them(pool, fits):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.MaxPool2d(3, 2, 1, **pool), nn.Flatten(), nn.LazyLinear(2))
    torch.manual_seed(7)
    with torch.no_grad():
        model(torch.zeros(1, *GREY.shape))
    reason = METHODS.get("deep-lift").suits(model, GREY)
    assert reason is None if fits else "windows of 2 overlap" in reason


def test_gradient_shap_from_the_mean_grey_alone_is_integrated_gradients():
    model, images = curved().eval(), pictures(2)
    wanted = explain(model, images, GREY, [0, 1], "integrated-gradients", steps=64).map
    found = explain(model, images, GREY, [0, 1], "gradient-shap", draws=400, noise=0.0).map
    np.testing.assert_allclose(found, wanted, atol=0.02 * np.abs(wanted).max())
    noisy = explain(model, images, GREY, [0, 1], "gradient-shap", draws=400, noise=0.8).map
    assert not np.allclose(noisy, wanted, atol=0.02 * np.abs(wanted).max())


@pytest.mark.parametrize("method", ["lime", "kernel-shap"])
@pytest.mark.parametrize("cells", [2, 5])
def test_a_linear_networks_superpixels_give_the_sum_of_their_pixels(method, cells):
    model, w = linear()
    images = pictures(2)
    wx = w[[2, 0], 0] * inputs_of(images).numpy()[:, 0]
    cell = np.add.outer(np.arange(16) * cells // 16 * cells, np.arange(16) * cells // 16)
    wanted = np.zeros_like(wx)
    for number in range(cells**2):
        wanted[:, cell == number] = wx[:, cell == number].mean(axis=1, keepdims=True)
    settings = {"ridge": 1e-9} if method == "lime" else {}
    found = explain(model, images, GREY, [2, 0], method, cells=cells, samples=200, **settings).map
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def shapley(value) -> np.ndarray:
    """The four players' Shapley values by all 24 orders."""
    found = np.zeros(4)
    for order in permutations(range(4)):
        for position, player in enumerate(order):
            found[player] += value({*order[: position + 1]}) - value({*order[:position]})
    return found / 24


def test_kernel_shap_of_four_superpixels_is_the_mean_over_all_orders():
    model, images = curved().eval(), pictures(1)
    inputs, cell = inputs_of(images), np.kron([[0, 1], [2, 3]], np.ones((8, 8)))

    def value(shown: set[int]) -> float:
        with torch.no_grad():
            return float(model(inputs * torch.from_numpy(np.isin(cell, list(shown))).float())[0, 1])

    found = explain(model, images, GREY, [1], "kernel-shap", cells=2, samples=50).map[0]
    np.testing.assert_allclose([found[cell == i].sum() for i in range(4)], shapley(value), atol=1e-4)


def test_kernel_shap_on_drawn_coalitions_still_sums_to_the_rise_and_nears_the_exact_values():
    model, images = curved().eval(), pictures(2)
    with torch.no_grad():
        rise = (model(inputs_of(images)) - model(torch.zeros(1, *GREY.shape)))[:, 0]
    exact = explain(model, images, GREY, [0, 0], "kernel-shap", cells=3, samples=510).map
    drawn = explain(model, images, GREY, [0, 0], "kernel-shap", cells=3, samples=400).map
    for found in (exact, drawn):
        np.testing.assert_allclose(found.sum(axis=(1, 2)), rise, atol=1e-4)
    assert np.corrcoef(exact.ravel(), drawn.ravel())[0, 1] > 0.95


def test_ablation_of_a_region_gives_each_of_its_pixels_the_fall():
    model, w = linear()
    images = pictures(1)
    wx = w[1, 0] * inputs_of(images).numpy()[0, 0]
    regions = template(16, 16)
    found = explain(model, images, GREY, [1], "region-ablation").map[0]
    for number in np.unique(regions):
        np.testing.assert_allclose(found[regions == number], wx[regions == number].sum(), rtol=1e-3, atol=1e-4)


def test_hi_res_cam_is_grad_cam_under_a_global_average_and_adds_up_to_the_score_under_a_linear_layer():
    images = pictures(3)
    cams = [explain(pooled(), images, GREY, [3, 0, 1], method, "1").map for method in ("hi-res-cam", "grad-cam")]
    np.testing.assert_allclose(cams[0], cams[1] * 1.0, rtol=1e-4, atol=1e-7)
    torch.manual_seed(8)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Flatten(), nn.Linear(3 * 256, 2, bias=False))
    with torch.no_grad():
        maps = model[0](inputs_of(images))
    shares = (maps * model[2].weight[1].reshape(3, 16, 16)).sum(dim=1).detach()
    found = explain(model, images, GREY, [1, 1, 1], "hi-res-cam", "0").map
    np.testing.assert_allclose(found, shares.relu(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(shares.sum(dim=(1, 2)), model(inputs_of(images))[:, 1].detach(), rtol=1e-4)


def test_score_cam_equals_one_made_map_by_map():
    model, images = curved().eval(), pictures(2)
    inputs = inputs_of(images)
    with torch.no_grad():
        maps = model[:3](inputs)
        for row, target in enumerate([1, 2]):
            scores = []
            for one in maps[row]:
                mask = (one - one.min()) / (one.max() - one.min())
                scores.append(model(inputs[row : row + 1] * mask)[0, target])
            weights = torch.stack(scores).softmax(dim=0)  # the score of the blank image is the same for all
            wanted = (weights[:, None, None] * maps[row]).sum(dim=0).relu()
            found = explain(model, images, GREY, [1, 2], "score-cam", "2", channels=9).map[row]
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


# --- batches, determinism, threads ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ALL)
def test_maps_are_equal_one_by_one_and_in_a_batch(method):
    model, images, targets = fitting(method), pictures(5), [0, 1, 2, 0, 1]
    together = run(model, images, targets, method).map
    for row in range(5):
        alone = run(model, images[row : row + 1], targets[row : row + 1], method).map[0]
        np.testing.assert_allclose(together[row], alone, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(together, run(model, images, targets, method).map)


@pytest.mark.parametrize("method", ["saliency", "smoothgrad", "integrated-gradients", "grad-cam"])
def test_more_pictures_than_fit_one_pass_are_split(method):
    sizes = []

    class Counting(nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            sizes.append(len(inputs))
            return super().forward(inputs)

    most = at_once(16, 16)
    n = most + 3
    model, images, targets = Counting(*pooled(4)), pictures(n), [i % 4 for i in range(n)]
    found = run(model, images, targets, method, **({"copies": 2} if method == "smoothgrad" else {}))
    assert max(sizes) <= most
    ends = [0, most - 1, most, n - 1]
    few = run(
        model, images[ends], [targets[i] for i in ends], method, **({"copies": 2} if method == "smoothgrad" else {})
    )
    np.testing.assert_allclose(found.map[ends], few.map, rtol=1e-4, atol=1e-7)


# --- what is served: views and members -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tta", ["flip", "ten-crop", "ten-crop-if-close"])
def test_a_map_over_views_adds_up_to_the_averaged_answer(tta):
    # Of a linear network the shares of one view add up to its score; those of all views have to add up to the mean score.
    model, _ = linear()
    images = pictures(3)
    found = explain(model, images, GREY, [0, 1, 2], "input-x-gradient", tta=tta).map
    bias = model[1].bias.detach().numpy()
    served = predict_logits(model, images, GREY, tta=tta)[range(3), [0, 1, 2]] - bias
    np.testing.assert_allclose(found.sum(axis=(1, 2)), served, rtol=1e-3, atol=1e-4)
    plain = explain(model, images, GREY, [0, 1, 2], "input-x-gradient").map
    assert not np.allclose(found, plain, rtol=0.1)


def test_a_map_over_an_image_and_its_mirror_image_is_the_mean_of_both_maps_brought_back():
    model, images = curved().eval(), pictures(2)
    for method in ("saliency", "grad-cam", "occlusion"):
        plain = run(model, images, [0, 2], method).map
        mirrored = run(model, np.ascontiguousarray(images[:, :, ::-1]), [0, 2], method).map[:, :, ::-1]
        served = run(model, images, [0, 2], method, tta="flip")
        np.testing.assert_allclose(served.map, (plain + mirrored) / 2, rtol=1e-3, atol=1e-6)
        assert served.tta == "flip"


def test_the_map_of_a_mirrored_image_is_the_mirrored_map_under_flip():
    model, images = curved().eval(), pictures(1)
    one = run(model, images, [1], "grad-cam", tta="ten-crop").map
    other = run(model, np.ascontiguousarray(images[:, :, ::-1]), [1], "grad-cam", tta="ten-crop").map
    np.testing.assert_allclose(one, other[:, :, ::-1], rtol=1e-3, atol=1e-6)


def test_a_crop_brought_back_lies_where_it_was_and_keeps_its_level_or_its_sum():
    for view in views("ten-crop", 48, 48):
        inside = torch.zeros(1, 48, 48)
        level = view.back(torch.ones(1, 48, 48), sums=False)
        inside[:, view.top : view.top + view.height, view.left : view.left + view.width] = 1
        torch.testing.assert_close(level, inside)
        assert view.back(torch.ones(1, 48, 48), sums=True).sum() == pytest.approx(48 * 48, rel=1e-4)


def test_an_ensembles_grad_cam_holds_all_members_by_their_votes():
    # Three equal members: the log of their mean probability is that of one, so the summed map is the one of one member.
    spec = ImageSpec(channels=1, height=24, width=24)
    member = {"network": "small-vgg", "arguments": {"widths": [4, 8, 8, 8]}}
    torch.manual_seed(0)
    ensemble = build("ensemble", classes=7, spec=spec, arguments={"members": [member] * 3}).eval()
    for other in ensemble.members[1:]:
        other.load_state_dict(ensemble.members[0].state_dict())
    layers = attribution_layer("ensemble", ensemble)
    assert layers == "members.0.stages.3+members.1.stages.3+members.2.stages.3"
    images, layer = pictures(1, spec).repeat(2, axis=0), "stages.1"
    asked = {
        "images": images,
        "spec": spec,
        "targets": [1, 4],
        "against": [4, 1],
    }  # of two opposite maps one is not zero
    several = "+".join(f"members.{number}.{layer}" for number in range(3))
    alone = build("ensemble", classes=7, spec=spec, arguments={"members": [member]}).eval()
    alone.members[0].load_state_dict(ensemble.members[0].state_dict())
    for method in ("hi-res-cam", "grad-cam"):
        wanted = explain(alone, method=method, layer=f"members.0.{layer}", **asked).map
        first = explain(ensemble, method=method, layer=f"members.0.{layer}", **asked).map
        found = explain(ensemble, method=method, layer=several, **asked).map
        assert wanted.any()
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-7)
        np.testing.assert_allclose(3 * first, wanted, rtol=1e-3, atol=1e-7)
    # A member whose vote counts all but nothing must not appear: it was the only one that did.
    ensemble.vote.weights[0] = -30.0
    silent = explain(ensemble, method="grad-cam", layer=several, **asked).map
    np.testing.assert_allclose(silent, wanted, rtol=0.01, atol=1e-6)


# --- random draws -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["smoothgrad", "gradient-shap"])
def test_the_standard_error_over_draws_is_the_spread_between_seeds(method):
    model, images = curved().eval(), pictures(1)
    settings = {"smoothgrad": {"copies": 40}, "gradient-shap": {"draws": 40}}[method]
    found = [explain(model, images, GREY, [1], method, seed=seed, noise=0.2, **settings) for seed in range(30)]
    spread = np.std([one.map for one in found], axis=0, ddof=1)
    told = np.mean([one.error for one in found], axis=0)
    # Strata make GradientShap's draws more even than its error, which takes them for independent, says.
    low, high = {"smoothgrad": (0.8, 1.25), "gradient-shap": (0.5, 1.25)}[method]
    assert low < np.median(spread[spread > 0] / told[spread > 0]) < high
    assert explain(model, images, GREY, [1], "saliency").error is None
    both = explain(model, images, GREY, [1], method, seed=0, noise=0.2, tta="flip", **settings)
    assert both.error is not None
    assert both.error.mean() == pytest.approx(found[0].error.mean(), rel=0.5)  # the views share the draws


@pytest.mark.parametrize("method", ["smoothgrad", "gradient-shap"])
def test_two_seeds_agree_by_nine_tenths_with_the_defaults_on_a_shipped_network(method):
    folder = CHECKPOINTS / "small-vgg"
    model, card = load_network(folder)
    images = heads().images[:2]
    targets = predict_logits(model, images, card.image).argmax(axis=1).tolist()
    one, other = (explain(model, images, card.image, targets, method, seed=seed).map for seed in (0, 1))
    assert rank_correlation(one, other).mean() > 0.88


def test_no_picture_gives_no_map():
    assert explain(pooled(), pictures(0), GREY, [], "saliency").map.shape == (0, 16, 16)


def test_threads_explain_and_predict_with_one_network_as_one_alone_would():
    model, images, targets = curved(nn.ReLU).eval(), pictures(6), [0, 1, 2, 2, 1, 0]
    alone = {method: run(model, images, targets, method).map for method in ALL}
    logits = predict_logits(model, images, GREY)
    with ThreadPoolExecutor(6) as pool:
        maps = {method: [pool.submit(run, model, images, targets, method) for _ in range(4)] for method in ALL}
        predicted = [pool.submit(predict_logits, model, images, GREY) for _ in range(20)]
    for method in ALL:
        for job in maps[method]:
            np.testing.assert_allclose(job.result().map, alone[method], rtol=1e-4, atol=1e-7)
    for job in predicted:
        np.testing.assert_allclose(job.result(), logits, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_a_caller_without_gradients_gets_the_same_map(method, context):
    model, images = fitting(method), pictures(2)
    wanted = run(model, images, [0, 1], method).map
    with context():
        np.testing.assert_array_equal(run(model, images, [0, 1], method).map, wanted)


# --- the network is left as it was ------------------------------------------------------------------------------------


def state_of(model: nn.Module) -> dict:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "modes": [layer.training for layer in model.modules()],
        "hooks": [list(getattr(layer, kind)) for layer in model.modules() for kind in hooks],
        "flags": [p.requires_grad for p in model.parameters()],
        "gradients": [p.grad for p in model.parameters()],
        "values": [tensor.tolist() for tensor in model.state_dict().values()],
        "random": torch.get_rng_state().tolist(),
    }


class Breaking(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("broken on the way back")


class Fragile(nn.Module):
    """Fails after the layers that methods hook, forward or backward."""

    def __init__(self, body: nn.Sequential, when: str) -> None:
        super().__init__()
        self.body, self.when = body, when

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits = self.body(inputs)
        if self.when == "forward":
            raise RuntimeError("broken on the way")
        return Breaking.apply(logits)


def mixed(model: nn.Module) -> nn.Module:
    """In training mode but for one layer, some weights frozen: a restorer that sets all alike would be found out."""
    model.train()
    next(layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)).eval()
    next(model.parameters()).requires_grad_(False)
    return model


@pytest.mark.parametrize("method", ALL)
def test_modes_flags_hooks_weights_and_random_state_stay_as_they_were(method):
    model = mixed(fitting(method))
    before = state_of(model)
    run(model, pictures(3), [0, 1, 2], method, against=[1, 2, 0])
    assert state_of(model) == before


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("when", ["forward", "backward"])
def test_they_stay_also_when_the_network_fails(method, when):
    model = mixed(Fragile(fitting(method), when))
    before = state_of(model)
    if when == "forward" or method in GRADIENTS:
        with pytest.raises(RuntimeError, match="broken on the way"):
            explain(model, pictures(2), GREY, [0, 1], method, "body.0")
    assert state_of(model) == before


@pytest.mark.parametrize("method", ALL)
def test_a_network_in_training_mode_or_frozen_gives_the_map_of_evaluation(method):
    images = pictures(2)
    wanted = run(fitting(method).eval(), images, [0, 1], method).map
    assert wanted.any()
    np.testing.assert_array_equal(run(fitting(method).train(), images, [0, 1], method).map, wanted)
    np.testing.assert_array_equal(run(fitting(method).requires_grad_(False), images, [0, 1], method).map, wanted)


def test_activations_that_work_in_place_do_not_change_grad_cam():
    images, plain, inplace = pictures(2), pooled(), pooled()
    inplace[1] = nn.ReLU(inplace=True)
    maps = [explain(model, images, GREY, [0, 1], "grad-cam", "0").map for model in (plain, inplace)]
    np.testing.assert_array_equal(*maps)


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("standardise", ["fixed", "image"])
@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize("method", ALL)
def test_a_constant_picture_has_a_zero_map_beside_one_that_has_not(method, value, standardise):
    spec = ImageSpec(channels=1, height=16, width=16, standardise=standardise)
    images = pictures(2)
    images[0] = value
    found = explain(fitting(method), images, spec, [0, 0], method, "0", **SMALL.get(method, {})).map
    assert not found[0].any()
    assert found[1].any()


class Deaf(nn.Sequential):
    """It runs its layers, and gives the same answer whatever comes out of them."""

    def __init__(self, detached: bool) -> None:
        super().__init__(*pooled())
        self.detached = detached

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        heard = super().forward(inputs)
        same = torch.arange(4.0).expand(len(inputs), 4)
        return same if self.detached else same + 0 * heard


@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("method", GRADIENTS)
def test_a_network_that_ignores_its_input_has_a_map_of_zeros(method, detached):
    found = run(Deaf(detached), pictures(2), [1, 2], method, against=[0, 0])
    assert not found.map.any()


def test_a_colour_picture_is_constant_only_if_each_channel_is():
    model, _ = linear(RGB)
    images = np.zeros((2, 16, 16, 3), np.uint8)
    images[:, :, :] = (200, 10, 30)
    images[1, 4, 4, 2] = 31
    found = explain(model, images, RGB, [0, 0], "saliency").map
    assert not found[0].any()
    assert found[1].any()


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(UnknownName, match="saliency"):
        explain(pooled(), pictures(1), GREY, [0], "salience")


@pytest.mark.parametrize(
    ("targets", "against", "message"),
    [
        ([4], None, "4 expressions, 0 to 3, found target 4"),
        ([0], [9], "found target 9"),
        ([-1], None, "holds -1"),
        ([0, 1], None, "2 entries for 1 images"),
        ([0], [], "against has 0 entries"),
    ],
)
def test_targets_outside_the_vocabulary_or_of_another_number_are_refused(targets, against, message):
    with pytest.raises(ConfigError, match=message):
        explain(pooled(), pictures(1), GREY, targets, "saliency", against=against)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("saliency", {"copies": 3}, "copies.*takes no parameters"),
        ("smoothgrad", {"copies": 0}, "copies.*it takes noise, seed, copies"),
        ("occlusion", {"window": 4, "stride": 5}, "stride of 5 leaves gaps between squares of 4"),
        ("occlusion", {"window": 17}, "17 pixels is larger than the image of 16 x 16"),
    ],
)
def test_settings_that_a_method_does_not_take_are_refused_with_those_it_does(method, settings, message):
    with pytest.raises(ConfigError, match=message):
        explain(pooled(), pictures(1), GREY, [0], method, **settings)


@pytest.mark.parametrize(
    "images", [np.zeros((1, 16, 12), np.uint8), np.zeros((1, 16, 16, 3), np.uint8), np.zeros((1, 16, 16), np.float32)]
)
def test_pictures_of_another_size_channels_or_type_are_refused(images):
    with pytest.raises(DataError, match=r"uint8 of shape \(N, 16, 16\)"):
        explain(pooled(), images, GREY, [0], "saliency")


class Branches(nn.Module):
    """Layers of every kind that Grad-CAM must tell apart."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(1, 2, 3, padding=1, stride=2)
        self.coarse = nn.Conv2d(2, 2, 3, padding=1, stride=4)
        self.flat = nn.Linear(8, 3)
        self.idle = nn.Conv2d(1, 2, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.flat(self.coarse(self.fine(inputs)).flatten(1))


def test_spatial_layers_are_those_with_a_map_that_is_fine_enough_in_running_order():
    assert spatial_layers(Branches(), GREY) == {"fine": (8, 8)}
    assert list(spatial_layers(pooled(2), GREY).items()) == [("0", (8, 8)), ("1", (8, 8))]
    assert spatial_layers(linear()[0], GREY) == {}


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (None, "none was named"),
        ("stages.9", "there is no “stages.9”"),
        ("flat", "no spatial extent"),
        ("coarse", "2 x 2, too coarse"),
        ("idle", "never run"),
    ],
)
def test_grad_cam_refuses_a_layer_without_a_useful_map_and_names_those_with_one(layer, reason):
    with pytest.raises(ConfigError, match=f"{reason}.*fine \\(8 x 8\\)"):
        explain(Branches(), pictures(1), GREY, [0], "grad-cam", layer)


def test_grad_cam_does_not_suit_a_network_without_convolutions_and_says_so_before_it_runs():
    model, _ = linear()
    assert "no convolution" in (METHODS.get("grad-cam").suits(model, GREY) or "")
    assert METHODS.get("saliency").suits(model, GREY) is None
    with pytest.raises(ConfigError, match=r"Grad-CAM does not suit .* no convolution"):
        explain(model, pictures(1), GREY, [0], "grad-cam", "1")


class Functional(nn.Module):
    """Two activations without a module, or one module that runs twice."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.activation, self.how = nn.GELU() if how == "gelu" else nn.ReLU(), how
        self.other = nn.GELU() if how == "gelu" else nn.ReLU()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        maps = self.first(inputs)
        maps = {"function": F.relu, "tensor": torch.Tensor.relu}.get(self.how, self.activation)(maps)
        maps = self.second(maps)
        maps = (self.activation if self.how == "again" else self.other)(maps)
        return maps.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("method", "how", "reason"),
    [
        ("guided-backpropagation", "function", "calls relu as a function"),
        ("deconvolution", "tensor", "calls relu as a function"),
        ("guided-grad-cam", "gelu", "has no ReLU.*gelu"),
        ("deep-lift", "function", "calls relu as a function"),
        ("deep-lift", "gelu", "no rule for its gelu"),
        ("deep-lift", "again", "activation runs more than once"),
    ],
)
def test_a_method_that_can_not_get_hold_of_the_activations_is_refused_before_it_runs(method, how, reason):
    model = Functional(how)
    with pytest.raises(ConfigError, match=f"does not suit this network: .*{reason}"):
        explain(model, pictures(1), GREY, [0], method, "first")
    assert METHODS.get(method).suits(Functional("modules"), GREY) is None


def test_a_relu_that_runs_twice_is_no_hindrance_to_guided_back_propagation():
    found = explain(Functional("again"), pictures(1), GREY, [0], "guided-backpropagation").map
    wanted = explain(Functional("again"), pictures(1), GREY, [0], "deconvolution").map
    assert found.any()
    assert not np.allclose(found, wanted)


def test_a_network_whose_training_failed_is_named_as_such():
    model = pooled()
    nn.init.constant_(model[0].weight, float("nan"))
    with pytest.raises(DataError, match="not finite"):
        explain(model, pictures(1), GREY, [0], "saliency")


def test_the_forms_of_all_methods_are_drawn_without_torch_and_captum():
    code = (
        "import sys; from fer_core.explanation import METHODS; import fer_core.explanation.overlay\n"
        "print([m.parameters.model_json_schema()['type'] for _, m in METHODS.items()])\n"
        "print(sorted({'torch', 'captum', 'streamlit', 'gradio', 'plotly', 'cv2'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out == [str(["object"] * len(METHODS.names())), "[]"]
