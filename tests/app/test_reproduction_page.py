"""The Reproduction page, run without a browser: reported beside reproduced, and why a row was not run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint
from streamlit.testing.v1 import AppTest

from fer_core import recipe as recipes_of
from fer_core.experiments import reproduction
from fer_core.recipe import to_toml
from tests.app.conftest import texts
from tests.app.examples import make_network, predictions_elsewhere
from tests.tiny import tiny

Open = Callable[..., AppTest]
ABOUT = {"report": "emotions", "source": "A report", "table": "one", "reported_on": "faces", "data": "elsewhere"}


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three recipes of a report in the place of the shipped ones, and no shipped outcome."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    for name, changes in {
        "emotions-a": {"about": {**ABOUT, "title": "First", "reported_accuracy": 0.9}, "epochs": 40},
        "emotions-b": {"about": {**ABOUT, "title": "Second", "reported_accuracy": 0.5, "data": "kdef"}},
        "emotions-c": {
            "about": {**ABOUT, "title": "Third", "reported_accuracy": 0.4},
            "transfer": {"weights": "imagenet"},
        },
    }.items():
        (folder / f"{name}.toml").write_text(to_toml(tiny(**changes)), encoding="utf-8")
    monkeypatch.setattr(recipes_of, "RECIPES", folder)
    monkeypatch.setattr(reproduction, "SHIPPED", tmp_path / "nothing")
    return folder


def test_a_report_is_shown_beside_what_came_out_and_what_could_not_be_run(report: Path, open_page: Open) -> None:
    predictions = predictions_elsewhere(skill=0.6)
    folder = make_network("emotions-a", predictions)
    recipe = recipes_of.load_recipe("emotions-a")
    (folder / "config.toml").write_text(to_toml(recipe.model_copy(update={"epochs": 6})), encoding="utf-8")
    app = open_page("reproduction")
    assert not app.exception
    said = texts(app).replace("\\", "")
    assert (
        "**1 of the 3 reported results have been run**: 1 is not comparable. 1 of them used fewer epochs than the report."
        in said
    )
    assert "For 2, the data are missing." in said
    right = int(predictions.correct.sum())
    low, high = proportion_confint(right, 210, method="wilson")
    overview, table = (element.proto.body for element in app.main.get("html") if "fer-table" in element.proto.body)
    assert "<td>1 of 3</td>" in overview
    for figure in (f"{100 * right / 210:.1f}", f"{100 * low:.1f} to {100 * high:.1f}"):
        assert figure in table
    for words in ("not comparable: lower, with 6 of 40 epochs", "elsewhere, validation set"):
        assert words in table
    for words in (
        "Not run because data are missing: Second; Third. Missing: KDEF, elsewhere.",
        "Initial weights are missing: Third (imagenet)",
        "Shortened to fit the time limit: First.",
        "human observers (65 ± 5 %",
    ):
        assert words in said
    assert not app.main.get("plotly_chart")  # charts are drawn where a report is opened
    app = open_page("reproduction", **{"report-emotions": "true"})
    (chart,) = (json.loads(element.proto.spec) for element in app.main.get("plotly_chart"))
    reported, reproduced = chart["data"]
    assert reported["name"] == "Reported"
    assert reproduced["error_x"]["arrayminus"] == pytest.approx([100 * (right / 210 - low)])
    assert chart["layout"]["yaxis"]["ticktext"] == ["First", "Second", "Third"]
    assert len(app.main.get("vega_lite_chart")) == 2  # accuracy and loss


def test_without_any_run_the_page_says_so_and_shows_what_was_reported(report: Path, open_page: Open) -> None:
    app = open_page("reproduction")
    assert not app.exception
    assert "**0 of the 3 reported results have been run**." in texts(app)


def test_a_run_of_the_recipes_name_with_other_settings_is_no_reproduction(report: Path, open_page: Open) -> None:
    make_network("emotions-a", predictions_elsewhere())  # its config.toml is another one
    assert "**0 of the 3 reported results have been run**." in texts(open_page("reproduction"))
