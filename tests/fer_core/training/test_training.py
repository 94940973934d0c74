"""Augmentation, schedules, losses, optimizers and the loop."""

import math
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fer_core.checkpoint import load_network, load_tensors, read_card
from fer_core.datasets import Dataset, open_dataset
from fer_core.errors import CheckpointError, ConfigError, RunError
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from fer_core.models.logits import predict_logits
from fer_core.recipe import Augment, Loss, Optimizer, Schedule, TrainConfig
from fer_core.runs.folder import EpochResult, RunFolder, RunStatus, Stopped
from fer_core.training.augment import Draws, _grid, augment, mix
from fer_core.training.batches import Moment
from fer_core.training.loop import Trainer
from fer_core.training.losses import SoftLoss, make_loss
from fer_core.training.optim import MovingAverage, make_optimizer, optimizer_tensors, restore_optimizer
from fer_core.training.schedules import factor
from fer_core.training.targets import drawn, make_targets
from tests.fer_core.training.stopped import train_for

NOTHING = Augment(flip=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(batch: torch.Tensor, seed: int = 0) -> Draws:
    return Draws(generator(seed), len(batch))


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.randint(0, 256, (6, 1, 32, 32), generator=generator(), dtype=torch.uint8)


def test_without_augmentation_the_pictures_are_unchanged(batch: torch.Tensor) -> None:
    assert torch.equal(augment(batch, NOTHING, draws(batch)), batch.float())


def test_a_certain_flip_mirrors_every_picture(batch: torch.Tensor) -> None:
    assert torch.equal(augment(batch, Augment(flip=1), draws(batch)), batch.flip(3).float())


def test_a_flip_by_resampling_is_the_same_mirror_image(batch: torch.Tensor) -> None:
    moved = augment(batch, Augment(flip=1, rotate=1e-9), draws(batch))
    torch.testing.assert_close(moved, batch.flip(3).float(), atol=0.01, rtol=0)


def test_rotation_turns_about_the_centre_up_to_its_largest_angle() -> None:
    one = torch.zeros(400, 1, 33, 33, dtype=torch.uint8)
    one[:, :, 16, 24] = 255  # a dot to the right of the centre travels on a circle of radius 8
    turned = augment(one, Augment(flip=0, rotate=90), draws(one))
    rows, columns = torch.arange(33.0).view(33, 1) - 16, torch.arange(33.0).view(1, 33) - 16
    mass = turned.sum((1, 2, 3))
    y, x = (turned[:, 0] * rows).sum((1, 2)) / mass, (turned[:, 0] * columns).sum((1, 2)) / mass
    angle = torch.rad2deg(torch.atan2(y, x))
    assert torch.hypot(x, y).sub(8).abs().max() < 0.6
    assert angle.abs().max() <= 90.5
    assert angle.min() < -70
    assert angle.max() > 70


def test_a_disc_in_a_picture_wider_than_high_is_a_disc_however_it_is_turned() -> None:
    rows, columns = np.mgrid[:48, :96]
    disc = torch.from_numpy(((rows - 23.5) ** 2 + (columns - 47.5) ** 2 < 64).astype(np.uint8) * 255)
    batch = disc.expand(50, 1, 48, 96)
    turned = augment(batch, Augment(flip=0.5, rotate=90), Draws(torch.Generator().manual_seed(3), 50))
    middle = (turned - batch)[..., 24:72]  # further out the mirrored edge shows another disc
    assert middle.abs().max() < 200  # its rim is smoothed


def test_pixels_are_taken_from_where_torchs_affine_grid_says() -> None:
    theta = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    images = torch.zeros(5, 1, 48, 64)
    expected = F.affine_grid(theta, [5, 1, 48, 64], align_corners=False)
    torch.testing.assert_close(_grid(theta.view(5, 6), images), expected, rtol=1e-5, atol=1e-6)


def test_each_picture_gets_parameters_of_its_own() -> None:
    same = torch.arange(32 * 32).remainder(251).to(torch.uint8).view(1, 1, 32, 32).repeat(8, 1, 1, 1)
    moved = augment(same, Augment(rotate=20, translate=0.1, scale=0.1), draws(same))
    assert len({tuple(picture.flatten()[:50].tolist()) for picture in moved}) == 8


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_a_seed_gives_the_same_pictures_and_values_stay_in_range(seed: int) -> None:
    batch = torch.randint(0, 256, (4, 3, 24, 24), generator=generator(seed), dtype=torch.uint8)
    everything = Augment(rotate=30, scale=0.2, shear=10, translate=0.2, brightness=0.3, contrast=0.3, erase=0.5)
    first, second = (augment(batch, everything, draws(batch, seed)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.min() >= 0
    assert first.max() <= 255


def test_erasing_covers_two_to_twenty_percent_in_one_rectangle() -> None:
    batch = torch.randint(1, 256, (200, 1, 40, 40), generator=generator(), dtype=torch.uint8)
    erased = augment(batch, Augment(flip=0, erase=1), draws(batch))
    share = (erased != batch).float().mean((1, 2, 3))
    assert share.max() < 0.23  # at the rim a rectangle is cut, inside it rounds by a pixel a side
    assert share.mean() > 0.05


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        (Schedule(name="constant"), 0.7, 1.0),
        (Schedule(name="onecycle", warmup=0.2), 0.0, 0.04),
        (Schedule(name="onecycle", warmup=0.2), 0.1, 0.04 + 0.96 / 2),  # half of the rise
        (Schedule(name="onecycle", warmup=0.2), 0.2, 1.0),
        (Schedule(name="onecycle", warmup=0.2, final=0.01), 0.6, 0.01 + 0.99 / 2),  # half of the fall
        (Schedule(name="onecycle", warmup=0.2, final=0.01), 1.0, 0.01),
        (Schedule(name="cosine", warmup=0.5), 0.25, 0.5),
        (Schedule(name="step", warmup=0.1, factor=0.1, milestones=(0.5, 0.75)), 0.05, 0.5),
        (Schedule(name="step", warmup=0.1, factor=0.1, milestones=(0.5, 0.75)), 0.49, 1.0),
        (Schedule(name="step", warmup=0.1, factor=0.1, milestones=(0.5, 0.75)), 0.5, 0.1),
        (Schedule(name="step", warmup=0.1, factor=0.1, milestones=(0.5, 0.75)), 0.8, 0.01),
        (Schedule(name="cosine", warmup=0.0, final=0.0), 0.5, 0.5),
    ],
)
def test_a_schedule_has_its_published_shape(schedule: Schedule, progress: float, expected: float) -> None:
    assert factor(schedule, progress, []) == pytest.approx(expected)


def test_a_plateau_halves_the_rate_after_patience_epochs_without_a_better_loss() -> None:
    schedule = Schedule(name="plateau", factor=0.5, patience=2)
    losses = [1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.5]
    #          new  new  1     2 -> x.5  1     2 -> x.25  new
    factors = [factor(schedule, 0, losses[:n]) for n in range(len(losses) + 1)]
    assert factors == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_balanced_weights_are_n_over_k_times_count() -> None:
    labels = np.repeat(np.arange(7), [1, 2, 1, 1, 1, 1, 7])  # n = 14, K = 7: 14 / (7 * count)
    loss = make_loss(Loss(class_weights="balanced"), FER7, labels)
    assert loss.weights.tolist() == pytest.approx([2, 1, 2, 2, 2, 2, 2 / 7])


@given(
    st.integers(0, 2**31), st.floats(0, 0.9), st.lists(st.floats(0.1, 5), min_size=7, max_size=7), st.integers(1, 20)
)
@settings(max_examples=30, deadline=None)
def test_the_loss_of_hard_labels_is_torchs_cross_entropy(
    seed: int, smoothing: float, weights: list[float], count: int
) -> None:
    logits = torch.randn(count, 7, generator=generator(seed)) * 5
    labels = torch.randint(0, 7, (count,), generator=generator(seed))
    ours = make_loss(Loss(label_smoothing=smoothing, class_weights=tuple(weights)), FER7, labels.numpy())
    total, weight = ours(logits, F.one_hot(labels, 7).float())
    theirs = nn.CrossEntropyLoss(weight=torch.tensor(weights), label_smoothing=smoothing)
    torch.testing.assert_close(total / weight, theirs(logits, labels), rtol=1e-4, atol=1e-5)


def test_the_loss_of_soft_targets_is_torchs_cross_entropy() -> None:
    logits, targets = torch.randn(9, 7, generator=generator()), torch.rand(9, 7, generator=generator(1)).softmax(1)
    total, weight = make_loss(Loss(), FER7, np.arange(7))(logits, targets)
    torch.testing.assert_close(total / weight, nn.CrossEntropyLoss()(logits, targets))


def test_focal_loss_is_the_papers_formula() -> None:
    probs = torch.tensor([[0.9, 0.1], [0.2, 0.8]])  # labels 0 and 0, g = 2
    total, weight = SoftLoss(torch.ones(2), 0.0, 2.0)(probs.log(), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert total.item() == pytest.approx(-(0.1**2) * math.log(0.9) - 0.8**2 * math.log(0.2), rel=1e-5)
    assert weight.item() == 2


@pytest.mark.parametrize(
    ("settings", "mixing", "named"),
    [
        ({"label_smoothing": 0.1}, False, "label smoothing"),
        ({"votes": 0.5}, False, "votes"),
        ({"teachers": ("t",)}, False, "teachers"),
        ({}, True, "mixup or CutMix"),
    ],
)
def test_focal_loss_of_soft_targets_is_refused_because_it_is_not_proper(
    settings: dict[str, object], mixing: bool, named: str
) -> None:
    target = torch.tensor([[0.7, 0.3]])
    loss = SoftLoss(torch.ones(2), 0.0, 2.0)
    right, other = (loss(torch.tensor([[p, 1 - p]]).log(), target)[0].item() for p in (0.7, 0.6))
    assert other < right  # the least loss does not lie at the target
    with pytest.raises(ConfigError, match=f"loss.focal = 2 cannot be combined with {named}"):
        make_loss(Loss.model_validate({"focal": 2.0, **settings}), FER7, np.arange(7), mixing)
    make_loss(Loss(focal=2.0, votes=1.0, draw=True), FER7, np.arange(7))  # single labels, drawn


def test_labels_are_drawn_from_their_targets_as_often_as_these_say() -> None:
    targets = torch.tensor([[0.0, 0.6, 0.4, 0.0]]).repeat(20_000, 1)
    found = drawn(targets, torch.rand(20_000, generator=generator()))
    assert torch.equal(found.sum(dim=1), torch.ones(20_000))
    np.testing.assert_allclose(found.mean(dim=0), [0, 0.6, 0.4, 0], atol=0.01)
    ends = drawn(torch.tensor([[0.5, 0.5, 0.0]] * 3), torch.tensor([0.0, 0.5, 1.0]))
    assert ends.argmax(dim=1).tolist() == [0, 1, 1]  # never a label that nobody gave


def test_drawn_labels_are_others_in_every_epoch_and_the_same_in_every_run(learnable: Path) -> None:
    run, dataset = run_of("drawn", learnable, loss={"label_smoothing": 0.0, "draw": True})
    trainer = Trainer(run, dataset)
    trainer.batches._targets = torch.full_like(trainer.batches._targets, 1 / 7)
    rows = np.arange(16)

    def labels(epoch: int) -> list[int]:
        moment = Moment(epoch, 0.0)
        _, targets = trainer.batches.batch(rows, moment, generator(), torch.contiguous_format)
        assert set(targets.unique().tolist()) == {0.0, 1.0}
        return targets.argmax(dim=1).tolist()

    assert labels(1) == labels(1)
    assert labels(1) != labels(2)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_pictures_mixes_their_targets_in_the_same_share(kind: str) -> None:
    # Image i is filled with 0 or 1 and its target says so: afterwards the mean of a mixed image must be its target.
    ones = torch.tensor([0.0, 1.0] * 16)
    images, targets = ones.view(-1, 1, 1, 1).expand(-1, 1, 20, 20), torch.stack([1 - ones, ones], dim=1)
    mixed, shares = mix(images, targets, Augment.model_validate({kind: 1.0}), Draws(generator(), 32))
    torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), shares[:, 1])
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(32))
    assert ((shares[:, 1] > 0.05) & (shares[:, 1] < 0.95)).sum() > 5
    values = set(mixed.unique().tolist())
    assert (values == {0.0, 1.0}) is (kind == "cutmix")  # CutMix pastes, mixup blends


