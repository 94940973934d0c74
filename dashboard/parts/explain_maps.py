"""The maps of the Explain page: which expression, networks and methods, and the maps of one method on one scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard import cache, forms
from dashboard.parts.explain_image import BOX, SIDE
from dashboard.pickers import Picked, choose, choose_networks, evaluate_link, titles
from dashboard.text import verbatim
from fer_core.datasets.titles import table_in_words
from fer_core.errors import FerError
from fer_core.evaluation.intervals import percent
from fer_core.explanation import METHODS, Method, by_kind
from fer_core.explanation import region_report as reports
from fer_core.explanation.badge import badge
from fer_core.explanation.overlay import colour, overlay
from fer_core.glossary import GLOSSARY, explained
from fer_core.lab import results, truth
from fer_core.models import attribution_layer
from fer_core.runs import store
from fer_core.runs.store import Checkpoint

USUAL = ["grad-cam"]
EVIDENCE = {  # by the level of a badge
    "supported": "Strong evidence that this map is faithful",
    "partly supported": "Weak evidence that this map is faithful",
    "not supported": "No evidence that this map is faithful",
    "not measured": "Not measured yet whether this map is faithful",
}


@dataclass(frozen=True)
class Asked:
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


def question(choice: Picked, predicted: str, given: str | None, probs: dict[str, float]) -> Asked:
    """Which expression is explained, against which, and for which networks."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    second = sorted(probs, key=probs.__getitem__)[-2]
    other = given if given is not None and given != predicted else second
    words = {"predicted": "prediction", "both": f"prediction and {'label' if other == given else 'second guess'}"}
    wanted = choose(
        "Explain", [*words, *probs], "explain", lambda name: words.get(name, name), place=row.container(width=BOX)
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
    if wanted in words:
        roles = {predicted: "prediction and label" if predicted == given else "prediction"}
        if wanted == "both":
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
    return Asked(chosen, kept, rather)


def usual_layer(network: Checkpoint) -> str:
    return attribution_layer(network.card.network, cache.predictor(network.folder).model)


@dataclass(frozen=True)
class Controls:
    """Methods, their layer and parameters, and how maps are drawn."""

    methods: list[Method]
    layer: str | None
    parameters: dict[str, dict[str, object]]
    strength: float
    shared: bool


def chosen_methods() -> list[Method]:
    """A row of methods for each kind; the titles of those that are chosen are in the address, as `methods`."""
    here = "methods" in st.query_params
    asked = st.query_params.get_all("methods") if here else [METHODS.get(name).title for name in USUAL]
    kinds = by_kind()

    def follow() -> None:
        chosen = [title for kind in kinds for title in st.session_state[f"methods-{kind}"]]
        st.query_params["methods"] = chosen or ""  # none is a choice too

    for kind, methods in kinds.items():
        titles = [method.title for method in methods]
        st.session_state[f"methods-{kind}"] = [title for title in titles if title in asked]
        st.pills(f"Methods: {kind}", titles, selection_mode="multi", key=f"methods-{kind}", on_change=follow)
    return [method for methods in kinds.values() for method in methods if method.title in asked]


def controls(choice: Picked) -> Controls:
    """What is chosen in the drawer."""
    methods = chosen_methods()
    row = st.container(horizontal=True, vertical_alignment="bottom")
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
    shared = row.toggle(
        "Shared scale", key="shared-scale", bind="query-params",
        help="Off: each map has a scale of its own, so that a weak map is seen too. On: the maps of a method can be compared in "
        "strength.",
    )  # fmt: skip
    parameters = {}
    for method in methods:
        if settings := list(method.parameters.model_fields):
            st.markdown(f"Parameters of {method.title}", help=method.paper)
            parameters[method.name] = forms.fields(method.parameters(), settings, method.name)
    return Controls(methods, layer, parameters, strength, shared)


@dataclass(frozen=True, eq=False)
class Map:
    """One map with all that is said of it."""

    method: Method
    seen: Seen
    layer: str | None
    values: NDArray[np.float32]
    error: NDArray[np.float32] | None
    signed: bool
    target: str
    role: str


def made(choice: Picked, seen: Sequence[Seen], asked: Asked, how: Controls) -> list[Map]:
    """All maps that were asked for, those of the picked network and its first target first."""
    found = []
    for method in how.methods:
        for one in seen:
            own = one.network.name == choice.checkpoint.name
            layer = how.layer if own else usual_layer(one.network)
            try:
                maps = cache.maps(
                    one.network.folder, one.picture, tuple(asked.targets), method.name, layer, against=asked.against,
                    **how.parameters.get(method.name, {}),
                )  # fmt: skip
            except FerError as error:
                st.info(verbatim(f"{titles()[one.network.name]}: {error}" if len(seen) > 1 else str(error)))
                continue
            for number, (target, role) in enumerate(asked.targets.items()):
                deviation = None if maps.error is None else maps.error[number]
                found.append(Map(method, one, layer, maps.map[number], deviation, maps.signed, target, role))
    return found


def draw(one: Map, asked: Asked, how: Controls, limit: float, side: int, *, named: bool) -> None:
    """A map over its image, with its scale, and whether it can be trusted.

    Args:
        limit: of its scale, 0 for a map that is zero everywhere.
        named: whether the network's name is said.
    """
    pixels = overlay(enlarged(one.seen.picture), one.values, signed=one.signed, limit=limit, strength=how.strength)
    rather = f" in contrast to {asked.against}" if asked.against else ""
    whose = f", {titles()[one.seen.network.name]}" if named else ""
    words = f"{one.method.title} for {one.target}{rather} ({one.role}, {percent(one.seen.probs[one.target])}{whose})"
    with st.container(width=side):
        st.image(pixels, words, side, alt=f"{words}: {strongest(one.values)}")
        scale(one, limit, side)
        level, details = trust(one)
        st.markdown(f"{EVIDENCE.get(level, level)}.", help=verbatim(details))
        if level == "not measured":
            evaluate_link(one.seen.network.name, "regions", label="Measure it")


def scale(one: Map, limit: float, side: int) -> None:
    """The colours of a map and the values that they stand for."""
    if not limit:
        st.markdown("This map is zero everywhere: by this method, no part of the image matters for the expression.")
        return
    low = -limit if one.signed else 0.0
    ramp = np.linspace(low, limit, side, dtype=np.float32)[None].repeat(12, axis=0)
    meaning = "blue against, red for the expression" if one.signed else "bright is high"
    st.image(
        colour(ramp, signed=one.signed, limit=limit),
        f"Scale {low:.2g} to {limit:.2g} ({meaning}); maximum of this map {float(np.abs(one.values).max()):.2g}",
        side,
        alt=f"Colour scale from {low:.2g} to {limit:.2g}",
    )
    if one.error is not None and (size := float(np.abs(one.values).mean())):
        st.markdown(
            f"Standard error over the random draws: {percent(float(one.error.mean()) / size)} of the mean value."
        )


def heading(one: Map) -> None:
    """The method, and the layer that it looks at."""
    where = ""
    if one.method.needs_layer and one.layer:
        layers = cache.layers(one.seen.network.folder)
        where = (
            f", layer {one.layer}, {grid(layers[one.layer])}" if one.layer in layers else ", last layer of every member"
        )
    terms = [explained(one.method.title)] if one.method.title in GLOSSARY else []
    st.markdown(f"**{one.method.title}**{verbatim(where)}", help="\n\n".join([*terms, one.method.paper]))


def trust(one: Map) -> tuple[str, str]:
    """Level of evidence and details for this method on this network and layer: what a report and the lab measured."""
    level, details = _measured_on_images(one)
    known = results.kept(one.seen.network.folder, truth.measure)
    said = next((words for result in known if (words := truth.about_method(result.table, one.method.name))), "")
    return level, f"{details} {said}".strip()


def _measured_on_images(one: Map) -> tuple[str, str]:
    """What a region report says of a map."""
    known = reports.find(one.seen.network.folder)
    for key, path in known.items():
        report = cache.explanation_report(path)
        rows = report.methods[report.methods["method"] == one.method.name]
        if not len(rows):
            continue
        found, measured = badge(rows.iloc[0]), str(report.about["layer"])
        if one.method.needs_layer and one.layer not in (None, measured):
            return "not measured", f"The report on {table_in_words(key)} measured layer {measured}, not {one.layer}."
        return found.level, f"{found.sentence} Measured on {table_in_words(key)}."
    found = badge(None)
    return found.level, found.sentence


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
