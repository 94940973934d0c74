"""A network made ready answers as it did, sooner: compared with the network itself."""

import gc

import numpy as np
import pytest
import torch
from torch import nn

from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models import NETWORKS, build
from fer_core.models import ready as module
from fer_core.models.logits import logit_batches, logits_with, predict_logits
from fer_core.models.ready import TOLERANCE, ready


def trained(model: nn.Module) -> nn.Module:
    """Batch norms as after a training: statistics and weights of their own."""
    generator = torch.Generator().manual_seed(1)
    for norm in (layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)):
        for tensor, low, high in (
            (norm.running_mean, -0.2, 0.2), (norm.running_var, 0.5, 2.0), (norm.weight, 0.5, 1.5), (norm.bias, -0.2, 0.2),
        ):  # fmt: skip
            with torch.no_grad():
                tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())


def same(model: nn.Module) -> nn.Module:
    """The fast form of a network on images of 20 x 20, which answers as the network does."""
    fast = ready(model, (1, 20, 20))
    images = torch.randn(4, 1, 20, 20)
    assert torch.allclose(fast(images), model(images), atol=TOLERANCE)
    return fast


@pytest.mark.parametrize(
    "name", ["small-vgg", "mini-xception", "ensemble", "resnet18", "buffalo-googlenet", "efficientnet-b0", "lmu-cnn-se"]
)
def test_every_batch_norm_is_folded_and_the_logits_stay(name: str) -> None:
    torch.manual_seed(0)
    spec = NETWORKS.get(name).spec
    model = trained(build(name, classes=7, spec=spec))
    images = torch.randn(3, *spec.shape)
    fast = ready(model, spec.shape)
    with torch.inference_mode():
        wanted, found = model(images), fast(images)
    assert (found - wanted).abs().max() <= TOLERANCE * max(1.0, float(wanted.abs().max()))
    assert norms(fast) == 0 < norms(model)


def test_a_copy_is_kept_until_the_weights_change() -> None:
    spec = ImageSpec()
    model = trained(build("small-vgg", classes=7, spec=spec, arguments={"widths": [4, 8]})).train()
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    first, before = ready(model, spec.shape), predict_logits(model, images, spec)
    assert ready(model, spec.shape) is first
    assert model.training
    with torch.no_grad():
        model.head[-1].bias += 1.0
    after = predict_logits(model, images, spec)
    assert ready(model, spec.shape) is not first
    assert np.allclose(after, before + 1.0, atol=TOLERANCE)
    gc.collect()  # networks of other tests go too
    count = len(module._made)
    del model
    gc.collect()
    assert len(module._made) == count - 1


def test_a_convolution_that_is_used_elsewhere_too_is_left_alone() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps = self.convolution(images)
            return self.head((maps + self.norm(maps)).mean(dim=(2, 3)))

    torch.manual_seed(0)
    model = trained(Beside())
    assert norms(same(model)) == 1


def test_a_convolution_that_runs_twice_is_left_alone() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.one, self.two = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.BatchNorm2d(1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.two(self.convolution(self.one(self.convolution(images)))).mean(dim=(2, 3))

    model = trained(Twice())
    assert norms(same(model)) == 2


def test_hooks_see_what_the_network_does() -> None:
    spec = ImageSpec()
    model = trained(build("small-vgg", classes=7, spec=spec, arguments={"widths": [4, 8]}))
    seen: list[torch.Tensor] = []
    model.head[-1].register_forward_hook(lambda _layer, _given, result: seen.append(result))
    images = np.zeros((2, 48, 48), np.uint8)
    (logits,) = logit_batches(model, images, spec, tta="none")
    assert np.array_equal(seen[-1].numpy(), logits)


@pytest.mark.parametrize("tta", ["none", "flip", "ten-crop"])
def test_many_images_are_answered_as_each_alone(tta: str) -> None:
    """More than a pass holds, and the network itself in one pass."""
    spec = ImageSpec(standardise="image")
    torch.manual_seed(0)
    model = trained(build("small-vgg", classes=7, spec=spec, arguments={"widths": [4, 8]}))
    images = np.random.default_rng(0).integers(0, 256, (70, 48, 48), dtype=np.uint8)
    with torch.inference_mode():
        wanted = logits_with(model, normalise(to_tensor(images), spec), tta).numpy()
    found = predict_logits(model, images, spec, tta=tta)
    assert np.abs(found - wanted).max() < TOLERANCE
    alone = np.concatenate([predict_logits(model, one[None], spec, tta=tta) for one in images[:5]])
    assert np.abs(alone - wanted[:5]).max() < TOLERANCE