def test_parameters_do_not_depend_on_how_a_batch_is_divided(batch: torch.Tensor) -> None:
    everything = Augment(rotate=30, scale=0.2, brightness=0.3, contrast=0.3, erase=0.9)
    whole = augment(batch, everything, draws(batch))
    parts = [
        augment(batch[part], everything, Draws(generator(), len(batch), part)) for part in (slice(0, 2), slice(2, 6))
    ]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize(
    ("weights", "says"),
    [((1.0, 2.0), "has 2 values, expected 7"), ("balanced", "there is none of disgust, fear")],
)
def test_class_weights_that_do_not_fit_are_refused(weights: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make_loss(Loss.model_validate({"class_weights": weights}), FER7, np.array([0, 3, 4, 5, 6]))


def test_norms_and_biases_are_not_decayed() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    decayed, plain = make_optimizer(model, Optimizer(weight_decay=0.1)).param_groups
    assert [p.ndim for p in decayed["params"]] == [4]
    assert decayed["weight_decay"] == 0.1
    assert [p.ndim for p in plain["params"]] == [1, 1, 1]
    assert plain["weight_decay"] == 0


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_an_optimizer_restored_from_tensors_goes_on_as_the_original(name: str) -> None:
    def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).square().sum().backward()
            optimizer.step()

    torch.manual_seed(0)
    first = nn.Linear(3, 2)
    original = make_optimizer(first, Optimizer.model_validate({"name": name, "lr": 0.01}))
    steps(first, original, 3)
    second = nn.Linear(3, 2)
    second.load_state_dict(first.state_dict())
    restored = make_optimizer(second, Optimizer.model_validate({"name": name, "lr": 0.01}))
    restore_optimizer(restored, {key: value.clone() for key, value in optimizer_tensors(original).items()})
    steps(first, original, 3)
    steps(second, restored, 3)
    assert torch.equal(first.weight, second.weight)


