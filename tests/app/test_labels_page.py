"""The labels page, run without a browser."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from streamlit.testing.v1 import AppTest

from fer_core.evaluation.predictions import Predictions
from fer_core.workspace import ROOT
from tests.app.conftest import texts
from tests.app.made import make_network, predictions_elsewhere

OpenPage = Callable[..., AppTest]


def test_ferplus_is_there_for_fer2013_without_a_path(open_page: OpenPage) -> None:
    table = Predictions.read(ROOT / "checkpoints" / "small-vgg" / "predictions-fer2013-val.parquet")
    make_network("vgg", table, title="Small VGG")
    app = open_page("labels", network="vgg", verdict="label contested")
    assert not app.exception
    assert app.markdown[0].value == (
        "Of Small VGG's **1,266 errors** on fer2013, val, the voters put **24.2\N{NO-BREAK SPACE}% (22.0 to 26.7) on the "
        "network**, cannot agree on **16.7\N{NO-BREAK SPACE}% (14.7 to 18.8)**, and contradict **the label of "
        "59.1\N{NO-BREAK SPACE}% (56.4 to 61.8)**; in 485 of these the network answers what the voters say."
    )
    assert "**211 pictures**, the most confident first" in texts(app)


def test_a_set_without_votes_says_how_to_get_some(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere())
    app = open_page("labels", network="one")
    assert not app.exception
    assert "There are no votes for elsewhere" in app.info[0].value


def test_votes_of_ones_own_are_read_from_the_path_in_the_address(open_page: OpenPage, tmp_path: Path) -> None:
    table = predictions_elsewhere()
    make_network("one", table, title="Network One")
    labels = table.table["label"]
    votes = pd.DataFrame({name: 10 * (labels == name) for name in labels.unique()})
    path = tmp_path / "votes.csv"
    votes.assign(id=table.table["id"]).to_csv(path, index=False)
    app = open_page("labels", network="one", votes=str(path))
    assert not app.exception
    assert "the voters put **100.0\N{NO-BREAK SPACE}%" in app.markdown[0].value
    app = open_page("labels", network="one", votes=str(tmp_path / "nowhere.csv"))
    assert not app.exception
    assert "cannot be read" in app.error[0].value
