"""Views of the Data page: duplicates, images without a face, and contested labels."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cache, gallery, markup
from dashboard.behind import table_behind
from dashboard.charts import data as charts
from dashboard.markup import Picture
from dashboard.parts.data_images import name_in_commands
from dashboard.pickers import choose
from dashboard.text import images, interval, verbatim
from fer_core.datasets import Dataset
from fer_core.datasets.duplicates import KINDS, Duplicates, across, contradicting, leaks
from fer_core.datasets.faceless import faceless_at, faceless_of
from fer_core.datasets.leaks import shipped_near_twins
from fer_core.datasets.summary import disagreements
from fer_core.datasets.titles import split_title
from fer_core.evaluation.intervals import percent, wilson

EACH = 24  # images a page
PAIRS = 20  # pairs a page: full rows of two, four and five
PAIR_KINDS = {
    "leaks": "also in the training set",
    "contradicting": "identical, with different labels",
    "near": "near or mirrored",
    "identical": "identical",
}


def twins(dataset: Dataset) -> None:
    found = cache.duplicates(dataset)
    if not len(found.pairs):
        st.markdown("**No image occurs twice**, neither within a split nor across splits.")
        return
    identical = found.of_kind("identical")
    differing = contradicting(dataset.index, identical)["group"].nunique()
    others = [split for split in dataset.splits if split != "train" and "train" in dataset.splits]
    leaked = {split: leaks(dataset, found, split) for split in others}
    words = [
        f"There are **{identical.groups:,} groups** of identical images, {differing:,} of them with different labels. Including "
        f"nearly identical and mirrored images, there are {found.groups:,} groups."
    ]
    for split, table in leaked.items():
        n, same = dataset.splits[split], int((table["kind"] == "identical").sum())
        words.append(
            f"**{len(table):,} of {images(n)}** of the {split_title(split)} ({percent(len(table) / n)}) also occur in the "
            f"training set, {same:,} of them identical. Figures on these images are too good."
            if len(table)
            else f"No image of the {split_title(split)} occurs in the training set."
        )
        near = shipped_near_twins(dataset, split)
        if near is not None:
            words.append(
                f"**{len(near):,} more** are much like a training image (correlation 0.90 to 0.95), often the same photograph "
                "cut or compressed differently."
            )
    st.markdown(" ".join(words))
    st.markdown(
        "Turned copies, and copies shifted by more than a pixel or two, are not found here: "
        f"`ferscope data leaks {dataset.name} --turned` finds them."
    )
    with st.expander("Groups by split"):
        st.dataframe(across(dataset, found), hide_index=True)
    which = choose("Pairs", list(PAIR_KINDS), "pairs", PAIR_KINDS.__getitem__, place=st.columns([2, 5])[0])
    pairs = _pairs(dataset, found, which, leaked)
    st.markdown(f"**{len(pairs):,} pairs** ({PAIR_KINDS[which]}), least similar first.")
    tiles = (_side_by_side(dataset, pair) for pair in _page(pairs, which, PAIRS).itertuples(index=False))
    st.html(markup.gallery(tiles, pairs=True))
    st.caption("Similarity is the correlation of the pixels at 48 x 48. From 0.95 on, two images count as duplicates.")
    st.download_button(
        "Download these pairs as csv", _named(dataset, pairs).to_csv(index=False), f"pairs-{dataset.name}.csv"
    )
    st.markdown(
        "To make a data set without duplicates, run "
        f"`ferscope data clean {name_in_commands(dataset)} --steps contradicting,duplicates,leaks`. "
        "The original stays unchanged."
    )


def _pairs(dataset: Dataset, found: Duplicates, which: str, leaked: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Pairs of positions to show: `first`, `second`, `kind`, `similarity`."""
    if which == "leaks":
        place = {key: row for row, key in enumerate(zip(dataset.index["split"], dataset.index["id"], strict=True))}
        rows = [
            (place[split, row.id], place["train", row.twin], row.kind, row.similarity)
            for split, table in leaked.items()
            for row in table.itertuples()
        ]
        table = pd.DataFrame(rows, columns=["first", "second", "kind", "similarity"])
    else:
        kinds = KINDS[1:] if which == "near" else KINDS[:1]
        table = found.of_kind(*kinds).pairs
        if which == "contradicting":
            labels = dataset.index["label"].to_numpy()
            table = table[labels[table["first"]] != labels[table["second"]]]
    return table.sort_values("similarity", kind="stable", ignore_index=True)


def _page(table: pd.DataFrame, view: str, each: int = EACH) -> pd.DataFrame:
    return table.iloc[gallery.page_of(len(table), each, view)]


def _side_by_side(dataset: Dataset, pair: Any) -> Picture:
    """Two images beside each other as one tile."""
    sides, words = [], []
    for row in (pair.first, pair.second):
        picture = dataset.picture(int(row))
        picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
        sides.append(picture)
        entry = dataset.index.iloc[int(row)]
        words.append(f"{entry['label']}, {entry['split']} {entry['id']}")
    height = max(side.shape[0] for side in sides)
    padded = [np.pad(s, ((0, height - s.shape[0]), (0, 0), (0, 0)), constant_values=255) for s in sides]
    both = np.concatenate([padded[0], np.full((height, 2, 3), 255, np.uint8), padded[1]], axis=1)
    kind = f"{pair.kind}, {pair.similarity:.3f}"
    return Picture(both, f"{words[0]} beside {words[1]}: {kind}", (*words, kind))


