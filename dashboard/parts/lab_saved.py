"""Save what the Lab page shows as a data set: a form, a progress bar, and the next step."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.parts.lab_scene import Chosen
from dashboard.pickers import evaluate_link, titles
from dashboard.text import images, verbatim
from fer_core.errors import FerError
from fer_core.heads.collection import EXPRESSIONS
from fer_core.lab import saved
from fer_core.runs.store import Checkpoint

SAVED = "saved-heads"  # in the session: the set that was saved last, and its number of images
SIDES = (48, 64, 96, 128, 224)  # pixels
FIRST = 20  # people


def form(chosen: Chosen, networks: Sequence[Checkpoint]) -> None:
    """Render other people in the same setting, and offer what can be done with them."""
    name, count = st.session_state.get(SAVED, ("", 0))
    with st.expander("Save as a data set", expanded=bool(name)):
        st.markdown(
            "Other people with these settings: intensity, single actions, changes of the person, pose, light and camera."
        )
        with st.form("save-heads", border=False):
            row = st.container(horizontal=True, vertical_alignment="bottom")
            which = row.selectbox(
                "Expressions", ("all", "one"), width=190, key="save-which",
                format_func={"all": "All seven", "one": f"Only {chosen.shown}"}.__getitem__,
            )  # fmt: skip
            people = row.number_input("People", 1, saved.MOST, FIRST, width=130, key="save-people")
            side = row.selectbox("Size (pixels)", SIDES, width=130, key="save-side")
            proposed = saved.free_name("my-heads")
            asked = row.text_input("Name", proposed, width=190, key=f"save-name-{proposed}")
            sent = row.form_submit_button("Save", type="primary")
        if sent:
            expressions = EXPRESSIONS if which == "all" else (chosen.shown,)
            numbers = [(chosen.person + i) % 10_000 for i in range(int(people))]
            bar = st.progress(0.0, "Rendering heads")
            st.button("Stop", key="stop-saving", help="Nothing of a stopped set is kept.")  # a click ends this run

            def tell(done: int, total: int) -> None:
                bar.progress(done / total, f"{done} of {total} people")

            try:
                saved.save(asked.strip(), chosen.setting, expressions, numbers, int(side), tell)
            except FerError as error:
                st.error(verbatim(str(error)))
                return
            st.session_state[SAVED] = asked.strip(), len(numbers) * len(expressions)
            st.rerun()
        if name:
            st.success(f"Saved {images(count)} as the data set “{verbatim(name)}”, all of them as its test set.")
            with st.container(horizontal=True):
                st.page_link(
                    "views/data.py", label=f"Open {name}", query_params={"data": name}, icon=":material/database:"
                )
                for network in networks:
                    label = f"Evaluate {titles()[network.name]} on it"
                    evaluate_link(network.name, data=name, label=label)
