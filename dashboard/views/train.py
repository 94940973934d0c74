"""Train: start a run and watch it. A run is a process of its own; this page reads its folder."""

import streamlit as st

from dashboard.parts import run_form, run_list, run_progress
from dashboard.text import verbatim
from fer_core.errors import FerError
from fer_core.glossary import explained
from fer_core.runs import store
from fer_core.runs.folder import RunFolder


def main() -> None:
    name = st.query_params.get("run")
    if name is None:
        st.title(
            "Train: start a run and watch it",
            help=explained("Epoch", "Learning rate", "Transfer learning", "Focal loss"),
        )
        run_form.new_run()
    else:
        title, back = st.columns([3, 2], vertical_alignment="bottom")
        title.title(f"Train: {verbatim(name)}")
        with back.container(horizontal=True, horizontal_alignment="right"):
            st.page_link("views/train.py", label="Start another run")
        try:
            run = RunFolder.named(name)
            run.status()
            others = [other.name for other in store.runs() if other.name != name][:100]
            if others:
                st.multiselect(
                    "Compare curves with",
                    others,
                    key=f"beside-{name}",
                    placeholder="none",
                )
            run_progress.watch(run)
            run_list.manage(run)
        except FerError as error:  # shown here, so that the other runs are still listed
            st.error(verbatim(str(error)))
    run_list.all_runs(name)


main()
