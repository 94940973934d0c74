"""Views of the Data page: mean faces, light and sharpness of the images."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import cache, markup
from dashboard.behind import table_behind
from dashboard.charts import data as charts
from dashboard.markup import Picture
from dashboard.pickers import choose, say_missing
from fer_core.datasets import Dataset
from fer_core.datasets.summary import differences, most_alike
from fer_core.datasets.titles import split_title
from fer_core.explanation.overlay import colour, common_limit

DIGITS = 9  # of the number of a draw
MEASURED = 2000  # images to measure: this takes seconds, and more would move the quartiles by less than a grey level
FIGURES = {
    "brightness": "mean grey, 0 to 255",
    "contrast": "standard deviation of grey, 0 to 127.5",
    "sharpness": "variance of the Laplacian divided by that of the image",
}


def name_in_commands(dataset: Dataset) -> str:
    """The name by which commands open the data set of the page, which is the one in its address."""
    return st.query_params.get("data", dataset.name)


def draw_again(words: str, place: DeltaGenerator) -> int:
    """A button that draws other images; the number of the draw is in the address."""
    asked = st.query_params.get("samples", "0")
    seed = int(asked) if asked.isdecimal() and len(asked) <= DIGITS else 0
    if str(seed) != asked:
        say_missing(asked, "the first samples")
    if place.button(words):
        seed += 1
        st.query_params["samples"] = str(seed)
    return seed


def means(dataset: Dataset) -> None:
    split = choose("Split", list(dataset.splits), "split", split_title, place=st.columns([2, 5])[0])
    faces = cache.mean_faces(dataset, split)
    labels = dataset.index["label"][dataset.index["split"] == split].value_counts()
    if (pair := most_alike(faces)) is not None:
        st.markdown(
            f"The mean faces of **{pair[0]} and {pair[1]}** are most similar (correlation {pair[2]:.2f}, after removing the mean "
            "of all faces). What is blurred in a mean face varies between images: pose, light, hair."
        )
    st.html(
        markup.gallery(
            Picture(
                face,
                f"Mean of {labels[name]:,} images labelled {name}, {split_title(split)}",
                (markup.expression(name), f"n = {labels[name]:,}"),
            )
            for name, face in faces.items()
        )
    )
    if len(faces) < 2:
        return
    st.markdown("**Difference from the mean of all faces**")
    apart = differences(faces)
    limit = common_limit(apart.values())
    st.html(
        markup.gallery(
            Picture(
                colour(face, signed=True, limit=limit),
                f"Mean face of {name} minus the mean of all: red is brighter, blue is darker",
                (markup.expression(name),),
            )
            for name, face in apart.items()
        )
    )
    st.markdown(
        f"Red: brighter than the mean. Blue: darker. Full colour: {limit:.0f} grey levels. An overall tint is a difference in "
        "light, not in the face."
    )


def light(dataset: Dataset) -> None:
    first, second = st.columns([2, 5])
    split = choose("Split", list(dataset.splits), "split", split_title, place=first)
    figure = choose("Figure", list(FIGURES), "figure", place=first)
    rows = np.random.default_rng(0).permutation(dataset.rows(split))[:MEASURED]
    table = cache.statistics(dataset, tuple(np.sort(rows).tolist()))
    table = table.assign(label=dataset.index["label"].iloc[np.sort(rows)].to_numpy())
    quartiles = table.groupby("label")[figure].median().reindex(dataset.expressions.names).dropna()
    low, high = str(quartiles.idxmin()), str(quartiles.idxmax())
    second.markdown(
        f"Half of the images have a {figure} between **{table[figure].quantile(0.25):.3g}** and "
        f"**{table[figure].quantile(0.75):.3g}** ({FIGURES[figure]}; n = {len(table):,}"
        + (", a random sample" if len(table) == MEASURED else "")
        + f"). The median is lowest for {low} ({quartiles[low]:.3g}) and highest for {high} ({quartiles[high]:.3g}). If they "
        "differ much, a network may learn the light instead of the expression."
    )
    st.plotly_chart(
        charts.spread(table, figure, FIGURES[figure], dataset.expressions.names),
        config={"displayModeBar": False},
        key="light",
    )
    summary = table.groupby("label")[figure].describe().reindex(dataset.expressions.names)
    table_behind("chart", summary, f"{figure}-{dataset.name}-{split}", index=True)
