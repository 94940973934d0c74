"""Errors held against votes: the rule, the ceiling, and files of votes that do not fit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fer_core.datasets.votes import CHOICES, VOTES
from fer_core.errors import DataError
from fer_core.evaluation import label_quality as quality
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from fer_core.workspace import ROOT
from tests.app.examples import predictions_elsewhere

# Six images: label, answer, votes, and what follows by hand.
CASES = [
    ("sad", "sad", {"sad": 10}, ""),
    ("sad", "neutral", {"sad": 6, "neutral": 4}, "network wrong"),
    ("sad", "neutral", {"sad": 5, "neutral": 5}, "label contested"),
    ("fear", "surprise", {"surprise": 7, "fear": 3}, "label probably wrong"),
    ("fear", "happy", {"no face": 8, "fear": 2}, "label probably wrong"),
    # five single votes go; three of three for sad, so the network is at fault although only 3 of 8 voted so
    ("sad", "angry", {"sad": 3, "angry": 1, "fear": 1, "happy": 1, "surprise": 1, "neutral": 1}, "network wrong"),
]


def answers(said: list[str], labels: list[str], dataset: str = "faces") -> Predictions:
    logits = 5 * np.eye(7)[[FER7.index(name) for name in said]]
    return Predictions.from_logits([f"{i:05d}" for i in range(len(said))], dataset, "val", labels, logits, FER7)


@pytest.fixture
def table() -> Predictions:
    return answers([case[1] for case in CASES], [case[0] for case in CASES])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A csv of votes in another order of rows and columns than the table, with a word of another vocabulary."""
    votes = pd.DataFrame([case[2] for case in CASES]).fillna(0).astype(int)
    votes.insert(0, "id", [f"{i:05d}" for i in range(len(votes))])
    path = tmp_path / "votes.csv"
    votes[::-1].rename(columns={"sad": "Sadness"}).to_csv(path, index=False)
    return path


def test_errors_are_divided_by_the_stated_rule(table: Predictions, file: Path) -> None:
    judged = quality.judge(table, quality.votes_of(table, file))
    assert judged["verdict"].tolist() == [case[3] for case in CASES]
    assert judged["majority"].tolist() == ["sad", "sad", "", "surprise", "no face", "sad"]
    assert judged["for_label"].tolist() == [10, 6, 5, 3, 2, 3]
    assert judged["for_predicted"].tolist() == [10, 4, 5, 7, 0, 1]
    assert judged["agreement"].tolist() == [1.0, 0.6, 0.5, 0.7, 0.8, 0.375]
    found = quality.verdicts(judged).set_index("verdict")
    assert found["n"].tolist() == [2, 1, 2]
    assert found["share"].tolist() == [0.4, 0.2, 0.4]
    assert found["sided"].tolist() == [0, 0, 1]
    assert found["supported"].tolist() == [1, 1, 1]
    assert quality.verdicts_by_label(judged).loc["sad"].tolist() == [2, 1, 0]
    assert tuple(quality.verdicts_by_label(judged).columns) == quality.VERDICTS


def test_the_ceiling_worked_by_hand(table: Predictions, file: Path) -> None:
    votes = quality.votes_of(table, file)
    found = quality.ceiling(quality.judge(table, votes), votes)
    assert (found.n, found.decided) == (6, 5)
    assert found.majority == pytest.approx(3 / 5)  # sad, sad, and sad of the last
    assert found.network == pytest.approx(1 / 5)
    assert found.plurality == pytest.approx((1 + 1 + 0.5 + 0 + 0 + 1) / 6)  # a tie counts half
    assert found.voter == pytest.approx((1 + 0.6 + 0.5 + 0.3 + 0.2 + 3 / 8) / 6)
    assert found.network_all == pytest.approx(1 / 6)


def test_accuracy_by_agreement_counts_each_picture_once(table: Predictions, file: Path) -> None:
    found = quality.by_agreement(quality.judge(table, quality.votes_of(table, file)))
    assert found["agreement"].tolist() == [0.4, 0.5, 0.6, 0.7, 0.8, 1.0]
    assert found["n"].sum() == 6
    assert found["decided"].tolist() == [1, 0, 1, 1, 1, 1]
    assert found["accuracy"].tolist() == [0, 0, 0, 0, 0, 1]
    assert found["reading"].isna().tolist() == [False, True, False, False, False, False]
    assert found["reading"].iloc[3] == 1.0  # seven voters and the network say surprise


def test_who_answers_the_majority_is_at_the_ceiling() -> None:
    labels = [FER7.names[i % 7] for i in range(70)]
    said = [labels[i] if i % 3 else FER7.names[(i + 1) % 7] for i in range(70)]
    votes = pd.DataFrame(0, index=range(70), columns=list(CHOICES))
    for i, name in enumerate(said):
        votes.loc[i, name] = 10
    judged = quality.judge(answers(said, labels), votes)
    found = quality.ceiling(judged, votes)
    assert found.network == found.majority == found.plurality == found.voter
    assert quality.verdicts(judged)["n"].tolist() == [0, 0, sum(i % 3 == 0 for i in range(70))]


def test_no_error_divides_into_nothing() -> None:
    votes = pd.DataFrame([[0, 10, *[0] * 8]], columns=list(CHOICES))
    judged = quality.judge(answers(["happy"], ["happy"]), votes)
    assert quality.verdicts(judged)["share"].tolist() == [0.0, 0.0, 0.0]
    assert len(quality.verdicts_by_label(judged)) == 0


def test_the_shipped_votes_are_ferplus_in_its_own_rows() -> None:
    table = Predictions.read(ROOT / "checkpoints" / "small-vgg" / "predictions-fer2013-val.parquet")
    votes = quality.votes_of(table)
    assert len(votes) == len(table) == 3589
    assert set(votes.sum(axis=1)) <= {9, 10}
    # its authors' rule keeps 3,199 of PublicTest with one of the eight expressions (REFERENCE.md)
    majority = quality.judge(table, votes)["majority"]
    assert int(majority.isin(VOTES.values()).sum() - majority.isin(["unknown", "no face"]).sum()) == 3199


def test_pictures_without_votes_are_left_out(table: Predictions, file: Path) -> None:
    pd.read_csv(file, dtype={"id": "str"}).query("id in ['00001', '00003']").to_csv(file, index=False)
    votes = quality.votes_of(table, file)
    assert votes.index.tolist() == [1, 3]
    assert quality.judge(table, votes)["id"].tolist() == ["00001", "00003"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("id,sad\n00000,10\n", "expected FER\\+'s fer2013new.csv"),
        ("sad,happy\n1,2\n", "expected FER\\+'s fer2013new.csv"),
        ("id,sad,happy\n00000,ten,0\n", "no whole number"),
        ("id,sad,happy\n00000,-1,0\n", "below 0"),
        ("id,sad,happy\n00000,9,1\n00000,9,1\n", "votes twice"),
        ("id,sad,happy\nelsewhere,9,1\n", "none of the 6 images"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(table: Predictions, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        quality.votes_of(table, path)


def test_a_set_without_votes_says_what_to_do() -> None:
    with pytest.raises(DataError, match="give the path of a csv"):
        quality.votes_of(predictions_elsewhere())


def test_votes_of_other_pictures_are_recognised() -> None:
    # the shipped votes, but the answers of a csv in another order
    real = Predictions.read(ROOT / "checkpoints" / "small-vgg" / "predictions-fer2013-val.parquet")
    turned = real.table.assign(label=np.roll(real.table["label"].to_numpy(), 1))
    with pytest.raises(DataError, match="another order"):
        quality.votes_of(Predictions(turned))
