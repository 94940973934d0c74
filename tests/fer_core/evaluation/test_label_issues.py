"""Labels that are probably wrong, without votes: on labels that were made wrong on purpose, and against the paper's rule."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cleanlab.rank import order_label_issues
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from typer.testing import CliRunner

from fer_core.checkpoint import read_card
from fer_core.datasets.cleaning import read_corrections
from fer_core.errors import ConfigError, DataError
from fer_core.evaluation.label_issues import by_label, confirmed, label_issues, not_learned
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from tests.app.examples import make_network, predictions_elsewhere
from trainers.cli import app


@pytest.fixture(scope="module")
def planted() -> tuple[Predictions, np.ndarray]:
    """Out-of-fold answers about 1,200 handwritten digits, seven kinds that stand for the expressions, of which 120 have a
    label drawn anew; and where those are."""
    digits, random = load_digits(), np.random.default_rng(0)
    rows = np.flatnonzero(digits.target < 7)[:1200]
    pixels, true = digits.data[rows] / 16, digits.target[rows]
    given, wrong = true.copy(), np.zeros(len(true), bool)
    wrong[random.permutation(len(true))[:120]] = True
    given[wrong] = (given[wrong] + random.integers(1, 7, wrong.sum())) % 7
    probs = cross_val_predict(LogisticRegression(C=0.3, max_iter=300), pixels, given, cv=4, method="predict_proba")
    ids, names = [f"{row:05d}" for row in rows], [FER7.names[code] for code in given]
    return Predictions.from_logits(ids, "digits", "train", names, np.log(probs), FER7), wrong


def test_an_ensemble_does_not_judge_labels_that_a_member_learned() -> None:
    card = read_card(make_network("one", None))
    members = {"one": card.recipe, "two": {**card.recipe, "train_split": "train+val", "val_split": ""}}
    ensemble = card.model_copy(update={"recipe": {"members": members}})
    not_learned(card, "val")
    not_learned(ensemble, "test")
    with pytest.raises(DataError, match="learned the labels of the validation set"):
        not_learned(ensemble, "val")


def test_labels_that_were_made_wrong_are_found(planted: tuple[Predictions, np.ndarray]) -> None:
    predictions, wrong = planted
    found = label_issues(predictions)
    hits = wrong[found["position"]]
    assert hits.mean() > 0.8  # precision; one image in ten is wrong
    assert hits.sum() / wrong.sum() > 0.8  # recall
    assert hits[:40].mean() > 0.95  # the least believable ones come first


def test_the_suspected_follow_the_papers_rule_and_cleanlabs_order(planted: tuple[Predictions, np.ndarray]) -> None:
    predictions, _ = planted
    found = label_issues(predictions)
    given, probs = predictions.label_index, predictions.probs
    # the confident joint of the paper, written out: images of a given label that are as sure of another one as that
    # one's own images are on average
    threshold = np.array([probs[given == k, k].mean() for k in range(7)])
    sure = np.where(probs >= threshold - 1e-6, probs, 0)
    joint = np.zeros((7, 7))
    for label, row in zip(given, sure, strict=True):
        if row.any():
            joint[label, row.argmax()] += 1
    counts = np.bincount(given, minlength=7)
    joint = np.rint(joint / joint.sum(axis=1, keepdims=True) * counts[:, None])  # calibrated to the given labels
    assert len(found) == pytest.approx(joint.sum() - np.trace(joint), abs=7)
    mask = np.zeros(len(given), bool)
    mask[found["position"]] = True
    assert found["position"].tolist() == order_label_issues(mask, given, probs, rank_by="self_confidence").tolist()
    assert found["quality"].is_monotonic_increasing
    assert found["quality"].to_numpy() == pytest.approx(probs[found["position"], given[found["position"]]])


def test_shares_of_each_label_worked_by_hand() -> None:
    labels = ["happy"] * 4 + ["sad"] * 4
    logits = np.zeros((8, 7))
    logits[:, FER7.index("happy")] = [6, 6, 6, 0, 0, 0, 0, 6]
    logits[:, FER7.index("sad")] = [0, 0, 0, 6, 6, 6, 6, 0]
    table = Predictions.from_logits([str(i) for i in range(8)], "mine", "val", labels, logits, FER7)
    found = label_issues(table)
    assert sorted(found["id"]) == ["3", "7"]
    rows = by_label(table, found).set_index("label")
    assert rows.index.tolist() == ["happy", "sad"]
    assert rows.loc["happy", ["n", "suspected", "share", "instead"]].tolist() == [4, 1, 0.25, "sad"]
    judged = pd.DataFrame({"position": [0, 3, 7], "label": ["happy", "happy", "sad"], "majority": ["happy", "sad", ""]})
    voters = confirmed(found, judged)
    assert (voters.suspected, voters.share, voters.all, voters.share_of_all) == (1, 1.0, 2, 0.5)


def test_a_table_that_says_nothing_is_refused() -> None:
    one = Predictions.from_logits(["a", "b"], "mine", "val", ["happy", "happy"], np.eye(7)[:2], FER7)
    with pytest.raises(DataError, match="2 images of one expression"):
        label_issues(one)


def test_the_command_writes_corrections_and_refuses_what_was_learned(tmp_path: Path, workspace: Path) -> None:
    table = predictions_elsewhere()
    make_network("one", table)
    path = tmp_path / "suspected.csv"
    asked = ["labels", "one", "--table", "elsewhere-val"]
    done = CliRunner().invoke(app, [*asked, "--csv", str(path), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["suspected"] == len(label_issues(table)) == len(read_corrections(path))
    assert "probably wrong" in CliRunner().invoke(app, asked).stdout
    learned = Predictions(table.table.assign(split="train"))
    make_network("two", learned)
    refused = CliRunner().invoke(app, ["labels", "two", "--table", "elsewhere-train"])
    with pytest.raises(DataError, match="cannot judge them"):
        raise refused.exception  # type: ignore[misc]
    refused = CliRunner().invoke(app, ["labels", "two"])
    with pytest.raises(ConfigError, match="or --crossval NAME"):
        raise refused.exception  # type: ignore[misc]