def test_the_moving_average_is_the_published_recursion() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    average = MovingAverage(model, decay=0.9)
    nn.init.constant_(model.weight, 1.0)
    average.update(model, step=0, steps=20_000)  # d = min(.9, 1/10) = .1: w = .1 * 0 + .9 * 1
    assert average.model.weight.item() == pytest.approx(0.9)
    average.update(model, step=10_000, steps=20_000)  # d = .9: w = .9 * .9 + .1 * 1
    assert average.model.weight.item() == pytest.approx(0.91)


def test_stochastic_weight_averaging_is_the_mean_of_the_last_steps() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = MovingAverage(model, decay=0.0, tail=0.3)
    for step in range(10):
        nn.init.constant_(model.weight, float(step))
        average.update(model, step, steps=10)
        if step == 5:
            assert average.model.weight.item() == 5  # before the tail, the weights themselves
    assert average.model.weight.item() == pytest.approx((7 + 8 + 9) / 3)


SMALL = {
    "network": "small-vgg",
    "arguments": {"widths": [4, 8, 8, 8]},
    "epochs": 2,
    "batch_size": 16,
    "memory_format": "contiguous",
    "precision": "fp32",  # the measured choice may differ between two runs
    "threads": 1,
    "optimizer": {"lr": 0.05},
    "augment": {"rotate": 10, "translate": 0.05},
}


