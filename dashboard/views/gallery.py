"""Which pictures does it get wrong? All pictures of a split by label, answer, confidence, loss and other networks."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import cache, gallery
from dashboard.pickers import choose, evaluated, titles
from dashboard.text import interval, percent, pictures, table_title, verbatim
from fer_core.datasets import SPLITS, relabelling
from fer_core.datasets.identity import same_images
from fer_core.errors import FerError
from fer_core.evaluation import selections
from fer_core.evaluation.gallery import (
    MOST_ZIPPED,
    OUTCOMES,
    SORTS,
    Filter,
    as_split,
    examples,
    select,
    why_not_shared,
    zipped,
)
from fer_core.evaluation.intervals import wilson
from fer_core.evaluation.predictions import Predictions
from fer_core.runs import store

EACH = 24  # pictures a page
MOST_LOSS = 10.0  # nats; the slider's end means “this much or more”
BOX = 190  # pixels of a box in a row that wraps on a narrow page
SORT_WORDS = {
    "loss": "loss, largest first",
    "margin": "margin, smallest first",
    "confidence": "confidence, largest first",
    "doubt": "confidence, smallest first",
    "disagreement": "disagreement of the networks",
}
EVERY = "all"


def main() -> None:
    st.title("Which pictures does it get wrong?")
    checkpoint, key = evaluated("its pictures")
    network, table = checkpoint.name, cache.predictions(checkpoint.tables[key])
    wrong = int((~table.correct).sum())
    st.markdown(
        f"{verbatim(titles()[network])} reads **{wrong:,} of {pictures(len(table))}** "
        f"({percent(wrong / max(len(table), 1))}, {interval(wilson(wrong, len(table)))}) of "
        f"{verbatim(table_title(key))} otherwise than labelled."
    )
    wanted, sort, others = filters(table, beside_it(network, key))
    frame = select(examples(table, others), wanted, sort)
    what = OUTCOMES[wanted.outcome] if wanted.outcome != "all" else "right and wrong"
    st.markdown(f"**{pictures(len(frame))}** left by the filters ({what}), {SORT_WORDS[sort]}.")
    if not len(frame):
        st.info("No picture is left by these filters. Widen one of them: “all pictures” shows right answers too.")
        return
    ticks = st.toggle(
        "Select pictures",
        key="ticks-on",
        help="Draws a box below each picture; a selection stays when you turn the page.",
    )
    marked = corrected(table)

    def note(row: pd.Series) -> tuple[str, ...]:
        lines = [f"margin {row['margin']:+.2f}" if sort == "margin" else f"loss {row['loss']:.2f}"]
        if others:
            lines.append(f"{row['wrong']} of {row['networks']} wrong")
        if (row["split"], row["id"]) in marked:
            lines.append(f"marked: {marked[row['split'], row['id']]}")
        return tuple(lines)

    gallery.show(table, frame, network, key, each=EACH, view=("gallery", wanted, sort), note=note, ticks=ticks)
    take_out(table, frame, f"{network}-{key}")


def filters(table: Predictions, beside: dict[str, Path]) -> tuple[Filter, str, dict[str, Predictions]]:
    """The filters, drawn; the order; and the tables of the networks beside it, by their titles."""
    names = list(table.expressions.names)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    labels = row.multiselect("Labelled", names, key="labels", bind="query-params", placeholder="any", width=BOX)
    reads = row.multiselect("Read as", names, key="reads", bind="query-params", placeholder="any", width=BOX)
    outcome = choose(
        "Show", list(OUTCOMES), "outcome", OUTCOMES.__getitem__, default="wrong", place=row.container(width=BOX)
    )
    sort = choose("Sort by", list(SORTS), "sort", SORT_WORDS.__getitem__, place=row.container(width=BOX))
    text = row.text_input("Id contains", key="text", bind="query-params", placeholder="any", width=BOX)
    confidence = row.slider("Confidence, %", 0, 100, (0, 100), key="confidence", bind="query-params", width=BOX)
    loss = row.slider(
        "Loss, nats", 0.0, MOST_LOSS, (0.0, MOST_LOSS), 0.1, key="loss", bind="query-params", width=BOX,
        help=f"The natural logarithm of 1 / the label's probability. {MOST_LOSS:.0f} means that much or more.",
    )  # fmt: skip
    chosen = (
        row.multiselect(
            "Beside other networks", list(beside), key="beside", bind="query-params", format_func=titles().get,
            placeholder="none", width=BOX,
        )
        if beside
        else []
    )  # fmt: skip
    kept = [EVERY, *selections.names()]
    tag = EVERY
    if len(kept) > 1 or "selection" in st.query_params:
        tag = choose("Selection", kept, "selection", default=EVERY, place=row.container(width=BOX)) or EVERY
    selection = selections.read(tag) if tag != EVERY else None
    return (
        Filter(
            tuple(labels),
            tuple(reads),
            (confidence[0] / 100, confidence[1] / 100),
            (loss[0], loss[1] if loss[1] < MOST_LOSS else float("inf")),
            outcome,  # type: ignore[arg-type]
            text.strip(),
            selection,
            tag,
        ),
        sort or "loss",
        {titles()[name]: cache.predictions(beside[name]) for name in chosen},
    )


def beside_it(network: str, key: str) -> dict[str, Path]:
    """The other networks that were evaluated on the same data and split: name to table's path."""
    found = {name: checkpoint.tables for name, checkpoint in store.checkpoints().items() if name != network}
    return {name: tables[key] for name, tables in found.items() if key in tables}


