"""How good are they? The networks of this workspace side by side, on the picked data and split."""

import pandas as pd
import streamlit as st

from dashboard import cache, markup
from dashboard.charts import networks as charts
from dashboard.markup import Html
from dashboard.pickers import picked, titles
from dashboard.text import interval, percent, pictures, table_title, verbatim
from fer_core.evaluation.metrics import Report
from fer_core.runs import store
from fer_core.runs.store import Checkpoint

PLOTLY = {"displayModeBar": False}


def answer(network: Checkpoint, key: str | None) -> str:
    title = titles()[network.name]
    if key is None:
        return (
            f"{title} has not been evaluated yet: `ferscope evaluate {network.name} --data DATA --split SPLIT` does it."
        )
    report = cache.report(network.tables[key])
    return (
        f"{verbatim(title)} reads **{percent(report.accuracy)}** ({interval(report.accuracy_interval)}) "
        f"of {pictures(report.n)} of {verbatim(table_title(key))} as labelled."
    )


def row(network: Checkpoint, report: Report | None) -> list[str | Html]:
    card = network.card
    figures: list[str | Html] = ["not evaluated here", "", ""]
    if report:
        figures = [
            markup.figure(report.accuracy, report.accuracy_interval),
            markup.figure(report.macro_f1, report.macro_f1_interval),
            f"{report.n:,}",
        ]
    return [
        titles()[network.name],
        "shipped" if network.shipped else "run",
        *figures,
        f"{card.parameters:,}",
        f"{card.best_epoch} of {card.epochs}",
        str(card.seed),
        f"{card.cost.cpu_minutes:,.1f}",
        card.chosen_on,
    ]


HEADER = (
    "Network", "From", "Accuracy, %", "Macro-F1, %", "n", "Parameters", "Best epoch", "Seed", "CPU minutes", "Chosen on",
)  # fmt: skip


def summary(networks: dict[str, Checkpoint], reports: dict[str, Report]) -> pd.DataFrame:
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
            "parameters": networks[name].card.parameters,
            "seed": networks[name].card.seed,
        }
        for name, report in reports.items()
    )


st.title("How good are they?")
networks, choice = store.checkpoints(), picked()
running = [run.name for run in store.runs() if run.status().state in ("queued", "running")]
if running:
    st.caption(f"Training now: {verbatim(', '.join(running))}.")
    st.page_link("views/train.py", label="Watch on the Train page")
if choice is None:
    st.info(
        "There is no trained network here yet. Train one on the synthetic faces: it takes about a minute, "
        "and its figures appear on this page."
    )
    if st.button("Train a first network", type="primary"):
        st.switch_page("views/train.py")
    st.stop()

network, key = choice.checkpoint, choice.table
st.markdown(answer(network, key))
reports = {name: cache.report(other.tables[key]) for name, other in networks.items() if key in other.tables}
order = sorted(networks, key=lambda name: -reports[name].accuracy if name in reports else 1)
st.html(
    markup.table(
        HEADER,
        [row(networks[name], reports.get(name)) for name in order],
        words=(0, 1, 9),
        picked=order.index(network.name),
    )
)
st.caption(
    "In a lighter tone: 95 % intervals, Wilson's for accuracy, bootstrap for macro-F1. On the pictures that chose the epoch "
    "(“Chosen on”), figures are a little too high."
)

if reports:
    table = summary(networks, {name: reports[name] for name in order if name in reports})
    st.subheader(f"Accuracy and macro-F1 on {table_title(key)}")
    st.plotly_chart(charts.networks(table, network.name), config=PLOTLY, key="networks")
    with st.expander("The table behind the chart"):
        st.dataframe(table, hide_index=True)
        st.download_button("Download as csv", table.to_csv(index=False), f"networks-{key}.csv", "text/csv")

st.subheader("How training went")
others = [name for name in order if name != network.name]
beside = st.multiselect("Show beside it", others, key="beside", format_func=titles().get) if others else []
histories = {titles()[name]: networks[name].run.metrics() for name in (network.name, *beside)}
histories = {title: epochs for title, epochs in histories.items() if epochs}
if histories:
    st.plotly_chart(charts.curves(histories), config=PLOTLY, key="curves")
    st.caption("Training figures are taken on augmented pictures and can therefore be worse than validation figures.")
    with st.expander("The table behind the curves"):
        epochs = pd.concat({title: pd.DataFrame(results) for title, results in histories.items()}, names=["network"])
        epochs = epochs.reset_index("network")
        st.dataframe(epochs, hide_index=True)
        st.download_button("Download as csv", epochs.to_csv(index=False), "history.csv", "text/csv")
else:
    st.info("This network came without a history of its training.")
