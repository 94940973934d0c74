"""Overview: how good are the networks? All of this workspace side by side, on the chosen data set."""

import re
from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from dashboard import cache, curves, damaged, markup
from dashboard.behind import table_behind
from dashboard.pickers import evaluate_link, picked, titles
from dashboard.text import estimate, verbatim
from fer_core.datasets.titles import split_title, table_in_words, table_title
from fer_core.evaluation import optimism
from fer_core.evaluation.comparison import ALPHA, McNemar, p_in_words
from fer_core.evaluation.report import Headline
from fer_core.evaluation.results import leaks_in_words
from fer_core.evaluation.seeds import FIGURES, over_seeds
from fer_core.glossary import explained
from fer_core.reports.charts import networks as networks_chart
from fer_core.reports.evaluation_report import Document, document
from fer_core.reports.html import Cell, share
from fer_core.runs import store
from fer_core.runs.store import Checkpoint

ORDER = {"train": 0, "val": 1, "test": 2}


def accuracy_in_words(network: Checkpoint, key: str | None) -> str:
    title = verbatim(titles()[network.name])
    if key is None:
        return f"{title} has not been evaluated yet."
    report = cache.headlines({network.name: network.tables[key]}).get(network.name)
    if report is None:
        return (
            f"The predictions of {title} on {verbatim(table_in_words(key))} cannot be read. Evaluate the network again."
        )
    return (
        f"{title} has an accuracy of {estimate(report.accuracy, report.accuracy_interval, report.n)} "
        f"on {verbatim(table_in_words(key))}. {leaks_in_words(network.card.results.get(key, {}))}"
    )


def row(network: Checkpoint, report: Headline | None, p: Cell) -> list[Cell]:
    card = network.card
    figures: list[Cell] = ["–", "–", "–", "–"]
    if report:
        figures = [
            p,
            share(report.accuracy, report.accuracy_interval),
            share(report.macro_f1, report.macro_f1_interval),
            f"{report.n:,}",
        ]
    return [
        titles()[network.name],
        "shipped" if network.shipped else "run",
        *figures,
        f"{card.parameters:,}" if card.parameters else "–",
        card.chosen_epoch,
        card.seeds,
        "–" if card.imported else card.cost.time,
        chosen_on(card.chosen_on),
    ]


def chosen_on(data: str) -> str:
    """The data that chose the best epoch, “FER2013 (csv), val (PublicTest)”, as “FER2013, validation set”."""
    found = re.fullmatch(r"([^,(]+?)(?: \([^)]*\))?, (train|val|test)\b.*", data)
    return f"{found[1]}, {split_title(found[2])}" if found else data


HEADER = (
    "Network", "Source", "p", "Accuracy, %", "Macro-F1, %", "n", "Parameters", "Best epoch", "Seed", "Training",
    "Best epoch chosen on",
)  # fmt: skip


def summary(networks: dict[str, Checkpoint], reports: dict[str, Headline]) -> pd.DataFrame:
    """The table behind the chart: the evaluated networks, figures as shares."""
    return pd.DataFrame(
        {
            "name": name,
            "title": titles()[name],
            "n": report.n,
            "accuracy": report.accuracy,
            "accuracy_low": report.accuracy_interval.low,
            "accuracy_high": report.accuracy_interval.high,
            "macro_f1": report.macro_f1,
            "macro_f1_low": report.macro_f1_interval.low,
            "macro_f1_high": report.macro_f1_interval.high,
            "balanced_accuracy": report.balanced_accuracy,
            "parameters": networks[name].card.parameters,
            "seed": networks[name].card.seed,
        }
        for name, report in reports.items()
    )


def told(tests: dict[str, McNemar]) -> dict[str, Cell]:
    """p of each network against the picked one, grey where it is not significant."""
    return {
        name: p_in_words(test.p) if test.p <= ALPHA else markup.light(p_in_words(test.p))
        for name, test in tests.items()
    }


def side_by_side(networks: dict[str, Checkpoint], key: str) -> None:
    """Accuracy on the splits of one data set, if a network was evaluated on more than one."""
    dataset = key.rpartition("-")[0]
    keys = [k for network in networks.values() for k in network.tables if k.rpartition("-")[0] == dataset]
    parts = sorted(set(keys), key=lambda k: (ORDER.get(k.rpartition("-")[2], len(ORDER)), k))
    if len(parts) < 2:
        return
    found = {
        part: cache.headlines({name: n.tables[part] for name, n in networks.items() if part in n.tables})
        for part in parts
    }
    st.subheader("Accuracy by split", help=explained("Training, validation and test set", "Overfitting"))
    rows = [
        [
            titles()[name],
            *(
                share(found[part][name].accuracy, found[part][name].accuracy_interval) if name in found[part] else "–"
                for part in parts
            ),
        ]
        for name in networks
        if any(name in reports for reports in found.values())
    ]
    sizes = {part: sorted({report.n for report in found[part].values()}) for part in parts}
    st.html(
        markup.table(
            (
                "Network, accuracy in %",
                *(f"{split_title(part.rpartition('-')[2])}, n = {_n(sizes[part])}" for part in parts),
            ),
            rows,
        )
    )
    st.markdown("A network that is much better on the training set than on the others overfits the training set.")
    st.caption("Grey: 95 % confidence intervals (Wilson).")


def _n(sizes: list[int]) -> str:
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}" if sizes else "0"


