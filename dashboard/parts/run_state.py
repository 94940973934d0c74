"""The state of a run on the Train page in words, and the buttons that the state allows."""

from contextlib import suppress
from pathlib import Path

import streamlit as st

from dashboard.text import estimate, verbatim
from fer_core.datasets.titles import dataset_title, table_in_words
from fer_core.errors import RunError
from fer_core.evaluation.intervals import Interval
from fer_core.runs import queue, store
from fer_core.runs.folder import RunFolder, RunStatus
from fer_core.training.launch import kill, launch, stop


def state(run: RunFolder, status: RunStatus) -> None:
    """The state of a run in words."""
    if status.state == "failed":
        st.error(verbatim(f"Failed. {status.message}"))
    elif status.state == "lost":
        st.warning(verbatim(f"Lost. {status.message}"))
    elif status.state == "finished":
        if not run.config().val_split:
            st.markdown("Finished without validation. The weights of the last epoch were kept.")
        for key, figures in store.find(run.path).card.results.items():
            low, high = figures["accuracy_interval"]
            st.markdown(
                f"Finished with an accuracy of {estimate(figures['accuracy'], Interval(low, high), figures['n'])} on "
                f"{verbatim(table_in_words(key))}."
            )
    else:
        st.markdown(state_in_words(run, status))


def state_in_words(run: RunFolder, status: RunStatus) -> str:
    if status.state == "queued":
        return waiting(run) if status.pid else "Not started."
    if status.state == "stopping":
        return "Stopping. The run finishes its step and saves. If it has not ended after a minute, it is killed."
    if status.state == "running":
        data = verbatim(dataset_title(Path(status.data).name))
        return f"Training with {data} on {verbatim(status.device)}. {use(status)}".rstrip()
    return status.message or status.state.capitalize()


def use(status: RunStatus) -> str:
    """Processors and memory that the run uses."""
    if not status.memory:
        return ""
    gpu = f" and {status.gpu_memory / 1e9:.1f} GB of GPU memory" if status.gpu_memory else ""
    return f"It uses {status.processors:.1f} processors, {status.memory / 1e9:.1f} GB of memory{gpu}."


def waiting(run: RunFolder) -> str:
    """Which runs are before it in the queue of its device."""
    device = queue.device_of(run.config().device)
    names = [ticket.name for ticket in queue.line(device)]
    before = names[: names.index(run.name)] if run.name in names else []
    if not before:
        return "Starting: loading the program and the data set."
    others = f", then {len(before) - 1} more" if len(before) > 1 else ""
    return f"Waiting: {verbatim(before[0])} uses {verbatim(device)}{others}. This run starts automatically afterwards."


def progress(status: RunStatus) -> str:
    if status.state == "finished":
        return f"{status.epoch} of {status.epochs} epochs"
    if not status.steps:
        return "Not started yet"
    left = f", {status.time_left} left" if status.time_left else ""
    return f"Epoch {min(status.epoch + 1, status.epochs)} of {status.epochs}{left}"


def buttons(run: RunFolder, status: RunStatus) -> None:
    """The actions that a run allows in its state."""
    if status.state == "finished":
        table = next(iter(store.find(run.path).tables), "")
        picked = {"network": run.name, "table": table}
        for label, page in (("Evaluate", "views/evaluate.py"), ("Explain", "views/explain.py")):
            st.page_link(page, label=f"{label} this network", query_params=picked)
    elif status.state == "stopping":
        if st.button("Kill now", help="Progress since the last save is lost. Resume continues from there."):
            kill(run)
            st.rerun()
    elif status.active and status.pid:
        st.button(
            "Stop",
            on_click=ask_to_stop,
            args=(run,),
            help="The run finishes its step and saves. Resume continues from there.",
        )
    elif st.button("Resume" if status.steps else "Start", help="Continues from the last save."):
        launch(run)
        st.rerun()


def ask_to_stop(run: RunFolder) -> None:
    with suppress(RunError):  # it has just ended, as the page will show
        stop(run)
