"""How fragile is it? Accuracy on damaged pictures, several networks over each other."""

import time
from collections import defaultdict

import pandas as pd
import streamlit as st

from dashboard import cache, markup
from dashboard.charts import robustness as charts
from dashboard.markup import Picture
from dashboard.pickers import choose, evaluated, titles
from dashboard.text import interval, percent, pictures, table_title, verbatim
from fer_core.datasets import Dataset
from fer_core.datasets.known import SYNTHETIC
from fer_core.errors import FerError
from fer_core.evaluation.intervals import Interval
from fer_core.evaluation.robustness import CORRUPTIONS, Measured, corrupt, measure, measured, overall, sample
from fer_core.runs import store
from fer_core.runs.store import Checkpoint

HERE = 100  # pictures that the page itself measures; more is for the command line
PLOTLY = {"displayModeBar": False}
BOX = 220  # pixels of a select box


def answer(title: str, table: pd.DataFrame) -> str:
    """Clean and damaged accuracy, and where it breaks first."""
    clean, damaged = table.iloc[0], table[table["severity"] > 0]
    words = (
        f"{verbatim(title)} reads **{percent(clean['accuracy'])}** ({interval(Interval(clean['low'], clean['high']))}) of "
        f"{pictures(int(clean['n']))} as they are"
    )
    if not len(damaged):
        return words + "; nothing else was measured."
    middle = damaged[damaged["severity"] == 3]
    worst = middle.loc[middle["drop"].idxmax()] if len(middle) else damaged.loc[damaged["drop"].idxmax()]
    kind = CORRUPTIONS[worst["corruption"]]
    return words + (
        f", and **{percent(overall(table))}** in the mean of {len(damaged)} kinds and severities of damage. At the third of "
        f"five severities it suffers most from {kind.title.lower()} ({worst['value']:g} {kind.unit}): "
        f"{100 * worst['drop']:.1f} points less ({interval(Interval(worst['drop_low'], worst['drop_high']))})."
    )


def measure_here(network: Checkpoint, dataset: Dataset, split: str) -> None:
    """Measure a few pictures now; what is done stays done if the page is left."""
    bar, start = st.progress(0.0, "Reading the pictures"), time.monotonic()

    def show(done: int, total: int) -> None:
        taken = time.monotonic() - start
        left = f", about {taken / done * (total - done):.0f} s left" if done > 1 else ""
        bar.progress(
            done / total, f"{done} of {total} conditions{left}. To stop, leave the page: what is done is kept."
        )

    try:
        dataset = dataset.without(network.card.leave_out)
        chosen = sample(dataset, split, HERE)
        measure(network.name, network.folder, dataset, split, chosen, on_condition=show)
    except FerError as error:
        st.error(verbatim(str(error)))
        return
    st.rerun()


def examples(dataset: Dataset, split: str, kind: str) -> None:
    """What a kind of damage looks like on one picture of the set."""
    row = int(dataset.rows(split)[0])
    image, picture = str(dataset.index["id"].iloc[row]), dataset.picture(row)
    what = "Synthetic face" if dataset.name == SYNTHETIC else "Picture"
    items = []
    for severity, value in enumerate((None, *CORRUPTIONS[kind].values)):
        words = "as it is" if value is None else f"{value:g} {CORRUPTIONS[kind].unit}"
        damaged = corrupt(picture, kind, severity, image, dataset.name)
        items.append(Picture(damaged, f"{what} {image}, {CORRUPTIONS[kind].title.lower()}: {words}", (words,)))
    st.html(markup.gallery(items))


st.title("How fragile is it?")
network, key = evaluated("its figures on damaged pictures")
table = cache.predictions(network.tables[key])
name, split = (str(table.table[column].iloc[0]) for column in ("dataset", "split"))
source = cache.dataset_of(table)
results: dict[str, dict[str, Measured]] = defaultdict(dict)  # sample -> network -> where
for other in store.checkpoints().values():
    try:
        known = measured(other.folder)
    except FerError:  # no weights any more: it cannot be measured, and the others can
        continue
    for one in known:
        if (one.dataset, one.split) == (name, split):
            results[one.sample][other.name] = one
mine = {number: found for number, found in results.items() if network.name in found}
command = f"ferscope robustness {network.name} --data {name} --split {split}"
if not mine:
    st.info(
        f"{verbatim(titles()[network.name])} has not been measured on damaged pictures of {verbatim(table_title(key))} yet. "
        f"`{command}` measures all of them, `--limit 500` some."
    )
    if source is None:
        st.caption("The pictures are not on this machine; add the data set first.")
        st.page_link("views/data.py", label="Add the data set")
    elif st.button(f"Measure {HERE} pictures here", type="primary"):
        measure_here(network, source, split)
    st.stop()

chosen = (
    choose(
        "Pictures measured",
        list(mine),
        "sample",
        lambda number: f"{pictures(mine[number][network.name].n)} of {table_title(key)} ({number[:6]})",
    )
    if len(mine) > 1
    else next(iter(mine))
)
tables = {titles()[network.name]: mine[chosen][network.name].table()}
st.markdown(answer(titles()[network.name], next(iter(tables.values()))))
others = [other for other in mine[chosen] if other != network.name]
if others:
    beside = st.multiselect(
        "Over other networks", others, default=others[:3], key="over", bind="query-params", format_func=titles().get
    )
    tables |= {titles()[other]: mine[chosen][other].table() for other in beside}
st.plotly_chart(charts.curves(tables), config=PLOTLY, key="curves")
st.caption(
    "Error bars: 95 % intervals (Wilson). A network that averages several views of a picture is given it and its mirror image "
    "here. After Hendrycks and Dietterich 2019, arXiv 1903.12261; lengths are in pixels of a "
    f"face of 48 x 48, whatever the picture's size. More pictures: `{command}`, also with several networks at once."
)
with st.expander("The table behind the charts"):
    everything = pd.concat(tables, names=["network"]).reset_index("network")
    st.dataframe(everything, hide_index=True)
    st.download_button(
        "Download as csv", everything.to_csv(index=False), f"robustness-{network.name}-{key}.csv", "text/csv"
    )
if source is not None:
    st.subheader("What the damage looks like")
    kind = choose(
        "Damage", list(CORRUPTIONS), "damage", lambda kind: CORRUPTIONS[kind].title, place=st.container(width=BOX)
    )
    examples(source, split, kind)