def seeds(networks: dict[str, Checkpoint], table: pd.DataFrame) -> None:
    """Mean and deviation of networks that differ only in their seed."""
    repeated = over_seeds({name: network.card for name, network in networks.items()}, table)
    if not len(repeated):
        return
    st.subheader("Variation between seeds", help=explained("Seed"))
    rows = [
        [
            row["title"],
            *(f"{100 * row[f'{figure}_mean']:.1f} ± {100 * row[f'{figure}_sd']:.1f}" for figure in FIGURES),
            str(row["seeds"]),
        ]
        for row in repeated.to_dict("records")
    ]
    st.html(markup.table(("Recipe", "Accuracy, %", "Macro-F1, %", "Balanced accuracy, %", "Seeds"), rows))
    st.caption("Mean ± standard deviation over networks with the same recipe and data but different seeds.")


def made(what: Callable[[Document], str | bytes], networks: list[Checkpoint], key: str) -> str | bytes:
    """A report in one of its forms, made when it is downloaded."""
    return what(document(networks, key))


def report_button(networks: dict[str, Checkpoint], others: list[str], first: str, key: str) -> None:
    st.subheader("Export a report")
    chosen = st.multiselect(
        "Networks in the report", [first, *others], default=[first], key="report-of", format_func=titles().__getitem__
    )
    with st.container(horizontal=True):
        for label, name, mime, what in (
            ("Download HTML", f"report-{key}.html", "text/html", lambda made: made.html),
            ("Download zip with cards and tables", f"report-{key}.zip", "application/zip", lambda made: made.zipped()),
        ):
            st.download_button(
                label,
                partial(made, what, [networks[n] for n in chosen], key),
                name,
                mime,
                disabled=not chosen,
                on_click="ignore",
            )
    st.caption(
        "The HTML file contains all tables and charts and needs no network connection. The zip also contains the model cards and "
        "all tables as csv."
    )


st.title(
    "Overview: how good are the networks?",
    help=explained("Accuracy", "Macro-F1", "Confidence interval", "Balanced accuracy", "Ensemble", "Distillation"),
)
networks, choice = store.checkpoints(), picked()
running = [run.name for run in store.runs() if run.look().state in ("queued", "running")]
if running:
    st.markdown(f"Training now: {verbatim(', '.join(running))}.")
    st.page_link("views/train.py", label="Open Train")
damaged.show()
if choice is None:
    st.info(
        "There is no trained network yet. Train one on the rendered heads to see its figures here. This takes about a "
        "minute."
    )
    if st.button("Train a network", type="primary"):
        st.switch_page("views/train.py")
    st.stop()

network, key = choice.checkpoint, choice.table
st.markdown(accuracy_in_words(network, key))
if key is None:
    evaluate_link(network.name)
tables = {name: other.tables[key] for name, other in networks.items() if key in other.tables}
reports = cache.headlines(tables)
here = {name: tables[name] for name in reports}
tests = cache.pair_tests(here, network.name) if network.name in here else {}
apart = told(tests)
order = sorted(networks, key=lambda name: -reports[name].accuracy if name in reports else 1)
st.html(
    markup.table(
        HEADER,
        [row(networks[name], reports.get(name), apart.get(name, "–")) for name in order],
        words=(0, 1, 10),
        picked=order.index(network.name),
    )
)
differ = [name for name, test in tests.items() if test.p <= ALPHA]
other = "one other network" if len(tests) == 1 else f"{len(tests)} other networks"
st.markdown(
    (
        f"{verbatim(titles()[network.name])} differs significantly from **{len(differ)}** of {other}. p compares it with each "
        "network alone, as Compare does for a pair; networks chosen on Compare are corrected together. "
        if tests
        else ""
    )
    + (
        f"A dash means: not evaluated on {verbatim(table_in_words(key))}."
        if key and len(reports) < len(networks)
        else ""
    )
)
st.caption(
    "p: McNemar's exact test on the images that both networks have predicted, without correction for several networks. Grey: not "
    "significant, and 95 % confidence intervals (accuracy: Wilson, macro-F1: delta method). Figures on the data that chose the "
    "best epoch are slightly too high."
)
accuracies = [epoch.val_accuracy for epoch in network.run.metrics()]
if said := optimism.in_words(network.card, accuracies, shipped=network.shipped):
    st.markdown(verbatim(f"{titles()[network.name]}: {said}"))
if len(reports) > 1:
    st.page_link("views/compare.py", label="Compare two networks")

if reports:
    assert key is not None  # some network has been evaluated on it
    table = summary(networks, {name: reports[name] for name in order if name in reports})
    st.subheader(f"Accuracy and macro-F1: {table_title(key)}", help=explained("Accuracy", "Macro-F1"))
    st.altair_chart(networks_chart(table, network.name))
    table_behind("chart", table, f"networks-{key}")
    side_by_side({name: networks[name] for name in order}, key)
    seeds(networks, table)

st.subheader("Learning curves", help=explained("Loss", "Epoch", "Overfitting", "Underfitting"))
others = [name for name in order if name != network.name]
beside = st.multiselect("Compare with", others, key="beside", format_func=titles().__getitem__) if others else []
histories = {titles()[name]: networks[name].run.metrics() for name in (network.name, *beside)}
histories = {title: epochs for title, epochs in histories.items() if epochs}
if histories:
    curves.show(histories)
    st.markdown("Training figures are measured on augmented images, so they can be worse than validation figures.")
    epochs = pd.concat({title: pd.DataFrame(results) for title, results in histories.items()}, names=["network"])
    epochs = epochs.reset_index("network")
    table_behind("chart", epochs, "history")
else:
    st.info("There are no learning curves, because this network has no training history.")

if key is not None and network.name in reports:
    report_button(networks, [name for name in order if name in reports and name != network.name], network.name, key)