def run_of(name: str, learnable: Path, **changes: object) -> tuple[RunFolder, Dataset]:
    config = TrainConfig.model_validate(SMALL | changes)
    return RunFolder.create(name, config, str(learnable)), open_dataset(learnable)


def test_a_run_folder_holds_all_that_the_design_says(learnable: Path) -> None:
    adam = {"name": "adam", "lr": 0.02}
    run, dataset = run_of("one", learnable, epochs=4, batch_size=8, optimizer=adam, tta="flip", ema=0.8)
    results = list(Trainer(run, dataset).epochs())
    assert run.status().state == "finished"
    assert run.metrics() == results
    assert [result.epoch for result in results] == [1, 2, 3, 4]
    model, card = load_network(run.path)
    assert card.expressions == FER7.names
    assert card.image.shape == (1, 48, 48)
    table = Predictions.read(run.path / "predictions-learnable-val.parquet")
    assert len(table) == 32
    assert card.results["learnable-val"]["accuracy"] == pytest.approx(float(table.correct.mean()))
    assert card.results["learnable-val"]["accuracy"] > 0.9  # stripes are easy
    assert card.parameters == sum(p.numel() for p in model.parameters())
    assert card.cost.cpu_minutes >= 0
    assert card.best_epoch in range(1, 5)


