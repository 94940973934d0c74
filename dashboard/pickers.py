"""What is picked on every page, network and predictions table, and how a choice lives in the address.

The address is the truth: a link shows what its sender saw, also when the default has changed since.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.text import table_title, verbatim
from fer_core.runs import store
from fer_core.runs.store import Checkpoint


@dataclass(frozen=True)
class Picked:
    """The shared choice: a network, and the key of one of its predictions tables (“fer2013-val”), if it has any."""

    checkpoint: Checkpoint
    table: str | None


# What the address of a saved link may say, by parameter, and what the page says now: Streamlit keeps the words of an option.
FORMER_TITLES = {
    "Small VGG, long": "Small VGG (long)",
    "Small VGG, fast": "Small VGG (fast)",
}
FORMER_WORDS = {
    "beside": FORMER_TITLES,
    "over": FORMER_TITLES,
    "bins": {"Equally wide bins": "Bins of equal width", "Equally full bins": "Bins of equal size"},
    "change": {"Fixed": "Newly right", "Broken": "Newly wrong"},
    "confidence-of": {"as trained": "uncalibrated", "with its temperature": "calibrated"},
    "order": {
        "As the network lists them": "Network order",
        "Best recognised first": "Highest recall first",
        "Confused ones beside": "Group confused classes",
    },
}


def renew_address() -> None:
    """Bring the words of a saved link to those of today; without this the choice in it would be lost."""
    for param, words in FORMER_WORDS.items():
        values = st.query_params.get_all(param)
        renewed = [words.get(value, value) for value in values]
        if renewed != values:
            st.query_params[param] = renewed


def draw() -> None:
    """Draw the shared pickers into the sidebar. Called once in each run, by Home."""
    renew_address()
    networks = store.checkpoints()
    st.session_state["titles"] = _titles(networks)
    evaluated = next((name for name, network in networks.items() if network.tables), None)
    name = choose(
        "Network", list(networks), "network", titles().__getitem__, default=evaluated, lasting=True, place=st.sidebar
    )
    tables = list(networks[name].tables) if name else []
    key = choose("Data set", tables, "table", table_title, empty="not evaluated yet", place=st.sidebar)
    st.session_state["picked"] = Picked(networks[name], key) if name else None


def picked() -> Picked | None:
    """What is picked in the sidebar; None while there is no network at all."""
    choice: Picked | None = st.session_state["picked"]
    return choice


def evaluated(purpose: str) -> tuple[Checkpoint, str]:
    """The picked network and the key of its table; where there is none, the page says what to do next and ends.

    Args:
        purpose: what the page will show, as in “see which expressions it confuses”.
    """
    choice = picked()
    if choice is not None and choice.table is not None:
        return choice.checkpoint, choice.table
    st.info(
        f"There is no trained network yet. Train one to {purpose}."
        if choice is None
        else f"{verbatim(titles()[choice.checkpoint.name])} has not been evaluated yet. A run is evaluated when it finishes. "
        f"To evaluate it now, run `ferscope evaluate {choice.checkpoint.name} --data DATA --split SPLIT`."
    )
    if st.button("Train a network", type="primary"):
        st.switch_page("views/train.py")
    st.stop()


def titles() -> dict[str, str]:
    """What each network is called on the pages: its title, with its name where several share the title."""
    names: dict[str, str] = st.session_state["titles"]
    return names


def _titles(networks: Mapping[str, Checkpoint]) -> dict[str, str]:
    often = Counter(network.card.title for network in networks.values())
    return {
        name: network.card.title if often[network.card.title] == 1 else f"{network.card.title} ({name})"
        for name, network in networks.items()
    }


def choose(
    label: str,
    options: Sequence[str],
    param: str,
    title: Callable[[str], str] = str,
    *,
    default: str | None = None,
    empty: str = "none yet",
    lasting: bool = False,
    place: DeltaGenerator | None = None,
) -> str | None:
    """A select box whose value is always in the address, as `param`.

    A name in a link that is not among the options gets a calm message, and the fallback: what this session had chosen
    last, else `default`, else the first option.

    Args:
        lasting: no other choice changes the options, so that what is gone has been deleted, which is said.

    Returns:
        the chosen option, or None where there are none.
    """
    place, asked = place or st.container(), st.query_params.get(param)
    if not options:
        place.selectbox(label, [], key=f"no-{param}", placeholder=empty, disabled=True)
        if asked is not None:
            del st.query_params[param]
        return None
    last = st.session_state.get(f"last-{param}")
    fallback = next((option for option in (last, default) if option in options), options[0])
    value = asked if asked in options else fallback
    wished = asked != last or lasting  # else the options changed, not the wish
    if asked is not None and asked not in options and wished:
        st.info(verbatim(f"“{asked}” from the link does not exist here. Showing {title(value)} instead."))
    st.session_state[param] = value

    def follow() -> None:
        st.query_params[param] = st.session_state[param]

    place.selectbox(label, options, key=param, format_func=title, on_change=follow)
    st.session_state[f"last-{param}"] = value
    to_address(param, value)
    return value


def to_address(param: str, *values: str) -> None:
    """Put values into the address where they are not yet: each write sends the whole address, and would take from it
    what a person has typed into a field while the page is drawn."""
    if st.query_params.get_all(param) != list(values):
        st.query_params[param] = values
