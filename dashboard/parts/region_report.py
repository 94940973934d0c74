"""The region report of the Regions page: covered regions, and where the attribution lies."""

import streamlit as st

from dashboard.charts import explanation as charts
from dashboard.parts.region_maps import BOX, title_of
from dashboard.pickers import choose
from dashboard.text import verbatim
from fer_core.evaluation.intervals import percent
from fer_core.explanation.region_report import RegionReport
from fer_core.glossary import explained

COVERS = {"blur": "blur", "mean": "mean grey of the image", "noise": "noise"}


def covered_regions(report: RegionReport) -> None:
    st.subheader("How much accuracy is lost if a region is covered?", help=explained("Region ablation"))
    how = choose("Cover with", list(COVERS), "cover", COVERS.__getitem__, place=st.container(width=BOX))
    table = report.covering[report.covering["cover"] == how]
    st.plotly_chart(
        charts.covering(table), key="covering", alt="Loss of accuracy in points, by expression and covered region"
    )
    st.caption(
        "Loss of accuracy in points, each covered image compared with the same image uncovered. In brackets: not significant "
        "after one correction over all regions and expressions (exact McNemar tests, Holm). A network has never been trained on "
        "covered faces, so part of a loss may come from the cover itself."
    )
    for sentence in report.about["sentences"].values():
        st.markdown(f"- {verbatim(sentence)} :gray[(covered with blur)]")
    with st.expander("Table behind the chart"):
        st.dataframe(table.drop(columns="cover"), hide_index=True)


def attribution_by_region(report: RegionReport) -> None:
    st.subheader("Where is the attribution?", help=explained("Attribution map"))
    names = list(report.regions["method"].unique())
    method = choose("Method", names, "method", title_of, place=st.container(width=BOX))
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