def test_the_same_seed_gives_the_same_history_and_another_seed_another(learnable: Path) -> None:
    losses = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run, dataset = run_of(name, learnable, seed=seed, arguments={"widths": [4, 8, 8, 8], "dropout": 0.3})
        losses.append([(result.train_loss, result.val_loss) for result in Trainer(run, dataset).epochs()])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


EVERYTHING = {
    "optimizer": {"name": "adam", "lr": 0.01, "sgd_after": 0.5, "sgd_lr": 0.02, "clip": 1.0},
    "augment": {"alternating": True, "mixup": 0.2, "cutmix": 1.0, "rotate": 10},
    "arguments": {"widths": [4, 8, 8, 8], "dropout": 0.3},
    "swa": 0.4,
}


@pytest.mark.parametrize(
    ("steps", "changes"), [(1, {"ema": 0.9}), (3, {"ema": 0.9}), (6, {"ema": 0.9}), (3, EVERYTHING), (6, EVERYTHING)]
)
def test_a_run_stopped_anywhere_and_resumed_ends_with_the_same_weights(
    learnable: Path, steps: int, changes: dict[str, object]
) -> None:
    through, dataset = run_of("through", learnable, **changes)
    list(Trainer(through, dataset).epochs())
    broken, _ = run_of("broken", learnable, **changes)
    train_for(broken, dataset, steps)
    assert broken.status().state == "stopped"
    list(Trainer(broken, dataset).epochs())
    for file in ("last.safetensors", "best.safetensors"):
        expected, found = (load_tensors(run.path / file)[0] for run in (through, broken))
        assert all(torch.equal(expected[key], found[key]) for key in expected)
    figures = [[(r.train_loss, r.train_accuracy, r.val_loss) for r in run.metrics()] for run in (through, broken)]
    np.testing.assert_allclose(figures[1], figures[0], rtol=1e-6)


def test_a_resumed_run_says_and_keeps_how_it_computes(learnable: Path) -> None:
    run, dataset = run_of("half", learnable, precision="auto")
    trainer = Trainer(run, dataset, on_step=lambda status: run.request_stop() if status.step == 3 else None)
    trainer.state.compute_in("fp16", "contiguous")
    with pytest.raises(Stopped):
        list(trainer.epochs())
    resumed = Trainer(run, dataset)
    assert resumed.state.scaler.state_dict() == trainer.state.scaler.state_dict()
    assert resumed.state.scaler.state_dict()["_growth_tracker"] == 4
    assert resumed.state.speed_note == "fp16, contiguous: as before"


