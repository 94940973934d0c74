"""What does it look at? Maps of the pixels that speak for an expression, on a picture of the data or of one's own."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from dashboard import cache, forms
from dashboard.charts import networks as charts
from dashboard.pickers import Picked, choose, picked, titles, to_address
from dashboard.text import percent, table_title, verbatim
from fer_core.checkpoint import Card
from fer_core.datasets.identity import HASH
from fer_core.datasets.known import SYNTHETIC
from fer_core.errors import FerError
from fer_core.evaluation.gallery import positions
from fer_core.explanation import METHODS, Attribution, Method
from fer_core.explanation import region_report as reports
from fer_core.explanation.faithfulness import badge
from fer_core.explanation.overlay import colour, common_limit, overlay
from fer_core.explanation.regions import shares as attributed
from fer_core.faces.template import REGIONS, points_of, template
from fer_core.images import decode
from fer_core.models import attribution_layer
from fer_core.runs import store
from fer_core.runs.store import Checkpoint
from fer_core.serving.predictor import Prediction, Predictor

SIDE = 192  # pixels of a picture on the page
BOX = 180  # pixels of a select box in a row that wraps on a narrow page
USUAL = ["saliency", "grad-cam"]


@dataclass(frozen=True, eq=False)
class Shown:
    """The picture that is explained: how a network is asked about it, what it is, and the given label if there is one."""

    ask: Callable[[Predictor], Prediction]
    name: str
    label: str | None
    dataset: str = ""


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
    sources = {"synthetic": "synthetic faces, val", "upload": "a picture of mine", "camera": "the camera"}
    row = st.container(horizontal=True, vertical_alignment="bottom")
    dataset = None
    if choice.table is not None:
        table = cache.predictions(choice.checkpoint.tables[choice.table])
        dataset = cache.dataset_of(table)
        sources = {"table": table_title(choice.table), **sources}
        if dataset is not None and dataset.name == SYNTHETIC:
            del sources["synthetic"]
    source = choose("Picture from", list(sources), "source", sources.__getitem__, place=row.container(width=BOX))
    if source in ("upload", "camera"):
        return own(choice.checkpoint.card, source == "camera")
    if source == "table" and dataset is None:
        st.info(
            f"The pictures of {verbatim(table_title(choice.table or ''))} are not on this machine, or not where it knows "
            "them. Add them on the Data page; or take the synthetic faces, or a picture of your own, in the box above."
        )
        st.page_link("views/data.py", label="Add the data set")
        return None
    if source == "table":
        frame = table.table.filter(["id", "split", "label", HASH]).assign(
            correct=table.correct, predicted=table.predicted
        )
    else:
        dataset = cache.dataset(SYNTHETIC)
        frame = dataset.index.loc[dataset.index["split"] == "val", ["id", "split", "label", HASH]]
    chosen = browse(frame, row)
    if chosen is None or dataset is None:
        return None
    where = int(positions(dataset, chosen.to_frame().T)[0])
    if where < 0:
        st.info(verbatim(f"Image {chosen.id} of the table is not in {dataset.title}; evaluate the network again."))
        return None
    opened, place = dataset, where
    name = f"{chosen.id} of {dataset.name}"
    return Shown(lambda network: network.predict_row(opened, place), name, str(chosen.label), dataset.name)


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
    to_address("image", ids[position])
    row.caption(f"{position + 1:,} of {len(ids):,}")
    return frame.iloc[position]


def go_to(image: str) -> None:
    st.query_params["image"] = image


def own(card: Card, camera: bool) -> Shown | None:
    """A picture of the user's own, whole or the face in it."""
    row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom")
    file = (
        row.camera_input("A picture of yourself", width=2 * SIDE)
        if camera
        else row.file_uploader("PNG or JPEG", ["png", "jpg", "jpeg"], width=2 * SIDE)
    )
    label = row.selectbox("Expression you would give", ["none", *card.expressions], width=BOX)
    given = None if label == "none" else label
    find = row.toggle("Find the face", card.face.detector != "none", help=f"Detector: {card.face.detector}.")
    if file is None:
        st.caption("Nothing you upload or take is kept.")
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
        return Shown(lambda network: network.predict(photo, "none")[0], f"{file.name}, whole", given)
    number = 1
    if len(faces) > 1:
        number = row.number_input(f"Face of {len(faces)}, the largest first", 1, len(faces), width=BOX)
    face = card.face.cut(photo, faces[number - 1])
    return Shown(lambda network: network.predict(face, "none")[0], f"face {number} of {file.name}", given)


