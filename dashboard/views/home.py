"""Home: what FERscope is, on one screen: a face, the prediction with its confidence, the map, the accuracy, three ways on."""

import streamlit as st

from dashboard import cache, markup, tour
from dashboard.pickers import say_missing, titles, to_address
from dashboard.text import estimate, verbatim
from fer_core.datasets.titles import table_in_words, table_title
from fer_core.evaluation.intervals import percent
from fer_core.evaluation.results import leaks_in_words
from fer_core.glossary import explained
from fer_core.reports.html import share
from fer_core.runs import store
from fer_core.serving import showcase

PICTURE = 250  # pixels
CARDS = 6  # networks with a card; the table has all
CARD = 250
BENCHMARK, RENDERED = "fer2013-val", "heads-test"


def accuracy(network: store.Checkpoint, key: str) -> str:
    found = cache.headlines({network.name: network.tables[key]}).get(network.name) if key in network.tables else None
    return estimate(found.accuracy, found.accuracy_interval, found.n) if found else ""


def the_networks(networks: dict[str, store.Checkpoint]) -> None:
    """A card for each network with its main figures, and all of them in a table that is folded."""
    known = {name: key for name, one in networks.items() if (key := headline_table(one))}
    if not known:
        return
    st.subheader("The networks", help=explained("Accuracy", "F1", "Confusion matrix"))
    order = sorted(
        known, key=lambda name: (known[name] != BENCHMARK, -cache.report(networks[name].tables[known[name]]).accuracy)
    )
    with st.container(horizontal=True, key="networks"):
        for name in order[:CARDS]:
            card(networks[name], known[name])
    with st.expander(f"All {len(order)} networks in a table"):
        reports = {name: cache.report(networks[name].tables[known[name]]) for name in order}
        st.html(
            markup.table(
                ("Network", "Evaluated on", "Accuracy, %", "Macro-F1, %", "n", "Parameters"),
                [
                    [
                        titles()[name],
                        table_title(known[name]),
                        share(one.accuracy, one.accuracy_interval),
                        share(one.macro_f1, one.macro_f1_interval),
                        f"{one.n:,}",
                        f"{networks[name].card.parameters:,}",
                    ]
                    for name, one in reports.items()
                ],
                words=(0, 1),
            )
        )
        st.page_link("views/overview.py", label="Open Overview")


def headline_table(network: store.Checkpoint) -> str:
    """The key of the table that a network is shown with: the benchmark's, else its first."""
    return BENCHMARK if BENCHMARK in network.tables else next(iter(network.tables), "")


def card(network: store.Checkpoint, key: str) -> None:
    """A network's accuracy, where it is weakest, its confusion matrix in small, and what it costs."""
    report = cache.report(network.tables[key])
    weakest = report.per_class[report.per_class["support"] > 0].sort_values("recall", kind="stable").iloc[0]
    with st.container(border=True, width=CARD, key=f"card-{network.name}"):
        st.markdown(f"**{verbatim(titles()[network.name])}**")
        st.markdown(
            f"{estimate(report.accuracy, report.accuracy_interval)} on {verbatim(table_in_words(key))}  \n"
            f"Weakest: {weakest['expression']} (recall {percent(weakest['recall'])})"
        )
        st.html(markup.small_matrix(report.confusion, report.expressions))
        st.markdown(f"{network.card.parameters:,} parameters, trained in {network.card.cost.time}")
        st.page_link("views/evaluate.py", label="Evaluate", query_params={"network": network.name, "table": key})


st.title("Home: what does a network see in a face?", help=explained("Confidence", "Grad-CAM"))
controls = st.container(horizontal=True, vertical_alignment="bottom")
person = int(st.session_state.setdefault("home-person", 0))
names = showcase.expressions()
with controls:
    if "shown-face" not in st.session_state:  # not bound to the address, which other pages would have to keep
        asked = st.query_params.get("face", "happy")
        st.session_state["shown-face"] = face = asked if asked in names else "happy"
        if face != asked:
            say_missing(asked, face)
    chosen = st.segmented_control("The face shows", names, key="shown-face")
    to_address("face", chosen or "happy")
    if st.button("Another person"):
        st.session_state["home-person"] = (person + 1) % showcase.people()
        st.rerun()
    st.button("Take the tour", on_click=tour.again)
expression = chosen or "happy"
shown = showcase.portrait(person, expression)
first = st.container(horizontal=True, gap="medium", key="home-face")  # in a narrow window one goes below the other
words = f"A rendered head showing: {expression}"
first.image(shown.image, caption=words, width=PICTURE, alt=words)
first.image(
    shown.overlay,
    caption=f"Grad-CAM: bright regions raise the score of {shown.predicted} (scale 0 to {shown.limit:.2g})",
    width=PICTURE,
    alt=f"Map of what speaks for {shown.predicted} in this head",
)
with first.container(width="stretch", key="home-answer"):
    networks = store.checkpoints()
    network = networks.get(showcase.NETWORK)
    title = verbatim(network.card.title) if network else showcase.NETWORK
    st.markdown(
        f"{title} predicts **{shown.predicted}** with a confidence of **{percent(shown.probs[shown.predicted])}**."
    )
    if expression not in shown.probs:
        st.markdown(f"It does not know {expression}: it must choose one of {len(shown.probs)} other expressions.")
    else:
        st.markdown(
            "That is what the face shows." if expression == shown.predicted else f"The face shows {expression}."
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
            st.markdown(" and ".join(told) + f". {leaked}")
tasks = st.columns(3)
for column, (name, view, words) in zip(
    tasks,
    (
        (
            "Show it: explain a face",
            "explain",
            "Another face, or your own: what does the network predict, and what does it look at?",
        ),
        (
            "Judge it: evaluate the network",
            "evaluate",
            "How accurate is the network, and which expressions does it confuse?",
        ),
        (
            "Make one: train a network",
            "train",
            "Choose data and a recipe, and start. A first network takes a few minutes.",
        ),
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
the_networks(networks)
