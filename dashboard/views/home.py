"""Home: what FERscope is, on one screen: a face, the prediction with its confidence, the map, the accuracy, three ways on."""

import streamlit as st

from dashboard import cache, markup
from dashboard.text import estimate, verbatim
from fer_core.evaluation.intervals import percent
from fer_core.evaluation.results import leaks_in_words
from fer_core.glossary import explained
from fer_core.runs import store
from fer_core.serving import showcase

PICTURE = 300  # pixels
BENCHMARK, RENDERED = "fer2013-val", "heads-test"


def accuracy(network: store.Checkpoint, key: str) -> str:
    found = cache.headlines({network.name: network.tables[key]}).get(network.name) if key in network.tables else None
    return estimate(found.accuracy, found.accuracy_interval, found.n) if found else ""


st.title("Home: what does a network see in a face?", help=explained("Confidence", "Grad-CAM"))
controls = st.container(horizontal=True, vertical_alignment="bottom")
person = int(st.session_state.setdefault("home-person", 0))
names = showcase.expressions()
with controls:
    chosen = st.segmented_control("The face shows", names, default="happy", key="face", bind="query-params")
    if st.button("Another person"):
        st.session_state["home-person"] = (person + 1) % showcase.people()
        st.rerun()
expression = chosen or "happy"
shown = showcase.portrait(person, expression)
left, middle, right = st.columns([1, 1, 1.15], gap="medium")
left.image(shown.image, caption=f"A rendered head showing: {expression}", width=PICTURE)
middle.image(
    shown.overlay,
    caption=f"Grad-CAM: bright regions raise the score of {shown.predicted} (scale 0 to {shown.limit:.2g})",
    width=PICTURE,
)
with right:
    networks = store.checkpoints()
    network = networks.get(showcase.NETWORK)
    title = verbatim(network.card.title) if network else showcase.NETWORK
    st.markdown(
        f"{title} predicts **{shown.predicted}** with a confidence of **{percent(shown.probs[shown.predicted])}**."
    )
    st.html(markup.bars(((name, share, "") for name, share in shown.probs.items()), shown.predicted))
    if network:
        told = (
            [f"It is right on {real} of the FER2013 validation images"]
            if (real := accuracy(network, BENCHMARK))
            else []
        )
        if rendered := accuracy(network, RENDERED):
            told.append(
                f"on {rendered} of the rendered heads" if told else f"It is right on {rendered} of the rendered heads"
            )
        if told:
            leaked = leaks_in_words(network.card.results.get(BENCHMARK, {}))
            st.markdown(" and ".join(told) + f". {leaked.replace('these ', 'the FER2013 ', 1)}")
st.subheader("Three ways on")
for column, (name, view, words) in zip(
    st.columns(3),
    (
        ("Judge it", "evaluate", "How accurate is the network, and which expressions does it confuse?"),
        ("Change the face", "explain", "Choose another face or upload your own. What does the prediction depend on?"),
        ("Train your own", "train", "Choose data and a recipe. A first network takes a few minutes."),
    ),
    strict=True,
):
    with column.container(border=True):
        st.markdown(words)
        if st.button(name, type="primary", width="stretch"):
            st.switch_page(f"views/{view}.py")
st.markdown(
    "The faces on this page are rendered by FERscope and come with it. Networks recognise *expressions*, what a face shows, not "
    "what a person feels. Do not use them for decisions about people."
)
