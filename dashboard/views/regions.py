"""Do eyes, nose and mouth matter? What a network looks at on a whole split, and how far each method can be trusted."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard import cache, markup
from dashboard.charts import explanation as charts
from dashboard.pickers import Picked, choose, picked, titles
from dashboard.text import percent, pictures, table_title, verbatim
from fer_core.explanation import METHODS
from fer_core.explanation import region_report as reports
from fer_core.explanation.bootstrap import Band
from fer_core.explanation.faithfulness import badge
from fer_core.explanation.overlay import colour, common_limit
from fer_core.explanation.region_report import RegionReport
from fer_core.models import attribution_layer
from fer_core.runs import store

SIDE = 132  # pixels of a mean map
BOX = 200
MOST = 400  # pictures whose maps two networks are compared on
COVERS = {"blur": "blurred", "mean": "the picture's mean grey", "noise": "noise"}


def main() -> None:
    st.title("Do eyes, nose and mouth matter?")
    choice = picked()
    if choice is None:
        st.info("There is no network yet. Train one: the synthetic faces take about a minute.")
        st.page_link("views/train.py", label="Train a network")
        return
    known = reports.find(choice.checkpoint.folder)
    if known:
        measured(choice, known)
    else:
        nothing(choice)
    confusions(choice)
    networks(choice)


def measured(choice: Picked, known: Mapping[str, Path]) -> None:
    """What the network's report says, the answer first."""
    keys = list(known)
    default = choice.table if choice.table in known else keys[0]
    key = keys[0]
    if len(keys) > 1:
        key = choose("Measured on", keys, "report", table_title, default=default) or keys[0]
    report = cache.explanation_report(known[key])
    about = report.about
    st.markdown(f"**{verbatim(about['verdict'])}**")
    part = "" if about["n"] == about["n_of_split"] else f" of {about['n_of_split']:,}, drawn by a fixed seed"
    st.caption(
        verbatim(
            f"{table_title(key)}: {pictures(about['n'])}{part}; methods compared on {about['methods_n']:,} of them; layer "
            f"{about['layer']}; 95 % intervals from a bootstrap over pictures; one view of each picture, no flip."
        )
    )
    if reports.outdated(report, choice.checkpoint.folder):
        st.warning("The weights have been changed since this was measured. Make it again with the command below.")
        st.code(command(choice.checkpoint.name, about["data"], about["split"]), None, wrap_lines=True)
    covering(report)
    attribution(report)
    trust(report)
    averages(report)


def nothing(choice: Picked) -> None:
    place, _, split = (choice.table or "synthetic-val").rpartition("-")
    st.info("This network's looks have not been measured yet. This command does it and shows its progress:")
    st.code(command(choice.checkpoint.name, place, split), None, wrap_lines=True)
    st.caption("It covers regions on the whole split and compares methods on 128 pictures: some minutes on two cores.")


def command(name: str, place: str, split: str) -> str:
    return f"ferscope explain-report {name} --data {place} --split {split}"


def covering(report: RegionReport) -> None:
    st.subheader("What it costs to cover a region")
    how = choose("Covered with", list(COVERS), "cover", COVERS.__getitem__, place=st.container(width=BOX)) or "blur"
    table = report.covering[report.covering["cover"] == how]
    st.plotly_chart(
        charts.covering(table), key="covering", alt="Points of accuracy lost by expression and covered region"
    )
    st.caption(
        "In brackets: the interval holds 0, so nothing is shown to be lost. Each picture against itself uncovered."
    )
    for sentence in report.about["sentences"].values():
        st.markdown(f"- {verbatim(sentence)} :gray[(blurred)]")
    with st.expander("The table"):
        st.dataframe(table.drop(columns="cover"), hide_index=True)


def attribution(report: RegionReport) -> None:
    st.subheader("Where the attribution lies")
    names = list(report.regions["method"].unique())
    method = choose("Method", names, "method", title_of, place=st.container(width=BOX)) or names[0]
    table = report.regions[report.regions["method"] == method]
    everything = table[table["expression"] == "all"].sort_values("density", ascending=False).iloc[0]
    st.markdown(
        f"By {title_of(method)} the densest region is **{everything['region']}**: "
        f"{everything['density']:.2f} times an even map ({everything['density_low']:.2f} to "
        f"{everything['density_high']:.2f}), {percent(everything['share'])} of the attribution on "
        f"{percent(everything['area'])} of the picture; n = {everything['n']:,}."
    )
    st.plotly_chart(charts.density(table), key="density", alt="Density of the attribution by expression and region")
    st.caption(
        "What an attribution marks is not what a covering costs: where the two tables differ, believe the covering."
    )
    with st.expander("The table"):
        st.dataframe(table, hide_index=True)


