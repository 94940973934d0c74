"""Networks of timm and torchvision under their own names: built, explained, trained and saved as our own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fer_core.checkpoint import load_network
from fer_core.errors import ConfigError, UnknownName
from fer_core.explanation import explain
from fer_core.images import ImageSpec
from fer_core.models import NETWORKS, attribution_layer, build, head_of

SPEC = ImageSpec(channels=1, height=64, width=64)


@pytest.mark.parametrize("name", ["torchvision:squeezenet1_1", "timm:resnet10t", "torchvision:mobilenet_v3_small"])
def test_a_network_of_a_family_is_built_and_explained(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, classes=7, spec=SPEC).eval()
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    for method in ("grad-cam", "saliency"):
        found = explain(model, images, SPEC, [0, 3], method, attribution_layer(name, model))
        assert found.map.shape == (2, 64, 64)
        assert np.isfinite(found.map).all()
    assert NETWORKS.get(name).title.endswith(")")
    assert not any(getattr(module, "inplace", False) for module in model.modules())


def test_torchvisions_weights_fit_and_the_head_alone_depends_on_the_expressions() -> None:
    from torchvision import models

    spec = ImageSpec(channels=3, height=64, width=64)
    theirs = models.resnet18(num_classes=7).eval()
    ours = build("torchvision:resnet18", classes=7, spec=spec).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(images), theirs(images))
    assert head_of("torchvision:resnet18", ours) == "fc"


def test_an_unknown_name_is_refused_with_a_suggestion_and_others_say_what_they_need() -> None:
    with pytest.raises(UnknownName, match="no network of torchvision “resnet81”; did you mean “resnet18”"):
        build("torchvision:resnet81", classes=7, spec=SPEC)
    with pytest.raises(UnknownName, match="no network of timm “resnet10x”"):
        build("timm:resnet10x", classes=7, spec=SPEC)
    with pytest.raises(UnknownName, match="no family of networks “keras”"):
        build("keras:resnet", classes=7, spec=SPEC)
    with pytest.raises(ConfigError, match="is not here: where there is internet"):
        NETWORKS.get("timm:resnet10t").imagenet({})


@pytest.mark.filterwarnings("ignore")
def test_a_timm_network_is_trained_for_an_epoch_and_is_a_checkpoint(learnable: Path) -> None:
    from fer_core.datasets import open_dataset
    from fer_core.evaluation.predict import predict_checkpoint
    from fer_core.runs.folder import RunFolder
    from fer_core.training.loop import Trainer
    from tests.tiny import tiny

    config = tiny(network="timm:resnet10t", arguments={}, image={"channels": 1, "height": 32, "width": 32}, epochs=1)
    run = RunFolder.create("timm", config, str(learnable))
    list(Trainer(run, open_dataset(learnable)).epochs())
    _, card = load_network(run.path)
    assert card.network == "timm:resnet10t"
    table, _ = predict_checkpoint(run.path, open_dataset(learnable), "test")
    assert len(table) == 16
