"""What does it look at? Maps of the pixels that speak for an expression, on a picture of the data or of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from dashboard import cache, forms
from dashboard.charts import networks as charts
from dashboard.pickers import Picked, choose, picked
from dashboard.text import percent, table_title, verbatim
from fer_core.checkpoint import Card
from fer_core.datasets.known import SYNTHETIC
from fer_core.errors import FerError
from fer_core.explanation import METHODS, Attribution, Method
from fer_core.explanation.overlay import colour, common_limit, overlay
from fer_core.images import decode
from fer_core.models import NETWORKS

SIDE = 192  # pixels of a picture on the page
BOX = 180  # pixels of a select box in a row that wraps on a narrow page
USUAL = ["saliency", "grad-cam"]


@dataclass(frozen=True, eq=False)
class Shown:
    """The picture that is explained: uint8 in any size, what it is, and the given label if there is one."""

    pixels: NDArray[np.uint8]
    name: str
    label: str | None


def main() -> None:
    st.title("What does it look at?")
    choice = picked()
    if choice is None:
        st.info("There is no network yet. Train one: the synthetic faces take about a minute.")
        st.page_link("views/train.py", label="Train a network")
        return
    shown = pick_picture(choice)
    if shown is not None:
        answer(choice, shown)


def pick_picture(choice: Picked) -> Shown | None:
    """Where the picture comes from, and which one."""
    sources = {"synthetic": "synthetic faces, val", "upload": "a picture of mine"}
    row = st.container(horizontal=True, vertical_alignment="bottom")
    dataset = None
    if choice.table is not None:
        table = cache.predictions(choice.checkpoint.tables[choice.table])
        dataset = cache.dataset_of(table)
        sources = {"table": table_title(choice.table), **sources}
        if dataset is not None and dataset.name == SYNTHETIC:
            del sources["synthetic"]
    source = choose("Picture from", list(sources), "source", sources.__getitem__, place=row.container(width=BOX))
    if source == "upload":
        return uploaded(choice.checkpoint.card)
    if source == "table" and dataset is None:
        st.info(
            f"The pictures of {verbatim(table_title(choice.table or ''))} are not on this machine, or not where it knows "
            "them. Add them on the Data page; or take the synthetic faces, or a picture of your own, in the box above."
        )
        st.page_link("views/data.py", label="Add the data set")
        return None
    if source == "table":
        frame = table.table[["id", "split", "label"]].assign(correct=table.correct, predicted=table.predicted)
    else:
        dataset = cache.dataset(SYNTHETIC)
        frame = dataset.index.loc[dataset.index["split"] == "val", ["id", "split", "label"]]
    chosen = browse(frame, row)
    if chosen is None or dataset is None:
        return None
    index = dataset.index
    where = np.flatnonzero((index["id"].astype(str) == str(chosen.id)) & (index["split"] == chosen.split))
    if not len(where):
        st.info(verbatim(f"{dataset.title} has no picture {chosen.id} any more; evaluate the network again."))
        return None
    return Shown(dataset.picture(int(where[0])), f"{chosen.id} of {dataset.name}", str(chosen.label))


def browse(frame: pd.DataFrame, row: DeltaGenerator) -> pd.Series | None:
    """One row of a table of pictures, chosen by filters, neighbours and the address; drawn into `row`."""
    names = ["all", *sorted(frame["label"].unique())]
    expression = choose("Expression given", names, "label", place=row.container(width=BOX))
    if expression != "all":
        frame = frame[frame["label"] == expression]
    if "correct" in frame:
        kind = choose("Show", ["all", "wrong", "right"], "only", place=row.container(width=BOX))
        if kind != "all":
            frame = frame[frame["correct"] == (kind == "right")]
    ids = frame["id"].astype(str).tolist()
    if not ids:
        st.info("No picture is left by these filters; take “all” in one of them.")
        return None
    asked = st.query_params.get("image")
    position = ids.index(asked) if asked in ids else 0
    for name, key, step in (("Previous", "Left", -1), ("Next", "Right", 1)):
        neighbour = position + step
        inside = 0 <= neighbour < len(ids)
        to = (ids[neighbour if inside else position],)
        row.button(name, disabled=not inside, on_click=go_to, args=to, shortcut=key)
    st.query_params["image"] = ids[position]
    row.caption(f"{position + 1:,} of {len(ids):,}")
    return frame.iloc[position]


def go_to(image: str) -> None:
    st.query_params["image"] = image


def uploaded(card: Card) -> Shown | None:
    """A picture of the user's own, whole or the face in it."""
    left, middle, right = st.columns([2, 1, 1], vertical_alignment="top")
    file = left.file_uploader("PNG or JPEG", ["png", "jpg", "jpeg"])
    label = middle.selectbox("Expression you would give", ["none", *card.expressions])
    given = None if label == "none" else label
    find = right.toggle("Find the face", card.face.detector != "none", help=f"Detector: {card.face.detector}.")
    if file is None:
        st.caption("Nothing you upload is kept.")
        return None
    try:
        photo = decode(file.getvalue())
        faces = cache.faces(file.getvalue(), card.face) if find else []
    except FerError as error:
        st.error(verbatim(str(error)))
        return None
    if not faces:
        if find:
            st.info("No face was found; the whole picture is taken. A sharper photo from the front helps.")
        return Shown(photo, f"{file.name}, whole", given)
    number = 1
    if len(faces) > 1:
        number = right.number_input(f"Face of {len(faces)}, the largest first", 1, len(faces))
    return Shown(card.face.cut(photo, faces[number - 1]), f"face {number} of {file.name}", given)


