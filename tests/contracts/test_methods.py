"""What every attribution method promises. It runs over the registry, so a method that is dropped in is tested as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fer_core.errors import ConfigError
from fer_core.explanation import METHODS, Method, explain
from fer_core.images import ImageSpec

SPEC = ImageSpec(channels=1, height=24, width=24)
ALL = METHODS.names()


def network() -> nn.Module:
    """A network that suits every method that needs a gradient, a layer with a map, or ReLU modules."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 144, 4),
    )  # fmt: skip


class Transformer(nn.Module):
    """One layer of attention over 4 x 4 patches: for methods that follow attention."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.attention = nn.Conv2d(1, 8, 6, 6), nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(given).flatten(2).transpose(1, 2)
        return self.head((tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]).mean(dim=1))


def suitable(how: Method) -> nn.Module:
    """The network on which a method is tested: the plain one, else a transformer."""
    kinds = (network, Transformer)
    found = next((made for make in kinds if how.suits(made := make(), SPEC) is None), None)
    if found is None:
        reasons = "; ".join(str(how.suits(make(), SPEC)) for make in kinds)
        pytest.fail(
            f"{how.title} suits no plain convolutional network with ReLU modules, and no transformer: {reasons}"
        )
    return found


def images(n: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, 24, 24), dtype=np.uint8)


def small(how: Method) -> dict[str, int]:
    """Few draws, where a method takes a number of them: the promises do not depend on it."""
    few = {"copies": 8, "draws": 8, "samples": 60, "steps": 4, "channels": 3}
    return {name: few[name] for name in how.parameters.model_fields if name in few}


def maps(how: Method, model: nn.Module, n: int = 3, **more: object):
    return explain(model, images(n), SPEC, [0, 2, 1][:n], how.name, "4", **{**small(how), **more})


@pytest.fixture(params=ALL)
def how(request: pytest.FixtureRequest) -> Method:
    return METHODS.get(request.param)


def test_its_card_is_filled_in(how: Method) -> None:
    assert how.title
    assert how.paper
    assert how.claims in ("sensitivity", "shares", "place")
    assert how.parameters().model_dump() == how.parameters.model_validate({}).model_dump()


def test_its_maps_are_finite_have_the_images_size_and_say_something(how: Method) -> None:
    found = maps(how, suitable(how))
    assert found.map.shape == (3, 24, 24)
    assert found.map.dtype == np.float32
    assert np.isfinite(found.map).all()
    assert found.map.any()
    if not how.signed:
        assert found.map.min() >= 0, "a method that calls itself unsigned has negative values"
    if found.error is not None:
        assert found.error.shape == found.map.shape
        assert found.error.min() >= 0


def test_the_same_call_gives_the_same_maps_and_other_images_do_not_change_them(how: Method) -> None:
    model = suitable(how)
    together = maps(how, model).map
    np.testing.assert_array_equal(together, maps(how, model).map)
    np.testing.assert_allclose(together[:1], maps(how, model, 1).map, rtol=1e-3, atol=1e-6)


def test_another_seed_changes_what_it_draws(how: Method) -> None:
    if "seed" not in how.parameters.model_fields:
        assert not {"copies", "draws", "samples"} & set(how.parameters.model_fields), "it draws and takes no seed"
        return
    assert not np.array_equal(maps(how, suitable(how)).map, maps(how, suitable(how), seed=1).map)


def test_the_network_and_the_random_state_are_left_as_they_were(how: Method) -> None:
    model = suitable(how).train()
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    maps(how, model)
    assert all(not getattr(layer, kind) for layer in model.modules() for kind in kinds), "a hook is left behind"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.requires_grad and value.grad is None for value in model.parameters())
    assert all(layer.training for layer in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_views_that_are_served_are_averaged(how: Method) -> None:
    found = maps(how, suitable(how), tta="flip")
    assert found.map.shape == (3, 24, 24)
    assert np.isfinite(found.map).all()


def test_a_setting_that_it_does_not_take_is_refused(how: Method) -> None:
    with pytest.raises(ConfigError, match="cannot be run with nonsense"):
        maps(how, suitable(how), nonsense=1)


@pytest.mark.parametrize("name", ALL)
def test_a_network_that_does_not_suit_it_is_refused_with_a_reason(name: str) -> None:
    how = METHODS.get(name)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(576, 4))
    reason = how.suits(dense, SPEC)
    if reason is None:
        assert np.isfinite(explain(dense, images(), SPEC, [0, 1, 2], name, **small(how)).map).all()
    else:
        with pytest.raises(ConfigError, match="does not suit this network"):
            explain(dense, images(), SPEC, [0, 1, 2], name, **small(how))
    if how.needs_layer:
        with pytest.raises(ConfigError, match="needs a layer"):
            explain(network(), images(), SPEC, [0, 1, 2], name, **small(how))
