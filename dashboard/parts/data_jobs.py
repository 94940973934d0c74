"""Evaluate a network on the data set of the Data page, as a job with its progress."""

import streamlit as st

from dashboard.pickers import titles
from dashboard.text import verbatim
from fer_core.datasets import Dataset
from fer_core.datasets.titles import dataset_title, split_title
from fer_core.errors import FerError
from fer_core.experiments import jobs
from fer_core.runs import store

WHAT = {
    "evaluate": "Predictions and all figures",
    "regions": "Regions: what it looks at",
    "robustness": "Robustness to corruptions",
}
ADDRESS = {"evaluate": "table", "regions": "report", "robustness": "table"}  # where a page's address names the result
ORDER = ("test", "val")
SHOWN = 8  # jobs in the list
UPDATE = 2.0  # seconds between two looks at a job that is on


def form(name: str, dataset: Dataset) -> None:
    """Choose a network, a split and what to measure.

    Args:
        name: of the data set, as `open_dataset` takes it.
    """
    networks = list(store.checkpoints())
    if not networks:
        st.markdown("There is no network yet. Train one first.")
        return
    parts = sorted(dataset.splits, key=lambda split: (*ORDER, split).index(split))  # what a network has not seen first
    with st.container(horizontal=True, vertical_alignment="bottom"):
        asked, wanted = st.query_params.get("measure"), st.query_params.get("what", "evaluate")
        first = networks.index(asked) if asked in networks else 0
        network = st.selectbox("Network to evaluate", networks, first, titles().__getitem__, width=260)
        split = st.selectbox("Part of the data set", parts, format_func=split_title, width=200)
        kind = list(WHAT).index(wanted) if wanted in WHAT else 0
        what = st.selectbox("What to measure", list(WHAT), kind, WHAT.__getitem__, width=260)
        limit = 0
        if what != "evaluate":
            most = len(dataset.rows(split))
            limit = int(st.number_input("Images, drawn at random", 2, most, min(jobs.SAMPLE, most), width=180))
        if st.button("Start", type="primary", key="start-job"):
            try:
                jobs.start(what, network, name, split, limit)
            except FerError as error:
                st.error(verbatim(str(error)))
    active = any(job.status().state in ("waiting", "running") for job in jobs.jobs()[:SHOWN])
    st.fragment(listed, run_every=UPDATE if active else None)()


def listed() -> None:
    """The newest jobs: how far they are, what came out, and where it is shown."""
    active = False
    for job in jobs.jobs()[:SHOWN]:
        status = job.status()
        title = titles().get(job.network, job.network)
        st.markdown(
            f"**{WHAT[job.what]}**: {verbatim(title)} on {verbatim(dataset_title(job.data))}, "
            f"{split_title(job.split)}: {status.state}"
        )
        if status.state in ("waiting", "running"):
            active = True
            words = status.step if status.state == "running" else "Waiting for the jobs before it"
            st.progress(
                min(1.0, status.done / status.total) if status.total else 0.0,
                words + (f", {status.done:,} of {status.total:,}" if status.total > 1 else ""),
            )
            if st.button("Stop", key=f"stop-{job.name}"):
                job.stop()
                st.rerun(scope="fragment")
        elif status.state == "failed":
            st.error(verbatim(status.message))
        else:
            st.markdown(verbatim(status.message))
        if status.state == "finished":
            st.page_link(
                f"views/{job.what}.py",
                label="Open the result",
                query_params={"network": job.network, ADDRESS[job.what]: status.key},
                icon=":material/arrow_forward:",
            )
    if st.session_state.get("jobs-active") and not active:
        st.session_state["jobs-active"] = False
        st.rerun()  # the rest of the page knows the new tables
    st.session_state["jobs-active"] = active
