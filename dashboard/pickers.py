"""What is picked on every page, network and predictions table, and how a choice lives in the address.

The address is the truth: a link shows what its sender saw, also when the default has changed since.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import cache
from dashboard.text import verbatim
from fer_core.datasets.titles import table_title
from fer_core.runs import store
from fer_core.runs.store import Checkpoint


@dataclass(frozen=True)
class Picked:
    """The shared choice: a network, and the key of one of its predictions tables (“fer2013-val”), if it has any."""

    checkpoint: Checkpoint
    table: str | None


# Streamlit keeps the words of an option in the address. These are former words by parameter, with the option they name.
FORMER_WORDS = {
    "bins": {"Equally full bins": "mass"},
    "change": {"Broken": "broken"},
    "confidence-of": {"as trained": "uncalibrated"},
    "order": {"Best recognised first": "recall", "Confused ones beside": "confusion"},
}
FORMER_TITLES = {"Small VGG, long": "fer2013-best", "Small VGG, fast": "fer2013-fast"}  # of networks, with their names


def renew_address() -> None:
    """Take what a saved link chooses in former words into the session, before its widget is drawn."""
    for param, words in FORMER_WORDS.items():
        if (option := words.get(st.query_params.get(param, ""))) is not None and param not in st.session_state:
            st.session_state[param] = option


PICKER = 260  # pixels of a picker in a row that wraps on a narrow page
T = TypeVar("T", bound=str)

# Pages about one network and its predictions. The pickers stand at their top, and on no other page.
OF_ONE_NETWORK = {
    "overview", "compare", "decide", "confidence", "evaluate", "gallery", "labels", "slices", "robustness", "explain", "regions",
    "map",
}  # fmt: skip
OF_FIGURES = {"overview", "compare", "decide", "confidence"}


def draw(page: str) -> None:
    """Draw the shared pickers at the top of a page that uses them. Called once in each run, by Home.

    Args:
        page: the name of the page that is about to be drawn.
    """
    networks = store.checkpoints()
    st.session_state["titles"] = _titles(networks)
    renew_address()
    evaluated = next((name for name, network in networks.items() if network.tables), None)
    if page not in OF_ONE_NETWORK:
        kept = st.session_state.get("own-network", evaluated)
        st.session_state["picked"] = Picked(networks[kept], None) if kept in networks else None
        return
    place = st.container(horizontal=True, vertical_alignment="bottom", key="pickers")
    name = choose_if_any(
        "Network", list(networks), "network", titles().__getitem__, default=evaluated, lasting=True,
        place=place.container(width=PICKER),
    )  # fmt: skip
    tables = list(networks[name].tables) if name else []
    # Figures open with a network's first set, its benchmark; pages about images open with the first whose images are here.
    default = None if page in OF_FIGURES else next(filter(cache.is_here, tables), None)
    key = choose_if_any(
        "Data set", tables, "table", table_title, default=default, empty="not evaluated yet",
        place=place.container(width=PICKER),
    )  # fmt: skip
    st.session_state["picked"] = Picked(networks[name], key) if name else None


def picked() -> Picked | None:
    """What is picked at the top of the page; None while there is no network at all."""
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
        "Evaluate it now on a data set of your choice."
    )
    if choice is not None:
        evaluate_link(choice.checkpoint.name)
    elif st.button("Train a network", type="primary"):
        st.switch_page("views/train.py")
    st.stop()


def evaluate_link(
    network: str, what: str = "evaluate", data: str = "", label: str = "Evaluate it on the Data page"
) -> None:
    """A link to the form of the Data page that measures a network, with what is known filled in."""
    asked = {"measure": network, "what": what} | ({"data": data} if data else {})
    st.page_link("views/data.py", label=label, query_params=asked, icon=":material/play_arrow:")


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
    lasting: bool = False,
    place: DeltaGenerator | None = None,
) -> str:
    """A select box whose value is always in the address, as `param`.

    A name in a link that is not among the options gets a calm message, and the fallback: what somebody has chosen in this
    session, else `default`, else the first option.

    Args:
        options: one or more.
        lasting: no other choice changes the options, so that what is gone has been deleted, which is said.
    """
    place, asked = place or st.container(), st.query_params.get(param)
    last, own = st.session_state.get(f"last-{param}"), f"own-{param}"
    if asked in options and asked != last:
        st.session_state[own] = asked  # from a link
    wishes: tuple[Any, ...] = (st.session_state.get(own), default)
    fallback: str = next((option for option in wishes if option in options), options[0])
    value = asked if asked is not None and asked in options else fallback
    wished = asked != last or lasting  # else the options changed, not the wish
    if asked is not None and asked not in options and wished:
        say_missing(asked, title(value))
    st.session_state[param] = value

    def follow() -> None:
        st.query_params[param] = st.session_state[own] = st.session_state[param]

    place.selectbox(label, options, key=param, format_func=title, on_change=follow)
    st.session_state[f"last-{param}"] = value
    to_address(param, value)
    return value


def say_missing(asked: str, shown: str) -> None:
    """What a link names is not there, and something else is shown."""
    st.info(verbatim(f"“{asked}” from the link does not exist here. Showing {shown} instead."))


def linked(param: str, options: Collection[str], fallback: str, what: str) -> str:
    """The id that the address names as `param`, else the fallback; a link to an id that is not there gets a calm message.

    Args:
        what: before the fallback's id in the message, “image”.
    """
    asked, last = st.query_params.get(param), f"last-{param}"
    if asked is not None and asked not in options and asked != st.session_state.get(last):
        say_missing(asked, f"{what} {fallback}")  # else the filters changed, not the wish
    value = asked if asked is not None and asked in options else fallback
    st.session_state[last] = value
    return value


def choose_if_any(
    label: str,
    options: Sequence[str],
    param: str,
    title: Callable[[str], str] = str,
    *,
    default: str | None = None,
    empty: str = "none yet",
    lasting: bool = False,
    place: DeltaGenerator,
) -> str | None:
    """As `choose`; where there are no options a box that says so (`empty`), and None."""
    if options:
        return choose(label, options, param, title, default=default, lasting=lasting, place=place)
    place.selectbox(label, [], key=f"no-{param}", placeholder=empty, disabled=True)
    if param in st.query_params:
        del st.query_params[param]
    return None


def switch(
    label: str,
    options: Mapping[T, str],
    key: str,
    default: T,
    *,
    place: DeltaGenerator | None = None,
    label_visibility: Literal["visible", "collapsed"] = "visible",
) -> T:
    """One of a few options side by side, each with its title; the value is in the address, as `key`."""
    chosen: T = (place or st.container()).segmented_control(
        label, list(options), format_func=options.__getitem__, default=default, required=True, key=key,
        bind="query-params", label_visibility=label_visibility,
    )  # fmt: skip
    return chosen


def choose_networks(
    label: str,
    options: Sequence[str],
    param: str,
    *,
    default: Sequence[str] = (),
    width: int | Literal["stretch"] = "stretch",
    place: DeltaGenerator | None = None,
) -> list[str]:
    """A box for several networks whose names are in the address, as `param`; links may also hold titles, former ones too."""
    names = {titles()[name]: name for name in options} | FORMER_TITLES
    asked = [names.get(value, value) for value in st.query_params.get_all(param)]
    here = param in st.query_params
    st.session_state[param] = [name for name in (asked if here else default) if name in options]

    def follow() -> None:
        chosen: list[str] = st.session_state[param]
        st.query_params[param] = chosen or ""  # an empty choice is one too, where there is a default

    (place or st.container()).multiselect(
        label, options, key=param, format_func=titles().__getitem__, on_change=follow, placeholder="none", width=width
    )
    return list(st.session_state[param])


def to_address(param: str, *values: str) -> None:
    """Put values into the address where they are not yet: each write sends the whole address, and would take from it
    what a person has typed into a field while the page is drawn."""
    if st.query_params.get_all(param) != list(values):
        st.query_params[param] = values
