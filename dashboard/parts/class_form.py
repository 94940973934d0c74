"""The form that starts a session: images, task, length, and the network beside the class."""

from __future__ import annotations

import streamlit as st

from dashboard import cache
from dashboard.pickers import titles, to_address
from dashboard.text import images, verbatim
from fer_core.classroom.growing import EXPRESSIONS
from fer_core.classroom.session import Session
from fer_core.classroom.start import start
from fer_core.classroom.tasks import GROW, GUESS, LABEL, SHORTCUT, TASKS
from fer_core.datasets.heads import HEADS
from fer_core.datasets.known import known
from fer_core.datasets.titles import split_title
from fer_core.errors import FerError
from fer_core.evaluation import selections
from fer_core.runs import store

USUAL, FEWEST, MOST = 20, 3, 100  # images
VOTES = 5
EVERY, NONE = "", "none"


def draw() -> None:
    """Ask for what a session needs, and start it."""
    task = str(
        st.segmented_control(
            "Task", list(TASKS), format_func=lambda key: TASKS[key].title, default="read", required=True, key="task"
        )
    )
    st.markdown(TASKS[task].about)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    name = row.text_input("Name of the class", "My class", max_chars=60, key="name", width=260)
    place, split, selection, network, expression = HEADS, "test", EVERY, NONE, EXPRESSIONS[0]
    if task == SHORTCUT:
        number = int(row.number_input("Images", 6, 30, 12, key="shortcut-number", width=140))
    elif task == GROW:
        expression = str(row.selectbox("Expression", EXPRESSIONS, EXPRESSIONS.index("happy"), key="grows", width=180))
        number = int(row.number_input("Images", 11, 41, 21, 10, key="grow-number", width=140))
    else:
        place = str(row.selectbox("Data set", [HEADS, *known()], format_func=_called, key="class-data", width=260))
        dataset = cache.dataset(place)
        split = str(
            row.selectbox(
                "Split", list(dataset.splits), len(dataset.splits) - 1, split_title, key=f"split-{place}", width=180
            )
        )
        number = int(row.number_input("Images", FEWEST, MOST, USUAL, key="number", width=140))
    second = st.container(horizontal=True, vertical_alignment="bottom")
    if task not in (SHORTCUT, GROW):
        if kept := selections.names():
            selection = str(
                second.selectbox(
                    "Selection of the gallery", [EVERY, *kept], format_func=lambda one: one or "all images", width=260
                )
            )
        table = f"{dataset.name}-{split}"
        able = [one for one, network in store.checkpoints().items() if table in network.tables]
        options = able if task == GUESS else [*able, NONE]
        network = str(
            second.selectbox(
                "Network beside the class", options, format_func=lambda one: titles().get(one, one), width=300
            )
            or NONE
        )
    votes = int(second.number_input("People per image", 2, 50, VOTES, key="votes", width=160)) if task == LABEL else 0
    together = task != LABEL and second.checkbox(
        "All have the same image until I go on", key="together", help="Otherwise everybody goes at their own pace."
    )
    if task == LABEL:
        st.caption("Each image is shown to this many people. “Unknown” and “no face” can be answered too.")
    if not st.button("Start the class", type="primary"):
        return
    try:
        with st.spinner(f"Preparing {images(number)}"):
            session = start(
                name, task, cache.dataset(place), split, number,
                store.checkpoints().get(network), selection=selection, expression=expression, together=together,
                votes=votes,
            )  # fmt: skip
    except FerError as error:
        st.error(verbatim(str(error)))
        return
    show(session)


def show(session: Session) -> None:
    """Go to a session."""
    to_address("class", session.code)
    st.rerun()


def _called(place: str) -> str:
    return "Rendered heads" if place == HEADS else place
