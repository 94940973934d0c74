"""Pages run in this process by Streamlit's AppTest, in a workspace that holds only what a test puts there."""

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.tour import SEEN
from fer_core import workspace as places

HOME = places.ROOT / "dashboard" / "Home.py"


@pytest.fixture
def open_page(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Open a page as a link does: its name, and what stands in the address. No network is shipped."""
    monkeypatch.setattr(places, "CHECKPOINTS", tmp_path / "shipped")
    st.cache_resource.clear()

    def open_it(view: str = "overview", /, **address: str) -> AppTest:
        app = AppTest.from_file(str(HOME), default_timeout=300)
        if view != "home":
            workspace.mkdir(exist_ok=True)
            (workspace / SEEN).touch()  # the tour begins on Home, which a link to another page does not open
            app.run()  # tells AppTest which pages there are
            app.switch_page(f"views/{view}.py")
        for name, value in address.items():
            app.query_params[name] = value
        return app.run()

    return open_it


def texts(app: AppTest) -> str:
    """Everything a page says in its main part, as one text."""
    kinds = ("title", "markdown", "caption", "info", "error", "subheader")
    said = [element.value for kind in kinds for element in getattr(app.main, kind)]
    return "\n".join([*said, *(element.proto.body for element in app.main.get("html"))])