def answer(choice: Picked, shown: Shown) -> None:
    """What the network says of the picture, and the maps of what it looks at."""
    folder = choice.checkpoint.folder
    prediction = cache.predictor(folder).predict(shown.pixels, "none")[0]
    probs, predicted = prediction.probs, prediction.predicted
    given = shown.label if shown.label in probs else None
    second = sorted(probs, key=probs.__getitem__)[-2]
    targets = {predicted: "predicted"}
    if given is not None and given != predicted:
        targets[given] = "given"
    else:
        targets[second] = "second most likely"
        if given is not None:
            targets[predicted] = "predicted and given"
    against = "" if given is None else f"; the given label is **{given}** ({percent(probs[given])})"
    if given == predicted:
        against = ", and so says the given label"
    st.markdown(f"The network says **{predicted}** with a probability of {percent(prediction.confidence)}{against}.")

    halves = st.container(horizontal=True, gap="medium")
    with halves.container(width=SIDE + 40):
        label = f"label {given}" if given else "no label given"
        st.image(
            enlarged(prediction.picture),
            shown.name,
            SIDE,
            alt=f"The picture as the network sees it: {shown.name}, {label}",
        )
        st.plotly_chart(
            charts.probabilities(probs, given), key="probabilities", alt=f"Probabilities: {in_words(probs)}"
        )
    with halves.container(width="stretch"):
        methods, layer, strength, parameters = controls(choice)
        for method in methods:
            try:
                found = cache.maps(
                    folder, prediction.picture, tuple(targets), method.name, layer, **parameters.get(method.name, {})
                )
            except FerError as error:
                st.info(verbatim(str(error)))
                continue
            where = f", layer {layer}, {grid(cache.layers(folder)[layer])}" if method.needs_layer and layer else ""
            draw(method, found, where, prediction.picture, targets, probs, strength)


def controls(choice: Picked) -> tuple[list[Method], str | None, float, dict[str, dict[str, object]]]:
    """Methods, layer, strength of the overlay, and the parameters of the methods that have any."""
    titles = {name: method.title for name, method in METHODS.items()}
    names = st.pills(
        "Methods", list(titles), selection_mode="multi", default=USUAL, format_func=titles.__getitem__, key="methods",
        bind="query-params",
    )  # fmt: skip
    methods = [METHODS.get(name) for name in names]
    row = st.container(horizontal=True, gap="medium")
    layer = None
    if any(method.needs_layer for method in methods):
        layers = cache.layers(choice.checkpoint.folder)
        usual = NETWORKS.get(choice.checkpoint.card.network).attribution_layer
        layer = choose(
            "Layer of Grad-CAM",
            list(layers),
            "layer",
            lambda name: f"{name}, {grid(layers[name])}",
            default=usual,
            place=row.container(width=BOX),
        )
    strength = row.slider("Strength of the overlay", 0.0, 1.0, 0.6, 0.05, width=BOX)
    parameters = {}
    if any(method.parameters.model_fields for method in methods):
        with st.expander("Parameters of the methods"):
            for method in methods:
                if settings := list(method.parameters.model_fields):
                    st.caption(f"{method.title}: {method.paper}")
                    parameters[method.name] = forms.fields(method.parameters(), settings, method.name)
    return methods, layer, strength, parameters


def draw(
    method: Method, found: Attribution, where: str, picture: NDArray[np.uint8], targets: dict[str, str],
    probs: dict[str, float], strength: float,
) -> None:  # fmt: skip
    """The maps of one method beside each other, on one scale, which is shown too."""
    limit = common_limit(found.map)
    st.markdown(f"**{method.title}**:gray[{verbatim(where)}]", help=method.paper)
    with st.container(horizontal=True, gap="medium"):
        for one, (target, role) in zip(found.map, targets.items(), strict=True):
            pixels = overlay(enlarged(picture), one, signed=found.signed, limit=limit, strength=strength)
            words = f"{method.title} for {target} ({role}, {percent(probs[target])})"
            st.image(pixels, words, SIDE, alt=f"{words}: {strongest(one)}")
        low = -limit if found.signed else 0.0
        ramp = np.linspace(low, limit, SIDE, dtype=np.float32)[None].repeat(14, axis=0)
        meaning = "blue against, red for the expression" if found.signed else "dark little, bright much"
        st.image(
            colour(ramp, signed=found.signed, limit=limit),
            f"{low:.2g} to {limit:.2g}, one scale for both maps; {meaning}",
            SIDE,
            alt=f"Colour scale from {low:.2g} to {limit:.2g}",
        )


def enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture at the size of the page, with smooth edges, so that a face of 48 pixels is read as a face."""
    import cv2

    return cv2.resize(picture, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def strongest(one: NDArray[np.float32]) -> str:
    """Where a map is strongest, for those who do not see it."""
    if not one.any():
        return "the map is zero everywhere"
    y, x = np.unravel_index(np.abs(one).argmax(), one.shape)
    rows, columns = ("top", "middle", "bottom"), ("left", "middle", "right")
    row, column = rows[3 * int(y) // one.shape[0]], columns[3 * int(x) // one.shape[1]]
    return f"strongest in the {row} {column} of the picture".replace("middle middle", "middle")


def in_words(probs: dict[str, float]) -> str:
    return ", ".join(f"{name} {percent(share)}" for name, share in probs.items())


def grid(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]}"


main()
