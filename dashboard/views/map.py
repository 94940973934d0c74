"""Map: which faces does the network find similar? The images of a split by their features, and each one's neighbours."""

import hashlib
import time
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cache, gallery, hover_image, markup
from dashboard.charts import map as charts
from dashboard.markup import Picture
from dashboard.pickers import choose, evaluated, linked, titles
from dashboard.text import images, verbatim
from fer_core.datasets import Dataset
from fer_core.datasets.heads import HEADS
from fer_core.datasets.titles import split_title, table_in_words
from fer_core.errors import FerError
from fer_core.evaluation import selections
from fer_core.evaluation.embedding import AT_ONCE, MOST_MAPPED, features_of, features_path, neighbours
from fer_core.evaluation.gallery import examples, not_here
from fer_core.evaluation.intervals import SEED, percent
from fer_core.glossary import explained
from fer_core.runs.store import Checkpoint

NEAREST = 15  # neighbours of an image: with the image itself two full rows in a wide window
BOX = 220
MAPS = {"pca": "principal components", "tsne": "t-SNE (takes a minute)"}
COLOURS = {"label": "label", "predicted": "prediction", "correct": "right or wrong"}


def read_features(network: Checkpoint, source: Dataset, split: str, purpose: str) -> np.ndarray | None:
    """The features of a split. If they are not stored yet, those of few images are computed; for many there is a button that
    computes them, and None."""
    path = features_path(network.folder, source, split)
    if path.exists():
        return cache.features(path)
    count = source.splits[split]
    if count > AT_ONCE:
        st.markdown(
            f"{purpose} needs the features of the {split_title(split)}, which have not been computed yet. A few thousand images "
            "take a minute or two. The features are stored.",
            help=explained("Feature"),
        )
        if not st.button(f"Compute features of {images(count)}", type="primary"):
            return None
    bar, start = st.progress(0.0, "Loading the network"), time.monotonic()

    def show(done: int) -> None:
        left = (time.monotonic() - start) / done * (count - done)
        bar.progress(done / count, f"{done:,} of {count:,} images, about {left:.0f} s left. To stop, leave the page.")

    try:
        features_of(network.folder, source, split, show)
    except FerError as error:
        st.error(verbatim(str(error)))
        return None
    st.rerun()


def neighbourhood(network: Checkpoint, source: Dataset, own: np.ndarray, split: str, row: pd.Series) -> None:
    """The images that are most similar to one."""
    st.subheader("Nearest neighbours of an image", help=explained("Cosine similarity"))
    parts = [name for name in ("train", split, *source.splits) if name in source.splits]
    kept = [part for part in parts if features_path(network.folder, source, part).exists()]
    among = choose(
        "Search in", list(dict.fromkeys(parts)), "among", split_title, default=kept[0], place=st.container(width=BOX)
    )
    known = own if among == split else read_features(network, source, among, "The search")
    if known is None:
        return
    place = int(row["place"])
    rows = source.rows(among)
    mine = own[int(np.flatnonzero(source.rows(split) == place)[0])]
    near, cosine = neighbours(mine, known, NEAREST + 1)
    keep = rows[near] != place  # an image is its own nearest neighbour
    near, cosine = near[keep][:NEAREST], cosine[keep][:NEAREST]
    index = source.index.iloc[rows[near]]
    same = int((index["label"] == row["label"]).sum())
    said = int((index["label"] == row["predicted"]).sum())
    st.markdown(
        f"Image {verbatim(str(row['id']))} is labelled **{row['label']}** and predicted as **{row['predicted']}**. Of its "
        f"{len(index)} nearest neighbours in the {split_title(among or split)}, {same} {'is' if same == 1 else 'are'} labelled "
        f"{row['label']}" + (f" and {said} {row['predicted']}." if row["predicted"] != row["label"] else ".")
    )
    kind = "Rendered head" if source.name == HEADS else "Image"
    items = [
        Picture(
            source.picture(place),
            f"{kind} {row['id']}, labelled {row['label']}",
            ("this image", str(row["label"]), str(row["id"])),
            "explain?" + urlencode({"network": network.name, "image": row["id"]}),
        )
    ]
    for where, likeness, (_, other) in zip(rows[near], cosine, index.iterrows(), strict=True):
        text = f"{kind} {other['id']} of the {split_title(among or split)}, labelled {other['label']}, cosine {likeness:.3f}"
        items.append(
            Picture(source.picture(int(where)), text, (str(other["label"]), f"cosine {likeness:.3f}", str(other["id"])))
        )
    st.html(markup.gallery(items))


