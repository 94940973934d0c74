"""Regions: which parts of the face matter? Measured on a whole split, with a check of how far each method can be trusted."""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from dashboard import cache
from dashboard.parts.region_attention import attention_of_two_networks, attention_on_errors
from dashboard.parts.region_maps import SIDE, mean_maps
from dashboard.parts.region_methods import trust_in_methods
from dashboard.parts.region_report import attribution_by_region, covered_regions, face
from dashboard.parts.region_truth import truth_of_maps
from dashboard.pickers import Picked, choose, evaluate_link, picked
from dashboard.text import images, verbatim
from fer_core.datasets.heads import HEADS
from fer_core.datasets.titles import table_in_words, table_title
from fer_core.evaluation.intervals import percent
from fer_core.explanation import region_report as reports
from fer_core.glossary import explained

VIEWS = {
    "none": "Without test-time averaging.",
    "flip": "Regions: averaged over each image and its mirror image; methods: without test-time averaging.",
    "ten-crop-if-close": "Regions: averaged over each image and its mirror image, or over ten crops where the answer is close; "
    "methods: without test-time averaging.",
    "ten-crop": "Regions: averaged over ten crops of each image; methods: without test-time averaging.",
}


def main() -> None:
    st.title("Regions: which parts of the face matter?", help=explained("Region ablation", "Attribution map"))
    choice = picked()
    if choice is None:
        st.info("There is no trained network yet. Train one on the rendered heads; this takes a few minutes.")
        st.page_link("views/train.py", label="Train a network")
        return
    known = reports.find(choice.checkpoint.folder)
    if known:
        region_report(choice, known)
    else:
        no_report(choice)
    with st.expander("Maps held against the truth: rendered heads"):
        truth_of_maps(choice.checkpoint)
    # a link to maps that were computed opens the part with them
    with st.expander("How attention differs on errors", expanded="compute" in st.query_params):
        attention_on_errors(choice)
    with st.expander("How attention differs between two networks", expanded="compute-networks" in st.query_params):
        attention_of_two_networks(choice)


def region_report(choice: Picked, known: Mapping[str, Path]) -> None:
    """What the network's region report says, the main result first."""
    keys = list(known)
    default = choice.table if choice.table in known else keys[0]
    key = keys[0]
    if len(keys) > 1:
        key = choose("Data set of the report", keys, "report", table_title, default=default)
    report = cache.explanation_report(known[key])
    about = report.about
    if choice.table and key != choice.table:
        st.info(
            f"There is no report on {verbatim(table_in_words(choice.table))} yet. The figures below are of "
            f"{verbatim(table_in_words(key))}."
        )
    row = st.container(horizontal=True, gap="medium")
    with row.container(width=SIDE):
        face(report)
    with row.container(width="stretch"):
        what_is_measured(report, key)
    covered_regions(report)
    for title, draw in (
        ("Attribution by region", attribution_by_region),
        ("Comparison of the methods", trust_in_methods),
        ("Mean maps", mean_maps),
    ):
        with st.expander(title):
            draw(report)
    if reason := reports.outdated(report, choice.checkpoint.folder):
        st.warning(f"{reason} Make the report again on the Data page or with this command:")
        evaluate_link(choice.checkpoint.name, "regions", label="Make the report again")
        st.code(command(choice.checkpoint.name, about["data"], about["split"]), None, wrap_lines=True)


def what_is_measured(report: reports.RegionReport, key: str) -> None:
    """The main result, and of which images it is."""
    about = report.about
    figures, _, conclusion = str(about["verdict"]).rpartition(". ")
    st.markdown(f"**{verbatim(conclusion)}** {verbatim(f'{figures}.' if figures else '')}")
    part = "" if about["n"] == about["n_of_split"] else f" of {about['n_of_split']:,}, a random sample"
    st.caption(
        verbatim(
            f"{table_title(key)}: {images(about['n'])}{part}. Methods are compared on {about['methods_n']:,} of them. Layer: "
            f"{about['layer']}. 95 % confidence intervals over images. {VIEWS[about.get('tta', 'none')]}"
        )
    )
    if fit := about.get("template"):
        st.caption(
            f"Regions come from one fixed template. On {fit['found']} of {fit['faces']} images a face was detected; there, eyes, "
            f"nose and mouth of the template overlap with those of the face by {percent(fit['core_overlap'])} (median)."
        )


def no_report(choice: Picked) -> None:
    place, _, split = (choice.table or f"{HEADS}-val").rpartition("-")
    if choice.table:
        place = cache.place_of(cache.predictions(choice.checkpoint.tables[choice.table])) or place
    st.info("There is no region report for this network yet.")
    evaluate_link(choice.checkpoint.name, "regions", place, "Make one on the Data page")
    st.markdown("Or run this command:")
    st.code(command(choice.checkpoint.name, place, split), None, wrap_lines=True)
    st.markdown(
        "It takes a few minutes: regions are covered on the whole split, and methods are compared on 128 images."
    )


def command(name: str, place: str, split: str) -> str:
    return f"ferscope explain-report {name} --data {place} --split {split}"


main()
