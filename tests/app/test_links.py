"""No parameter of an address is taken for a path: each names something among what is offered, or is said to be unknown."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.conftest import texts
from tests.app.examples import make_network, predictions_elsewhere

Open = Callable[..., AppTest]
PARAMETERS = {
    "overview": ["network", "table"],
    "evaluate": ["network", "table", "true", "predicted"],
    "gallery": ["selection", "text", "beside", "page"],
    "labels": ["by", "verdict"],
    "explain": ["image", "method", "layer", "beside"],
    "map": ["picture", "features"],
    "train": ["run", "like", "new.data", "task", "recipe"],
    "runs": ["run"],
    "sweeps": ["sweep"],
    "data": ["data", "view", "samples", "split"],
    "robustness": ["over"],
}


@pytest.mark.parametrize("view", PARAMETERS)
def test_a_path_in_any_parameter_opens_nothing(open_page: Open, workspace: Path, view: str) -> None:
    make_network("one", predictions_elsewhere())
    secret = workspace.parent / "secret"
    secret.mkdir()
    for name in ("status.json", "card.json", "sweep.json", "selection.csv", "config.toml"):
        (secret / name).write_text("SECRET-WORDS", encoding="utf-8")
    app = open_page(view, **{name: ("../../secret", str(secret))[at % 2] for at, name in enumerate(PARAMETERS[view])})
    assert not app.exception, app.exception
    assert "SECRET-WORDS" not in texts(app)
