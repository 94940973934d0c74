"""No parameter of an address is taken for a path: each names something among what is offered, or is said to be unknown."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.text import verbatim
from tests.app.conftest import texts
from tests.app.examples import make_network, predictions_elsewhere
from tests.untrained import untrained

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


def test_whatever_a_page_computes_it_says_that_it_works(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    spinner = st.spinner

    def heard(text: str, *, show_time: bool = False) -> AbstractContextManager[None]:
        said.append((text, show_time))
        return spinner(text, show_time=show_time)

    monkeypatch.setattr(st, "spinner", heard)
    app = open_page("glossary")
    assert not app.exception
    assert ("Working on Glossary", True) in said


def test_the_first_page_has_several_addresses_and_none_is_unknown(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    page = st.Page

    def noted(*given: object, **named: object) -> object:
        drawn.append(str(named["url_path"]))
        return page(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(st, "Page", noted)
    assert not open_page("glossary").exception
    assert "start" in drawn  # a page of its own that leads home
    assert drawn[0] != "start"  # of the default page the address is not looked at


@pytest.mark.parametrize(
    ("view", "param", "value", "shown"),
    [
        ("data", "samples", "9" * 5000, "Showing the first samples instead."),
        ("data", "samples", "-1", "“-1” from the link does not exist here. Showing the first samples instead."),
        ("lab", "kept", "²", "“²” from the link does not exist here. Showing the other people instead."),
        ("lab", "kept", "10000", "“10000” from the link does not exist here."),
    ],
)
def test_a_number_in_a_link_that_is_none_is_told_calmly(
    open_page: Open, view: str, param: str, value: str, shown: str
) -> None:
    untrained("one")
    app = open_page(view, **{param: value})
    assert not app.exception, app.exception
    assert verbatim(shown) in "".join(info.value for info in app.info)
