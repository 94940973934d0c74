"""Data: what is in the data set? Counts, samples, mean faces, light, duplicates, votes, augmentation, preparation.

A view computes only when it is opened; the view and all its choices are in the address.
"""

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cache, markup
from dashboard.behind import table_behind
from dashboard.charts import data as charts
from dashboard.markup import Picture
from dashboard.parts import data_add, data_changes, data_images, data_import, data_jobs, data_twins, relabelled
from dashboard.pickers import choose, to_address
from dashboard.text import images, verbatim
from fer_core.datasets import Dataset, relabelling
from fer_core.datasets.heads import HEADS
from fer_core.datasets.known import known
from fer_core.datasets.summary import UNLABELLED
from fer_core.datasets.summary import counts as count
from fer_core.datasets.titles import dataset_title, split_title
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
        relabelled.offer(name, dataset.name)
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
news = st.container()
with st.expander("Add a data set", key=f"add-{data_add.sent()}"):  # closed again when one was added
    data_add.form()
with st.expander("Import predictions"):
    data_import.form(places)
dataset = cache.dataset(name)
with news:
    data_add.next_steps(name, dataset)
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
