"""Data: what is in the data set? Counts, samples, mean faces, light, duplicates, votes, augmentation, preparation.

A view computes only when it is opened; the view and all its choices are in the address.
"""

import re

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cache, markup
from dashboard.behind import table_behind
from dashboard.charts import data as charts
from dashboard.markup import Picture
from dashboard.parts import data_changes, data_images, data_import, data_jobs, data_twins
from dashboard.pickers import choose, to_address
from dashboard.text import images, verbatim
from fer_core import workspace
from fer_core.datasets import Dataset, OnBad, relabelling
from fer_core.datasets.heads import HEADS
from fer_core.datasets.known import add, known
from fer_core.datasets.summary import UNLABELLED
from fer_core.datasets.summary import counts as count
from fer_core.datasets.titles import dataset_title, split_title
from fer_core.errors import FerError
from fer_core.glossary import explained

EACH = 8  # samples an expression when all are shown
ONE = 40  # samples when one is
EVERY = "every expression"
VIEWS = {
    "samples": "Samples",
    "means": "Mean faces",
    "light": "Light and sharpness",
    "twins": "Duplicates and leaks",
    "faceless": "No face",
    "votes": "Label disagreements",
    "augment": "Augmentation",
    "prepare": "Preparation",
}


def add_form() -> None:
    """Add a data set by its path; errors are shown here."""
    with st.form("add", border=False):
        path, file = "", None
        if workspace.student():  # who sits at another machine has no path on this one
            file = st.file_uploader("A csv or parquet file with images and labels", ["csv", "gz", "zip", "parquet"])
        else:
            path = st.text_input(
                "Path of a csv file, parquet file or folder on this machine", placeholder="~/fer2013.csv.gz"
            )
        name = st.text_input(
            "Name (optional)", help="Lower-case letters, digits and hyphens. If empty, the name is made from the path."
        )
        on_bad: OnBad = st.radio(
            "If an image cannot be read",
            ["refuse", "skip"],
            format_func={"refuse": "do not add the data set", "skip": "leave the image out and list it"}.get,
            horizontal=True,
        )
        if not st.form_submit_button("Add", type="primary"):
            return
    if file is not None:
        kept = workspace.home() / "uploads" / re.sub(r"[^A-Za-z0-9._-]", "-", file.name).lstrip(".-")
        workspace.write_atomically(kept, file.getvalue())
        path = str(kept)
    if not path.strip():
        st.error("Enter the path of a csv file or of a folder of images.")
        return
    try:
        with st.spinner("Reading the data set. Next time it opens from the cache."):
            added = add(path.strip(), name.strip(), on_bad)
    except FerError as error:
        st.error(verbatim(str(error)))
        return
    st.query_params["data"] = added
    st.rerun()


def balance(counts: pd.DataFrame) -> str:
    """The imbalance of the first split, in words."""
    split = counts.columns[0]
    counts = counts.drop(index=UNLABELLED, errors="ignore")
    if not counts[split].any():
        return f"The images of the {split_title(split)} have no labels."
    present = counts[split][counts[split] > 0]
    most, least = str(present.idxmax()), str(present.idxmin())
    missing = [name for name in counts.index if counts.loc[name, split] == 0]
    words = (
        f"In the {split_title(split)}, all expressions are equally frequent."
        if present[most] == present[least]
        else f"In the {split_title(split)}, {most} ({present[most]:,}) is {present[most] / present[least]:.1f} times as frequent "
        f"as {least} ({present[least]:,})."
    )
    return words + (f" There are no images of {', '.join(missing)}." if missing else "")


def sample(dataset: Dataset, split: str, label: str, count: int, seed: int) -> str:
    """Images of one expression drawn at random, under its name; equal seeds give equal images."""
    rows = dataset.rows(split)
    rows = rows[(dataset.index["label"].iloc[rows] == label).to_numpy()]
    kind = "Rendered head" if dataset.name == HEADS else "Image"
    items = []
    for row in np.random.default_rng(seed).permutation(rows)[:count]:
        image = str(dataset.index["id"].iloc[row])
        items.append(
            Picture(dataset.picture(row), f"{kind} labelled {label}, id {image}, {split_title(split)}", (image,))
        )
    return markup.headed(markup.expression(label), len(rows), markup.gallery(items))


