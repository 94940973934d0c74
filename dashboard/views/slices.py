"""Slices: are some kinds of images harder? Accuracy on slices of a split, and the errors in each."""

import pandas as pd
import streamlit as st

from dashboard import cache, gallery
from dashboard.behind import table_behind
from dashboard.charts import slices as charts
from dashboard.pickers import choose, evaluated, titles
from dashboard.text import estimate, images, verbatim
from fer_core.datasets import Dataset
from fer_core.datasets.titles import columns_in_words, table_in_words
from fer_core.evaluation.comparison import ALPHA, p_in_words
from fer_core.evaluation.gallery import Filter, examples, not_here, select
from fer_core.evaluation.intervals import Interval, percent
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.slices import LEAST_SUPPORT, MIN_SUPPORT, columns_of, find
from fer_core.glossary import explained

DRAWN = 15  # slices in the chart
BOX = 320  # pixels of the box, wide enough for a pair of conditions
PLOTLY = {"displayModeBar": False}


def hardest(table: pd.DataFrame) -> pd.Series:
    """The slice furthest below what its expressions explain, of those that are significantly below if there are any."""
    weak = table[(table["p_adjusted"] <= ALPHA) & (table["difference"] < 0)]
    return (weak if len(weak) else table).iloc[0]


def hardest_in_words(title: str, key: str, table: pd.DataFrame) -> str:
    """The hardest slice, and how many of all differ."""
    worst, found = hardest(table), table[table["p_adjusted"] <= ALPHA]
    bounds = Interval(worst["low"], worst["high"])
    words = (
        f"The hardest images for {verbatim(title)} are **{verbatim(worst['slice'])}**, with an accuracy of "
        f"{estimate(worst['accuracy'], bounds, int(worst['n']))}. Their mix of expressions would give "
        f"{percent(worst['expected'])}. "
    )
    of = f"{len(table):,} slices of {verbatim(table_in_words(key))}"
    if len(found):
        return words + f"**{len(found):,} of {of}** {'are' if len(found) > 1 else 'is'} significantly harder or easier."
    return (
        words + f"**No difference is significant** after correction for all {of} ({p_in_words(worst['p_adjusted'])})."
    )


def columns(table: Predictions, source: Dataset, acted: bool) -> pd.DataFrame:
    """Brightness, contrast, sharpness and what the data set knows."""
    place = cache.positions_of(table, source)
    if lost := not_here(source, table.table, place):
        st.info(verbatim(f"{lost} They are in no slice."))
    there = place[place >= 0]
    measured = cache.statistics(source, tuple(there.tolist())).set_index(pd.Index((place >= 0).nonzero()[0]))
    return pd.concat([measured.reindex(range(len(table))), columns_of(source, table, acted=acted)], axis=1)


st.title("Slices: are some kinds of images harder?", help=explained("Slice", "Statistically significant"))
checkpoint, key = evaluated("see which kinds of images are harder")
title, table = titles()[checkpoint.name], cache.served(checkpoint, key)
source = cache.dataset_of(table)
if source is None:
    st.info(
        f"The images of {verbatim(table_in_words(key))} are not on this machine, or this workspace does not know their path. Add "
        "the data set to see its slices."
    )
    gallery.ways_on()
    st.stop()
summary = st.container()
said = columns_in_words(source.name)
actions = [name for name, words in said.items() if words.acted]
asked = st.query_params.get("slice", "").replace(",", "").split()
if not set(actions).isdisjoint(asked):
    st.session_state.setdefault("acted", True)  # from a link to a slice by an action
row = st.container(horizontal=True, vertical_alignment="bottom")
place = row.container(width=BOX)
smallest = row.number_input(
    "Smallest slice, images", LEAST_SUPPORT, 10_000, MIN_SUPPORT, 10, key="support", bind="query-params", width=170
)
crossed = row.toggle("Pairs of conditions", key="crossed", bind="query-params")
acted = bool(actions) and row.toggle(
    "Facial actions", key="acted", bind="query-params",
    help="What each muscle does says how the expression is shown. The Lab changes one action at a time.",
)  # fmt: skip
found = find(table, columns(table, source, acted), min_support=smallest, crossed=crossed, said=said)
if not len(found.table):
    st.info(f"No slice has at least {smallest:,} images, with as many images outside it. Allow smaller slices.")
    st.stop()
summary.markdown(hardest_in_words(title, key, found.table))

every = found.table.set_index("key")
chosen = choose(
    "Slice", every.index.tolist(), "slice", every["slice"].__getitem__, default=hardest(found.table)["key"], place=place
)
member = found.members[every.index.get_loc(chosen)]
frame = select(examples(table.where(member)), Filter(outcome="wrong"))
st.markdown(
    f"{verbatim(every['slice'][chosen])}: the network is wrong on **{len(frame):,}** of {images(int(member.sum()))}. "
    "Highest loss first."
)
gallery.show(table, frame, checkpoint.name, key, each=8, view=("slices", chosen))

st.subheader("All slices")
ends = found.table if len(found.table) <= DRAWN else found.table.iloc[: DRAWN - 3]
if len(ends) < len(found.table):
    ends = pd.concat([ends, found.table.iloc[-3:]])
    st.markdown(f"The chart shows the {DRAWN - 3} hardest and the 3 easiest slices; the table contains all.")
st.plotly_chart(charts.slices(ends, float(table.correct.mean()), ALPHA), config=PLOTLY, key="slices")
meanings = [words.meaning for words in said.values() if words.meaning and ends["slice"].str.contains(words.title).any()]
st.markdown(
    "Dotted line: accuracy on all images. Expected: the accuracy that the slice's mix of expressions explains. Grey: not "
    f"significant. {' '.join(meanings)}"
)
st.caption(
    "Significant: at 5 % (Cochran-Mantel-Haenszel test within labels, Holm's correction). Brightness and contrast: mean and "
    "standard deviation of the grey levels (0 to 255). Sharpness: variance of the Laplacian divided by that of the image.",
    help=explained("Cochran-Mantel-Haenszel test", "Holm's correction"),
)
table_behind("chart", found.table, f"slices-{checkpoint.name}-{key}")
