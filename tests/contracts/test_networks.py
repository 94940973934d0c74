"""What every registered network must do. A new network is tested by being registered."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fer_core.checkpoint import load_tensors, save_tensors
from fer_core.errors import ConfigError, UnknownName
from fer_core.images import ImageSpec
from fer_core.models import NETWORKS, attribution_layer, build, head_of
from fer_core.models.layers import ACTIVATIONS

ALL = NETWORKS.names()
# The large ones are tested slim: their structure is the same, and a test takes a second instead of a minute.
SLIM: dict[str, dict[str, Any]] = {
    "buffalo-googlenet": {"width": 16},
    "buffalo-newnet": {"width": 8},
    "buffalo-resnet": {"width": 16},
    "buffalo-unet": {"width": 8},
    "gimefive": {"width": 8},
    "lmu-cnn": {"width": 16},
    "efficientnet-b0": {"stochastic_depth": 0.0},
    "lmu-cnn-se-residual": {"width": 4},
    "resnet18": {"width": 8},
    "resnet34": {"width": 8},
    "resnet50": {"width": 8, "head": [64, 32]},
    "roglenet": {"width": 4},
    "shallow-cnn": {"width": 16},
    "vgg16": {"width": 8, "head": [64, 32]},
    "vgg19": {"width": 8, "head": [64, 32]},
}
FROZEN = 4_000_000  # values of a tensor that is too large to be learned in a test
LARGE = 5_000_000  # parameters of a network that needs small steps


def fresh(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(name, classes=7, spec=NETWORKS.get(name).spec, arguments=SLIM.get(name))


def images_for(name: str, count: int = 4) -> torch.Tensor:
    return torch.randn(count, *NETWORKS.get(name).spec.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ALL)
def test_forward_gives_one_finite_logit_an_expression(name: str) -> None:
    logits = fresh(name).eval()(images_for(name))
    assert logits.shape == (4, 7)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = fresh(name)
    model(images_for(name)).square().sum().backward()
    without = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # a bias before a batch norm cancels out: its gradient is rounding noise around zero, but it is there
    assert not without


@pytest.mark.parametrize("name", ALL)
def test_weights_save_and_load_bit_identically(name: str, tmp_path: Path) -> None:
    model = fresh(name).eval()
    save_tensors(tmp_path / "w.safetensors", dict(model.state_dict()))
    other = build(name, classes=7, spec=NETWORKS.get(name).spec, arguments=SLIM.get(name))
    other.load_state_dict(load_tensors(tmp_path / "w.safetensors")[0])
    assert torch.equal(other.eval()(images_for(name)), model(images_for(name)))


@pytest.mark.parametrize("name", ALL)
def test_eight_pictures_can_be_learned_by_heart(name: str) -> None:
    model = fresh(name).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for parameter in model.parameters():  # a step of AlexNet's dense layers costs a second, and it learns without them
        parameter.requires_grad_(parameter.numel() < FROZEN)
    images, labels = images_for(name, 8), torch.arange(8) % 7
    large = sum(parameter.numel() for parameter in model.parameters()) > LARGE
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=3e-4 if large else 3e-3)
    for _ in range(80):
        logits = model(images)
        if bool((logits.argmax(1) == labels).all()):
            return
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
    pytest.fail("80 steps were not enough")


@pytest.mark.parametrize("name", ALL)
def test_the_attribution_layer_is_at_least_six_by_six(name: str) -> None:
    model = fresh(name).eval()
    shapes = []
    layer = model.get_submodule(attribution_layer(name, model).split("+")[-1])
    layer.register_forward_hook(lambda *args: shapes.append(args[2].shape))
    model(images_for(name))
    assert min(shapes[0][2:]) >= 6


@pytest.mark.parametrize("name", [name for name in ALL if NETWORKS.get(name).head is not None])
def test_only_the_head_depends_on_the_number_of_expressions(name: str) -> None:
    spec = NETWORKS.get(name).spec
    with torch.device("meta"):
        seven, eight = (build(name, classes=n, spec=spec) for n in (7, 8))
    theirs = eight.state_dict()
    depend = [key for key, value in seven.state_dict().items() if value.shape != theirs[key].shape]
    assert depend
    assert all(key.startswith(f"{head_of(name, seven)}.") for key in depend)


def test_a_vgg_of_fewer_stages_is_looked_at_in_its_last_one_also_in_an_ensemble() -> None:
    spec, narrow = NETWORKS.get("small-vgg").spec, {"network": "small-vgg", "arguments": {"widths": [4, 4, 4]}}
    model = build("small-vgg", classes=7, spec=spec, arguments=narrow["arguments"])
    assert attribution_layer("small-vgg", model) == "stages.2"
    both = build("ensemble", classes=7, spec=spec, arguments={"members": [narrow, narrow]})
    layers = attribution_layer("ensemble", both).split("+")
    assert layers[0] == "members.0.stages.2"
    assert len(layers) == len(both.members)


@pytest.mark.parametrize("name", ALL)
def test_no_activation_works_in_place_or_is_used_twice(name: str) -> None:
    model = fresh(name).eval()
    calls: dict[str, int] = {}
    for key, module in model.named_modules():
        assert not getattr(module, "inplace", False), key
        if not list(module.children()):
            module.register_forward_hook(lambda *_, key=key: calls.__setitem__(key, calls.get(key, 0) + 1))
    model(images_for(name))
    assert set(calls.values()) == {1}


@pytest.mark.parametrize(("name", "classes", "parameters"), [("lmu-cnn", 6, 2_606_086), ("gimefive", 6, 10_478_086)])
def test_a_network_has_the_parameters_its_report_gives(name: str, classes: int, parameters: int) -> None:
    model = build(name, classes=classes, spec=NETWORKS.get(name).spec)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [("buffalo-cnn", 1, 4608), ("buffalo-resnet", 1, 1024), ("buffalo-unet", 1, 7744), ("roglenet", 1, 147_456)],
)
def test_a_head_takes_as_many_values_as_the_report_says(name: str, layer: int, size: int) -> None:
    linear = build(name, classes=7, spec=NETWORKS.get(name).spec).head[layer]
    assert linear.in_features == size


@pytest.mark.parametrize("name", ["alexnet", "inception-v3"])
def test_too_small_pictures_are_refused_before_any_time_is_spent(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} needs images of at least .* found 48 x 48"):
        build(name, classes=7, spec=ImageSpec(channels=3))


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_residual_networks_take_torchvisions_weights(name: str) -> None:
    from torchvision import models

    theirs = getattr(models, name)(num_classes=7).state_dict()
    ours = build(name, classes=7, spec=ImageSpec(channels=3, height=64, width=64), arguments={"stem": "imagenet"})
    ours.load_state_dict(theirs)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    model = getattr(models, name)(num_classes=7).eval()
    model.load_state_dict(theirs)
    torch.testing.assert_close(ours.eval()(images), model(images))


def test_mini_xception_has_the_papers_parameters() -> None:
    """The paper counts as Keras does: with the batch norms' running means and variances."""
    state = fresh("mini-xception").state_dict()
    assert sum(value.numel() for key, value in state.items() if "num_batches" not in key) == 58_423