st.title("Map: which faces does the network find similar?", help=explained("Feature", "t-SNE", "Principal components"))
network, key = evaluated("see which faces it finds similar")
table = cache.served(network, key)
source, split = cache.dataset_of(table), str(table.table["split"].iloc[0])
if source is None or split not in source.splits:
    st.info(f"The images of {verbatim(table_in_words(key))} are not on this machine. Add the data set to see its map.")
    gallery.ways_on()
    st.stop()
own = read_features(network, source, split, "The map")
if own is None:
    st.stop()

frame = examples(table).assign(place=cache.positions_of(table, source))
if lost := not_here(source, table.table, frame["place"].to_numpy()):
    st.info(verbatim(lost))
frame = frame[frame["place"].isin(source.rows(split))]
frame["feature"] = np.searchsorted(source.rows(split), frame["place"])  # rows of a split are in ascending order
if len(frame) > MOST_MAPPED:
    frame = frame.iloc[np.sort(np.random.default_rng(SEED).permutation(len(frame))[:MOST_MAPPED])]
frame = frame.reset_index(drop=True)
path, rows = features_path(network.folder, source, split), tuple(frame["feature"].tolist())
alike, chance = cache.purity(path, rows, tuple(frame["label"]))
st.markdown(
    f"On {verbatim(table_in_words(key))}, **{percent(alike)}** of the ten nearest neighbours of an image have the same label; "
    f"by chance it would be {percent(chance)} (n = {len(frame):,}). Similarity is measured in the {own.shape[1]} features of "
    f"{verbatim(titles()[network.name])}."
)
row = st.container(horizontal=True, vertical_alignment="bottom")
method = choose("Map", list(MAPS), "map", MAPS.__getitem__, place=row.container(width=BOX))
colour = choose("Colour shows", list(COLOURS), "colour", COLOURS.__getitem__, place=row.container(width=BOX))
plane = cache.plane(path, rows, method)
axes = ("", "")
if plane.explained:
    first, second = (
        f"principal component {i} ({percent(share)} of the variance)" for i, share in enumerate(plane.explained, 1)
    )
    axes = (first, second)
points = frame.assign(x=plane.points[:, 0], y=plane.points[:, 1])
chosen = st.plotly_chart(
    charts.embedding(points, colour, axes), key=f"map-{network.name}-{key}-{method}", on_select="rerun",
    selection_mode=["points", "box", "lasso"], config={"displaylogo": False},
)  # fmt: skip
hover_image.over_charts(cache.sheet(source, network.card.image, tuple(frame["place"].tolist())))
st.markdown(
    "Point at a dot to see its image. Click it to see its neighbours. To see all images of an area, choose the lasso or the box "
    "in the tools at the top right of the chart and draw around them. "
    + (
        ""
        if plane.explained
        else "t-SNE keeps neighbours together; distances between groups and their sizes mean little."
    )
)
picked_rows = sorted({int(point["customdata"][0]) for point in chosen["selection"]["points"]})
if len(picked_rows) == 1:
    st.query_params["picture"] = str(frame["id"].iloc[picked_rows[0]])
elif picked_rows:
    inside = frame.iloc[picked_rows].sort_values("loss", ascending=False, kind="stable", ignore_index=True)
    wrong = int((~inside["correct"]).sum())
    st.subheader("Selected images")
    st.markdown(f"**{images(len(inside))}**, {wrong:,} of them wrong. Highest loss first.")
    name = "map-" + hashlib.sha256("|".join(inside["id"]).encode()).hexdigest()[:8]
    if st.button("Open in Gallery", help="Saves the images as a selection that can be opened again."):
        selections.add(name, inside)
        st.switch_page(
            "views/gallery.py",
            query_params={"network": network.name, "table": key, "selection": name, "outcome": "all"},
        )
    gallery.show(table, inside, network.name, key, view=("embedding", name))

ids = frame["id"].tolist()
shown = linked("picture", ids, ids[int(frame["loss"].argmax())], "image")
neighbourhood(network, source, own, split, frame.iloc[ids.index(shown)])
