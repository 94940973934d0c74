"""The real FER2013 and FER+ files, where a machine has them: the counts that the field knows."""

import os
from pathlib import Path

import pandas as pd
import pytest

from fer_core.datasets import Dataset, open_dataset
from fer_core.datasets.duplicates import contradicting, duplicates_of, leaks
from fer_core.datasets.leaks import shipped_leaks

FOLDER = Path(os.environ.get("FERSCOPE_DATA") or "/work/shared/data/fer2013")
CSV = FOLDER / "fer2013.csv.gz"
VOTES = FOLDER / "fer2013new.csv"
pytestmark = pytest.mark.skipif(not (CSV.exists() and VOTES.exists()), reason="FER2013 is not on this machine")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of this file: the csv is parsed once."""
    return tmp_path_factory.mktemp("real")


@pytest.fixture(autouse=True)
def workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FERSCOPE_HOME", str(home))
    return home


@pytest.fixture
def fer2013() -> Dataset:
    return open_dataset(CSV)


def test_fer2013_has_its_known_duplicates(fer2013: Dataset) -> None:
    found = duplicates_of(fer2013)
    identical = found.of_kind("identical")
    assert identical.groups == 1271  # of 1,516 with PrivateTest
    assert contradicting(fer2013, identical)["group"].nunique() == 47
    table = leaks(fer2013, found, "val")
    assert (table["kind"] == "identical").sum() == 280
    pd.testing.assert_frame_equal(table.round(4), shipped_leaks("fer2013", "val"), check_dtype=False)
