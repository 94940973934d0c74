"""The board of a session: code, who has joined, matrices, agreement and the images on which class and network differ most.

It is projected while the class answers, so it shows what was answered to an image only when everybody has answered it, or
when the session has ended.
"""

from __future__ import annotations

from base64 import b64encode
from functools import partial

import pandas as pd
import streamlit as st
from markupsafe import Markup

from dashboard.markup import TEMPLATES
from dashboard.parts.class_address import link, qr_code
from dashboard.text import verbatim
from fer_core.classroom import people
from fer_core.classroom.images import in_words
from fer_core.classroom.session import About, Session, State
from fer_core.classroom.tasks import GUESS, SHORTCUT
from fer_core.errors import ClassError
from fer_core.evaluation.confusion import Counts
from fer_core.evaluation.intervals import percent
from fer_core.reports.html import part

EVERY = 2.0  # seconds between two looks
SHOWN = 3  # images
IN_WORDS = {"running": "running", "paused": "paused", "ended": "ended", "revealed": "answers shown"}
_part = partial(part, "board.html", within=TEMPLATES)


def draw(session: Session) -> None:
    """The board, drawn anew every two seconds, and the teacher's buttons."""
    url = link(session)
    st.fragment(partial(_board, session, url), run_every=EVERY)()


def _board(session: Session, url: str) -> None:
    try:
        about, (state, opened) = session.about, session.state()
        students, table = session.students(), people.image_by_image(session)
    except ClassError as error:  # deleted in another tab
        st.error(verbatim(str(error)))
        return
    qr = f"data:image/png;base64,{b64encode(qr_code(url)).decode()}" if url else ""
    each = about.votes * about.size if about.votes else len(students) * about.size
    joined = [(str(name), int(done)) for name, done in zip(students["nickname"], students["answered"], strict=True)]
    with st.container(key="board"):
        words = IN_WORDS[state] + (f", image {opened} of {about.size}" if about.together else "")
        st.html(_part("top", session, url.partition("?")[0], qr, words, len(students), int(table["n"].sum()), each))
        buttons(session, about, state, opened)
        st.html(_part("people", joined, 0 if about.votes else about.size))
        left, right = st.columns([3, 2], gap="large")
        with left:
            st.html(matrices(session, about, state))
        with right:
            st.html(agreement(table) + differing(session, about, table, state, len(students)))


def buttons(session: Session, about: About, state: State, opened: int) -> None:
    """Pause, continue, next, end and reveal."""
    row = st.container(horizontal=True)
    if about.together and opened < about.size and state == "running":
        row.button("Next image", type="primary", on_click=session.advance)
    steps: dict[str, State] = {}
    if state == "running":
        steps = {"Pause": "paused", "End": "ended", "Show the answers to all": "revealed"}
    elif state in ("paused", "ended"):
        steps = {"Continue": "running", "Show the answers to all": "revealed"}
    for label, target in steps.items():
        row.button(label, on_click=session.turn, args=(target,))


def _rows(names: tuple[str, ...], matrix: Counts) -> list[dict[str, object]]:
    rows = []
    for at, (name, counts) in enumerate(zip(names, matrix.tolist(), strict=True)):
        total = max(1, sum(counts))
        rows.append({"label": name, "at": at, "cells": [(count, count / total) for count in counts]})
    return rows


def matrices(session: Session, about: About, state: State) -> Markup:
    """The confusion matrix of the class, and beside it the network's on the same images."""
    if about.task == SHORTCUT:
        return shortcut(session, state)
    names, of_class, of_network = people.matrices(session)
    found = people.score(session)
    said = f": {percent(found.accuracy)}" if found.people else ""
    more = f"95 % CI {found.interval.text()}" if found.people > 1 else ""
    across = "rows: what the network predicts; columns: what the class guesses" if about.task == GUESS else (
        "rows: label; columns: answer. Every answer of the class counts."
    )  # fmt: skip
    drawn = _part("matrix", f"Class{said}", more, names, _rows(names, of_class), across)
    if about.network and about.task != GUESS:
        theirs = f": {percent(found.network)}" if found.images else ""
        more = f"95 % CI {found.network_interval.text()}" if found.images else ""
        drawn += _part(
            "matrix",
            f"{about.network}{theirs}",
            more,
            names,
            _rows(names, of_network),
            f"on the {found.images} images that the class has seen",
        )
    return Markup('<div class="board-matrices">{}</div>').format(drawn)


def shortcut(session: Session, state: State) -> Markup:
    """How many chose which network; which one is right is said when the answers are shown."""
    counts = people.votes(session.answers(), session.about.choices, session.about.size).sum()
    total = max(1, int(counts.sum()))
    truth = str(session.facts()["truth"].iloc[0])
    names = tuple(map(str, counts.index))
    row = {"label": "answers", "at": names.index(truth) if state == "revealed" else -1}
    cells = [(int(count), int(count) / total) for count in counts]
    words = (
        f"{truth} learned the white square."
        if state == "revealed"
        else "Which one it is stands here when the answers are shown."
    )
    return _part("matrix", "Which network has learned a shortcut?", "", names, [{**row, "cells": cells}], words)


def agreement(table: pd.DataFrame) -> Markup:
    """How much the class agrees on each image."""
    bars = [
        {
            "number": int(row["position"]) + 1,
            "share": float(row["agreement"]) if row["n"] else 0.0,
            "title": f"Image {int(row['position']) + 1}: {int(row['n'])} answers"
            + (f", {percent(float(row['agreement']))} the same" if row["n"] else ""),
        }
        for _, row in table.iterrows()
    ]
    return _part("agreement", bars)


def differing(session: Session, about: About, table: pd.DataFrame, state: State, joined: int) -> Markup:
    """The images on which the class and the network differ most; without a network, on which the class agrees least."""
    over = state in ("ended", "revealed")
    needed = about.votes or joined
    seen = table[(table["n"] > 0) & (over | (table["n"] >= needed))]
    beside = about.task != GUESS and bool(table["difference"].notna().any())
    ordered = seen.sort_values("difference", ascending=False) if beside else seen.sort_values("agreement")
    items = {item.position: item for item in session.items()} if len(ordered) else {}
    rows = []
    for _, row in ordered.head(SHOWN).iterrows():
        item = items[int(row["position"])]
        lines = [f"class: {row['most']} ({percent(float(row['agreement']))})"]
        if said := in_words(item):
            lines.append(f"network: {said}")
        if over and about.task not in (SHORTCUT, GUESS):
            lines.append(f"label: {item.label}")
        source = f"data:image/png;base64,{b64encode(item.image).decode()}"
        rows.append({"source": source, "alt": f"Image {item.position + 1}", "lines": lines})
    title = "Class and network differ most" if beside else "The class agrees least"
    return _part("images", title, rows, "Images appear here when everybody has answered them.")
