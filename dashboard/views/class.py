"""Class: what do people answer? A session for twenty students, its board and its results."""

import streamlit as st

from dashboard.parts import class_board, class_form, class_labs, class_results, class_workbench
from dashboard.pickers import choose, switch
from dashboard.text import verbatim
from fer_core import workspace
from fer_core.classroom.session import Session, sessions
from fer_core.errors import ClassError
from fer_core.glossary import explained

NEW, DESKS, LABS = "new", "workspaces", "labs"
VIEWS = {"board": "Board", "results": "Results"}


def called(code: str) -> str:
    """A session in words."""
    if code == NEW:
        return "A new class"
    if code == LABS:
        return "Labs: questions and check"
    if code == DESKS:
        return "Workspaces and queue of the students"
    try:
        about = Session(code).about
    except ClassError:
        return f"{code} (cannot be read)"
    return f"{about.name}, {about.kind.title.lower()} ({code})"


def main() -> None:
    st.title("Class: what do people answer?", help=explained("Error consistency", "Confidence interval"))
    if workspace.student():
        class_workbench.draw_mine()
        class_labs.draw()
        return
    codes = [session.code for session in sessions()]
    given = [DESKS] if (workspace.home() / workspace.STUDENTS).is_dir() else []
    row = st.container(horizontal=True, vertical_alignment="bottom")
    code = choose("Session", [NEW, LABS, *given, *codes], "class", called, default=NEW, place=row.container(width=340))
    if code == NEW:
        class_form.draw()
        return
    if code == LABS:
        class_labs.draw()
        return
    if code == DESKS:
        class_workbench.draw()
        return
    session = Session(code)
    try:
        assert session.about
    except ClassError as error:
        st.error(verbatim(str(error)))
        if st.button("Delete this file"):
            session.delete()
            del st.query_params["class"]
            st.rerun()
        return
    if switch("View", VIEWS, "view", "board", place=row.container(width="content")) == "board":
        class_board.draw(session)
    else:
        class_results.draw(session)


main()
