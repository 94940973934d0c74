"""One bad run does not take the pages away: it is named with its reason, and the others are shown."""

import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from fer_core.runs.folder import RunFolder
from tests.app.conftest import texts
from tests.app.examples import make_network, predictions_elsewhere
from tests.damage import DAMAGE

Open = Callable[..., AppTest]


@pytest.fixture
def damaged_runs() -> None:
    make_network("good", predictions_elsewhere())
    for number, (name, damage, _) in enumerate(DAMAGE.values()):
        damage(make_network(f"bad-{number}", None) / name)
    table = make_network("bad-table", predictions_elsewhere()) / "predictions-elsewhere-val.parquet"
    table.write_bytes(b"PAR1" + b"\xff" * 200)


@pytest.mark.parametrize("view", ["overview", "evaluate", "runs", "gallery", "train"])
@pytest.mark.usefixtures("damaged_runs")
def test_a_page_lives_with_every_kind_of_damaged_run(open_page: Open, view: str) -> None:
    app = open_page(view, network="good")
    assert not app.exception
    assert not app.main.error
    if view in ("overview", "runs"):
        assert f"{len(DAMAGE)} folders have damaged files" in " ".join(warning.value for warning in app.main.warning)
        assert "retina" in texts(app)


@pytest.mark.usefixtures("damaged_runs")
def test_the_page_of_a_damaged_run_says_what_is_wrong_and_still_lists_the_others(open_page: Open) -> None:
    for kind in ("status of words for numbers", "recipe nested deeply"):
        app = open_page("train", run=f"bad-{list(DAMAGE).index(kind)}")
        assert not app.exception
        assert re.search("damaged|TOML", texts(app))
        assert "Other runs" in texts(app)
    assert RunFolder.named("good").look().state == "finished"


@pytest.mark.usefixtures("damaged_runs")
def test_the_picked_networks_damaged_table_gets_a_sentence(open_page: Open) -> None:
    app = open_page("evaluate", network="bad-table")
    assert not app.exception
    assert "parquet" in texts(app)