def test_a_run_interrupted_in_the_middle_of_a_step_goes_on_from_its_last_save(learnable: Path) -> None:
    through, dataset = run_of("through", learnable, batch_size=4)
    list(Trainer(through, dataset).epochs())
    broken, _ = run_of("broken", learnable, batch_size=4)

    def interrupt(status: RunStatus) -> None:
        if (status.epoch, status.step) == (1, 7):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(Trainer(broken, dataset, on_step=interrupt).epochs())
    assert broken.status().state == "stopped"
    list(Trainer(broken, dataset).epochs())
    figures = [[(r.train_loss, r.train_accuracy, r.val_loss) for r in run.metrics()] for run in (through, broken)]
    assert figures[0] == figures[1]


def test_a_diverging_run_fails_with_the_reason_and_keeps_the_last_good_state(learnable: Path) -> None:
    run, dataset = run_of("nan", learnable, optimizer={"lr": 1e30, "clip": 0}, schedule={"name": "constant"}, epochs=3)
    with pytest.raises(RunError, match=r"diverged. Use a smaller optimizer\.lr than 1e\+30"):
        list(Trainer(run, dataset).epochs())
    assert run.status().state == "failed"
    assert "diverged" in run.status().message
    assert (run.path / "last.safetensors").exists()


def test_what_the_last_step_of_an_epoch_ruined_is_not_kept_as_the_last_good_state(learnable: Path) -> None:
    run, dataset = run_of("nan", learnable, batch_size=64, optimizer={"lr": 1e30}, schedule={"name": "constant"})
    with pytest.raises(RunError, match="diverged"):
        list(Trainer(run, dataset).epochs())
    assert load_tensors(run.path / "last.safetensors")[1]["epoch"] == "0"
    assert not run.metrics()
    assert not (run.path / "best.safetensors").exists()


def test_what_overflows_in_half_precision_goes_back_to_the_last_save_and_on_in_fp32(learnable: Path) -> None:
    run, dataset = run_of("half", learnable, precision="auto")
    trainer = Trainer(run, dataset)
    trainer.state.compute_in("fp16", "contiguous")  # what is measured to be fastest on a GPU without bf16
    with torch.no_grad():  # above 65,504 behind the first convolution, and then normalised again
        next(trainer.state.model.parameters()).mul_(1e6)
    results = list(trainer.epochs())
    assert trainer.state.precision == "fp32"
    assert [result.epoch for result in results] == [1, 2]
    assert all(math.isfinite(result.train_loss) for result in results)
    assert "fp32" in read_card(run.path).cost.device
    assert "became NaN in fp16; the run continued from the last save in fp32" in run.status().message


def test_a_run_whose_last_save_is_missing_is_not_started_anew_in_silence(learnable: Path) -> None:
    run, dataset = run_of("gone", learnable)
    list(Trainer(run, dataset).epochs())
    (run.path / "last.safetensors").unlink()
    with pytest.raises(
        CheckpointError, match=r"last\.safetensors is missing, so the run cannot continue from its epoch 2"
    ):
        Trainer(run, dataset)


