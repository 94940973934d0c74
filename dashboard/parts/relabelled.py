"""The data set with the labels that were corrected by hand: a button makes it, then a link opens it."""

import streamlit as st

from dashboard.text import verbatim
from fer_core.datasets import known, making, relabelling
from fer_core.datasets.titles import dataset_title
from fer_core.errors import FerError


def offer(place: str, dataset: str) -> None:
    """Nothing where no label of the set was corrected.

    Args:
        place: the set's name or path, as commands open it.
        dataset: its name in predictions tables.
    """
    count = len(relabelling.corrections(dataset))
    if not count:
        return
    labels = "1 label is" if count == 1 else f"{count:,} labels are"
    st.markdown(f"**{labels} corrected** in this data set.")
    name = making.relabelled_name(dataset)
    if known.known().get(name) != making.file_of(name).resolve():
        if not st.button("Make a corrected data set", type="primary", key=f"make-{name}"):
            return
        try:
            with st.spinner("Making the corrected data set", show_time=True):
                making.relabel(place, dataset)
        except FerError as error:
            st.error(verbatim(str(error)))
            return
    title = verbatim(dataset_title(name))
    st.success(f"The data set “{title}” has the corrected labels. It follows later corrections.")
    st.page_link(
        "views/data.py",
        label=f"Open {title}",
        query_params={"data": name},
        icon=":material/arrow_forward:",
    )
