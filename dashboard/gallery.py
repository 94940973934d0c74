"""A gallery of a predictions table's images, page by page: the one that every page shows images with.

Only the images of the page that is looked at are read, each from the data set's arrays on disk. The page number is in
the address; the arrow keys turn the pages.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import ceil
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard import cache, markup
from dashboard.markup import Picture
from dashboard.pickers import picked, say_missing, to_address
from dashboard.text import images, verbatim
from fer_core.datasets import Dataset
from fer_core.datasets.heads import HEADS
from fer_core.datasets.identity import HASH
from fer_core.datasets.titles import dataset_title, split_title, table_title
from fer_core.evaluation.gallery import not_here, positions
from fer_core.evaluation.intervals import percent
from fer_core.evaluation.predictions import KEY, Predictions

Ticked = tuple[str, str, str, str]  # data set, split, id and hash (“” where it is not known)
SELECTED = "selected"  # in the session: the images that are ticked
TICKED = "ticked"  # in the address: their ids
MOST_IN_ADDRESS = 100  # ticked images; addresses of some 8,000 characters are no longer taken everywhere
TILE = 132  # pixels of an image that can be ticked


Note = Callable[[pd.Series], tuple[str, ...]]


def nothing(row: pd.Series) -> tuple[str, ...]:
    return ()


def show(
    table: Predictions,
    frame: pd.DataFrame,
    network: str,
    key: str,
    *,
    each: int = 16,
    view: Hashable,
    note: Note = nothing,
    ticks: bool = False,
) -> None:
    """One page of images, and the buttons to turn it.

    Args:
        table: the predictions that the images are of.
        frame: one row an image, in the order to show: `dataset`, `split`, `id`, `label`, `predicted`, `confidence`.
        network, key: which network and table, for the link to an image's explanation.
        each: images a page; two full rows on a wide window, four on a narrow one.
        view: a key of what is shown; when it changes, the gallery starts at its first page.
        note: further lines below an image.
        ticks: whether images can be selected; see `ticked`.
    """
    if not len(frame):
        return
    source = cache.dataset_of(table)
    if source is None:
        not_here_in_words(table, len(frame))
        return
    page = frame.iloc[page_of(len(frame), each, (view, network, key))]
    everywhere = cache.positions_of(table, source)
    if lost := not_here(source, table.table, everywhere):
        st.info(verbatim(lost))
    items, there = [], _places(source, table, everywhere, page)
    for (_, row), place in zip(page.iterrows(), there, strict=True):
        if place >= 0:
            items.append((row, _picture(source, int(place), row, network, key, note(row))))
    if ticks:
        with st.container(horizontal=True, key="ticks"):
            for row, item in items:
                _tile(row, item)
    else:
        st.html(markup.gallery([item for _, item in items]))
    lines = (
        "label → prediction, confidence, id"
        if note is nothing
        else "label → prediction, confidence, further figures, id"
    )
    st.markdown(f"Below each image: {lines}. Click an image to explain it. The arrow keys turn the page.")
    if len(items) < len(page):
        st.info(
            f"{images(len(page) - len(items))} of this page are not in {dataset_title(source.name)}, so they are not shown."
        )


def not_here_in_words(table: Predictions, count: int) -> None:
    """Why no image is shown, what that leaves untouched, and the ways on."""
    name = dataset_title(str(table.table["dataset"].iloc[0]))
    st.info(
        f"{images(count)} of {verbatim(name)} cannot be shown, because the data set is not on this machine or this workspace "
        "does not know its path. All figures are computed without the images."
    )
    ways_on()


def ways_on() -> None:
    """Where the images of the picked table are not here: to add them, or a table of the network whose images are."""
    with st.container(horizontal=True):
        if st.button("Add the data set", type="primary"):
            st.switch_page("views/data.py")
        choice = picked()
        here = next(filter(cache.is_here, choice.checkpoint.tables), None) if choice else None
        if choice and here and here != choice.table:
            st.button(f"Show {table_title(here)} instead", on_click=st.query_params.update, args=({"table": here},))


def _places(
    source: Dataset, table: Predictions, everywhere: NDArray[np.int64], page: pd.DataFrame
) -> NDArray[np.int64]:
    """(n,) row in the data set of each image of a page; -1 where it is not there."""
    if HASH in page.columns or not table.has_hashes:
        return positions(source, page)
    rows = pd.Series(everywhere, index=pd.MultiIndex.from_frame(table.table[KEY]))
    found: NDArray[np.int64] = rows.reindex(pd.MultiIndex.from_frame(page[KEY]), fill_value=-1).to_numpy()
    return found


def page_of(count: int, each: int, view: Hashable) -> slice:
    """The rows of the page in the address, and the buttons to turn it.

    Args:
        view: whatever makes this another list; it then begins at its first page.
    """
    pages = ceil(count / each)
    if st.session_state.setdefault("paged", view) != view:
        st.session_state["paged"] = view
        st.query_params.pop("page", None)
    if pages <= 1:
        return slice(0, count)
    asked = st.query_params.get("page", "1")
    page = max(1, min(int(asked), pages)) if asked.isdecimal() else 1
    if str(page) != asked:
        say_missing(f"page {asked}", f"page {page}")
        _turn(page)
    # The page is in the address alone: a key of its own for each page, because Streamlit warns of a pagination whose
    # value is set by the program.
    key = f"page-{page}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.pagination(pages, default=page, key=key, on_change=lambda: _turn(st.session_state[key]))
        # in a narrow window these three go below the numbers together
        with st.container(horizontal=True, vertical_alignment="center", width="content", wrap=False):
            for name, arrow, to in (("Previous", "Left", page - 1), ("Next", "Right", page + 1)):
                outside = not 1 <= to <= pages
                st.button(name, key=f"turn-{name}", disabled=outside, shortcut=arrow, on_click=_turn, args=(to,))
            st.caption(f"{(page - 1) * each + 1:,} to {min(page * each, count):,} of {count:,}", width="content")
    return slice((page - 1) * each, page * each)


def _turn(page: int) -> None:
    st.query_params["page"] = str(page)


def _picture(source: Dataset, place: int, row: pd.Series, network: str, key: str, further: tuple[str, ...]) -> Picture:
    confidence = percent(row["confidence"])
    kind = "Rendered head labelled" if source.name == HEADS else "Labelled"
    text = (
        f"{kind} {row['label']}, predicted {row['predicted']}, confidence {confidence}, id {row['id']} of "
        f"{dataset_title(source.name)}, {split_title(row['split'])}"
    )
    lines = (f"{row['label']} → {row['predicted']}", confidence, *further, row["id"])
    href = "explain?" + urlencode({"network": network, "table": key, "image": row["id"]})
    return Picture(source.picture(place), text, lines, href)


def _tile(row: pd.Series, item: Picture) -> None:
    image: Ticked = (row["dataset"], row["split"], row["id"], row.get(HASH, ""))
    name = "tick-" + "-".join(image[:3])
    st.session_state[name] = image in ticked()  # the set is what holds; a box that is not drawn is forgotten
    with st.container(width=TILE, gap="xxsmall"):
        st.html(markup.gallery([item]))
        st.checkbox(f"select {row['id']}", key=name, on_change=_tick, args=(image, name), label_visibility="visible")


def _tick(image: Ticked, name: str) -> None:
    (ticked().add if st.session_state[name] else ticked().discard)(image)


def ticked() -> set[Ticked]:
    """The images that are ticked in this session; change it in place."""
    chosen: set[Ticked] = st.session_state.setdefault(SELECTED, set())
    return chosen


def take_ticks_from_address(frame: pd.DataFrame) -> None:
    """In a new session tick the images of a table that the address names: an image's link leaves the page, and Back
    comes to a new session."""
    if SELECTED not in st.session_state:
        tick_all(frame[frame["id"].isin(st.query_params.get_all(TICKED))])


def put_ticks_in_address(frame: pd.DataFrame) -> None:
    """Name the ticked images of a table in the address. More than `MOST_IN_ADDRESS` are kept in the session alone."""
    chosen = ticked()
    ids = [image[2] for image in named(frame) if image in chosen] if chosen else []
    to_address(TICKED, *(ids if len(ids) <= MOST_IN_ADDRESS else ()))


def tick_all(frame: pd.DataFrame) -> None:
    ticked().update(named(frame))


def named(frame: pd.DataFrame) -> list[Ticked]:
    """What each image of a table is ticked by."""
    known = frame if HASH in frame.columns else frame.assign(**{HASH: ""})
    return list(known[[*KEY, HASH]].itertuples(index=False, name=None))