def test_a_unet_says_that_it_cannot_take_sides_that_eight_does_not_divide() -> None:
    with pytest.raises(ConfigError, match="buffalo-unet .* cannot be built for images of 50 x 50: Sizes of tensors"):
        build("buffalo-unet", classes=7, spec=ImageSpec(channels=3, height=50, width=50), arguments={"width": 4})


def test_an_unknown_network_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="did you mean “small-vgg”"):
        NETWORKS.get("small-vg")


def test_an_unknown_argument_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="takes no argument width; it takes widths, dropout, activation"):
        build("small-vgg", classes=7, spec=NETWORKS.get("small-vgg").spec, arguments={"width": 3})


def kinds(model: torch.nn.Module) -> list[type[torch.nn.Module]]:
    return [type(module) for module in model.modules() if type(module) in ACTIVATIONS.values()]


@pytest.mark.parametrize("name", [name for name in ALL if torch.nn.ReLU in kinds(fresh(name))])
def test_every_relu_makes_way_for_another_activation(name: str) -> None:
    given = {**SLIM.get(name, {}), "activation": "prelu"}
    torch.manual_seed(0)
    model, plain = build(name, classes=7, spec=NETWORKS.get(name).spec, arguments=given), fresh(name)
    changed = [module for module in model.modules() if isinstance(module, torch.nn.PReLU)]
    assert torch.nn.ReLU not in kinds(model)
    assert len(changed) == kinds(plain).count(torch.nn.ReLU)
    for module in changed:
        module.weight.data.zero_()  # a PReLU without a slope is a ReLU
    assert torch.equal(model.eval()(images_for(name)), plain.eval()(images_for(name)))


def test_an_activation_that_is_unknown_or_has_no_place_is_refused() -> None:
    with pytest.raises(UnknownName, match="no activation “gelu”.*relu, leaky-relu, prelu, silu"):
        build("small-vgg", classes=7, spec=NETWORKS.get("small-vgg").spec, arguments={"activation": "gelu"})
    with pytest.raises(ConfigError, match="no ReLU whose place silu could take"):
        build("efficientnet-b0", classes=7, spec=NETWORKS.get("efficientnet-b0").spec, arguments={"activation": "silu"})


def test_the_titles_are_those_of_the_registry_and_cost_no_torch() -> None:
    code = "import json, sys; from fer_core.models import titles; print(json.dumps([titles(), 'torch' in sys.modules]))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == [{name: entry.title for name, entry in NETWORKS.items()}, False]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("small-vgg", {"widths": "wide"}, "arguments of small-vgg: widths = 'wide'"),
        ("small-vgg", {"widths": []}, "widths is empty"),
        ("small-vgg", {"dropout": 2}, "dropout probability has to be between 0 and 1"),
        ("small-vgg", {"widths": [-8]}, "small-vgg with these arguments cannot be built .* negative dimension"),
        ("small-vgg", {"dropout": "much"}, "dropout = 'much': Input should be a valid number"),
        ("resnet18", {"stem": "huge"}, "stem = 'huge'"),
    ],
)
def test_an_argument_of_another_kind_is_refused(name: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build(name, classes=7, spec=NETWORKS.get(name).spec, arguments=arguments)
