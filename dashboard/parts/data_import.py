"""The Data page's form for predictions of another program: upload, how its columns are understood, import."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from dashboard import cache
from dashboard.text import images, verbatim
from fer_core.datasets.numbered import NUMBERINGS
from fer_core.errors import FerError
from fer_core.foreign import suggested_name
from fer_core.foreign.predictions import (
    KINDS,
    Columns,
    Imported,
    convert,
    guess,
    import_predictions,
    ordered,
    read_table,
)
from fer_core.labels import COLOURS

NONE = "–"
OWN = "The file's own labels"
WORDS = {
    NONE: NONE,
    "logits": "Logits",
    "probabilities": "Probabilities",
    "per cent": "Probabilities in per cent",
    "log-probabilities": "Log-probabilities",
    "scores": "Scores, to be rescaled to 1",
}


@st.fragment
def form(places: dict[str, str]) -> None:
    """Import predictions as a network with tables.

    Args:
        places: titles of the known data sets, by name.
    """
    file = st.file_uploader(
        "Predictions of another program (csv or parquet)", ["csv", "tsv", "txt", "parquet"], key="predictions-file"
    )
    if file is None:
        st.caption("One row an image: its file or id, and the predicted class or a value for each expression.")
        return
    content = file.getvalue()
    try:
        table = read_table(content, file.name)
        st.dataframe(table.head(3), hide_index=True)
        given = st.text_input(
            "Order of the expressions (only if columns or classes have numbers)",
            placeholder="angry, disgust, fear, happy, sad, surprise, neutral",
            help=f"Words between commas, or the name of a numbering: {', '.join(NUMBERINGS)}.",
        )
        columns = _corrected(guess(table, ordered(given)), list(table.columns))
        data, name = st.columns(2)
        source = data.selectbox("Labels and images from", [OWN, *places], format_func=lambda one: places.get(one, one))
        called = name.text_input("Name of the network", suggested_name(file.name), key=f"name-{file.name}")
        dataset = None if source == OWN else cache.dataset(source)
        found = convert(
            table, columns, dataset=dataset, split="" if dataset else "test", name=suggested_name(file.name)
        )
        _told(found)
        if st.button("Import predictions", type="primary"):
            import_predictions(found, called.strip(), file.name, content)
            st.session_state["imported"] = called.strip()
    except FerError as error:
        st.error(verbatim(str(error)))
        return
    if (made := st.session_state.get("imported")) == called.strip():
        st.success(
            f"Imported as “{verbatim(made)}”. It can be chosen as a network on every page that shows predictions."
        )
        split, one = next(iter(found.tables.items()))
        link = {"network": made, "table": f"{one.table['dataset'].iloc[0]}-{split}"}
        st.page_link("views/evaluate.py", label="Open in Evaluate", query_params=link)
        st.page_link("views/compare.py", label="Open in Compare", query_params=link)


def _corrected(guessed: Columns, names: list[str]) -> Columns:
    """How the columns are understood, with what the reader changes."""
    st.markdown("How the columns are understood. Correct what is wrong:")

    def pick(label: str, column: str, key: str) -> str:
        options = [NONE, *names]
        chosen = st.selectbox(label, options, options.index(column) if column else 0, key=f"import-{key}-{column}")
        return "" if chosen == NONE else chosen

    first = st.columns(4)
    with first[0]:
        image = pick("File or id", guessed.image, "image")
    with first[1]:
        label = pick("Label", guessed.label, "label")
    with first[2]:
        predicted = pick("Predicted class", guessed.predicted, "predicted")
    with first[3]:
        kinds = [NONE, *KINDS]
        kind = st.selectbox(
            "The values are",
            kinds,
            kinds.index(guessed.kind) if guessed.kind else 0,
            WORDS.__getitem__,
            key=f"import-kind-{guessed.kind}",
        )
    scores = {}
    wanted = list(dict.fromkeys([*(guessed.scores if guessed.order else ()), *COLOURS, *guessed.scores]))
    with st.expander("Column of each expression's value", expanded=not guessed.packed):
        places = st.columns(4)
        for number, expression in enumerate(wanted):
            with places[number % 4]:
                if column := pick(expression, guessed.scores.get(expression, ""), f"score-{expression}"):
                    scores[expression] = column
    said: Any = "" if kind == NONE else kind
    return replace(guessed, image=image, label=label, predicted=predicted, scores=scores, kind=said)


def _told(found: Imported) -> None:
    parts = ", ".join(f"{split}: {images(len(table))}" for split, table in found.tables.items())
    share = sum(float(table.correct.sum()) for table in found.tables.values()) / found.rows
    st.markdown(f"This gives a table of {verbatim(parts)}, with an accuracy of **{100 * share:.1f} %**.")
    for sentence in found.notes:
        st.warning(verbatim(sentence))
    for one in found.left_out:
        st.warning(verbatim(f"{one.n:,} left out: {one.id}: {one.reason}."))
