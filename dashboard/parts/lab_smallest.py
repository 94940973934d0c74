"""The smallest change on the Lab page: one face, then several people."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import cache
from dashboard.behind import table_behind
from dashboard.charts import lab as charts
from dashboard.parts.lab_experiments import command, measured_here, measured_people
from dashboard.parts.lab_scene import BIND, settings
from dashboard.pickers import titles
from dashboard.text import verbatim
from fer_core.errors import FerError
from fer_core.evaluation.intervals import PERCENT, percent
from fer_core.heads import Scene
from fer_core.lab import smallest as lab
from fer_core.runs.store import Checkpoint

IMAGES, SIDE = 6, 150  # of the strip; pixels of each
SEVERAL = "On several people"


def smallest(networks: Sequence[Checkpoint]) -> None:
    """The smallest movement of a face that turns an answer into another, for the first network."""
    network = networks[0]
    title = verbatim(titles()[network.name])
    if len(networks) > 1:
        st.info(f"One network at a time is searched: {title}, the first one chosen.")
    left, right = st.columns([2, 5], gap="medium")
    with left:
        chosen = settings()
    with right:
        to = str(
            st.selectbox(
                "Turn the answer into", network.card.expressions, len(network.card.expressions) - 1, key="into", bind=BIND,
                width=220,
            )
        )  # fmt: skip
        one_face(network, chosen.scene, to)
    st.subheader(SEVERAL)
    several(network, str(st.session_state["shows"]), to)


def one_face(network: Checkpoint, scene: Scene, to: str) -> None:
    """The search on the head of the settings: a strip of images, the answers on the way, and what moves."""
    loaded = cache.predictor(network.folder).members[0]
    change = lab.look(loaded, scene, to)
    if change is None:
        head, (_, probs) = cache.head(scene, 2 * SIDE), cache.answer(network.folder, scene)
        st.image(head, width=2 * SIDE, alt="The rendered head")
        best = max(probs, key=probs.__getitem__)
        st.markdown(
            f"{verbatim(titles()[network.name])} predicts **{best}** with a confidence of {percent(probs[best])}. "
            f"Which movement of this face makes it predict **{to}**? The search renders about a thousand faces; it takes "
            "half a minute or more."
        )
        if not st.button("Search", type="primary", key="search"):
            return
        bar = st.progress(0.0, "Searching")
        st.button("Stop", key="stop-search", help="Nothing of a stopped search is kept.")

        def show(done: int, total: int) -> None:
            bar.progress(done / total, f"Generation {done} of {total}")

        try:
            lab.find(loaded, scene, to, progress=show)
        except FerError as error:
            st.error(verbatim(str(error)))
            return
        st.rerun()
    st.markdown(verbatim(change.sentence()))
    if not change.turned or not change.size:
        return
    strip = lab.strip(scene, change, SIDE, IMAGES)
    for number, (column, image) in enumerate(zip(st.columns(IMAGES, gap="small"), strip, strict=True)):
        share = number / (IMAGES - 1)
        answer = change.expressions[int(change.path[round(share * (lab.STEPS - 1))].argmax())]
        words = f"{100 * share:.0f}{PERCENT}"
        column.image(image, f"{words}: {answer}", "stretch", alt=f"The head at {words} of the movement")
    rows = [
        {"share": step / (lab.STEPS - 1), "expression": name, "probability": change.path[step, i]}
        for step in range(lab.STEPS)
        for i, name in enumerate(change.expressions)
    ]
    st.altair_chart(charts.path(pd.DataFrame(rows)), key="path")
    table_behind("chart", change.table(), f"smallest-{network.name}")
    st.caption(
        "A size of 1 is one full action of average reach. CMA-ES searched from three starts. A smaller movement may exist."
    )


def several(network: Checkpoint, shown: str, to: str) -> None:
    """Which movements turn the answer most cheaply, over several people."""
    if shown == to:
        st.markdown(f"Choose an expression other than {to} above, or another answer to turn it into.")
        return
    people = max(measured_people(network, lab.measure, expression=shown, to=to), default=lab.PEOPLE)
    found = measured_here([network], shown, lab.measure, (shown, to, people))
    command([network], f"smallest NETWORK --expression {shown} --to {to} --people {people}")
    for one in found.values():
        st.markdown(verbatim(one.sentence))
        table = one.table
        if len(table):
            shown_table = pd.DataFrame(
                {
                    "Action unit": [f"AU{unit} {title}" for unit, title in zip(table["unit"], table["title"], strict=True)],
                    "Used on (%)": 100 * table["share"], "From (%)": 100 * table["low"], "To (%)": 100 * table["high"],
                    "Mean change (%)": 100 * table["change"],
                }
            )  # fmt: skip
            st.dataframe(shown_table.round(1), hide_index=True)
            st.caption("Used on: share of the people with a movement, with its 95 % interval (Wilson).")