def answer(choice: Picked, shown: Shown) -> None:
    """What the network says of the picture, and the maps of what it and others look at."""
    folder = choice.checkpoint.folder
    prediction = shown.ask(cache.predictor(folder))
    probs, predicted = prediction.probs, prediction.predicted
    given = shown.label if shown.label in probs else None
    against = "" if given is None else f"; the given label is **{given}** ({percent(probs[given])})"
    if given == predicted:
        against = ", and so says the given label"
    st.markdown(f"The network says **{predicted}** with a probability of {percent(prediction.confidence)}{against}.")
    if temperature := choice.checkpoint.card.temperature:
        st.caption(
            f"Probabilities are those with its temperature, {temperature:.3f}, as in the live tab. Evaluate and Gallery show "
            "the confidence as trained, which is another figure of the same answer."
        )

    halves = st.container(horizontal=True, gap="medium")  # in a narrow window the maps go below the picture
    with halves.container(width=SIDE + 40, horizontal=True, key="asked-picture"):
        label = f"label {given}" if given else "no label given"
        st.image(
            enlarged(prediction.picture),
            verbatim(shown.name),
            SIDE,
            alt=f"The picture as the network sees it: {shown.name}, {label}",
        )
        st.plotly_chart(
            charts.probabilities(probs, given), key="probabilities", alt=f"Probabilities: {in_words(probs)}"
        )
    with halves.container(width="stretch", key="asked-maps"):
        asked = question(choice, predicted, given, probs)
        methods, layer, strength, parameters = controls(choice)
        seen = [
            Seen(network, found.picture, found.probs)
            for network in asked.networks
            for found in [shown.ask(cache.predictor(network.folder))]
        ]
        arrays: dict[str, NDArray[np.float32]] = {}
        shares: list[dict[str, object]] = []
        for method in methods:
            made = []
            for one in seen:
                where = layer if one.network.name == choice.checkpoint.name else usual_layer(one.network)
                try:
                    maps = cache.maps(
                        one.network.folder, one.picture, tuple(asked.targets), method.name, where,
                        against=asked.against, **parameters.get(method.name, {}),
                    )  # fmt: skip
                except FerError as error:
                    st.info(verbatim(f"{one.network.name}: {error}" if len(seen) > 1 else str(error)))
                    continue
                made.append((one, where, maps))
            if not made:
                continue
            draw(method, made, asked, choice, strength)
            for one, _, maps in made:
                points = np.array(points_of(shown.dataset)) * one.picture.shape[1::-1]
                regions = template(*one.picture.shape[:2], points)
                for target, values in zip(asked.targets, maps.map, strict=True):
                    arrays[f"{one.network.name}/{method.name}/{target}"] = values
                    parts = attributed(values[None], regions)[0]
                    named = {"method": method.title, "explained": target, "network": one.network.name}
                    shares.append(
                        named | {r: None if np.isnan(v) else 100 * v for r, v in zip(REGIONS, parts, strict=True)}
                    )
        if arrays:
            below(arrays, shares, shown)
    figure_of_cases(choice)


@dataclass(frozen=True)
class Question:
    """What is explained, of which networks: each target (with its role), alone or rather than `against`."""

    networks: list[Checkpoint]
    targets: dict[str, str]
    against: str | None


@dataclass(frozen=True, eq=False)
class Seen:
    """A network with the picture as it sees it, and what it says of it."""

    network: Checkpoint
    picture: NDArray[np.uint8]
    probs: dict[str, float]


def question(choice: Picked, predicted: str, given: str | None, probs: dict[str, float]) -> Question:
    """Which expression is explained, against which, and for which networks."""
    row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom")
    second = sorted(probs, key=probs.__getitem__)[-2]
    other = given if given is not None and given != predicted else second
    words = {"both": f"predicted and {'given' if other == given else 'second'}"}
    explained = choose(
        "Explain", ["both", *probs], "explain", lambda name: words.get(name, name), place=row.container(width=BOX)
    )
    against = choose(
        "Rather than",
        ["nothing", *probs],
        "against",
        lambda name: "nothing: its own logit" if name == "nothing" else name,
        place=row.container(width=BOX),
    )
    networks = store.checkpoints()
    others = [name for name in networks if name != choice.checkpoint.name]
    more = row.multiselect(
        "Beside", others, format_func=titles().__getitem__, key="beside", bind="query-params", width=BOX
    )
    chosen = [choice.checkpoint, *(networks[name] for name in more)]
    if explained == "both":
        roles = {predicted: "predicted and given" if predicted == given else "predicted"}
        roles[other] = "given" if other == given else "second most likely"
    else:
        roles = {str(explained): "given" if explained == given else "chosen"}
    known = set.intersection(*(set(network.card.expressions) for network in chosen))
    kept = {name: role for name, role in roles.items() if name in known}
    if len(kept) < len(roles):
        st.info(f"Not every network knows {', '.join(set(roles) - known)}; it is left out.")
    rather = None if against in (None, "nothing") or against not in known else against
    if rather in kept and len(kept) > 1:
        del kept[rather]  # of the two, only the other one can be explained rather than this one
    elif rather in kept:
        st.info(f"Nothing speaks for {rather} rather than {rather}, so this is {rather} alone.")
        rather = None
    return Question(chosen, kept, rather)


