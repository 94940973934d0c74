"""Is it the network or the label? Its errors held against what ten people voted for each picture; where nobody voted, the
labels that are probably wrong by the answers of networks that had not learned the pictures."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import cache, gallery, markup
from dashboard.charts import labels as charts
from dashboard.markup import Html
from dashboard.pickers import choose, evaluated, titles
from dashboard.text import interval, percent, pictures, table_title, verbatim
from fer_core.datasets.votes import have_votes
from fer_core.errors import DataError
from fer_core.evaluation.intervals import Interval, wilson
from fer_core.evaluation.label_issues import by_label, not_learned
from fer_core.evaluation.label_quality import (
    VERDICTS,
    Ceiling,
    by_agreement,
    ceiling,
    judge,
    verdicts,
    verdicts_by_label,
    votes_of,
)
from fer_core.evaluation.predictions import Predictions
from fer_core.experiments import crossval
from fer_core.runs.store import Checkpoint

PLOTLY = {"displayModeBar": False}
BOX = 220  # pixels of a select box
EVERY, ALL = "every error", "every label"
VOTES, NETWORK = "votes", "network"  # in the address
RULE = (
    "The rule is FER+'s majority: single votes are dropped, and a choice wins with more than half of what is left. Network "
    "wrong: the majority is the label. Label contested: no majority. Label probably wrong: the majority is another choice."
)


CONFIDENT = (
    "Confident learning (Northcutt, Jiang and Chuang 2021, JAIR 70), by cleanlab: a label is suspected where a network that "
    "has not learned the picture is surer of another expression than it is of that expression's own pictures on average. It "
    "is a suspicion, not a vote: look before you relabel."
)


def answer(title: str, key: str, table: pd.DataFrame) -> str:
    """The errors divided, in a sentence."""
    parts = [f"{percent(row['share'])} ({interval(Interval(row['low'], row['high']))})" for _, row in table.iterrows()]
    network, contested, label = parts
    sided = int(table["sided"].sum())
    return (
        f"Of {verbatim(title)}'s **{int(table['n'].sum()):,} errors** on {verbatim(table_title(key))}, the voters put "
        f"**{network} on the network**, cannot agree on **{contested}**, and contradict **the label of {label}**; in "
        f"{sided:,} of these the network answers what the voters say."
    )


def readers(found: Ceiling, title: str) -> str:
    """The ceiling as a small table."""

    def plain(share: float) -> Html:
        return Html(f"{100 * share:.1f}")

    rows: list[list[str | Html]] = [
        ["Answers the voters' majority", markup.figure(found.majority, found.majority_interval), f"{found.decided:,}"],
        [f"{title}, the same pictures", markup.figure(found.network, found.network_interval), f"{found.decided:,}"],
        ["Answers the most frequent vote, ties by lot", plain(found.plurality), f"{found.n:,}"],
        ["One voter drawn by lot", plain(found.voter), f"{found.n:,}"],
        [f"{title}, all of them", markup.figure(found.network_all, found.network_all_interval), f"{found.n:,}"],
    ]
    return markup.table(("Who", "Agrees with the given label, %", "n"), rows)


def read_votes(table: Predictions) -> pd.DataFrame:
    """The votes of the file that is named, else the shipped ones; where there are none the page says so and ends."""
    dataset = str(table.table["dataset"].iloc[0])
    shipped = have_votes(table.table, dataset)
    with st.expander("The votes", expanded=not shipped):
        path = st.text_input(
            "Path of a csv of votes on this machine",
            key="votes",
            bind="query-params",
            placeholder="the votes of FER+, which are shipped" if shipped else "~/votes.csv",
            help="FER+'s fer2013new.csv, or a csv with the columns id, perhaps split, and one of counts for each "
            "expression, “unknown” and “no face”.",
        ).strip()
        st.caption(
            "FER+: ten people's votes for each picture of FER2013, Barsoum et al. 2016, MIT licence. They are joined by "
            "the image's content, those of PrivateTest by the row in FER2013's csv in its original order."
        )
    if not path and not shipped:
        st.info(
            f"There are no votes for {verbatim(dataset)}. Let several people label its pictures, count their votes in a csv "
            "with a column id and one for each expression, and give its path above; or let the answers of a network that has "
            "not seen the pictures judge their labels, in the box at the top."
        )
        st.stop()
    try:
        return votes_of(table, path or None)
    except DataError as error:
        st.error(verbatim(str(error)))
        st.stop()


def suspected(path: Path, checkpoint: Checkpoint, key: str, whose: str) -> None:
    """The labels of a table that are probably wrong, as a sentence, by label, and as pictures."""
    table = cache.predictions(path)
    try:
        found = cache.label_issues(path)
    except DataError as error:
        st.info(verbatim(str(error)))
        return
    share = interval(wilson(len(found), len(table)))
    st.markdown(
        f"By {verbatim(whose)}, **{len(found):,} of {pictures(len(table))}** are probably labelled wrongly "
        f"(**{percent(len(found) / len(table))}**, {share})."
    )
    st.caption(CONFIDENT)
    shares = by_label(table, found)
    rows: list[list[str | Html]] = [
        [
            markup.expression(row.label), markup.figure(row.share, Interval(row.low, row.high)), f"{row.suspected:,}",
            f"{row.n:,}", row.instead,
        ]
        for row in shares.itertuples()
    ]  # fmt: skip
    st.html(markup.table(("Given label", "Suspected, %", "Pictures", "n", "Read most often as"), rows, words=(0, 4)))
    with st.expander("The table behind it, and the suspected labels"):
        st.dataframe(shares, hide_index=True)
        st.download_button(
            "Download the suspected labels as csv",
            found.rename(columns={"label": "given", "predicted": "label"}).to_csv(index=False),
            f"suspected-{checkpoint.name}-{key}.csv",
            "text/csv",
            help="In the format of `ferscope data clean --corrections`: id, split, and the network's answer as label.",
        )
    st.subheader("The least believable labels first")
    names = [name for name in table.expressions.names if name in set(found["label"])]
    label = choose("Given label", [ALL, *names], "label", default=ALL, place=st.container(width=BOX))
    shown = found if label == ALL else found[found["label"] == label]

    def note(row: pd.Series) -> tuple[str | Html, ...]:
        probs = dict(zip(table.expressions.names, table.probs[row["position"]], strict=True))
        return (f"label {percent(row['quality'])}", markup.stack("network", probs))

    gallery.show(table, shown, checkpoint.name, key, view=("suspected", str(path), label), note=note)


st.title("Is it the network or the label?")
checkpoint, key = evaluated("its errors")
title = titles()[checkpoint.name]
table = cache.predictions(checkpoint.tables[key])
dataset, split = (str(table.table[column].iloc[0]) for column in ("dataset", "split"))
folds = crossval.finished(dataset)
with_votes = have_votes(table.table, dataset) or bool(st.query_params.get("votes"))
by = choose(
    "Labels are judged by", [VOTES, NETWORK, *folds], "by",
    lambda name: {VOTES: "people's votes", NETWORK: "the network's answers"}.get(name, f"cross-validation {name}"),
    default=VOTES if with_votes else NETWORK, place=st.container(width=BOX),
)  # fmt: skip
if by in folds:
    suspected(folds[by], checkpoint, key, f"the cross-validation {by}, in which no network reads what it learned")
    st.stop()
if by == NETWORK:
    try:
        not_learned(checkpoint.card, split)
        suspected(checkpoint.tables[key], checkpoint, key, f"the answers of {title}, which has not learned {split}")
    except DataError as error:
        st.info(verbatim(str(error)))
    st.stop()
summary = st.container()
votes = read_votes(table)
judged = judge(table, votes)
divided = verdicts(judged)
with summary:
    if divided["n"].sum():
        st.markdown(answer(title, key, divided))
    else:
        st.markdown(f"{verbatim(title)} makes no error on the {pictures(len(judged))} with votes.")
    if len(judged) < len(table):
        st.caption(f"{pictures(len(table) - len(judged))} of the table have no votes and are left out.")
    st.caption(RULE)

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Errors of each label")
    by_label = verdicts_by_label(judged)
    if len(by_label):
        st.plotly_chart(charts.verdicts(by_label), config=PLOTLY, key="verdicts")
    with st.expander("The table behind the chart"):
        st.dataframe(by_label)
        st.dataframe(divided, hide_index=True)
        st.download_button(
            "Download as csv", divided.to_csv(index=False), f"verdicts-{checkpoint.name}-{key}.csv", "text/csv"
        )
with right:
    st.subheader("The more the voters agree")
    agreeing = by_agreement(judged)
    st.plotly_chart(charts.agreement(agreeing), config=PLOTLY, key="agreement")
    st.caption("The first point holds all pictures up to its share. Error bars: 95 % intervals (Wilson).")
    with st.expander("The table behind the chart"):
        st.dataframe(agreeing, hide_index=True)
        st.download_button(
            "Download as csv", agreeing.to_csv(index=False), f"agreement-{checkpoint.name}-{key}.csv", "text/csv",
            key="agreement-csv",
        )  # fmt: skip

st.subheader("How high can one score against these labels?")
st.html(readers(ceiling(judged, votes), title))
st.caption(
    "Pictures the voters call unknown or no face count as missed. A network above the voters' majority does not read faces "
    "better than ten people: it has learnt the habits of the labels. In a lighter tone: 95 % intervals (Wilson)."
)

st.subheader("The errors, with the ten votes beside the network's probabilities")
verdict = choose("Show", [EVERY, *VERDICTS], "verdict", default=VERDICTS[2], place=st.container(width=BOX))
errors = judged[~judged["correct"]]
if verdict != EVERY:
    errors = errors[errors["verdict"] == verdict]
errors = errors.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)
st.markdown(f"**{pictures(len(errors))}**, the most confident first.")


def note(row: pd.Series) -> tuple[str | Html, ...]:
    counts = votes.loc[row["position"]]
    probs = dict(zip(table.expressions.names, table.probs[row["position"]], strict=True))
    return (
        markup.stack("voters", (counts / counts.sum()).to_dict()),
        markup.stack("network", probs),
    )


gallery.show(table, errors, checkpoint.name, key, view=("labels", verdict), note=note)
