"""The runs of the workspace on the Train page: the list of all, and name, tags, note and trash of one."""

from pathlib import Path

import streamlit as st

from dashboard.text import verbatim
from fer_core.datasets.titles import dataset_title
from fer_core.errors import RunError
from fer_core.evaluation.intervals import percent
from fer_core.runs import store
from fer_core.runs.folder import Notes, RunFolder, best_epoch

NEWEST = 15  # runs listed as links; older ones are found by name
UPDATE = 30.0  # seconds between two updates of the list while a run is active


def manage(run: RunFolder) -> None:
    """Tags, note and name of a run, a copy of its settings, the trash."""
    status, notes = run.look(), run.notes()
    at_rest = not (status.active and status.pid)
    with st.expander("Name, tags, delete"):
        left, right = st.columns(2)
        tags = left.text_input("Tags", ", ".join(notes.tags), key=f"tags-{run.name}", help="Separate tags with commas.")
        note = right.text_input("Note", notes.note, key=f"note-{run.name}")
        written = Notes(tuple(tag.strip() for tag in tags.split(",") if tag.strip()), note)
        if written != notes:
            run.write_notes(written)
        name = left.text_input("Name", run.name, 80, f"rename-{run.name}", disabled=not at_rest)
        if name != run.name and at_rest:
            try:
                renamed = store.rename(run.name, name)
            except RunError as error:
                left.error(verbatim(str(error)))
            else:
                st.query_params.from_dict({"run": renamed.name})
                st.rerun()
        with right.container(horizontal=True, vertical_alignment="bottom", height="stretch"):
            st.page_link("views/train.py", label="Start a run with these settings", query_params={"like": run.name})
            if st.button("Delete", disabled=not at_rest, help="Moves the folder to the trash of the workspace."):
                store.trash(run.name)
                st.session_state["deleted run"] = run.name
                st.query_params.clear()
                st.rerun()


def undo_delete() -> None:
    """After a run was deleted: its name, and a button that brings it back."""
    name = st.session_state.get("deleted run")
    if not name:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="undo-delete"):
        st.info(f"The run {verbatim(name)} is in the trash of the workspace.")
        if st.button("Undo", key="undo"):
            del st.session_state["deleted run"]
            try:
                restored = store.restore(name)
            except RunError as error:
                st.error(verbatim(str(error)))
            else:
                st.query_params["run"] = restored.name
                st.rerun()


def all_runs(current: str | None) -> None:
    """The runs of this workspace, the newest first, as links; without the one that is shown above them."""
    runs = [run for run in store.runs() if run.name != current]
    st.subheader("Other runs" if current else "Runs")
    undo_delete()
    if not runs:
        st.markdown("There are no other runs yet." if current else "There are no runs yet.")
        return
    active = any(run.look().active for run in runs[:NEWEST])
    st.fragment(rows, run_every=UPDATE if active else None)(runs[:NEWEST])
    if older := [run.name for run in runs[NEWEST:]]:
        name = st.selectbox("Older runs", older, None, placeholder=f"{len(older):,} more")
        if name:
            st.query_params["run"] = name
            st.rerun()


def rows(runs: list[RunFolder]) -> None:
    """One line per run: link, state, progress, best validation accuracy, data set."""
    widths = [3.6, 1.7, 1.8, 1.5, 1.8]
    for column, heading in zip(
        st.columns(widths), ("Run", "State", "Progress", "Best validation accuracy", "Data set"), strict=True
    ):
        column.caption(heading)
    for run in runs:
        status, results = run.look(), run.metrics()
        name, state, share, best, data = st.columns(widths, vertical_alignment="center")
        name.page_link("views/train.py", label=run.name, query_params={"run": run.name})
        state.markdown(status.state)
        left = f", {status.time_left} left" if status.time_left else ""
        share.markdown(f"{status.progress:.0%}{left}")
        kept = best_epoch(results)
        best.markdown(percent(kept.val_accuracy) if kept and kept.val_accuracy is not None else ":gray[–]")
        data.markdown(verbatim(dataset_title(Path(status.data).name)))
