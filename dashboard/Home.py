"""The router: the only `st.navigation` call, the shared pickers, and the one place where an expected error is shown."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.navigation.page import StreamlitPage

from dashboard import pickers, tour
from dashboard.classroom import door
from dashboard.guard import Guard, Policy
from dashboard.text import verbatim
from fer_core import workspace
from fer_core.errors import FerError, in_a_sentence

SECTIONS = {
    "Start": {"home": "Home"},
    "Performance": {
        "overview": "Overview",
        "compare": "Compare",
        "decide": "Decide",
        "confidence": "Confidence",
        "reproduction": "Reproduction",
    },
    "Errors": {
        "evaluate": "Evaluate",
        "gallery": "Gallery",
        "labels": "Labels",
        "slices": "Slices",
        "robustness": "Robustness",
    },
    "Explanations": {"explain": "Explain", "regions": "Regions", "map": "Map", "lab": "Lab"},
    "Training and data": {"train": "Train", "runs": "Runs", "sweeps": "Sweeps", "data": "Data"},
    "Demo": {"live": "Live", "class": "Class"},
    "Help": {"glossary": "Glossary"},
}
named = {name for pages in SECTIONS.values() for name in pages}
if more := {path.stem for path in Path(__file__).with_name("views").glob("[a-z]*.py")} - named:
    SECTIONS["More"] = {name: name.capitalize() for name in sorted(more)}  # one file adds a page
FIRST = "home"
FORMER = {"explain_report": "regions", "embedding": "map", "search": "sweeps"}  # addresses that people may have saved
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 112 24" role="img" aria-label="FERscope">
<text x="0" y="18" font-family="Source Sans, sans-serif" font-size="19" font-weight="600" fill="#808791">FERscope</text>
</svg>"""


def leads_to(name: str) -> Callable[[], None]:
    """A page that only leads to another one, with what its address holds."""
    return lambda: st.switch_page(f"views/{name}.py", query_params=st.query_params.to_dict())


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(layout="wide", initial_sidebar_state="auto")
    st.logo(LOGO, size="medium")
    st.html(Path(__file__).with_name("style.css"))
    pages = {
        section: [
            st.Page(
                f"views/{name}.py",
                title=title,
                url_path=f"the-{name}" if name == FIRST else name,
                default=name == FIRST,
            )
            for name, title in named.items()
        ]
        for section, named in SECTIONS.items()
    }
    # The first page has the bare address; who types its name, as that of any other page, is led there.
    for address, name in {FIRST: FIRST, "start": FIRST, **FORMER}.items():
        pages["Performance"].append(st.Page(leads_to(name), title=address, url_path=address, visibility="hidden"))
    page = st.navigation(pages, expanded=True)
    with ExitStack() as working:
        with st.container(key="working"):  # over the page, so that nothing moves when it goes
            working.enter_context(st.spinner(f"Working on {page.title}", show_time=True))
        run(page)


def run(page: StreamlitPage) -> None:
    """The page with what stands above it; an expected error is one sentence."""
    try:
        tour.draw(page.url_path or FIRST)
        pickers.draw(page.url_path)
        script = Path(__file__).with_name("history.js").read_text(encoding="utf-8")
        st.sidebar.html(f"<script>{script}</script>", unsafe_allow_javascript=True)
        page.run()
    except FerError as error:
        st.error(verbatim(str(error)))
    except OSError as error:  # a full disk, a workspace that may not be written
        st.error(verbatim(in_a_sentence(error)))


if __name__ == "__main__":
    main()
else:  # `streamlit run` imports the file once for its server, which runs it again as a script for each look at a page
    hosts = [name for name in (*st.get_option("server.allowedHosts"), st.get_option("browser.serverAddress")) if name]
    policy = Policy.of(st.get_option("server.address") or "", hosts, frames=("http://127.0.0.1:*",))
    guards = [Middleware(Guard, policy=policy)]
    if os.environ.get(door.SWITCH):  # a workspace each, by session
        teacher = workspace.of_this_process().resolve()
        workspace.by_session(lambda: door.of_session(teacher))
        guards.append(Middleware(door.OnlyWithTicket, teacher=teacher))
    app = st.App(__file__, middleware=guards)