def _named(dataset: Dataset, pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs with ids, splits and labels."""
    index = dataset.index
    columns = {
        f"{side}_{name}": index[name].to_numpy()[pairs[side].to_numpy(dtype=int)]
        for side in ("first", "second")
        for name in ("split", "id", "label")
    }
    return pairs[["kind", "similarity"]].assign(**columns)


def faceless(dataset: Dataset) -> None:
    """Images without a face: known at once if there are votes for all of them, else a detector has to look."""
    voted = cache.votes(dataset) is not None
    key = f"faceless-{dataset.folder.name}"
    if not voted and not faceless_at(dataset).exists() and not st.session_state.get(key):
        st.info(
            f"There are no votes for these images, so a face detector (MTCNN) has to check all {images(len(dataset))}. This "
            f"takes about {max(1, round(len(dataset) / 20 / 60))} min on one processor. The result is stored. "
            f"`ferscope data faceless {name_in_commands(dataset)}` does the same."
        )
        if not st.button("Find images without a face", type="primary"):
            return
        st.session_state[key] = True
    bar = st.empty()

    def show(done: int, total: int) -> None:
        if total and (done % 20 == 0 or done == total):
            bar.progress(done / total, f"{done:,} of {images(total)} checked")

    table = faceless_of(dataset, on_done=show)
    bar.empty()
    n, share = len(table), len(table) / len(dataset)
    who = "according to the voters of FER+" if voted else "according to MTCNN"
    st.markdown(
        f"**{n:,} of {images(len(dataset))}** ({percent(share)}) show no face, {who}. Check them before you leave them out: "
        "some show a dark, turned or covered face."
    )
    if not n:
        return
    shown: list[Any] = list(_page(table, "faceless").itertuples(index=False))
    items = [
        Picture(
            dataset.picture(int(row.row)),
            f"Labelled {row.label}, id {row.id}, {split_title(row.split)}, {row.why}",
            (markup.expression(row.label), f"{row.split} {row.id}", row.why.removeprefix("no face: ")),
        )
        for row in shown
    ]
    st.html(markup.gallery(items))
    st.download_button("Download the list as csv", table.to_csv(index=False), f"faceless-{dataset.name}.csv")
    st.markdown(
        f"To make a data set without them, run `ferscope data clean {name_in_commands(dataset)} --steps faceless`. "
        "The original stays unchanged, and the audit lists every image that was left out."
    )


def votes(dataset: Dataset) -> None:
    counts = cache.votes(dataset)
    if counts is None:
        st.info(
            "There are no votes for these images. FERscope includes the votes of FER+, of ten people per image, for the csv of "
            "FER2013. For other data, enter the votes of your own raters on the Labels page."
        )
        return
    table = disagreements(dataset.index, counts)
    decided = table[table["majority"] != "none"]
    differ = decided[decided["majority"] != decided["label"]]
    share, bounds = len(differ) / max(1, len(decided)), wilson(len(differ), len(decided))
    st.markdown(
        f"For {len(decided):,} of {images(len(table))}, the voters have a majority. In **{len(differ):,}** of these cases "
        f"(**{percent(share)}**, 95 % CI {interval(bounds)}) it disagrees with the label. "
        f"For {len(table) - len(decided):,} images there is no majority."
    )
    cross = pd.crosstab(table["label"], table["majority"])
    order = dict.fromkeys((*dataset.expressions.names, *sorted(set(cross.columns) - {"none"}), "none"))
    cross = cross.reindex(
        index=dataset.expressions.names, columns=[n for n in order if n in cross.columns], fill_value=0
    )
    apart = table[table["label"] != table["majority"]].groupby(["label", "majority"]).size()
    worst: Any = apart.idxmax() if len(apart) else (cross.index[0], cross.columns[0])  # the most frequent disagreement
    st.plotly_chart(charts.votes(cross), config={"displayModeBar": False}, key="votes-matrix")
    table_behind("chart", cross, f"votes-{dataset.name}", index=True)
    first, second, _ = st.columns([2, 2, 3])
    label = choose("Label", list(cross.index), "label", default=worst[0], place=first)
    said = choose("Majority", list(cross.columns), "voted", default=worst[1], place=second)
    chosen = table[(table["label"] == label) & (table["majority"] == said)]
    chosen = chosen.sort_values("for_label", kind="stable", ignore_index=True)
    st.markdown(
        f"**{images(len(chosen))}** labelled {label} with the majority {verbatim(said)}. Fewest votes for the label first."
    )
    items = []
    row: Any
    for row in _page(chosen, f"{label}-{said}").itertuples(index=False):
        note = f"{row.for_label} of {row.voters} votes for {label}"
        words = f"Labelled {label}, majority {said}, {note}, id {row.id}, {split_title(row.split)}"
        items.append(Picture(dataset.picture(int(row.row)), words, (f"{row.split} {row.id}", note)))
    st.html(markup.gallery(items))
