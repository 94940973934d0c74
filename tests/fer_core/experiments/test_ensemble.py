"""Several networks as one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from typer.testing import CliRunner

from fer_core.checkpoint import load_network, load_tensors, read_card, save_tensors, write_card
from fer_core.datasets import open_dataset
from fer_core.errors import ConfigError, RunError
from fer_core.evaluation.predict import predict_checkpoint, predict_split, stronger_table
from fer_core.evaluation.predictions import Predictions, how_of
from fer_core.experiments.ensemble import combine, fit_stacker, fit_weights, plan
from fer_core.faces import FaceCrop
from fer_core.images import ImageSpec, fit, normalise, to_tensor
from fer_core.labels import FER7, FERPLUS8, RAFDB6
from fer_core.models.ensemble import Vote
from fer_core.runs.store import find
from fer_core.serving.export import export_onnx
from tests.untrained import untrained
from trainers.cli import app


def logits_of(name: str, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return load_network(find(name).folder)[0](images)


def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities(workspace: Path, learnable: Path) -> None:
    untrained("first")
    second = untrained("second", arguments={"widths": [8, 8, 8, 8]})
    seeded = read_card(second)
    write_card(second, seeded.model_copy(update={"seed": 7, "recipe": seeded.recipe | {"seed": 7}}))
    run = combine(["first", "second"], "both", str(learnable))
    model, card = load_network(run.path)
    images = torch.randn(5, *card.image.shape, generator=torch.Generator().manual_seed(0))
    answers = [logits_of(name, images).softmax(dim=1) for name in ("first", "second")]
    with torch.inference_mode():
        torch.testing.assert_close(model(images).softmax(dim=1), (answers[0] + answers[1]) / 2)
    assert card.parameters == sum(read_card(find(name).folder).parameters for name in ("first", "second"))
    assert card.cost.cpu_minutes == pytest.approx(2 * read_card(second).cost.cpu_minutes)
    assert card.chosen_epoch == "each its own"
    assert card.seeds == "0, 7"
    assert (run.status().state, run.status().progress) == ("finished", 1.0)
    table, _ = predict_checkpoint(run.path, open_dataset(learnable), "val")
    assert find("both").tables.keys() == {"learnable-val"}
    np.testing.assert_allclose(table.probs.sum(axis=1), 1, rtol=1e-6)


def test_networks_that_do_not_fit_together_are_refused_before_anything_is_written(
    workspace: Path, learnable: Path
) -> None:
    untrained("first")
    untrained("framed", face=FaceCrop(detector="none"))
    untrained("strange", expressions=("happy", "bored"), expressions_name="mine")
    with pytest.raises(ConfigError, match="framed and first differ in their face"):
        combine(["first", "framed"], "both", "heads")
    with pytest.raises(ConfigError, match="share fewer than two expressions .*strange: happy, bored"):
        combine(["first", "strange"], "both", "heads")
    with pytest.raises(ConfigError, match="needs two or more different networks, found first"):
        combine(["first"], "both", "heads")
    card = read_card(untrained("final"))
    write_card(find("final").folder, card.model_copy(update={"recipe": {"train_split": "train+val", "val_split": ""}}))
    with pytest.raises(ConfigError, match=r"fitted on the part that chose .* differ or are missing \(none, val\)"):
        combine(["first", "final"], "both", "x", voting="weighted", dataset=open_dataset(learnable))
    untrained("second", arguments={"widths": [8, 8, 8, 8]})
    with pytest.raises(
        ConfigError, match=r"val, has fewer than 5 images of angry, disgust, .* average the predictions instead"
    ):
        combine(["first", "second"], "both", "x", voting="stacked", dataset=open_dataset(learnable))
    with pytest.raises(ConfigError, match="fitted on a validation set: name the data"):
        combine(["first", "second"], "both", "x", voting="stacked")
    assert not (workspace / "runs" / "both").exists()


def test_an_ensembles_name_that_is_taken_is_refused(workspace: Path) -> None:
    untrained("first"), untrained("second")
    with pytest.raises(RunError, match="already a run called “first”"):
        combine(["first", "second"], "first", "heads")
    with pytest.raises(
        RunError, match="already a run called “first”"
    ):  # said before a vote is fitted, which takes a set
        combine(["first", "second"], "first", "heads", voting="stacked")


def test_expressions_are_matched_by_name_and_what_one_does_not_know_is_said(workspace: Path, tmp_path: Path) -> None:
    untrained("seven")
    untrained("eight", expressions=FERPLUS8.names, expressions_name="ferplus8", arguments={"widths": [8, 8, 8, 8]})
    run = combine(["eight", "seven"], "both", "heads")
    model, card = load_network(run.path)
    assert card.expressions == tuple(name for name in FERPLUS8.names if name != "contempt")
    assert card.leave_out == ("contempt",)
    assert "not answered: contempt" in run.status().message
    assert "not answered: contempt" in run.config().about.source
    images = torch.randn(4, *card.image.shape, generator=torch.Generator().manual_seed(0))
    places = [[names.index(name) for name in card.expressions] for names in (FERPLUS8.names, FER7.names)]
    probs = [
        logits_of(name, images)[:, where].softmax(1) for name, where in zip(("eight", "seven"), places, strict=True)
    ]
    with torch.inference_mode():
        torch.testing.assert_close(model(images).softmax(1), (probs[0] + probs[1]) / 2)
    assert export_onnx(run.path, tmp_path / "both.onnx") < 1e-4


def test_a_vocabulary_in_another_order_loses_nothing(workspace: Path) -> None:
    shuffled = tuple(reversed(RAFDB6.names))
    untrained("six", expressions=RAFDB6.names, expressions_name="rafdb6")
    untrained("turned", expressions=shuffled, expressions_name="turned")
    found = plan([find("six"), find("turned")])
    assert (found.expressions, found.left_out) == (RAFDB6.names, ())


@pytest.mark.parametrize(("native", "side"), [(0, 64), (40, 48), (56, 56), (300, 64)])
def test_members_of_different_size_meet_at_the_pictures_own_size(native: int, side: int, workspace: Path) -> None:
    untrained("small")
    untrained("large", image=ImageSpec(channels=3, height=64, width=64, mean=(0.4,), std=(0.2,)))
    image = plan([find("small"), find("large")], native).image
    assert (image.channels, image.height, image.width) == (3, side, side)
    grey = torch.full((1, 3, side, side), 127.5)
    assert normalise(grey, image).abs().max() < 1e-6  # what maps are explained against; it was black


def test_each_member_gets_its_own_size_channels_and_normalisation(
    workspace: Path, tmp_path: Path, pictures: NDArray[np.uint8], csv_of: Any
) -> None:
    small, large = untrained("small"), ImageSpec(channels=3, height=64, width=64, mean=(0.4, 0.5, 0.6), std=(0.2,))
    untrained("large", image=large)
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_of([(i % 7, picture, "PublicTest") for i, picture in enumerate(pictures)]))
    dataset = open_dataset(path)
    run = combine(["small", "large"], "both", str(path), dataset=dataset)
    model, card = load_network(run.path)
    assert card.image.shape == (3, 48, 48)  # as the images are
    inputs = normalise(to_tensor(np.array(dataset.images(card.image))), card.image)
    probs = []
    for name, spec in (("small", read_card(small).image), ("large", large)):
        alone = normalise(to_tensor(np.stack([fit(picture, spec) for picture in pictures])), spec)
        probs.append(logits_of(name, alone).softmax(1))
    with torch.inference_mode():  # resized images alone are rounded to 8 bits
        torch.testing.assert_close(model(inputs).softmax(1), (probs[0] + probs[1]) / 2, atol=2e-3, rtol=0)
        torch.testing.assert_close(model.log_probs(inputs)[:, 0].exp(), probs[0], atol=1e-4, rtol=0)
    assert export_onnx(run.path, tmp_path / "both.onnx") < 1e-4


def answers(seed: int, n: int = 400) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(2, n, 3, 4) log-probabilities: a good member, a weak one, and one that always takes 1 for 2; with the labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, n)
    told = np.eye(4)[labels]
    scores = random.normal(size=(2, n, 3, 4))
    scores[:, :, 0] += 1.2 * told
    scores[:, :, 1] += 0.4 * told
    scores[:, :, 2] += 1.2 * told[:, [0, 2, 1, 3]]
    return torch.from_numpy(scores).log_softmax(-1).numpy().astype(np.float32), labels


def test_the_weights_of_a_mean_are_the_most_likely_ones() -> None:
    """Against scipy's constrained minimiser, which knows nothing of expectation and maximisation."""
    logs, labels = answers(0)
    found = fit_weights(logs, labels).get_buffer("weights").exp().flatten().numpy()
    right = np.exp(logs.astype(float))[:, np.arange(len(labels)), :, labels].reshape(-1, 3)
    total = {"type": "eq", "fun": lambda w: w.sum() - 1}
    best = minimize(
        lambda w: -np.log(right @ w).mean(), np.full(3, 1 / 3), bounds=[(1e-9, 1)] * 3, constraints=total, tol=1e-12
    )
    np.testing.assert_allclose(found, best.x, atol=2e-3)
    assert found[0] > found[1]
    assert found.sum() == pytest.approx(1)


