"""Networks and runs whose files cannot be read: named with the reason, while all others are shown as ever."""

import streamlit as st

from dashboard import markup
from fer_core.runs import store


def show() -> None:
    """Say which folders are left out, and why; nothing where all can be read."""
    problems = store.damaged()
    if not problems:
        return
    st.warning(
        "1 folder has damaged files and is left out where they are needed."
        if len(problems) == 1
        else f"{len(problems):,} folders have damaged files and are left out where those are needed."
    )
    with st.expander("What is wrong"):
        st.html(
            markup.table(
                ("Folder", "Problem"), [[name, " ".join(said)] for name, said in problems.items()], words=(0, 1)
            )
        )
