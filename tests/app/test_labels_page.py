"""The labels page, run without a browser."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from fer_core.evaluation.label_issues import label_issues
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from tests.app.conftest import texts
from tests.app.examples import make_network, predictions_elsewhere

OpenPage = Callable[..., AppTest]


def four_of_fer2013() -> Predictions:
    """Four PublicTest images whose ten votes are: all happy; all neutral; 5 neutral, 5 happy; 6 sad, 3 fear, 1 happy.

    So an error on the second is the network's, on the third contested, and on the fourth, labelled fear, the label's.
    """
    labels, said = ["happy", "neutral", "happy", "fear"], ["happy", "sad", "neutral", "sad"]
    logits = 5 * np.eye(7)[[FER7.index(name) for name in said]]
    return Predictions.from_logits(["28713", "28716", "28712", "28715"], "fer2013", "val", labels, logits, FER7)


def test_ferplus_is_there_for_fer2013_without_a_path(open_page: OpenPage) -> None:
    make_network("vgg", four_of_fer2013(), title="Small VGG")
    app = open_page("labels", network="vgg", verdict="label contested")
    assert not app.exception
    third = "33.3\N{NO-BREAK SPACE}%"  # one of three: Wilson's interval is 6.1 to 79.2
    assert app.markdown[0].value == (
        "Small VGG makes **3 errors** on the FER2013 validation set. The voters attribute "
        f"**{third} (6.1 to 79.2)** of them to the network. For **{third} (6.1 to 79.2)** the voters do not agree. For "
        f"**{third} (6.1 to 79.2)** they contradict the label; in 1 of these cases the network predicts what the voters say. "
        "(95 % confidence intervals in brackets.)"
    )
    assert "**1 image**, highest confidence first" in texts(app)


def test_a_set_without_votes_says_how_to_get_some(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere())
    app = open_page("labels", network="one", by="votes")
    assert not app.exception
    assert "There are no votes for elsewhere" in app.info[0].value


def test_a_set_without_votes_is_judged_by_the_networks_answers(open_page: OpenPage) -> None:
    table = predictions_elsewhere()
    make_network("one", table, title="Network One")
    app = open_page("labels", network="one")
    assert not app.exception
    assert app.selectbox(key="by").value == "network"
    count = len(label_issues(table))
    assert count > 0
    assert f"**{count} of 210 images** probably have a wrong label" in app.markdown[0].value


def test_an_out_of_fold_table_judges_the_labels_of_training(open_page: OpenPage, workspace: Path) -> None:
    make_network("one", predictions_elsewhere())
    learned = predictions_elsewhere()
    learned = Predictions(learned.table.assign(split="train"))
    learned.write(workspace / "crossval" / "five" / "predictions-elsewhere-crossval.parquet")
    app = open_page("labels", network="one", by="five")
    assert not app.exception
    assert "cross-validation five" in app.markdown[0].value.replace("\\", "")
    make_network("two", learned)
    app = open_page("labels", network="two")
    assert "two learned the labels of the training set, so it cannot judge them" in app.info[0].value


def test_votes_of_ones_own_are_read_from_the_workspaces_file_in_the_address(
    open_page: OpenPage, workspace: Path
) -> None:
    table = predictions_elsewhere()
    make_network("one", table, title="Network One")
    labels = table.table["label"]
    votes = pd.DataFrame({name: 10 * (labels == name) for name in labels.unique()})
    path = workspace / "votes.csv"
    votes.assign(id=table.table["id"]).to_csv(path, index=False)
    app = open_page("labels", network="one", votes=str(path))
    assert not app.exception
    assert "The voters attribute **100.0\N{NO-BREAK SPACE}%" in app.markdown[0].value
    app = open_page("labels", network="one", votes=str(workspace / "nowhere.csv"))
    assert not app.exception
    assert "cannot be read" in app.error[0].value


@pytest.mark.parametrize(
    "asked",
    ["/etc/passwd", "/dev/zero", "{home}/../secret.csv", "{home}/link.csv", "x" * 5000, "~nobody-of-that-name/x"],
)
def test_a_link_opens_no_file_outside_the_workspace(open_page: OpenPage, workspace: Path, asked: str) -> None:
    make_network("one", predictions_elsewhere())
    (workspace.parent / "secret.csv").write_text("id,private-column\n", encoding="utf-8")
    (workspace / "link.csv").symlink_to(workspace.parent / "secret.csv")
    app = open_page("labels", network="one", votes=asked.format(home=workspace))
    assert not app.exception
    assert "outside the workspace" in app.error[0].value
    assert "private" not in texts(app)
    assert "root:" not in texts(app)


def test_a_path_that_is_typed_is_opened_and_a_device_is_not(open_page: OpenPage, tmp_path: Path) -> None:
    table = predictions_elsewhere()
    make_network("one", table)
    labels = table.table["label"]
    votes = pd.DataFrame({name: 10 * (labels == name) for name in labels.unique()})
    votes.assign(id=table.table["id"]).to_csv(tmp_path / "votes.csv", index=False)
    app = open_page("labels", network="one", by="votes")
    app.main.text_input[0].set_value(str(tmp_path / "votes.csv")).run()
    assert not app.exception
    assert "The voters" in texts(app)
    app = open_page("labels", network="one", by="votes")
    app.main.text_input[0].set_value("/dev/zero").run()
    assert "no regular file" in app.error[0].value.replace("\\", "")
