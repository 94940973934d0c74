"""The maps of the Explain page: which expression, networks and methods, and the maps of one method on one scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard import cache, forms
from dashboard.parts.explain_image import BOX, SIDE
from dashboard.pickers import Picked, choose, choose_networks, titles
from dashboard.text import verbatim
from fer_core.datasets.titles import table_in_words
from fer_core.evaluation.intervals import percent
from fer_core.explanation import METHODS, Attribution, Method
from fer_core.explanation import region_report as reports
from fer_core.explanation.badge import badge
from fer_core.explanation.overlay import colour, common_limit, overlay
from fer_core.glossary import GLOSSARY, explained
from fer_core.models import attribution_layer
from fer_core.runs import store
from fer_core.runs.store import Checkpoint

USUAL = ["saliency", "grad-cam"]
EVIDENCE = {  # by the level of a badge
    "supported": "Strong evidence that this map is faithful",
    "partly supported": "Weak evidence that this map is faithful",
    "not supported": "No evidence that this map is faithful",
    "not measured": "Not measured yet whether this map is faithful",
}


@dataclass(frozen=True)
class Question:
    """What is explained, for which networks: each target (with its role), alone or in contrast to `against`."""

    networks: list[Checkpoint]
    targets: dict[str, str]
    against: str | None


@dataclass(frozen=True, eq=False)
class Seen:
    """A network with the image as it sees it, and its probabilities."""

    network: Checkpoint
    picture: NDArray[np.uint8]
    probs: dict[str, float]


def question(choice: Picked, predicted: str, given: str | None, probs: dict[str, float]) -> Question:
    """Which expression is explained, against which, and for which networks."""
    row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom")
    second = sorted(probs, key=probs.__getitem__)[-2]
    other = given if given is not None and given != predicted else second
    words = {"both": f"prediction and {'label' if other == given else 'second guess'}"}
    wanted = choose(
        "Explain", ["both", *probs], "explain", lambda name: words.get(name, name), place=row.container(width=BOX)
    )
    against = choose(
        "In contrast to",
        ["nothing", *probs],
        "against",
        lambda name: "No contrast class" if name == "nothing" else name,
        place=row.container(width=BOX),
    )
    networks = store.checkpoints()
    others = [name for name in networks if name != choice.checkpoint.name]
    more = choose_networks("Compare with", others, "beside", width=BOX, place=row)
    chosen = [choice.checkpoint, *(networks[name] for name in more)]
    if wanted == "both":
        roles = {predicted: "prediction and label" if predicted == given else "prediction"}
        roles[other] = "label" if other == given else "second guess"
    else:
        roles = {str(wanted): "label" if wanted == given else "chosen"}
    known = set.intersection(*(set(network.card.expressions) for network in chosen))
    kept = {name: role for name, role in roles.items() if name in known}
    if len(kept) < len(roles):
        st.info(f"Not every network predicts {', '.join(set(roles) - known)}, so it is left out.")
    rather = None if against in (None, "nothing") or against not in known else against
    if rather in kept and len(kept) > 1:
        del kept[rather]  # of the two, only the other one can be explained in contrast to this one
    elif rather in kept:
        st.info(f"{rather} cannot be contrasted with itself, so it is explained without a contrast class.")
        rather = None
    return Question(chosen, kept, rather)


def usual_layer(network: Checkpoint) -> str:
    return attribution_layer(network.card.network, cache.predictor(network.folder).model)


def controls(choice: Picked) -> tuple[list[Method], str | None, float, dict[str, dict[str, object]]]:
    """Methods, layer, opacity of the maps, and the parameters of the methods that have any."""
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
            [*([] if usual in layers else [usual]), *layers],
            "layer",
            lambda name: f"{name}, {grid(layers[name])}" if name in layers else "last layer of every member",
            default=usual,
            place=row.container(width=BOX),
        )
    strength = row.slider("Opacity of the maps", 0.0, 1.0, 0.6, 0.05, width=BOX)
    parameters = {}
    if any(method.parameters.model_fields for method in methods):
        with st.expander("Parameters of the methods"):
            for method in methods:
                if settings := list(method.parameters.model_fields):
                    st.caption(f"{method.title}: {method.paper}")
                    parameters[method.name] = forms.fields(method.parameters(), settings, method.name)
    return methods, layer, strength, parameters


def draw_method(
    method: Method, made: list[tuple[Seen, str | None, Attribution]], asked: Question, choice: Picked, strength: float
) -> None:
    """The maps of one method side by side on one scale, with the scale, and whether they can be trusted."""
    limit = common_limit([maps.map for _, _, maps in made])
    first = made[0][1]
    where = ""
    if method.needs_layer and first:
        layers = cache.layers(choice.checkpoint.folder)
        where = f", layer {first}, {grid(layers[first])}" if first in layers else ", last layer of every member"
    terms = [explained(method.title)] if method.title in GLOSSARY else []
    st.markdown(f"**{method.title}**{verbatim(where)}", help="\n\n".join([*terms, method.paper]))
    signed = made[0][2].signed
    with st.container(horizontal=True, gap="medium"):
        for seen, _, maps in made:
            for one, (target, role) in zip(maps.map, asked.targets.items(), strict=True):
                pixels = overlay(enlarged(seen.picture), one, signed=signed, limit=limit, strength=strength)
                rather = f" in contrast to {asked.against}" if asked.against else ""
                whose = f", {titles()[seen.network.name]}" if len(made) > 1 else ""
                words = f"{method.title} for {target}{rather} ({role}, {percent(seen.probs[target])}{whose})"
                st.image(pixels, words, SIDE, alt=f"{words}: {strongest(one)}")
        low = -limit if signed else 0.0
        ramp = np.linspace(low, limit, SIDE, dtype=np.float32)[None].repeat(14, axis=0)
        meaning = "blue = against, red = for the expression" if signed else "dark = low, bright = high"
        st.image(
            colour(ramp, signed=signed, limit=limit),
            f"Shared scale, {low:.2g} to {limit:.2g}: {meaning}",
            SIDE,
            alt=f"Colour scale from {low:.2g} to {limit:.2g}",
        )
    for seen, _, maps in made:
        if maps.error is not None and (size := float(np.abs(maps.map).mean())):
            whose = f" ({titles()[seen.network.name]})" if len(made) > 1 else ""
            st.caption(
                f"Standard error over the random draws: {percent(float(maps.error.mean()) / size)} of the mean value{whose}."
            )
    level, details = trust(choice, method.name)
    st.markdown(f"{EVIDENCE.get(level, level)}.", help=verbatim(details))


def trust(choice: Picked, method: str) -> tuple[str, str]:
    """Level of evidence and details: what was measured of the method on this network, on the picked split or another."""
    known = reports.find(choice.checkpoint.folder)
    key = choice.table if choice.table in known else next(iter(known), None)
    if key is None:
        found = badge(None)
        return found.level, found.sentence
    methods = cache.explanation_report(known[key]).methods
    rows = methods[methods["method"] == method]
    found = badge(rows.iloc[0] if len(rows) else None)
    return found.level, f"{found.sentence} Measured on {table_in_words(key)}." if len(rows) else found.sentence


def enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image at the size of the page with smooth edges, so that a face of 48 pixels is recognised as a face."""
    import cv2

    return cv2.resize(picture, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def strongest(one: NDArray[np.float32]) -> str:
    """Where a map is strongest, for screen readers."""
    if not one.any():
        return "the map is zero everywhere"
    y, x = np.unravel_index(np.abs(one).argmax(), one.shape)
    rows, columns = ("top", "middle", "bottom"), ("left", "middle", "right")
    row, column = rows[3 * int(y) // one.shape[0]], columns[3 * int(x) // one.shape[1]]
    return f"strongest in the {row} {column} of the image".replace("middle middle", "middle")


def grid(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]}"
