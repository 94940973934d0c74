"""Are some kinds of pictures harder? Accuracy on slices of a split, and the errors in each."""

import pandas as pd
import streamlit as st

from dashboard import cache, gallery
from dashboard.charts import slices as charts
from dashboard.pickers import choose, evaluated, titles
from dashboard.text import interval, percent, pictures, table_title, verbatim
from fer_core.evaluation.comparison import ALPHA
from fer_core.evaluation.gallery import Filter, examples, not_here, select
from fer_core.evaluation.intervals import Interval
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.slices import LEAST_SUPPORT, MIN_SUPPORT, columns_of, find

DRAWN = 15  # slices in the chart
BOX = 360  # pixels of the box, wide enough for a pair of conditions
PLOTLY = {"displayModeBar": False}


def answer(title: str, key: str, table: pd.DataFrame, smallest: int) -> str:
    """How many slices differ, and the one that is furthest below."""
    found = table[table["p_adjusted"] <= ALPHA]
    words = (
        f"Of **{len(table)} slices** of {verbatim(table_title(key))} with {smallest:,} pictures or more, "
        f"**{len(found) or 'none'}** {'differ' if len(found) != 1 else 'differs'} from what "
        f"{'their' if len(found) != 1 else 'its'} labels would give {verbatim(title)}, after correction for how many were "
        "tried (Holm)."
    )
    below = found[found["difference"] < 0]
    if not len(below):
        return words
    worst = below.iloc[0]
    return words + (
        f" Hardest: **{verbatim(worst['slice'])}**, {percent(worst['accuracy'])} "
        f"({interval(Interval(worst['low'], worst['high']))}) of {pictures(int(worst['n']))}, where its labels would "
        f"give {percent(worst['expected'])}."
    )


def columns(table: Predictions) -> pd.DataFrame | None:
    """Brightness, contrast, sharpness and what the data set knows; None where its pictures are not on this machine."""
    source = cache.dataset_of(table)
    if source is None:
        return None
    place = cache.positions_of(table, source)
    if lost := not_here(source, table.table, place):
        st.info(verbatim(f"{lost} They are in no slice."))
    there = place[place >= 0]
    measured = cache.statistics(source, tuple(there.tolist())).set_index(pd.Index((place >= 0).nonzero()[0]))
    return pd.concat([measured.reindex(range(len(table))), columns_of(source, table)], axis=1)


st.title("Are some kinds of pictures harder?")
checkpoint, key = evaluated("its slices")
title, table = titles()[checkpoint.name], cache.predictions(checkpoint.tables[key])
known = columns(table)
if known is None:
    st.info(
        f"The pictures of {verbatim(table_title(key))} are not on this machine, or not where this workspace knows them, so "
        "there is nothing to slice by. Add the data set, and its slices appear here."
    )
    if st.button("Add the data set", type="primary"):
        st.switch_page("views/data.py")
    st.stop()
summary = st.container()
row = st.container(horizontal=True, vertical_alignment="bottom")
smallest = row.number_input(
    "Pictures a slice, at least", LEAST_SUPPORT, 10_000, MIN_SUPPORT, 10, key="support", bind="query-params", width=200
)
crossed = row.toggle("Pairs of conditions too", key="crossed", bind="query-params")
found = find(table, known, min_support=smallest, crossed=crossed)
if not len(found.table):
    st.info(f"No slice has {smallest:,} pictures in it and outside it. Ask for fewer pictures a slice.")
    st.stop()
summary.markdown(answer(title, key, found.table, smallest))

ends = found.table if len(found.table) <= DRAWN else found.table.iloc[: DRAWN - 3]
if len(ends) < len(found.table):
    ends = pd.concat([ends, found.table.iloc[-3:]])
st.plotly_chart(charts.slices(ends, float(table.correct.mean()), ALPHA), config=PLOTLY, key="slices")
st.caption(
    (
        f"The {DRAWN - 3} furthest below their expectation and the 3 furthest above; the table has all. "
        if len(ends) < len(found.table)
        else ""
    )
    + "Dotted: the accuracy on all pictures. Expected: each picture counted with the accuracy on its label. Tested within "
    "labels (Cochran, Mantel and Haenszel); grey: not significant at 5 %. Brightness and contrast: mean and "
    "deviation of the grey levels (0 to 255); sharpness: variance of the Laplacian by that of the picture."
)
with st.expander("The table behind the chart"):
    st.dataframe(found.table, hide_index=True)
    st.download_button(
        "Download as csv", found.table.to_csv(index=False), f"slices-{checkpoint.name}-{key}.csv", "text/csv"
    )

st.subheader("The errors in a slice")
words = choose("Slice", found.table["slice"].tolist(), "slice", place=st.container(width=BOX))
member = found.members[found.table["slice"].tolist().index(words)]
frame = select(examples(table.where(member)), Filter(outcome="wrong"))
st.markdown(f"**{pictures(len(frame))}** of {int(member.sum()):,} are wrong, the largest loss first.")
gallery.show(table, frame, checkpoint.name, key, view=("slices", words))
