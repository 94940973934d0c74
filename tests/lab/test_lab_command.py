"""`ferscope lab` in this process: what it prints, writes and refuses."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.trainers.test_explain_command import ferscope
from tests.untrained import untrained


def test_curve_prints_a_sentence_and_writes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untrained("small")
    csv = tmp_path / "curve.csv"
    asked = ("lab", "curve", "small", "--expression", "happy", "--people", 8, "--steps", 5)
    code, said, _ = ferscope(capsys, *asked, "--csv", csv)
    assert code == 0
    assert "small" in said
    assert "8 people" in said
    table = pd.read_csv(csv)
    assert len(table) == 5 * 7
    code, said, _ = ferscope(capsys, *asked, "--json")
    rows = json.loads(said)["small"]["rows"]
    assert [row["probability"] for row in rows] == pytest.approx(table["probability"].tolist())


def test_who_says_what_it_cannot_show(capsys: pytest.CaptureFixture[str]) -> None:
    untrained("small")
    code, said, _ = ferscope(capsys, "lab", "who", "small", "--change", "skin", "--people", 8)
    assert code == 0
    assert "It does not show how the network treats groups of people" in said


def test_what_is_refused_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    untrained("small")
    code, _, error = ferscope(capsys, "lab", "curve", "small", "--expression", "happi")
    assert code == 2
    assert "happy" in error
    code, _, error = ferscope(capsys, "lab", "muscles", "small", "--people", 2)
    assert code == 2
    assert "at least 8" in error
