"""Regions: which parts of the face matter? Measured on a whole split, with a check of how far each method can be trusted."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard import cache, markup
from dashboard.charts import explanation as charts
from dashboard.pickers import Picked, choose, evaluate_link, picked, titles
from dashboard.text import images, verbatim
from fer_core.datasets.heads import HEADS
from fer_core.datasets.titles import table_title
from fer_core.evaluation.intervals import percent
from fer_core.explanation import METHODS
from fer_core.explanation import region_report as reports
from fer_core.explanation.badge import badge
from fer_core.explanation.means import Band
from fer_core.explanation.overlay import colour, common_limit
from fer_core.explanation.region_report import RegionReport
from fer_core.glossary import explained
from fer_core.models import attribution_layer
from fer_core.runs import store

SIDE = 132  # pixels of a mean map
BOX = 200
VIEWS = {
    "none": "Without test-time averaging.",
    "flip": "Regions: averaged over each image and its mirror image; methods: without test-time averaging.",
    "ten-crop": "Regions: averaged over ten crops of each image; methods: without test-time averaging.",
}
MOST = 400  # images on which the maps of two networks are compared
COVERS = {"blur": "blur", "mean": "mean grey of the image", "noise": "noise"}


def main() -> None:
    st.title("Regions: which parts of the face matter?", help=explained("Region ablation", "Attribution map"))
    choice = picked()
    if choice is None:
        st.info("There is no trained network yet. Train one on the rendered heads; this takes about a minute.")
        st.page_link("views/train.py", label="Train a network")
        return
    known = reports.find(choice.checkpoint.folder)
    if known:
        region_report(choice, known)
    else:
        no_report(choice)
    attention_on_errors(choice)
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
    st.markdown(f"**{verbatim(about['verdict'])}**")
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
    if reason := reports.outdated(report, choice.checkpoint.folder):
        st.warning(f"{reason} Run the command below to make the report again.")
        st.code(command(choice.checkpoint.name, about["data"], about["split"]), None, wrap_lines=True)
    covered_regions(report)
    attribution_by_region(report)
    trust_in_methods(report)
    mean_maps(report)


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
    header = ["Method", "Verdict", "Advantage", "New head", "Half new", "Other class", "Infidelity", "Max-sensitivity"]
    truth = "pointing" in measured
    header += ["Maximum in the mask", "Attribution in the mask"] if truth else []
    rows = []
    for row in measured.to_dict("records"):
        cells = [
            row["title"],
            "control" if row["control"] else verdicts[row["title"]].level,
            f"{100 * row['gain']:z.1f}",
        ]
        cells += [
            "–" if pd.isna(row.get(name, np.nan)) else f"{row[name]:z.2f}"
            for name in ("new_head", "half_new", "other_class", "infidelity", "max_sensitivity")
        ]
        cells += [f"{100 * row[name]:.0f} %" for name in ("pointing", "mass")] if truth else []
        rows.append(cells)
    st.html(markup.table(header, rows, words=(0, 1)))
    chance = ""
    if truth:
        share = f"{100 * measured['chance'].iloc[0]:.0f} %"
        chance = f" The mask is where a rendered head shows its expression; it covers {share} of the image."
    st.caption(
        "Advantage in points of probability, deletion and insertion together. New head, half new: rank correlation with the map "
        "after the last layer, or half of the layers, got random weights; a map that keeps 0.9 or 0.6 does not depend on them. "
        "Other class: rank correlation with the map of the second most likely expression. Infidelity (lower is better): only for "
        f"maps whose values predict a change. Max-sensitivity: relative change under invisible noise (lower is better).{chance}"
    )
    left = report.methods[report.methods["n"] == 0]
    for row in left.to_dict("records"):
        st.caption(verbatim(f"{row['title']} does not suit this network: {row['suits']}."))
    if rest := [title_of(name) for name in METHODS.names() if name not in set(report.methods["method"])]:
        st.caption(
            f"Not compared, because they are slow or similar to these: {', '.join(rest)}. The command can measure them too."
        )
    with st.expander("Tables: all figures with intervals, and agreement between methods"):
        st.dataframe(report.methods, hide_index=True)
        st.dataframe(report.agreement, hide_index=True)


def mean_maps(report: RegionReport) -> None:
    st.subheader("Mean map of each expression")
    method = choose(
        "Method of the mean maps",
        list(report.means["method"].unique()),
        "mean",
        title_of,
        place=st.container(width=BOX),
    )
    table = report.means[report.means["method"] == method]
    maps = {
        (str(name), int(rows["n"].iloc[0])): rows.sort_values(["y", "x"])["mean"]
        .to_numpy(np.float32)
        .reshape(rows["y"].max() + 1, -1)
        for name, rows in table.groupby("expression", sort=False)
    }
    signed = METHODS.get(str(method)).signed
    limit = common_limit(maps.values())
    with st.container(horizontal=True, gap="small"):
        for (name, n), one in maps.items():
            st.image(
                enlarged(colour(one, signed=signed, limit=limit)), f"{name}, n = {n:,}", SIDE,
                alt=f"Mean map of {name}, {n} images",
            )  # fmt: skip
        scale(signed, limit)
    st.caption(
        "Each map is first divided by the mean of its absolute values, so an even map is "
        f"{'1 or −1' if signed else '1'} everywhere."
    )


def attention_on_errors(choice: Picked) -> None:
    """Mean maps of one cell of the confusion matrix compared with the correct predictions."""
    st.subheader("How attention differs on errors", help=explained("Grad-CAM"))
    table = None if choice.table is None else cache.predictions(choice.checkpoint.tables[choice.table])
    dataset = None if table is None else cache.dataset_of(table)
    if table is None or dataset is None:
        st.info(
            "The images are not on this machine. Add the data set on the Data page to compare errors with correct predictions."
        )
        return
    names = list(table.expressions.names)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    given = choose("Label", names, "given", default="fear", place=row.container(width=BOX))
    others = [name for name in names if name != given]
    taken = choose("Prediction", others, "taken", default="surprise", place=row.container(width=BOX))
    wrong = (table.table["label"].to_numpy() == given) & (table.predicted == taken)
    right = (table.table["label"].to_numpy() == given) & table.correct
    if min(wrong.sum(), right.sum()) < 2:
        st.info(
            f"There are too few images for a mean map: {wrong.sum():,} of {given} predicted as {taken}, {right.sum():,} "
            "predicted correctly."
        )
        return
    method = "grad-cam"
    st.markdown(
        f"Mean maps for **{given}**, the label, with {title_of(method)}: {images(int(wrong.sum()))} predicted as {taken}, "
        f"compared with {int(right.sum()):,} predicted correctly."
    )
    if not row.toggle(
        "Compute", key="compute", bind="query-params", help="The maps are stored, so the second time is fast."
    ):
        st.markdown("Switch on “Compute” to make the maps. A few hundred images take some seconds.")
        return
    layer = attribution_layer(choice.checkpoint.card.network, cache.predictor(choice.checkpoint.folder).model)
    found = cache.cell_maps(choice.checkpoint, choice.table or "", given, taken, method, layer)
    pair(found, f"predicted as {taken}, n = {wrong.sum():,}", f"correct, n = {right.sum():,}", "on errors")


def attention_of_two_networks(choice: Picked) -> None:
    """Mean maps of two networks on the same images, and their difference."""
    st.subheader("How attention differs between two networks")
    table = None if choice.table is None else cache.predictions(choice.checkpoint.tables[choice.table])
    others = {name: one for name, one in store.checkpoints().items() if name != choice.checkpoint.name}
    if table is None or cache.dataset_of(table) is None or not others:
        st.info(
            "This comparison needs a second network, and the images on this machine. Add the data set on the Data page."
        )
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    title = titles().__getitem__
    beside = choose("Compare with", list(others), "beside", title, place=row.container(width=2 * BOX)) or next(
        iter(others)
    )
    known = set(others[beside].card.expressions)
    both = [name for name in table.expressions.names if name in known]
    if not both:
        st.info(f"The two networks have no expression in common, so {verbatim(title(beside))} cannot be compared.")
        return
    given = choose("Expression", both, "shown", default="fear", place=row.container(width=BOX))
    kept = "The maps are stored, so the second time is fast."
    if not row.toggle("Compute", key="compute-networks", bind="query-params", help=kept):
        st.markdown(
            f"Switch on “Compute” to make the maps of up to {MOST} images with both networks. This takes some seconds."
        )
        return
    n, *found = cache.network_maps(choice.checkpoint, others[beside], choice.table or "", given, "grad-cam", MOST)
    if n < 2:
        st.info(f"There are too few images of {given} for a mean map ({n}).")
        return
    own = title(choice.checkpoint.name)
    st.markdown(f"Mean maps for **{given}**, the label, with {title_of('grad-cam')}, on the same {images(n)}.")
    pair(found, own, title(beside), f"in {own}")


def pair(found: Sequence[Band], one: str, other: str, more: str) -> None:
    """Two mean maps on one scale, and their difference where it is more than chance.

    Args:
        found: the band of the first, of the second, and of the first less the second.
        more: where red means more.
    """
    limit = common_limit([found[0].mean.astype(np.float32), found[1].mean.astype(np.float32)])
    differs = (found[2].low > 0) | (found[2].high < 0)
    difference = np.where(differs, found[2].mean, 0).astype(np.float32)
    with st.container(horizontal=True, gap="small"):
        for words, band in ((one, found[0]), (other, found[1])):
            pixels = colour(band.mean.astype(np.float32), signed=False, limit=limit)
            st.image(enlarged(pixels), verbatim(words), SIDE, alt=f"Mean map, {words}")
        scale(False, limit)
        bound = common_limit([found[2].mean.astype(np.float32)])
        st.image(
            enlarged(colour(difference, signed=True, limit=bound)), "difference", SIDE,
            alt="Difference of the two mean maps; white where it is not significant",
        )  # fmt: skip
        scale(True, bound)
    st.caption(
        f"Red: more attention {verbatim(more)}. White: not significant for this pixel alone. {percent(float(differs.mean()))} of "
        "the pixels are coloured; chance alone would colour about 5 %, or more with few images."
    )


def scale(signed: bool, limit: float) -> None:
    low = -limit if signed else 0.0
    ramp = np.linspace(low, limit, SIDE, dtype=np.float32)[None].repeat(14, axis=0)
    st.image(
        colour(ramp, signed=signed, limit=limit),
        f"{low:.2g} to {limit:.2g}",
        SIDE,
        alt=f"Scale, {low:.2g} to {limit:.2g}",
    )


def enlarged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    return cv2.resize(pixels, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)


def title_of(method: str) -> str:
    return METHODS.get(method).title


main()
