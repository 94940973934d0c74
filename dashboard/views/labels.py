"""Labels: is the network wrong, or the label? Errors compared with the votes of ten people; without votes, the labels that
are probably wrong according to networks that have not learned the images."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cache, gallery, markup
from dashboard.behind import table_behind
from dashboard.charts import labels as charts
from dashboard.pickers import choose, evaluated, titles, to_address
from dashboard.text import images, interval, verbatim
from fer_core import workspace
from fer_core.datasets.heads import HEADS
from fer_core.datasets.known import linked
from fer_core.datasets.titles import dataset_title, split_title, table_in_words
from fer_core.datasets.votes import have_votes
from fer_core.errors import DataError
from fer_core.evaluation.intervals import Interval, percent, wilson
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
from fer_core.glossary import explained
from fer_core.reports.html import Cell, share
from fer_core.runs.store import Checkpoint

PLOTLY = {"displayModeBar": False}
BOX = 220  # pixels of a select box
EVERY, ALL = "every error", "every label"  # in the address
VOTES, NETWORK = "votes", "network"  # in the address
RULE = (
    "Rule (FER+ majority): single votes are dropped; a choice wins with more than half of the rest. Network wrong: the majority "
    "agrees with the label. Label contested: there is no majority. Label probably wrong: the majority disagrees with the label."
)


CONFIDENT = (
    "This is a suspicion, not a vote. Look at the image before you correct its label. Method: confident learning (Northcutt, "
    "Jiang and Chuang 2021, JAIR 70), with cleanlab."
)


def causes_in_words(title: str, key: str, table: pd.DataFrame) -> str:
    """How many errors are due to the network, to contested and to wrong labels."""
    parts = [f"{percent(row['share'])} ({interval(Interval(row['low'], row['high']))})" for _, row in table.iterrows()]
    network, contested, label = parts
    sided = int(table["sided"].sum())
    return (
        f"{verbatim(title)} makes **{int(table['n'].sum()):,} errors** on {verbatim(table_in_words(key))}. The voters attribute "
        f"**{network}** of them to the network. For **{contested}** the voters do not agree. For **{label}** they contradict "
        f"the label; in {sided:,} of these cases the network predicts what the voters say. (95 % confidence intervals in "
        "brackets.)"
    )


def ceiling_table(found: Ceiling, title: str) -> str:
    """How often the voters, and the network, agree with the given labels."""
    rows: list[list[Cell]] = [
        ["Majority of the voters", share(found.majority, found.majority_interval), f"{found.decided:,}"],
        [f"{title}, on the same images", share(found.network, found.network_interval), f"{found.decided:,}"],
        ["Most frequent vote, ties broken at random", share(found.plurality), f"{found.n:,}"],
        ["One voter, chosen at random", share(found.voter), f"{found.n:,}"],
        [f"{title}, on all images", share(found.network_all, found.network_all_interval), f"{found.n:,}"],
    ]
    return markup.table(("Prediction by", "Agreement with the label, %", "n"), rows)


def read_votes(table: Predictions) -> pd.DataFrame:
    """The votes of the named file, else the shipped ones; without any, the page says what to do and ends."""
    dataset = str(table.table["dataset"].iloc[0])
    shipped = have_votes(table.table, dataset)
    with st.expander("Votes", expanded=not shipped):
        asked = st.query_params.get("votes", "")  # not bound: what is typed is trusted, what a link brings is not
        path = st.text_input(
            "Path of a csv of votes on this machine",
            asked,
            key=f"votes-{asked}",
            placeholder="the votes of FER+, which are included" if shipped else "~/votes.csv",
            help="The file fer2013new.csv of FER+, or a csv with the columns id, optionally split, and one column of counts for "
            "each expression, “unknown” and “no face”.",
        ).strip()
        st.caption(
            "FER+: the votes of ten people for each image of FER2013 (Barsoum et al. 2016, MIT licence). They are joined by the "
            "image's content, those of PrivateTest by the row in the FER2013 csv in its original order."
        )
    if not path and not shipped:
        st.info(
            f"There are no votes for {verbatim(dataset_title(dataset))}. If several people have labelled its images, enter the "
            "path of a csv with their votes above: a column id, and one column of counts per expression. Otherwise choose a "
            "network or a cross-validation in the box at the top."
        )
        st.stop()
    try:
        if path and (workspace.student() or (path == asked and path != st.session_state.get("typed-votes"))):
            linked(path)
        if path != asked:
            st.session_state["typed-votes"] = path
            to_address("votes", *[path] * bool(path))
        return votes_of(table, path or None)
    except DataError as error:
        st.error(verbatim(str(error)))
        st.stop()


def suspected(path: Path, checkpoint: Checkpoint, key: str, whose: str) -> None:
    """The labels of a table that are probably wrong, as a sentence, by label, and as images."""
    table = cache.predictions(path)
    try:
        found = cache.label_issues(path)
    except DataError as error:
        st.info(verbatim(str(error)))
        return
    bounds = interval(wilson(len(found), len(table)))
    st.markdown(
        f"According to {verbatim(whose)}, **{len(found):,} of {images(len(table))}** probably have a wrong label "
        f"(**{percent(len(found) / len(table))}**, 95 % CI {bounds})."
    )
    st.markdown(CONFIDENT, help=explained("Confident learning", "Cross-validation"))
    shares = by_label(table, found)
    found_shares: list[Any] = list(shares.itertuples())
    rows: list[list[Cell]] = [
        [
            markup.expression(row.label), share(row.share, Interval(row.low, row.high)), f"{row.suspected:,}",
            f"{row.n:,}", row.instead,
        ]
        for row in found_shares
    ]  # fmt: skip
    st.html(markup.table(("Label", "Suspected, %", "Suspected", "n", "Most frequent prediction"), rows, words=(0, 4)))
    with st.expander("Table and suspected labels"):
        st.dataframe(shares, hide_index=True)
        st.download_button(
            "Download suspected labels as csv",
            found.rename(columns={"label": "given", "predicted": "label"}).to_csv(index=False),
            f"suspected-{checkpoint.name}-{key}.csv",
            "text/csv",
            help="A csv for `ferscope data clean --corrections`: id, split, and the network's prediction as the label.",
        )
    st.subheader("Suspected labels")
    names = [name for name in table.expressions.names if name in set(found["label"])]
    label = choose("Label", [ALL, *names], "label", default=ALL, place=st.container(width=BOX))
    chosen = found if label == ALL else found[found["label"] == label]
    st.markdown(f"**{images(len(chosen))}**, least probable label first.")

    def note(row: pd.Series) -> tuple[str, ...]:
        probs = dict(zip(table.expressions.names, table.probs[row["position"]], strict=True))
        return (f"label {percent(row['quality'])}", markup.stack("network", probs))

    gallery.show(table, chosen, checkpoint.name, key, view=("suspected", str(path), label), note=note)


def of_heads(key: str) -> bool:
    return key.rpartition("-")[0] == HEADS


def voted_instead(network: Checkpoint, key: str) -> str:
    """For rendered heads, whose labels are right: a table of the network whose images people have voted on, or the page ends."""
    voted = next((other for other in network.tables if has_votes(network, other)), None)
    st.info(
        "The label of a rendered head is what it was made to show, so each error is the network's. "
        + (f"The figures below are of {verbatim(table_in_words(voted))}." if voted else "")
    )
    if voted is None:
        asked = {"network": network.name, "table": key, "outcome": "wrong"}
        st.page_link("views/gallery.py", label="Show the errors in Gallery", query_params=asked)
        st.stop()
    return voted


def has_votes(network: Checkpoint, key: str) -> bool:
    """Whether votes of people are shipped for the images of a table."""
    table = cache.predictions(network.tables[key]).table
    return have_votes(table, str(table["dataset"].iloc[0]))


st.title("Labels: is the network wrong, or the label?", help=explained("Confidence interval"))
checkpoint, key = evaluated("see whether its errors are due to wrong labels")
title = titles()[checkpoint.name]
if of_heads(key) and st.query_params.get("by", VOTES) == VOTES and not st.query_params.get("votes"):
    key = voted_instead(checkpoint, key)
table = cache.served(checkpoint, key)
dataset, split = (str(table.table[column].iloc[0]) for column in ("dataset", "split"))
folds = crossval.finished(dataset)
with_votes = have_votes(table.table, dataset) or bool(st.query_params.get("votes"))
by = choose(
    "Judge labels by", [VOTES, NETWORK, *folds], "by",
    lambda name: {VOTES: "votes of people", NETWORK: "this network"}.get(name, f"cross-validation {name}"),
    default=VOTES if with_votes else NETWORK, place=st.container(width=BOX),
)  # fmt: skip
if by in folds:
    suspected(folds[by], checkpoint, key, f"the cross-validation {by}")
    st.stop()
if by == NETWORK:
    try:
        not_learned(checkpoint.card, split)
        suspected(checkpoint.tables[key], checkpoint, key, f"{title}, which has not learned the {split_title(split)}")
    except DataError as error:
        st.info(verbatim(str(error)))
    st.stop()
summary = st.container()
votes = read_votes(table)
judged = judge(table, votes)
divided = verdicts(judged)
with summary:
    if divided["n"].sum():
        st.markdown(causes_in_words(title, key, divided))
    else:
        st.markdown(f"{verbatim(title)} makes no error on the {images(len(judged))} that have votes.")
    if len(judged) < len(table):
        st.markdown(f"{images(len(table) - len(judged))} without votes are left out.")
    st.caption(RULE)

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Causes of the errors by label")
    causes = verdicts_by_label(judged)
    if len(causes):
        st.plotly_chart(charts.verdicts(causes), config=PLOTLY, key="verdicts")
    with st.expander("Table behind the chart"):
        st.dataframe(causes)
        st.dataframe(divided, hide_index=True)
        st.download_button(
            "Download as csv", divided.to_csv(index=False), f"verdicts-{checkpoint.name}-{key}.csv", "text/csv"
        )
with right:
    st.subheader("Accuracy and agreement of the voters")
    agreeing = by_agreement(judged)
    st.plotly_chart(charts.agreement(agreeing), config=PLOTLY, key="agreement")
    st.caption(
        "The first point includes all images with less agreement. Error bars: 95 % confidence intervals (Wilson)."
    )
    table_behind("chart", agreeing, f"agreement-{checkpoint.name}-{key}")

st.subheader("What accuracy is possible with these labels?")
st.html(ceiling_table(ceiling(judged, votes), title))
st.markdown(
    "A network that agrees with the labels more often than the majority of ten people does not recognise expressions better "
    "than they do. It has learned the habits of the people who labelled the data."
)
st.caption("“Unknown” and “no face” count as disagreement. Grey: 95 % confidence intervals (Wilson).")

st.subheader("Errors with votes and predicted probabilities")
verdict = choose("Show", [EVERY, *VERDICTS], "verdict", default=VERDICTS[2], place=st.container(width=BOX))
errors = judged[~judged["correct"]]
if verdict != EVERY:
    errors = errors[errors["verdict"] == verdict]
errors = errors.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)
st.markdown(f"**{images(len(errors))}**, highest confidence first.")


def note(row: pd.Series) -> tuple[str, ...]:
    counts = votes.loc[row["position"]]
    probs = dict(zip(table.expressions.names, table.probs[row["position"]], strict=True))
    return (
        markup.stack("voters", (counts / counts.sum()).to_dict()),
        markup.stack("network", probs),
    )


gallery.show(table, errors, checkpoint.name, key, view=("labels", verdict), note=note)
