"""What the validation set chose, and how far the best epoch stands out."""

import json
from pathlib import Path

import pytest

from fer_core.checkpoint import read_card
from fer_core.evaluation.optimism import in_words, optimism

CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"


def accuracies(name: str) -> list[float | None]:
    lines = (CHECKPOINTS / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["val_accuracy"] for line in lines]


def test_the_best_epoch_is_held_against_its_ten_neighbours() -> None:
    card = read_card(CHECKPOINTS / "fer2013-best")
    found = optimism(card.model_copy(update={"best_epoch": 3}), [0.5, 0.6, 0.7, 0.6, None])
    assert (found.epochs, found.best) == (5, 3)
    assert found.above == pytest.approx(0.7 - (0.5 + 0.6 + 0.6) / 3)
    assert optimism(card, []) is None
    alone = optimism(card.model_copy(update={"best_epoch": 1}), [0.5])
    assert alone is not None
    assert alone.above is None


def test_a_shipped_network_says_in_full_what_chose_it() -> None:
    card, history = read_card(CHECKPOINTS / "fer2013-best"), accuracies("fer2013-best")
    found = optimism(card, history)
    assert 100 * found.above == pytest.approx(0.3, abs=0.1)
    said = in_words(card, history, shipped=True)
    assert said.startswith("The FER2013 validation set chose epoch 111 of 143. It is 0.")
    assert "some twenty networks and recipes" in said
    assert said.endswith("therefore a little too high.")


def test_an_ensemble_says_that_each_member_was_chosen() -> None:
    said = in_words(read_card(CHECKPOINTS / "fer2013-ensemble"), [])
    assert "the best epoch of each member" in said
