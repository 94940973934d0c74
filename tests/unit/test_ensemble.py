"""Several networks as one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fer_core.checkpoint import load_network, read_card
from fer_core.datasets import open_dataset
from fer_core.errors import ConfigError, RunError
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.faces import FaceCrop
from fer_core.runs.ensemble import combine
from fer_core.runs.store import find
from tests.untrained import untrained


def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities(workspace: Path, learnable: Path) -> None:
    untrained("first")
    second = untrained("second", arguments={"widths": [8, 8, 8, 8]})
    run = combine(["first", "second"], "both", str(learnable))
    model, card = load_network(run.path)
    images = torch.randn(5, *card.image.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answers = [load_network(find(name).folder)[0](images).softmax(dim=1) for name in ("first", "second")]
        torch.testing.assert_close(model(images).softmax(dim=1), (answers[0] + answers[1]) / 2)
    assert card.parameters == sum(read_card(find(name).folder).parameters for name in ("first", "second"))
    assert card.cost.cpu_minutes == pytest.approx(2 * read_card(second).cost.cpu_minutes)
    assert run.status().state == "finished"
    table, _ = predict_checkpoint(run.path, open_dataset(learnable), "val")
    assert find("both").tables.keys() == {"learnable-val"}
    np.testing.assert_allclose(table.probs.sum(axis=1), 1, rtol=1e-6)


def test_networks_that_do_not_fit_together_are_refused_before_anything_is_written(workspace: Path) -> None:
    untrained("first")
    untrained("framed", face=FaceCrop(detector="none"))
    with pytest.raises(ConfigError, match="framed and first differ in their face"):
        combine(["first", "framed"], "both", "synthetic")
    with pytest.raises(ConfigError, match="needs two or more different networks, found first"):
        combine(["first"], "both", "synthetic")
    assert not (workspace / "runs" / "both").exists()


def test_an_ensembles_name_that_is_taken_is_refused(workspace: Path) -> None:
    untrained("first"), untrained("second")
    with pytest.raises(RunError, match="already a run called “first”"):
        combine(["first", "second"], "first", "synthetic")
