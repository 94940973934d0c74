"""The region report of the Regions page: covered regions, and where the attribution lies."""

from typing import cast

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import markup
from dashboard.charts import explanation as charts
from dashboard.parts.region_maps import BOX, SIDE, sorted_by_kind, title_and_kind, title_of
from dashboard.pickers import choose
from fer_core.evaluation.intervals import Interval, percent
from fer_core.explanation.overlay import colour
from fer_core.explanation.region_report import RegionReport
from fer_core.explanation.regions import Cover, costliest
from fer_core.faces.template import REGIONS, template
from fer_core.glossary import explained

LINE = 176  # grey level of the lines between regions
COVERS: dict[Cover, str] = {"blur": "blur", "mean": "mean grey of the image", "noise": "noise"}


def covered_regions(report: RegionReport) -> None:
    st.subheader("How much accuracy is lost if a region is covered?", help=explained("Region ablation"))
    how = cast(
        Cover,
        choose(
            "Cover with", list(COVERS), "cover", lambda name: COVERS[cast(Cover, name)], place=st.container(width=BOX)
        ),
    )
    table = report.covering[report.covering["cover"] == how]
    st.plotly_chart(
        charts.covering(table), key="covering", alt="Loss of accuracy in points, by expression and covered region"
    )
    st.markdown(
        "Loss of accuracy in points; in brackets: not significant. The network has never been trained on covered faces, so "
        "part of a loss may come from the cover itself."
    )
    st.caption(
        "Each covered image is compared with the same image uncovered: exact McNemar tests, one correction over all regions and "
        "expressions (Holm)."
    )
    with st.expander("The costliest region of each expression"):
        by_expression(table, how)
    with st.expander("Table behind the chart"):
        st.dataframe(table.drop(columns="cover"), hide_index=True)


def face(report: RegionReport) -> None:
    """The template of the regions, each in the colour of what covering it by blur costs over all expressions."""
    table = report.covering
    costs = table[(table["cover"] == "blur") & (table["expression"] == "all")].set_index("region")["accuracy_cost"]
    region = template(SIDE, SIDE)
    map = np.array([costs.get(name, 0.0) for name in REGIONS], dtype=np.float32)[region]
    limit = float(np.abs(map).max())
    pixels = colour(map, signed=True, limit=limit)
    borders = (np.diff(region, axis=0, append=region[-1:]) != 0) | (np.diff(region, axis=1, append=region[:, -1:]) != 0)
    pixels[borders] = LINE
    words = ", ".join(f"{name} {100 * costs[name]:.1f}" for name in REGIONS if name in costs)
    st.image(
        pixels, f"Red: up to {100 * limit:.1f} points lost", SIDE,
        alt=f"A face whose regions are coloured by the points of accuracy that covering them costs: {words}",
    )  # fmt: skip


def by_expression(table: pd.DataFrame, how: Cover) -> None:
    first = costliest(table, how)
    rows = [
        [
            "all expressions" if row["expression"] == "all" else row["expression"],
            row["region"],
            (f"{100 * row['accuracy_cost']:.1f}", Interval(row["accuracy_cost_low"], row["accuracy_cost_high"]).text()),
            f"{100 * row['accuracy']:.1f}",
            f"{row['n']:,}",
        ]
        for row in first.to_dict("records")
    ]
    header = ("Expression", "Costs most when covered", "Points of accuracy lost", "Accuracy uncovered, %", "n")
    st.html(markup.table(header, rows, words=(0, 1), grey=[not one for one in first["significant"]]))
    st.caption("Grey: not significant after correction. Intervals: 95 %.")


def attribution_by_region(report: RegionReport) -> None:
    st.subheader("Where is the attribution?", help=explained("Attribution map"))
    names = sorted_by_kind(report.regions["method"].unique())
    method = choose("Method", names, "method", title_and_kind, place=st.container(width=BOX))
    table = report.regions[report.regions["method"] == method]
    everything = table[table["expression"] == "all"].sort_values("density", ascending=False).iloc[0]
    st.markdown(
        f"With {title_of(method)}, attribution is densest in **{everything['region']}**: {percent(everything['share'])} of the "
        f"attribution lies on {percent(everything['area'])} of the image. This is {everything['density']:.2f} times as much as "
        f"in an even map (95 % CI {everything['density_low']:.2f} to {everything['density_high']:.2f}, n = {everything['n']:,})."
    )
    st.plotly_chart(charts.density(table), key="density", alt="Density of attribution by expression and region")
    st.markdown(
        "If this table and the table of covered regions disagree, trust the covered regions: they measure accuracy."
    )
    with st.expander("Table behind the chart"):
        st.dataframe(table, hide_index=True)
