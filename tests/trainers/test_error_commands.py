"""`ferscope labels` and `ferscope slices`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fer_core.datasets import open_dataset
from fer_core.errors import DataError
from tests.app.examples import make_network, make_pictures, predictions_elsewhere, predictions_on
from tests.app.test_labels_page import four_of_fer2013
from trainers.cli import app


def test_labels_divides_the_errors_by_the_shipped_votes() -> None:
    make_network("one", four_of_fer2013())
    done = CliRunner().invoke(app, ["labels", "one", "--table", "fer2013-val", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [row["n"] for row in found["verdicts"]] == [1, 1, 1]
    assert found["ceiling"]["decided"] == 3
    assert found["ceiling"]["majority"] == pytest.approx(2 / 3)
    words = CliRunner().invoke(app, ["labels", "one", "--table", "fer2013-val"]).stdout
    assert "3 errors on 4 images" in words


def test_slices_prints_what_the_page_shows(tmp_path: Path) -> None:
    place = make_pictures(tmp_path / "faces", each=20)
    make_network("one", predictions_on(open_dataset(place), "val"))
    asked = ["slices", "one", "--table", "faces-val", "--data", str(place), "--min-support", "20"]
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert {row["slice"].split()[0] for row in rows} == {"brightness", "contrast", "sharpness"}
    assert sum(row["n"] for row in rows) == 3 * 140
    assert "of 15 slices are significantly" in CliRunner().invoke(app, asked).stdout


def test_slices_of_another_data_set_are_refused(tmp_path: Path) -> None:
    place = make_pictures(tmp_path / "faces", each=1)
    make_network("far", predictions_elsewhere())
    done = CliRunner().invoke(app, ["slices", "far", "--table", "elsewhere-val", "--data", str(place)])
    with pytest.raises(DataError, match="None of the table's 210 images is in"):
        raise done.exception  # type: ignore[misc]