def corrected(table: Predictions) -> dict[tuple[str, str], str]:
    """(split, id) to the label that a person gave."""
    found = relabelling.corrections(str(table.table["dataset"].iloc[0]))
    place = same_images(found.drop(columns="label"), table.table)
    images = table.table.iloc[place[place >= 0]]
    return dict(zip(zip(images["split"], images["id"], strict=True), found["label"][place >= 0], strict=True))


def take_out(table: Predictions, frame: pd.DataFrame, stem: str) -> None:
    """What can be done with the selected pictures, or with all that the filters leave."""
    ticked = gallery.ticked()
    mine = [image in ticked for image in gallery.named(table.table)] if ticked else []
    chosen = select(examples(table.where(mine)), Filter()) if any(mine) else frame
    selected = chosen is not frame
    whose = f"the {pictures(len(chosen))} selected" if selected else f"all {pictures(len(frame))} left by the filters"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"What follows applies to {whose}.")
        st.button("Select all of them", on_click=gallery.tick_all, args=(frame,), disabled=selected)
        st.button("Clear the selection", on_click=ticked.clear, disabled=not ticked)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.download_button("Ids and figures as csv", chosen.to_csv(index=False), f"pictures-{stem}.csv", "text/csv")
        source = cache.dataset_of(table)
        reason = why_not_shared(source) if source else "The pictures are not on this machine."
        if not reason and len(chosen) > MOST_ZIPPED:
            reason = f"More than {MOST_ZIPPED:,} pictures; filter or select fewer."
        st.download_button(
            "Pictures as zip",
            (lambda: zipped(source, chosen)) if source and not reason else b"",
            f"pictures-{stem}.zip",
            "application/zip",
            disabled=bool(reason),
            help=reason or "PNG in folders by split and label, which the Data page opens when unpacked.",
        )
        name = st.selectbox("New split", SPLITS, index=2, width=BOX // 2)
        st.download_button(
            "A split of them as csv",
            as_split(chosen, name).to_csv(index=False),
            f"split-{name}-{stem}.csv",
            "text/csv",
            help="In the format of `ferscope data split`: these pictures, under the name of the split beside.",
        )
        if reason:
            st.caption(verbatim(reason))
    left, right = st.columns(2, gap="large")
    with left, st.form("keep", border=False):
        name = st.text_input(
            "Keep them as a selection",
            placeholder="hard-cases",
            help="A tag, or a split of your own: one csv in the workspace.",
        )
        if st.form_submit_button("Keep"):
            keep(name.strip(), chosen)
        if kept := st.session_state.pop("kept", ""):
            st.success(kept)
    with right, st.form("relabel", border=False):
        label = st.selectbox("The label is wrong: it is", [*table.expressions.names, relabelling.UNCLEAR])
        if st.form_submit_button(
            "Mark the selected", disabled=not selected, help="Select pictures first." if not selected else None
        ):
            mark(chosen, label)
    st.caption(
        f"Marks are kept in {verbatim('relabelling/')} of the workspace, with a row in the audit for each change; the data "
        "set itself is never written to."
    )


def keep(name: str, chosen: pd.DataFrame) -> None:
    try:
        count = selections.add(name, chosen)
    except FerError as error:
        st.error(verbatim(str(error)))
        return
    st.session_state["kept"] = f"“{name}” holds {pictures(count)}. It is among the selections of this page from now on."
    st.rerun()  # the box of the selections stands above and has been drawn already


def mark(chosen: pd.DataFrame, label: str) -> None:
    changed = sum(
        relabelling.correct(str(dataset), rows, label, "gallery") for dataset, rows in chosen.groupby("dataset")
    )
    st.success(f"{pictures(changed)} marked as {label}.")


main()
