"""Robustness: how much accuracy is lost on corrupted images? Several networks in one chart."""

import time
from collections import defaultdict

import pandas as pd
import streamlit as st

from dashboard import cache, markup
from dashboard.behind import table_behind
from dashboard.charts import robustness as charts
from dashboard.markup import Picture
from dashboard.pickers import choose, choose_networks, evaluated, titles
from dashboard.text import estimate, images, interval, verbatim
from fer_core.datasets import Dataset
from fer_core.datasets.heads import HEADS
from fer_core.datasets.titles import table_in_words
from fer_core.errors import FerError
from fer_core.evaluation.corruptions import CORRUPTIONS, corrupt
from fer_core.evaluation.intervals import Interval, percent
from fer_core.evaluation.robustness import Measured, measure, measured, overall, sample
from fer_core.glossary import explained
from fer_core.runs import store
from fer_core.runs.store import Checkpoint

HERE = 100  # images that the page itself measures; more is for the command line
PLOTLY = {"displayModeBar": False}
BOX = 220  # pixels of a select box


def loss_in_words(title: str, table: pd.DataFrame, name: str) -> str:
    """Accuracy on clean and on corrupted images, and the corruption that costs most."""
    clean, damaged = table.iloc[0], table[table["severity"] > 0]
    words = (
        f"{verbatim(title)} has an accuracy of "
        f"{estimate(clean['accuracy'], Interval(clean['low'], clean['high']), int(clean['n']))} on clean images of "
        f"{verbatim(name)}"
    )
    if not len(damaged):
        return words + ". Corrupted images were not measured."
    kinds, severities = damaged["corruption"].nunique(), damaged["severity"].nunique()
    middle = damaged[damaged["severity"] == 3]
    considered = middle if len(middle) else damaged
    worst = considered.iloc[int(considered["drop"].argmax())]
    kind = CORRUPTIONS[worst["corruption"]]
    return words + (
        f", and of **{percent(overall(table))}** on average over {kinds} corruptions at {severities} severities. "
        f"{'At severity 3, it' if len(middle) else 'It'} loses most from {kind.title.lower()} ({worst['value']:g} {kind.unit}): "
        f"{100 * worst['drop']:.1f} points ({interval(Interval(worst['drop_low'], worst['drop_high']))})."
    )


def measure_here(network: Checkpoint, dataset: Dataset, split: str) -> None:
    """Measure a few images now; finished conditions are kept if the page is left."""
    bar, start = st.progress(0.0, "Reading the images"), time.monotonic()

    def show(done: int, total: int) -> None:
        taken = time.monotonic() - start
        left = f", about {taken / done * (total - done):.0f} s left" if done > 1 else ""
        bar.progress(
            done / total, f"{done} of {total} conditions{left}. To stop, leave the page; finished conditions are kept."
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
    """What a corruption looks like on one image of the data set."""
    row = int(dataset.rows(split)[0])
    image, picture = str(dataset.index["id"].iloc[row]), dataset.picture(row)
    what = "Rendered head" if dataset.name == HEADS else "Image"
    items = []
    for severity, value in enumerate((None, *CORRUPTIONS[kind].values)):
        words = "clean" if value is None else f"{value:g} {CORRUPTIONS[kind].unit}"
        damaged = corrupt(picture, kind, severity, image, dataset.name)
        items.append(Picture(damaged, f"{what} {image}, {CORRUPTIONS[kind].title.lower()}: {words}", (words,)))
    st.html(markup.gallery(items))


Results = dict[str, dict[str, Measured]]  # sample -> network -> where


def all_measured() -> Results:
    """All measurements of this workspace."""
    found: Results = defaultdict(dict)
    for network in store.checkpoints().values():
        try:
            known = measured(network.folder)
        except FerError:  # no weights any more: it cannot be measured, and the others can
            continue
        for one in known:
            found[one.sample][network.name] = one
    return found


def of_network(results: Results, network: Checkpoint, key: str) -> Results:
    """Those samples of one split that a network was measured on."""
    return {
        number: found
        for number, found in results.items()
        if (one := found.get(network.name)) and f"{one.dataset}-{one.split}" == key
    }


def not_measured(network: Checkpoint, source: Dataset | None, split: str, command: str) -> None:
    """How to measure a network on the data set that is picked."""
    if source is None:
        st.markdown("The images are not on this machine. Add the data set first.")
        st.page_link("views/data.py", label="Add the data set")
        return
    st.markdown(f"To measure all images, run `{command}`; add `--limit 500` to measure some.")
    if st.button(f"Measure {HERE} images now", type="primary"):
        measure_here(network, source, split)


st.title("Robustness: how much accuracy is lost on corrupted images?", help=explained("Corruption and severity"))
network, key = evaluated("see how it copes with corrupted images")
table = cache.predictions(network.tables[key])
name, split = (str(table.table[column].iloc[0]) for column in ("dataset", "split"))
source = cache.dataset_of(table)
command = f"ferscope robustness {network.name} --data {cache.place_of(table) or name} --split {split}"
results = all_measured()
mine = of_network(results, network, key)
if not mine:
    other = next((f"{one.dataset}-{one.split}" for found in results.values() if (one := found.get(network.name))), None)
    st.info(
        f"{verbatim(titles()[network.name])} has not been measured on corrupted images of {verbatim(table_in_words(key))} yet."
        + (f" The figures below are of {verbatim(table_in_words(other))}." if other else "")
    )
    not_measured(network, source, split, command)
    if other is None:
        st.stop()
    key, mine = other, of_network(results, network, other)
    source, split = None, other.rpartition("-")[2]
chosen = (
    choose(
        "Measured images",
        list(mine),
        "sample",
        lambda number: f"{images(mine[number][network.name].n)}, sample {number[:6]}",
    )
    if len(mine) > 1
    else next(iter(mine))
)
tables = {titles()[network.name]: mine[chosen][network.name].table()}
st.markdown(loss_in_words(titles()[network.name], next(iter(tables.values())), table_in_words(key)))
others = [other for other in mine[chosen] if other != network.name]
if others:
    beside = choose_networks("Compare with", others, "over", default=others[:3])
    tables |= {titles()[other]: mine[chosen][other].table() for other in beside}
st.plotly_chart(charts.curves(tables), config=PLOTLY, key="curves")
lacking: dict[str, list[str]] = defaultdict(list)  # kinds in words -> networks
for title, figures in tables.items():
    kinds = [how.title for kind, how in CORRUPTIONS.items() if kind not in set(figures["corruption"])]
    lacking[", ".join(kinds)].append(verbatim(title))
for words, without in lacking.items():
    if words:
        st.markdown(f"Not measured on {', '.join(without)}: {words}.")
st.caption(
    "Error bars: 95 % confidence intervals (Wilson). Networks with test-time averaging are measured with the image and its "
    "mirror image. Lengths are in pixels of a 48 x 48 face. Method: Hendrycks and Dietterich 2019, arXiv 1903.12261.",
    help=explained("Test-time averaging"),
)
st.markdown(f"To measure more images, run `{command}`; it takes several networks at once.")
everything = pd.concat(tables, names=["network"]).reset_index("network")
table_behind("charts", everything, f"robustness-{network.name}-{key}")
if source is not None:
    st.subheader("Examples of the corruptions")
    kind = choose(
        "Corruption", list(CORRUPTIONS), "damage", lambda kind: CORRUPTIONS[kind].title, place=st.container(width=BOX)
    )
    examples(source, split, kind)
