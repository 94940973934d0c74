"""The methods of the Regions page: which of them can be trusted for a network."""

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import markup
from dashboard.charts import explanation as charts
from dashboard.parts.region_maps import sorted_by_kind, title_of
from dashboard.text import verbatim
from fer_core.explanation import KINDS, METHODS, by_kind
from fer_core.explanation.badge import badge
from fer_core.explanation.region_report import RegionReport
from fer_core.glossary import explained

CONTROL = "control"  # no method: what stands in for one


def trust_in_methods(report: RegionReport) -> None:
    st.subheader(
        "Which methods can be trusted?",
        help=explained("Deletion and insertion", "Randomisation test", "Infidelity", "Max-sensitivity"),
    )
    measured = report.methods[report.methods["n"] > 0]
    known = measured[~measured["control"]]
    verdicts = {row["title"]: badge(row) for _, row in known.iterrows()}
    good = [title for title, one in verdicts.items() if one.level == "supported"]
    if good:
        st.markdown(
            f"**{len(good)} of {len(known)} methods are supported for this network**: {verbatim(', '.join(good))}. They "
            "are better than the map of another image, than one fixed face and than noise, and they depend on the weights and "
            "on the expression."
        )
    else:
        st.markdown(
            "**No method is supported for this network.** None is better than the map of another image, than one fixed face and "
            "than noise, and depends on the weights and on the expression."
        )
    if "gain" not in measured:
        st.markdown("The methods were compared by an earlier version, in a way that is no longer used.")
        return
    st.plotly_chart(
        charts.methods(measured), key="leaderboard", alt="Advantage of each method over another image's map"
    )
    st.caption(
        "Deletion removes the pixels that a map ranks highest, insertion adds them. The chart shows how much more the "
        "probability changes than with the same method's map of another image of the same expression. Bars: confidence intervals "
        f"that hold together for all {int(measured['compared'].iloc[0])} methods with 95 %."
    )
    header = [
        "Method",
        "Kind",
        "Verdict",
        "Advantage",
        "New head",
        "Half new",
        "Other class",
        "Infidelity",
        "Max-sensitivity",
    ]
    rows = []
    kinds = {method.name: kind for kind, methods in by_kind().items() for method in methods}
    kind_of = measured["method"].map(kinds).fillna(CONTROL)
    grouped = measured.assign(kind=pd.Categorical(kind_of, [*KINDS, CONTROL], ordered=True))
    for row in grouped.sort_values("kind", kind="stable").to_dict("records"):
        cells = [
            row["title"],
            row["kind"],
            "–" if row["control"] else verdicts[row["title"]].level,
            f"{100 * row['gain']:z.1f}",
        ]
        cells += [
            "–" if pd.isna(row.get(name, np.nan)) else f"{row[name]:z.2f}"
            for name in ("new_head", "half_new", "other_class", "infidelity", "max_sensitivity")
        ]
        rows.append(cells)
    st.html(markup.table(header, rows, words=(0, 1, 2)))
    st.caption(
        "Advantage in points of probability, deletion and insertion together. New head, half new: rank correlation with the map "
        "after the last layer, or half of the layers, got random weights; a map that keeps 0.9 or 0.6 does not depend on them. "
        "Other class: rank correlation with the map of the second most likely expression. Infidelity (lower is better): only for "
        "maps whose values predict a change. Max-sensitivity: relative change under invisible noise (lower is better)."
    )
    left = report.methods[report.methods["n"] == 0]
    for row in left.to_dict("records"):
        st.markdown(verbatim(f"{row['title']} does not suit this network: {row['suits']}."))
    if rest := [
        title_of(name) for name in sorted_by_kind(METHODS.names()) if name not in set(report.methods["method"])
    ]:
        st.caption(
            f"Not compared, because they are slow or similar to these: {', '.join(rest)}. The command can measure them too."
        )
    with st.expander("Tables: all figures with intervals, and agreement between methods"):
        st.dataframe(report.methods, hide_index=True)
        st.dataframe(report.agreement, hide_index=True)
