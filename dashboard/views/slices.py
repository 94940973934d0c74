"""Slices: are some kinds of images harder? Accuracy on slices of a split, and the errors in each."""

import pandas as pd
import streamlit as st

from dashboard import cache, gallery
from dashboard.behind import table_behind
from dashboard.charts import slices as charts
from dashboard.pickers import choose, evaluated, titles
from dashboard.text import estimate, images, verbatim
from fer_core.datasets.titles import table_in_words
from fer_core.evaluation.comparison import ALPHA
from fer_core.evaluation.gallery import Filter, examples, not_here, select
from fer_core.evaluation.intervals import Interval, percent
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.slices import LEAST_SUPPORT, MIN_SUPPORT, columns_of, find
from fer_core.glossary import explained

DRAWN = 15  # slices in the chart
BOX = 360  # pixels of the box, wide enough for a pair of conditions
PLOTLY = {"displayModeBar": False}


def hardest_in_words(title: str, key: str, table: pd.DataFrame, smallest: int) -> str:
    """How many slices differ, and the hardest of them."""
    found = table[table["p_adjusted"] <= ALPHA]
    tried = f"**{len(table)} slices** of {verbatim(table_in_words(key))} have at least {smallest:,} images."
    if not len(found):
        return f"{tried} For {verbatim(title)}, no slice is harder or easier than its mix of expressions explains."
    words = (
        f"{tried} For {verbatim(title)}, **{len(found)}** {'are' if len(found) > 1 else 'is'} significantly harder or easier "
        f"than {'their' if len(found) > 1 else 'its'} mix of expressions explains."
    )
    below = found[found["difference"] < 0]
    if not len(below):
        return words
    worst = below.iloc[0]
    bounds = Interval(worst["low"], worst["high"])
    return words + (
        f" The hardest is **{verbatim(worst['slice'])}** with an accuracy of "
        f"{estimate(worst['accuracy'], bounds, int(worst['n']))}; its mix of expressions would give "
        f"{percent(worst['expected'])}."
    )


def columns(table: Predictions) -> pd.DataFrame | None:
    """Brightness, contrast, sharpness and what the data set knows; None if its images are not on this machine."""
    source = cache.dataset_of(table)
    if source is None:
        return None
    place = cache.positions_of(table, source)
    if lost := not_here(source, table.table, place):
        st.info(verbatim(f"{lost} They are in no slice."))
    there = place[place >= 0]
    measured = cache.statistics(source, tuple(there.tolist())).set_index(pd.Index((place >= 0).nonzero()[0]))
    return pd.concat([measured.reindex(range(len(table))), columns_of(source, table)], axis=1)


st.title("Slices: are some kinds of images harder?", help=explained("Slice", "Statistically significant"))
checkpoint, key = evaluated("see which kinds of images are harder")
title, table = titles()[checkpoint.name], cache.served(checkpoint, key)
known = columns(table)
if known is None:
    st.info(
        f"The images of {verbatim(table_in_words(key))} are not on this machine, or this workspace does not know their path. Add "
        "the data set to see its slices."
    )
    if st.button("Add the data set", type="primary"):
        st.switch_page("views/data.py")
    st.stop()
summary = st.container()
row = st.container(horizontal=True, vertical_alignment="bottom")
smallest = row.number_input(
    "Smallest slice, images", LEAST_SUPPORT, 10_000, MIN_SUPPORT, 10, key="support", bind="query-params", width=200
)
crossed = row.toggle("Also combine two conditions", key="crossed", bind="query-params")
found = find(table, known, min_support=smallest, crossed=crossed)
if not len(found.table):
    st.info(f"No slice has at least {smallest:,} images, with as many images outside it. Allow smaller slices.")
    st.stop()
summary.markdown(hardest_in_words(title, key, found.table, smallest))

ends = found.table if len(found.table) <= DRAWN else found.table.iloc[: DRAWN - 3]
if len(ends) < len(found.table):
    ends = pd.concat([ends, found.table.iloc[-3:]])
st.plotly_chart(charts.slices(ends, float(table.correct.mean()), ALPHA), config=PLOTLY, key="slices")
st.caption(
    (
        f"The chart shows the {DRAWN - 3} hardest and the 3 easiest slices; the table contains all. "
        if len(ends) < len(found.table)
        else ""
    )
    + "Dotted line: accuracy on all images. Expected: the accuracy that the slice's mix of expressions explains. Grey: not "
    "significant at 5 % (Cochran-Mantel-Haenszel test within labels, Holm's correction). Brightness and contrast: mean and "
    "standard deviation of the grey levels (0 to 255). Sharpness: variance of the Laplacian divided by that of the image.",
    help=explained("Cochran-Mantel-Haenszel test", "Holm's correction"),
)
table_behind("chart", found.table, f"slices-{checkpoint.name}-{key}")

st.subheader("Errors in a slice")
words = choose("Slice", found.table["slice"].tolist(), "slice", place=st.container(width=BOX))
member = found.members[found.table["slice"].tolist().index(words)]
frame = select(examples(table.where(member)), Filter(outcome="wrong"))
st.markdown(f"The network is wrong on **{len(frame):,}** of {images(int(member.sum()))}. Highest loss first.")
gallery.show(table, frame, checkpoint.name, key, view=("slices", words))
