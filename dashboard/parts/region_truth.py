"""The maps of a network on rendered heads, held against the pixels that an expression really moves."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import markup
from dashboard.behind import table_behind
from dashboard.charts import lab as charts
from dashboard.parts.lab_experiments import command, measured_here, measured_people
from dashboard.text import verbatim
from fer_core.evaluation.comparison import p_value
from fer_core.evaluation.intervals import bounded
from fer_core.lab import truth
from fer_core.runs.store import Checkpoint

BOX = 190  # pixels of a select box


def truth_of_maps(network: Checkpoint) -> None:
    """How much of each method's map lies where the face moves, by expression, beside three controls."""
    people = max(measured_people(network, truth.measure, methods=list(truth.QUICK)), default=truth.PEOPLE)
    found = measured_here([network], None, truth.measure, (truth.QUICK, people))
    command([network], f"truth NETWORK --people {people}")
    for one in found.values():
        st.markdown(verbatim(one.sentence))
        table = one.table
        if not len(table):
            continue
        shown = str(st.selectbox("Expression", list(dict.fromkeys(table["expression"])), key="truth-of", width=BOX))
        rows = table[table["expression"] == shown]
        st.altair_chart(
            charts.effects(rows[rows["method"] != truth.BLOB], "title", "more than a centred blob (points)"),
            key="truth",
        )
        header = [
            "Method",
            "Attribution on the moved pixels (%)",
            "Maximum there (%)",
            "More than a blob (points)",
            "p (Holm)",
        ]
        cells = [
            [
                row["title"],
                bounded(row["mass"], row["mass_low"], row["mass_high"]),
                bounded(row["pointing"], row["pointing_low"], row["pointing_high"]),
                bounded(row["difference"], row["low"], row["high"], form="+.1f"),
                "control" if pd.isna(row["p_adjusted"]) else p_value(row["p_adjusted"]),
            ]
            for row in rows.to_dict("records")
        ]
        st.html(markup.table(header, cells, words=(0,)))
        for row in one.tables["left"].to_dict("records"):
            st.markdown(verbatim(f"{row['method']} was left out: {row['why']}."))
        st.caption(
            f"{rows['faces'].iloc[0]} faces of {rows['people'].iloc[0]} rendered people that the network predicts right. Of each "
            "face the renderer knows the pixels that its expression moves or shades. 95 % intervals over people; grey: not "
            "significant. A network may rest on more than what moves, so a low share is no proof of a wrong map."
        )
        table_behind("chart", table, f"truth-{network.name}")
