"""Lab: which movement of a face changes the answer? Experiments on networks with heads whose muscles move."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard import cache
from dashboard.charts import lab as charts
from dashboard.parts import lab_experiments, lab_saved, lab_smallest
from dashboard.parts.lab_scene import BIND, Chosen, settings, strongest
from dashboard.pickers import choose_networks, switch, titles
from dashboard.text import verbatim
from fer_core.errors import FerError
from fer_core.evaluation.intervals import percent
from fer_core.explanation import METHODS
from fer_core.explanation.overlay import common_limit, overlay
from fer_core.glossary import explained
from fer_core.heads.actions import UNITS
from fer_core.runs import store
from fer_core.runs.store import Checkpoint

LARGE, TRUTH = 192, 96  # pixels of the rendered head, and of what an action moves
SIDE = 300  # pixels on the page
MOST = 4  # networks
RED = np.array([178, 24, 43])
MAPS = ("grad-cam", "saliency", "integrated-gradients", "occlusion")
EXPERIMENTS = {
    "try": "What if", "curve": "Response curve", "muscles": "Muscles", "who": "Who is in the image",
    "view": "View and framing", "smallest": "Smallest change",
}  # fmt: skip


def main() -> None:
    st.title("Lab: which movement of a face changes the answer?", help=explained("Attribution map", "Grad-CAM"))
    known = store.checkpoints()
    if not known:
        st.info("There is no trained network yet. Train one on the rendered heads; this takes a few minutes.")
        st.page_link("views/train.py", label="Train a network")
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    which = switch("Experiment", EXPERIMENTS, "experiment", "try", place=row.container(width="content"))
    first = [name for name, network in known.items() if network.tables] or list(known)
    names = choose_networks("Networks", list(known), "networks", default=first[:1], width=420, place=row)
    if len(names) > MOST:
        st.info(f"At most {MOST} networks answer at once. Showing the first {MOST}.")
    networks = [known[name] for name in names[:MOST]]
    if not networks:
        st.info("Choose a network to see what it answers.")
    elif which == "try":
        what_if(networks)
    elif which == "curve":
        lab_experiments.curves(networks)
    elif which == "muscles":
        lab_experiments.action_units(networks)
    elif which == "who":
        lab_experiments.persons(networks)
    elif which == "view":
        lab_experiments.views(networks)
    else:
        lab_smallest.smallest(networks)


@st.fragment
def what_if(networks: list[Checkpoint]) -> None:
    """A head with its settings, the answers of networks, a map, and what an action really moves."""
    left, right = st.columns([2, 5], gap="medium")
    with left:
        chosen = settings()
    with right:
        the_head(networks, chosen)
    for note in chosen.notes:
        st.markdown(verbatim(note))
    lab_saved.form(chosen, networks)


def the_head(networks: list[Checkpoint], chosen: Chosen) -> None:
    """The head, what each network answers, the map of the first and the truth beside it."""
    head = cache.head(chosen.scene, LARGE)
    answers, given = {}, {}
    for network in networks:
        try:
            given[network.name], answers[network.name] = cache.answer(network.folder, chosen.scene)
        except FerError as error:
            st.error(verbatim(str(error)))
    place = st.container(horizontal=True, gap="medium")
    with place.container(width=SIDE):
        st.image(head, "The rendered head", SIDE, alt="The rendered head")
    if not answers:
        return
    with place.container(width="stretch"):
        for name, probs in answers.items():
            best = max(probs, key=probs.__getitem__)
            st.markdown(f"{verbatim(titles()[name])} predicts **{best}** with a confidence of {percent(probs[best])}.")
        st.altair_chart(charts.answers({titles()[name]: probs for name, probs in answers.items()}), key="answers")
    name = next(iter(answers))
    network = next(one for one in networks if one.name == name)
    target = max(answers[name], key=answers[name].__getitem__)
    below = st.container(horizontal=True, gap="medium")
    with below.container(width=SIDE):
        method = str(st.selectbox("Map", MAPS, format_func=lambda key: METHODS.get(key).title, key="map-of", bind=BIND))
        the_map(network, given[name], head, target, method)
    with below.container(width=SIDE):
        possible = strongest(chosen.scene)
        action = str(
            st.selectbox(
                "What an action moves", possible, format_func=lambda key: f"{UNITS[key].title} (AU{UNITS[key].number})",
                key="moves",
            )
        )  # fmt: skip
        mask = cache.moved_by(chosen.scene, action, TRUTH)
        words = f"{percent(float(mask.mean()))} of the pixels move or change their shade"
        st.image(tinted(head, mask), words, SIDE, alt=f"The pixels that {UNITS[action].title} moves, in red")


def the_map(network: Checkpoint, given: NDArray[np.uint8], head: NDArray[np.uint8], target: str, method: str) -> None:
    """The map of a network for its prediction, over the large head."""
    try:
        found = cache.maps(network.folder, given, (target,), method, None)
    except FerError as error:
        st.info(verbatim(str(error)))
        return
    one = found.map[0]
    shown = overlay(head, one, signed=found.signed, limit=common_limit([one]))
    st.image(shown, f"What speaks for {target}, {verbatim(titles()[network.name])}", SIDE, alt=f"Map for {target}")


def tinted(head: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The head with the pixels of a mask in red; the mask divides the head's size."""
    times = len(head) // len(mask)
    large = mask.repeat(times, 0).repeat(times, 1)[..., None]
    return np.where(large, 0.5 * head + 0.5 * RED, head).astype(np.uint8)


main()