def trust(report: RegionReport) -> None:
    st.subheader("Which method can be trusted?")
    measured = report.methods[report.methods["n"] > 0]
    known = measured[~measured["control"]]
    verdicts = {row["title"]: badge(row) for _, row in known.iterrows()}
    good = [title for title, one in verdicts.items() if one.level == "supported"]
    if good:
        st.markdown(
            f"**{len(good)} of {len(known)} methods are supported on this network**: {verbatim(', '.join(good))}. They beat "
            "a random map both ways, and their maps come from the weights."
        )
    else:
        st.markdown(
            "**No method is supported on this network**: none beats a random map both ways and depends on the weights."
        )
    st.plotly_chart(charts.methods(measured), key="leaderboard", alt="Gain of each method over a random map")
    st.caption(
        "The probability of the explained expression falls while the pixels that a map marks are taken away first, and rises "
        "while they are put back first; the gain is how much more than in a random order. Bars: 95 % intervals."
    )
    header = ["method", "verdict", "shuffled weights", "infidelity", "max-sensitivity"]
    truth = "pointing" in measured
    header += ["points into the mask", "mass in the mask"] if truth else []
    rows = []
    for row in measured.to_dict("records"):
        cells = [row["title"], "control" if row["control"] else verdicts[row["title"]].level]
        cells += [
            "–" if pd.isna(row[name]) else f"{row[name]:z.2f}"
            for name in ("randomisation", "infidelity", "max_sensitivity")
        ]
        cells += [f"{100 * row[name]:.0f} %" for name in ("pointing", "mass")] if truth else []
        rows.append(cells)
    st.html(markup.table(header, rows, words=(0, 1)))
    chance = ""
    if truth:
        share = f"{100 * measured['chance'].iloc[0]:.0f} %"
        chance = f" The masks, where a synthetic face shows its expression, cover {share} of the picture."
    st.caption(
        "Shuffled weights: rank correlation of the map with the one of the same network before training; above 0.5 the map "
        "shows the picture, not the network. Infidelity: 1 foretells nothing, 0 all. Max-sensitivity: relative change under "
        f"invisible noise, of 8 pictures.{chance}"
    )
    left = report.methods[report.methods["n"] == 0]
    for row in left.to_dict("records"):
        st.caption(verbatim(f"{row['title']} was left out: {row['suits']}."))
    if rest := [title_of(name) for name in METHODS.names() if name not in set(report.methods["method"])]:
        st.caption(
            f"Not compared, for they are slow or near kin of these: {', '.join(rest)}. The command measures them too."
        )
    with st.expander("The tables: figures with intervals, and agreement between methods"):
        st.dataframe(report.methods, hide_index=True)
        st.dataframe(report.agreement, hide_index=True)


def averages(report: RegionReport) -> None:
    st.subheader("The mean map of each expression")
    method = choose(
        "Mean maps by", list(report.means["method"].unique()), "mean", title_of, place=st.container(width=BOX)
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
                alt=f"Mean map of {name}, {n} pictures",
            )  # fmt: skip
        scale(signed, limit)
    st.caption(
        "Each map was divided by the mean of its absolute values first, so "
        f"{'1 or −1' if signed else '1'} is what a map that ignores the picture has everywhere."
    )