def test_a_stacked_layer_learns_what_a_mean_cannot() -> None:
    """A member that takes 1 for 2 and 2 for 1 is of no use to a mean, and of much to a layer that sees which it says."""
    logs, labels = answers(1)
    unseen, truth = answers(2)
    with torch.inference_mode():
        views = [torch.from_numpy(view) for view in unseen]
        right = {
            name: float((torch.stack([vote(view) for view in views]).mean(0).argmax(1).numpy() == truth).mean())
            for name, vote in (
                ("mean", Vote([1 / 3] * 3, 4, False)), ("weighted", fit_weights(logs, labels)),
                ("stacked", fit_stacker(logs, labels)),
            )
        }  # fmt: skip
    assert right["stacked"] > right["weighted"] + 0.03
    assert right["weighted"] >= right["mean"]


@pytest.fixture
def noise(workspace: Path, tmp_path: Path, csv_of: Any) -> Path:
    """Images whose labels were drawn at random: nothing can be learned from them."""
    random = np.random.default_rng(3)
    rows = [(i % 7, random.integers(0, 256, (48, 48), dtype=np.uint8), "PublicTest") for i in range(140)]
    path = tmp_path / "fer2013.csv"
    path.write_text(csv_of(rows))
    for name, widths in (("first", [32, 64, 128, 256]), ("second", [8, 8, 8, 8])):
        weights = untrained(name, arguments={"widths": widths}) / "best.safetensors"
        tensors, _ = load_tensors(weights)
        save_tensors(weights, tensors | {"head.3.weight": 300 * tensors["head.3.weight"]})  # answers that differ
    return path


