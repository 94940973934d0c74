"""Add a data set on the Data page: by a file or zip of the reader's, or by its path on this machine; then the next step."""

import streamlit as st

from dashboard.pickers import picked, titles
from dashboard.text import images, verbatim
from fer_core import workspace
from fer_core.datasets import Dataset, OnBad, named
from fer_core.datasets.archive import MAX_PICTURES
from fer_core.datasets.known import add
from fer_core.datasets.received import KINDS, MAX_MB, receive
from fer_core.errors import FerError
from fer_core.runs import store

ADDED = "added-data"  # in the session: the set that was added last, and what was left out of its zip
SENT = "data-files-sent"  # in the session: how many sets were added; the next one begins with an empty field
TOLD = 200  # unpacked files between two words about them


def sent() -> int:
    """How many sets were added in this session."""
    count: int = st.session_state.get(SENT, 0)
    return count


def form() -> None:
    """Choose a file or give a path; errors are shown here."""
    with st.form("add", border=False):
        file = st.file_uploader(
            "File (csv, parquet) or zip of class folders",
            KINDS,
            max_upload_size=MAX_MB,
            key=f"data-file-{sent()}",
            help=f"A zip has a folder for each expression, in folders for train, val and test or without them. It holds at most "
            f"{MAX_PICTURES:,} images. The file is copied to the workspace.",
        )
        path = ""
        if not workspace.student():  # who sits at another machine has no path on this one
            path = st.text_input(
                "Or the path of a csv file, parquet file or folder on this machine", placeholder="~/fer2013.csv.gz"
            )
        name = st.text_input(
            "Name (optional)",
            help="Lower-case letters, digits and hyphens. If empty, the name is made from that of the file.",
        )
        on_bad: OnBad = st.radio(
            "If an image cannot be read",
            ["refuse", "skip"],
            format_func={"refuse": "do not add the data set", "skip": "leave the image out and list it"}.get,
            horizontal=True,
        )
        if not st.form_submit_button("Add", type="primary"):
            return
        told = st.empty()
    if (file is None) == (not path.strip()):
        st.error("Choose a file, or enter the path of a csv file or of a folder of images.")
        return

    def tell(count: int) -> None:
        if count % TOLD == 0:
            told.markdown(f"Unpacked {count:,} files.")

    left_out = ""
    try:
        with st.spinner("Reading the data set. Next time it opens from the cache.", show_time=True):
            if file is None:
                added = add(path.strip(), name.strip(), on_bad)
            else:
                added, skipped = receive(file, file.name, name.strip(), on_bad, tell)
                left_out = named(skipped)
    except FerError as error:
        st.error(verbatim(str(error)))
        return
    st.session_state[SENT] = sent() + 1
    st.session_state[ADDED] = added, left_out
    st.query_params["data"] = added
    st.query_params["view"] = "samples"
    st.rerun()


def next_steps(name: str, dataset: Dataset) -> None:
    """After a set was added, and while it is the one that is shown: what was read, and what can be done with it."""
    added, left_out = st.session_state.get(ADDED, ("", ""))
    if added != name:
        return
    st.success(
        f"Added “{verbatim(name)}”: {images(len(dataset))} of {len(dataset.expressions)} expressions. "
        + (f"Left out: {verbatim(left_out)}. " if left_out else "")
        + "[See its images](#samples), or evaluate a network on it."
    )
    choice, networks = picked(), list(store.checkpoints())
    if not networks:
        st.page_link("views/train.py", label="Train a network", icon=":material/play_arrow:")
        return
    network = choice.checkpoint.name if choice else networks[0]
    st.button(
        f"Evaluate {titles()[network]} on it",
        type="primary",
        on_click=st.query_params.update,
        args=({"measure": network, "what": "evaluate"},),
    )
