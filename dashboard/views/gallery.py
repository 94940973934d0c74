"""Gallery: which images are wrong? All images of a split by label, prediction, confidence, loss and other networks."""

from typing import cast

import pandas as pd
import streamlit as st

from dashboard import cache, gallery
from dashboard.parts import relabelled
from dashboard.pickers import choose, choose_networks, evaluated, titles
from dashboard.text import estimate, images, verbatim
from fer_core.datasets import SPLITS, relabelling
from fer_core.datasets.identity import same_images
from fer_core.datasets.titles import table_in_words
from fer_core.errors import FerError
from fer_core.evaluation import selections
from fer_core.evaluation.gallery import (
    MOST_ZIPPED,
    OUTCOMES,
    SORTS,
    Filter,
    Outcome,
    as_split,
    examples,
    select,
    why_not_shared,
    zipped,
)
from fer_core.evaluation.intervals import wilson
from fer_core.evaluation.predictions import Predictions
from fer_core.glossary import explained
from fer_core.runs import store
from fer_core.runs.store import Checkpoint
from fer_core.spreadsheet import as_csv

EACH = 24  # images a page
MOST_LOSS = 10.0  # nats; the slider's end means “this much or more”
BOX = 190  # pixels of a box in a row that wraps on a narrow page
SORT_WORDS = {
    "loss": "highest loss first",
    "margin": "smallest margin first",
    "confidence": "highest confidence first",
    "doubt": "lowest confidence first",
    "disagreement": "strongest disagreement first",
}
EVERY = "all"


def main() -> None:
    st.title("Gallery: which images are wrong?", help=explained("Confidence", "Loss", "Margin"))
    checkpoint, key = evaluated("see its errors")
    network, table = checkpoint.name, cache.served(checkpoint, key)
    wrong = int((~table.correct).sum())
    st.markdown(
        f"{verbatim(titles()[network])} is wrong on {wrong:,} of the {images(len(table))} of {verbatim(table_in_words(key))}. "
        f"Its error rate is {estimate(wrong / max(len(table), 1), wilson(wrong, len(table)))}."
    )
    wanted, sort, others = filters(table, key, beside_it(network, key))
    frame = select(examples(table, others), wanted, sort)
    what = OUTCOMES[wanted.outcome] if wanted.outcome != "all" else "right and wrong"
    st.markdown(f"**{matching(len(frame))}** ({what}), {SORT_WORDS[sort]}.")
    if not len(frame):
        st.info("No image matches these filters. Widen one of them: “all images” also shows correct predictions.")
        return
    gallery.take_ticks_from_address(table.table)
    ticks = st.toggle(
        "Select images",
        key="ticks-on",
        bind="query-params",
        help="Shows a box below each image. The selection is kept when you turn the page.",
    )
    marked = corrected(table)

    def note(row: pd.Series) -> tuple[str, ...]:
        lines = [f"margin {row['margin']:+.2f}" if sort == "margin" else f"loss {row['loss']:.2f}"]
        if others:
            lines.append(f"{row['wrong']} of {row['networks']} networks wrong")
        if (row["split"], row["id"]) in marked:
            lines.append(f"corrected: {marked[row['split'], row['id']]}")
        return tuple(lines)

    gallery.show(table, frame, network, key, each=EACH, view=("gallery", wanted, sort), note=note, ticks=ticks)
    actions(table, frame, f"{network}-{key}")
    gallery.put_ticks_in_address(table.table)


def matching(n: int) -> str:
    return f"{n:,} matching image" + ("s" if n != 1 else "")


def filters(table: Predictions, key: str, beside: dict[str, Checkpoint]) -> tuple[Filter, str, dict[str, Predictions]]:
    """The filters, drawn; the order; and the tables on `key` of the networks beside it, by their titles."""
    names = list(table.expressions.names)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    labels = row.multiselect("Label", names, key="labels", bind="query-params", placeholder="any", width=BOX)
    reads = row.multiselect("Prediction", names, key="reads", bind="query-params", placeholder="any", width=BOX)
    outcome = choose(
        "Show",
        list(OUTCOMES),
        "outcome",
        lambda name: OUTCOMES[cast(Outcome, name)],
        default="wrong",
        place=row.container(width=BOX),
    )
    sort = choose("Sort by", list(SORTS), "sort", SORT_WORDS.__getitem__, place=row.container(width=BOX))
    text = row.text_input("Id contains", key="text", bind="query-params", placeholder="any", width=BOX)
    confidence = row.slider("Confidence, %", 0, 100, (0, 100), key="confidence", bind="query-params", width=BOX)
    loss = row.slider(
        "Loss, nats", 0.0, MOST_LOSS, (0.0, MOST_LOSS), 0.1, key="loss", bind="query-params", width=BOX,
        help=f"{explained('Loss')} The highest value of the slider includes all higher losses.",
    )  # fmt: skip
    chosen = choose_networks("Compare with", list(beside), "beside", width=BOX, place=row) if beside else []
    kept = [EVERY, *selections.names()]
    tag = EVERY
    if len(kept) > 1 or "selection" in st.query_params:
        tag = choose("Selection", kept, "selection", default=EVERY, place=row.container(width=BOX))
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
        {titles()[name]: cache.served(beside[name], key) for name in chosen},
    )