def confusions(choice: Picked) -> None:
    """Mean maps of one cell of the confusion matrix against the right answers, from the pictures on this machine."""
    st.subheader("What is different where it errs")
    table = None if choice.table is None else cache.predictions(choice.checkpoint.tables[choice.table])
    dataset = None if table is None else cache.dataset_of(table)
    if table is None or dataset is None:
        st.info(
            "The pictures of this table are not on this machine; add the data set on the Data page to compare cells."
        )
        return
    names = list(table.expressions.names)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    given = choose("Given", names, "given", default="fear", place=row.container(width=BOX)) or names[0]
    others = [name for name in names if name != given]
    taken = choose("Taken for", others, "taken", default="surprise", place=row.container(width=BOX)) or others[0]
    wrong = (table.table["label"].to_numpy() == given) & (table.predicted == taken)
    right = (table.table["label"].to_numpy() == given) & table.correct
    if min(wrong.sum(), right.sum()) < 2:
        st.info(
            f"{pictures(int(wrong.sum()))} of {given} taken for {taken}, {int(right.sum())} recognised: too few for a mean."
        )
        return
    method = "grad-cam"
    st.markdown(
        f"Maps of the **given** expression, {given}, by {title_of(method)}: {pictures(int(wrong.sum()))} taken for {taken} "
        f"against {int(right.sum()):,} recognised."
    )
    if not row.toggle("Compute", key="compute", bind="query-params", help="Kept on disk, so the second time is fast."):
        st.caption("Switch on “Compute” to make the maps; it takes some seconds for a few hundred pictures.")
        return
    layer = attribution_layer(choice.checkpoint.card.network, cache.predictor(choice.checkpoint.folder).model)
    found = cache.cell_maps(choice.checkpoint, choice.table or "", given, taken, method, layer)
    pair(found, f"taken for {taken}, n = {wrong.sum():,}", f"recognised, n = {right.sum():,}", "where it errs")


def networks(choice: Picked) -> None:
    """Mean maps of two networks on the same pictures, and their difference."""
    st.subheader("What another network looks at")
    table = None if choice.table is None else cache.predictions(choice.checkpoint.tables[choice.table])
    others = {name: one for name, one in store.checkpoints().items() if name != choice.checkpoint.name}
    if table is None or cache.dataset_of(table) is None or not others:
        st.info(
            "This needs a second network, and the pictures of the table on this machine; add them on the Data page."
        )
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    title = titles().__getitem__
    beside = choose("Beside", list(others), "beside", title, place=row.container(width=2 * BOX)) or next(iter(others))
    known = set(others[beside].card.expressions)
    both = [name for name in table.expressions.names if name in known]
    if not both:
        st.info(f"{verbatim(title(beside))} knows none of this network's expressions.")
        return
    given = choose("Expression", both, "shown", default="fear", place=row.container(width=BOX)) or both[0]
    kept = "Kept on disk, so the second time is fast."
    if not row.toggle("Compute", key="compute-networks", bind="query-params", help=kept):
        st.caption(
            f"Switch on “Compute” to make the maps of up to {MOST} pictures by both networks; it takes some seconds."
        )
        return
    n, *found = cache.network_maps(choice.checkpoint, others[beside], choice.table or "", given, "grad-cam", MOST)
    if n < 2:
        st.info(f"{pictures(n)} of {given}: too few for a mean.")
        return
    own = title(choice.checkpoint.name)
    st.markdown(
        f"Maps of the given expression, **{given}**, by {title_of('grad-cam')}: the same {pictures(n)} by both networks."
    )
    pair(found, own, title(beside), f"by {own}")


def pair(found: Sequence[Band], one: str, other: str, more: str) -> None:
    """Two mean maps on one scale, and their difference where it is more than chance.

    Args:
        found: the band of the first, of the second, and of the first less the second.
        more: where red says that there is more.
    """
    limit = common_limit([found[0].mean, found[1].mean])
    differs = (found[2].low > 0) | (found[2].high < 0)
    difference = np.where(differs, found[2].mean, 0).astype(np.float32)
    with st.container(horizontal=True, gap="small"):
        for words, band in ((one, found[0]), (other, found[1])):
            shown = colour(band.mean.astype(np.float32), signed=False, limit=limit)
            st.image(enlarged(shown), verbatim(words), SIDE, alt=f"Mean map, {words}")
        scale(False, limit)
        bound = common_limit([found[2].mean.astype(np.float32)])
        st.image(
            enlarged(colour(difference, signed=True, limit=bound)), "difference", SIDE,
            alt="Difference of the two mean maps; white where its interval holds 0",
        )  # fmt: skip
        scale(True, bound)
    st.caption(
        f"Red: more {verbatim(more)}. White where the 95 % interval of a pixel, each taken alone, holds 0. "
        f"{percent(float(differs.mean()))} of the pixels are coloured; chance alone colours about 5 %, and more where there "
        "are few pictures."
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