def test_a_vote_is_judged_on_pictures_that_it_was_not_fitted_on(noise: Path, tmp_path: Path) -> None:
    """On labels drawn at random a vote judged where it was fitted looks better than chance; a cross-fitted one does not."""
    dataset = open_dataset(noise)
    run = combine(["first", "second"], "both", str(noise), voting="stacked", dataset=dataset)
    model, card = load_network(run.path)
    assert card.arguments["stacked"] is True
    members = sum(read_card(find(name).folder).parameters for name in ("first", "second"))
    assert card.parameters == members + 14 * 7 + 7
    assert model.vote.stacker.weight.shape == (7, 14)
    table = Predictions.read(run.path / f"predictions-{dataset.name}-val.parquet")
    assert len(table) == 140
    assert card.results[f"{dataset.name}-val"]["accuracy"] == pytest.approx(float(table.correct.mean()))
    assert "the vote is fitted on" in card.chosen_on
    assert export_onnx(run.path, tmp_path / "both.onnx") < 1e-4
    whole = predict_split(model, dataset, "val", spec=card.image, expressions=card.vocabulary, tta=card.tta)
    assert float(whole.correct.mean()) > float(table.correct.mean())
    # evaluating it there again must not replace what is right by what flatters
    assert how_of(run.path / f"predictions-{dataset.name}-val.parquet") == "cross-fitted"
    assert stronger_table(run.path, dataset, "val") == "cross-fitted"
    again, _ = predict_checkpoint(run.path, dataset, "val")
    assert again.table.equals(table.table)
    assert card.results[f"{dataset.name}-val"]["how"] == "cross-fitted"
    result = CliRunner().invoke(app, ["evaluate", "both", "--data", str(noise)])
    said = " ".join(result.output.split())
    assert "is cross-fitted and stays" in said
    assert f"accuracy {float(table.correct.mean()):.2%}" in said
    assert Predictions.read(run.path / f"predictions-{dataset.name}-val.parquet").table.equals(table.table)
    assert float(table.correct.mean()) < 0.25


def test_the_command_fits_weights_and_says_them(noise: Path) -> None:
    asked = ["ensemble", "first", "second", "--data", str(noise), "--name", "both", "--vote", "weighted"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    card = find("both").card
    first, second = card.arguments["weights"]
    assert first + second == pytest.approx(1)
    words = " ".join(result.output.split())
    assert f"Weights: first {first:.2f}, second {second:.2f}." in words
    assert "the vote is fitted on" in words