def beside_it(network: str, key: str) -> dict[str, Checkpoint]:
    """The other networks that were evaluated on the same data and split."""
    return {name: one for name, one in store.checkpoints().items() if name != network and key in one.tables}


def corrected(table: Predictions) -> dict[tuple[str, str], str]:
    """(split, id) to the label that a person gave."""
    found = relabelling.corrections(str(table.table["dataset"].iloc[0]))
    place = same_images(found.drop(columns="label"), table.table)
    images = table.table.iloc[place[place >= 0]]
    return dict(zip(zip(images["split"], images["id"], strict=True), found["label"][place >= 0], strict=True))


def actions(table: Predictions, frame: pd.DataFrame, stem: str) -> None:
    """What can be done with the selected images, or with all that match the filters."""
    ticked = gallery.ticked()
    mine = [image in ticked for image in gallery.named(table.table)] if ticked else []
    chosen = select(examples(table.where(mine)), Filter()) if any(mine) else frame
    selected = chosen is not frame
    whose = f"the {images(len(chosen))} you selected" if selected else f"all {len(frame):,} matches"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Actions for {whose}**")
        st.button("Select all", on_click=gallery.tick_all, args=(frame,), disabled=selected)
        st.button("Clear selection", on_click=ticked.clear, disabled=not ticked)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.download_button("Download table (csv)", as_csv(chosen), f"images-{stem}.csv", "text/csv")
        source = cache.dataset_of(table)
        reason = why_not_shared(source) if source else "The images are not on this machine."
        if not reason and len(chosen) > MOST_ZIPPED:
            reason = f"A zip holds at most {MOST_ZIPPED:,} images. Filter or select fewer."
        st.download_button(
            "Download images (zip)",
            (lambda: zipped(source, chosen)) if source and not reason else b"",
            f"images-{stem}.zip",
            "application/zip",
            disabled=bool(reason),
            help=reason or "PNG files in folders by split and label. The Data page opens the unpacked folder.",
        )
        name = st.selectbox("Name of the split", SPLITS, index=2, width=BOX // 2)
        st.download_button(
            "Download as a split (csv)",
            as_split(chosen, name).to_csv(index=False),
            f"split-{name}-{stem}.csv",
            "text/csv",
            help="The csv has the format of the split files that `ferscope data split` writes.",
        )
        if reason:
            st.markdown(verbatim(reason))
    left, right = st.columns(2, gap="large")
    with left, st.form("keep", border=False):
        name = st.text_input(
            "Save as a selection",
            placeholder="hard-cases",
            help="The selection is a csv in the workspace. It can be opened again under this name.",
        )
        if st.form_submit_button("Save"):
            keep(name.strip(), chosen)
        if kept := st.session_state.pop("kept", ""):
            st.success(kept)
    with right, st.form("relabel", border=False):
        label = st.selectbox("Correct the label to", [*table.expressions.names, relabelling.UNCLEAR])
        if st.form_submit_button(
            "Correct the selected images", disabled=not selected, help=None if selected else "Select images first."
        ):
            mark(chosen, label)
    with right:
        if place := cache.place_of(table):
            relabelled.offer(place, str(table.table["dataset"].iloc[0]))
    st.markdown(
        "Corrections are saved in the workspace, with an entry in the audit for each change. The original data stays unchanged."
    )


def keep(name: str, chosen: pd.DataFrame) -> None:
    try:
        count = selections.add(name, chosen)
    except FerError as error:
        st.error(verbatim(str(error)))
        return
    st.session_state["kept"] = f"Saved. “{name}” contains {images(count)}. Choose it under “Selection” to see it again."
    st.rerun()  # the box of the selections stands above and has been drawn already


def mark(chosen: pd.DataFrame, label: str) -> None:
    changed = sum(
        relabelling.correct(str(dataset), rows, label, "gallery") for dataset, rows in chosen.groupby("dataset")
    )
    st.success(f"Saved: {images(changed)} corrected to {label}. The original data stays unchanged.")


main()
