"""The workbench of a class: the training queue, with a button that stops, and the students' workspaces."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.text import verbatim
from fer_core import workspace
from fer_core.classroom.workbench import desks, door, stop
from fer_core.errors import FerError
from fer_core.runs import queue, store

EACH = 3.0  # seconds between two looks at the queue


def draw() -> None:
    """What the teacher sees."""
    place = workspace.home()
    seats = desks(place)
    st.subheader("Who trains?")
    _queue({seat.name: seat.nickname for seat in seats})
    st.subheader("Workspaces")
    rows = [_row(seat.nickname, place / workspace.STUDENTS / seat.name) for seat in seats]
    st.dataframe(pd.DataFrame(rows, columns=["Student", "Runs", "Own data sets"]), hide_index=True, width=520)
    st.markdown(
        f"The code of the class is **{door(place).code}**. Students see your data sets and networks and cannot change them. "
        f"Their workspaces are the folders in {verbatim(str(place / workspace.STUDENTS))}; delete a folder to delete all of "
        "one student."
    )


def _row(nickname: str, place: Path) -> tuple[str, int, int]:
    from fer_core.datasets.known import own

    with workspace.at(place):
        return nickname, len(store.runs()), len(own())


@st.fragment(run_every=EACH)
def _queue(nicknames: dict[str, str]) -> None:
    lines = queue.lines()
    if not lines:
        st.info("No run trains or waits. Students start one on the page Train; they take turns.")
    for device, tickets in lines.items():
        for number, ticket in enumerate(tickets):
            row = st.container(horizontal=True, vertical_alignment="center")
            whose = nicknames.get(ticket.student, ticket.student) or "you"
            turn = f"trains on {device}" if number == 0 else f"waits, number {number}"
            row.markdown(f"**{verbatim(whose)}**: {verbatim(ticket.name)} {turn}", width="stretch")
            if row.button("Stop", key=f"stop-{device}-{ticket.number}"):
                try:
                    stop(ticket)
                    st.toast("It saves and ends. Whoever started it can resume it.")
                except FerError as error:
                    st.error(verbatim(str(error)))


@st.fragment(run_every=EACH)
def draw_mine() -> None:
    """What a student sees: where their own runs are in the queue."""
    mine, found = workspace.student(), False
    for device, tickets in queue.lines().items():
        for number, ticket in enumerate(tickets):
            if ticket.student == mine:
                found = True
                st.markdown(
                    f"**{verbatim(ticket.name)}** "
                    + (f"trains on {device}." if number == 0 else f"waits. Number of runs before it: {number}.")
                )
    if not found:
        st.info("None of your runs trains or waits. Start one on the page Train. All students take turns.")