def test_a_full_disk_pauses_the_run_with_a_remedy_and_keeps_the_save_before(learnable: Path) -> None:
    run, dataset = run_of("full", learnable)
    epochs = Trainer(run, dataset).epochs()
    next(epochs)
    before = (run.path / "last.safetensors").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # a small status still fits, weights do not
    try:
        with pytest.raises(RunError, match=r"no room for a file of the run .* Make room"):
            list(epochs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert run.status().state == "stopped"
    assert (run.path / "last.safetensors").read_bytes() == before
    assert len(list(Trainer(run, dataset).epochs())) == 1
    assert run.status().state == "finished"


def test_votes_are_learned_as_shares_without_single_votes(learnable: Path) -> None:
    dataset = open_dataset(learnable)
    votes = {f"votes_{name}": [0] * len(dataset) for name in FER7.names}
    index = dataset.index.assign(**votes)
    index.loc[0, ["votes_happy", "votes_sad", "votes_fear"]] = [6, 3, 1]
    targets = make_targets(Loss(votes=1), replace(dataset, index=index), np.arange(3), FER7, torch.device("cpu"))
    assert targets[0].tolist() == pytest.approx([0, 0, 0, 6 / 9, 3 / 9, 0, 0])  # the one vote for fear is dropped
    assert targets[1].sum() == 1  # nobody voted: the label stands
    label = int(dataset.label_index(FER7, np.arange(1))[0])
    mixed = make_targets(Loss(votes=0.3), replace(dataset, index=index), np.arange(3), FER7, torch.device("cpu"))
    expected = [0.7 * (i == label) + 0.3 * share for i, share in enumerate([0, 0, 0, 6 / 9, 3 / 9, 0, 0])]
    assert mixed[0].tolist() == pytest.approx(expected)
    with pytest.raises(ConfigError, match=r"loss\.votes needs a set with votes"):
        make_targets(Loss(votes=1), dataset, np.arange(3), FER7, torch.device("cpu"))


def test_a_teachers_probabilities_are_mixed_into_the_targets(learnable: Path) -> None:
    run, dataset = run_of("teacher", learnable)
    list(Trainer(run, dataset).epochs())
    rows = dataset.rows("train")
    model, card = load_network(run.path)
    logits = predict_logits(model, dataset.images(card.image)[rows], card.image, tta="flip")
    settings = Loss(teachers=("teacher",), teacher_weight=0.3, teacher_temperature=2.0)
    targets = make_targets(settings, dataset, rows, FER7, torch.device("cpu"))
    labels = np.eye(7)[dataset.label_index(FER7, rows)]
    odds = np.exp(logits / 2 - (logits / 2).max(axis=1, keepdims=True))
    np.testing.assert_allclose(targets, 0.7 * labels + 0.3 * odds / odds.sum(axis=1, keepdims=True), atol=1e-5)


def test_a_teacher_that_is_not_trained_yet_is_named_with_the_command_that_trains_it(learnable: Path) -> None:
    run, dataset = run_of("student", learnable, loss={"teachers": ["fer2013-wide"]})
    with pytest.raises(
        ConfigError, match=r"loss\.teachers: .*fer2013-wide.* Train it first: ferscope train fer2013-wide"
    ):
        Trainer(run, dataset)


@pytest.mark.parametrize(
    ("network", "arguments"),
    [
        ("small-vgg", {"widths": [4, 8, 8, 8], "dropout": 0.0}),  # it would draw other numbers
        ("buffalo-cnn", {"width": 4, "dropout": 0.0}),  # with a norm between its dense layers
    ],
)
def test_two_processes_take_the_same_steps_as_one(
    learnable: Path, workspace: Path, network: str, arguments: dict[str, object]
) -> None:
    changes = {
        "precision": "fp32",
        "memory_format": "contiguous",  # measured, it may differ between the two
        "network": network,
        "arguments": arguments,
        "augment": {"rotate": 10, "mixup": 0.2},
        "loss": {"class_weights": [1, 2, 1, 1, 3, 1, 1]},
    }
    one, dataset = run_of("one", learnable, **changes)
    list(Trainer(one, dataset).epochs())
    two, _ = run_of("two", learnable, **changes)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*command, "-m", "trainers.cli", "train", "--resume", "two"], check=True, timeout=300, capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    expected, found = (load_tensors(run.path / "last.safetensors")[0] for run in (one, two))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")
    figures = [[(r.train_loss, r.train_accuracy, r.val_accuracy) for r in run.metrics()] for run in (one, two)]
    np.testing.assert_allclose(figures[1], figures[0], rtol=1e-3)
    tables = [Predictions.read(run.path / "predictions-learnable-val.parquet") for run in (one, two)]
    assert tables[0].table["id"].tolist() == tables[1].table["id"].tolist()