def usual_layer(network: Checkpoint) -> str:
    return attribution_layer(network.card.network, cache.predictor(network.folder).model)


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
        usual = usual_layer(choice.checkpoint)
        layer = choose(
            "Layer",
            list(layers),
            "layer",
            lambda name: f"{name}, {grid(layers[name])}",
            default=usual if usual in layers else list(layers)[-1],
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
    method: Method, made: list[tuple[Seen, str | None, Attribution]], asked: Question, choice: Picked, strength: float
) -> None:
    """The maps of one method beside each other, on one scale, which is shown too, and how far they can be trusted."""
    limit = common_limit([maps.map for _, _, maps in made])
    first = made[0][1]
    where = ""
    if method.needs_layer and first:
        layers = cache.layers(choice.checkpoint.folder)
        where = f", layer {first}" + (f", {grid(layers[first])}" if first in layers else "")
    st.markdown(f"**{method.title}**:gray[{verbatim(where)}]", help=method.paper)
    signed = made[0][2].signed
    with st.container(horizontal=True, gap="medium"):
        for seen, _, maps in made:
            for one, (target, role) in zip(maps.map, asked.targets.items(), strict=True):
                pixels = overlay(enlarged(seen.picture), one, signed=signed, limit=limit, strength=strength)
                rather = f" rather than {asked.against}" if asked.against else ""
                whose = f", {titles()[seen.network.name]}" if len(made) > 1 else ""
                words = f"{method.title} for {target}{rather} ({role}, {percent(seen.probs[target])}{whose})"
                st.image(pixels, words, SIDE, alt=f"{words}: {strongest(one)}")
        low = -limit if signed else 0.0
        ramp = np.linspace(low, limit, SIDE, dtype=np.float32)[None].repeat(14, axis=0)
        meaning = "blue against, red for the expression" if signed else "dark little, bright much"
        st.image(
            colour(ramp, signed=signed, limit=limit),
            f"{low:.2g} to {limit:.2g}, one scale for all its maps; {meaning}",
            SIDE,
            alt=f"Colour scale from {low:.2g} to {limit:.2g}",
        )
    st.caption(verbatim(trust(choice, method.name)))


def trust(choice: Picked, method: str) -> str:
    """The badge: what was measured of the method on this network, on the picked split or another one."""
    known = reports.find(choice.checkpoint.folder)
    key = choice.table if choice.table in known else next(iter(known), None)
    if key is None:
        return badge(None).sentence
    methods = cache.explanation_report(known[key]).methods
    rows = methods[methods["method"] == method]
    said = badge(rows.iloc[0] if len(rows) else None).sentence
    return f"{said} Measured on {table_title(key)}." if len(rows) else said


def below(arrays: dict[str, NDArray[np.float32]], shares: list[dict[str, object]], shown: Shown) -> None:
    """The part of each map in each region of the face, and the maps as arrays."""
    with st.expander("Part of each map in each region of the face (%)"):
        st.dataframe(
            pd.DataFrame(shares),
            hide_index=True,
            column_config={name: st.column_config.NumberColumn(format="%.1f") for name in REGIONS},
        )
        st.caption(
            "By a fixed template: right for faces that are registered as FER2013's are, a guess for other pictures."
        )
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    stem = "".join(sign if sign.isalnum() else "-" for sign in shown.name)
    st.download_button("Save the maps (npz)", file.getvalue(), f"maps-{stem}.npz", help="One float32 array a map.")


def figure_of_cases(choice: Picked) -> None:
    """For each expression a right and a wrong case with their maps, as papers show them."""
    table = None if choice.table is None else cache.predictions(choice.checkpoint.tables[choice.table])
    if table is None or cache.dataset_of(table) is None:
        return
    if not st.button("Draw a right and a wrong case of each expression"):
        return
    sheet = cache.figure_of_cases(choice.checkpoint, choice.table or "", usual_layer(choice.checkpoint))
    st.image(sheet, alt="For each expression a right and a wrong case: original, maps of both classes, saliency")
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG")
    st.download_button("Save the figure (png)", file.getvalue(), f"{choice.checkpoint.name}-{choice.table}.png")


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