def samples(dataset: Dataset) -> None:
    first, second, third = st.columns([2, 2, 3], vertical_alignment="bottom")
    split = choose("Split", list(dataset.splits), "split", split_title, place=first)
    label = choose("Expression", [EVERY, *dataset.expressions.names], "expression", place=second)
    seed = data_images.draw_again("Show other samples", third)
    names = dataset.expressions.names if label == EVERY else (label,)
    st.html("".join(sample(dataset, split, one, EACH if label == EVERY else ONE, seed) for one in names))


def corrected_labels(name: str, dataset: Dataset) -> None:
    """The labels that were corrected on the Gallery page, and how to apply them."""
    found = relabelling.corrections(dataset.name)
    if not len(found):
        return
    with st.expander(f"Corrected labels ({len(found):,})"):
        command = f"ferscope data clean {name} --corrections {relabelling.path_of(dataset.name)}"
        st.markdown("To apply these corrections, make a corrected copy of the data set with this command:")
        st.code(command, "bash", wrap_lines=True)
        st.dataframe(found, hide_index=True)


def pick_view() -> str:
    """The chosen view; the address holds its short name, so that a link still works after a change of words."""

    def follow() -> None:
        st.query_params["view"] = st.session_state["view"]

    asked = st.query_params.get("view")
    st.session_state["view"] = asked if asked in VIEWS else "samples"
    st.segmented_control(
        "View", list(VIEWS), format_func=VIEWS.__getitem__, required=True, key="view", on_change=follow
    )
    view: str = st.session_state["view"]
    to_address("view", view)
    return view


st.title(
    "Data: what is in the data set?", help=explained("Training, validation and test set", "Data leak", "Augmentation")
)
places = {HEADS: "Rendered heads (built in)"} | {name: f"{name} ({path})" for name, path in known().items()}
name = choose("Data set", list(places), "data", places.__getitem__)
with st.expander("Add a data set"):
    add_form()
with st.expander("Import predictions"):
    data_import.form(places)
dataset = cache.dataset(name)
with st.expander("Evaluate a network on this data set", expanded="measure" in st.query_params):
    data_jobs.form(name, dataset)
counts = count(dataset)
origin = (
    "The images are rendered and come with FERscope."
    if name == HEADS
    else f"Layout: {dataset.title}. Licence: {dataset.licence.rstrip('.')}."
)
st.markdown(
    f"The data set “{verbatim(dataset_title(dataset.name))}” contains **{images(len(dataset))}** of {len(dataset.expressions)} "
    f"expressions. {verbatim(origin)} {balance(counts)} {verbatim(dataset.protocol)}"
)
columns = st.columns([1.4] + [1.0] * (len(counts.columns) - 1))  # the first holds the expressions' names
for place, split in zip(columns, counts.columns, strict=True):
    place.altair_chart(charts.counts(counts[split], named=place is columns[0]))
table_behind("chart", counts, f"counts-{name}", index=True)
if dataset.skipped:
    left_out = "1 image was" if dataset.left_out == 1 else f"{dataset.left_out:,} images were"
    with st.expander(f"{left_out} left out"):
        st.dataframe(pd.DataFrame(dataset.skipped), hide_index=True)

corrected_labels(name, dataset)

view = pick_view()
st.subheader("Rendered samples" if name == HEADS and view == "samples" else VIEWS[view])
{
    "samples": samples,
    "means": data_images.means,
    "light": data_images.light,
    "twins": data_twins.twins,
    "faceless": data_twins.faceless,
    "votes": data_twins.votes,
    "augment": data_changes.augmentation,
    "prepare": data_changes.preparation,
}[view](dataset)