def test_the_others_wait_as_long_as_the_leader_waits_for_its_turn() -> None:
    program = (
        "import time; from datetime import timedelta; from torch.distributed import distributed_c10d as c10d; "
        "c10d._get_default_timeout = lambda backend: timedelta(seconds=2)\n"
        "from fer_core.training.distributed import joined\n"
        "with joined() as world:\n"
        "    time.sleep(5 if world.leads else 0)\n"
        "    assert world.gather(world.rank) == [0, 1]"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    ended = subprocess.run(
        [*command, sys.executable, "-c", program], timeout=300, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_early_stopping_ends_after_patience_epochs_without_a_better_accuracy(learnable: Path) -> None:
    run, dataset = run_of("early", learnable, epochs=40, early_stopping=2, optimizer={"lr": 1e-12})
    results = list(Trainer(run, dataset).epochs())
    best = max(range(len(results)), key=lambda i: results[i].val_accuracy)
    assert len(results) == best + 3
    assert len(results) < 40
    assert run.status().state == "finished"
    assert read_card(run.path).best_epoch == best + 1


def test_a_batch_larger_than_the_data_is_refused_before_training(learnable: Path) -> None:
    run, dataset = run_of("large", learnable, batch_size=128)
    with pytest.raises(ConfigError, match=r"batch_size = 128 is larger than the training set \(64 images\)"):
        Trainer(run, dataset)


@pytest.mark.parametrize(
    "too_small",
    [
        {"image": {"height": 16, "width": 16}},
        {"image": {"height": 48, "width": 48}, "resolution": ((0.0, 16), (0.5, 48))},
    ],
)
def test_pictures_too_small_for_the_network_are_refused_before_training(learnable: Path, too_small: dict) -> None:
    run, dataset = run_of("deep", learnable, arguments={"widths": [4] * 6}, **too_small)  # five times halved: 16 -> 0
    with pytest.raises(ConfigError, match="small-vgg with these arguments cannot take images of 16 x 16"):
        Trainer(run, dataset)


def test_resuming_with_another_recipe_is_refused(learnable: Path) -> None:
    run, dataset = run_of("edited", learnable)
    list(Trainer(run, dataset).epochs())
    path = run.path / "config.toml"
    text = path.read_text()
    for changed in (text.replace("batch_size = 16", "batch_size = 32"), text + '\n[transfer]\nweights = "imagenet"\n'):
        path.write_text(changed)
        with pytest.raises(CheckpointError, match="saved by another recipe"):
            Trainer(run, dataset)


def test_resuming_with_other_pictures_is_refused(learnable: Path) -> None:
    run, dataset = run_of("moved", learnable)
    next(iter(Trainer(run, dataset).epochs()))
    moved = learnable.rename(learnable.with_name("elsewhere"))
    Trainer(run, open_dataset(moved))  # the same images at another place
    (moved / "train" / "sad" / "00.png").rename(moved / "train" / "happy" / "sad.png")
    with pytest.raises(CheckpointError, match=r"other images, or other labels, than .* train \(64\)"):
        Trainer(run, open_dataset(moved))


def test_resolution_rises_on_schedule(learnable: Path) -> None:
    image = {"height": 48, "width": 64}
    run, dataset = run_of("growing", learnable, image=image, resolution=[[0.0, 24], [0.5, 48]])
    trainer = Trainer(run, dataset)
    sides = []
    trainer.state.model.register_forward_pre_hook(lambda _, inputs: sides.append(tuple(inputs[0].shape[2:])))
    list(trainer.epochs())
    # four steps an epoch; validation is always at the full size
    assert sides[:4] == [(24, 32)] * 4
    assert set(sides[4:]) == {(48, 64)}


def test_metrics_cut_by_a_crash_keep_the_whole_lines(learnable: Path) -> None:
    run, _ = run_of("cut", learnable)
    result = EpochResult(1, 1.0, 0.5, 1.0, 0.5, 0.1, 100.0, 0.01, 1.0, 1.0)
    run.write_metrics([result, result])
    path = run.path / "metrics.jsonl"
    path.write_text(path.read_text()[:-20])
    assert run.metrics() == [result]
    assert math.isclose(run.metrics()[0].lr, 0.1)
