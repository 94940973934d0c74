"""A run on the Train page while it trains and afterwards: figures, curves and log."""

from collections.abc import Callable
from dataclasses import asdict

import pandas as pd
import streamlit as st

from dashboard import curves
from dashboard.charts import runs as charts
from dashboard.charts.confusion import confusion
from dashboard.parts import run_state
from dashboard.text import verbatim
from fer_core.errors import FerError
from fer_core.evaluation.intervals import percent
from fer_core.glossary import explained
from fer_core.labels import VOCABULARIES
from fer_core.runs.diagnosis import diagnose
from fer_core.runs.folder import EpochResult, RunFolder, best_epoch

WATCH = 2.0  # least seconds between two updates of a running run; as often as it writes its status
LOG_LINES = 12
PLOTLY = {"displayModeBar": False}


def watch(run: RunFolder) -> None:
    """A run, updated while it trains; the rest of the page stays as it is. Figures are updated whenever a fiftieth of the
    remaining time has passed, curves once per epoch, so that watching hardly slows the run."""
    status, results = run.status(), run.metrics()
    known = status.active, bool(results)
    often = rarely = None
    if status.active:
        often = rarely = WATCH
        if results:
            often = min(max(WATCH, status.seconds_left / 50), 10.0)
            rarely = min(max(WATCH, results[-1].wall_seconds), 30.0)
    st.fragment(safely, run_every=often)(state_and_figures, run, known)
    st.fragment(safely, run_every=rarely)(curves_and_log, run)


def safely(show: Callable[..., None], run: RunFolder, *known: object) -> None:
    """Draw a part; errors are shown here, because Home does not see those of a later update."""
    try:
        show(run, *known)
    except FerError as error:
        st.error(verbatim(str(error)))


def state_and_figures(run: RunFolder, known: tuple[bool, bool]) -> None:
    """State and figures of a run."""
    status, results = run.status(), run.metrics()
    if known != (status.active, bool(results)):
        st.rerun()  # the whole page, once: the run has ended, or the curves begin
    words, actions = st.columns([3, 2], vertical_alignment="center")
    with words:
        run_state.state(run, status)
    with actions.container(horizontal=True, horizontal_alignment="right"):
        run_state.buttons(run, status)
    st.progress(status.progress, text=run_state.progress(status))
    if text := run.warning():
        st.warning(verbatim(text))
    best = best_epoch(results)
    accuracy = best.val_accuracy if best else None
    with st.container(horizontal=True, gap="medium"):
        st.metric("Best validation accuracy", "–" if accuracy is None else percent(accuracy), width="content")
        st.metric("Learning rate", f"{results[-1].lr:.2g}" if results else "–", width="content")
        speed = f"{status.images_per_second:,.0f} images/s" if status.images_per_second else "–"
        st.metric("Speed", speed, width="content")


def curves_and_log(run: RunFolder) -> None:
    """Curves and log of a run."""
    status, results = run.status(), run.metrics()
    if results:
        histories = {run.name: results} | beside(run)
        curves.show(histories, epochs=status.epochs)
        if said := diagnose(results, 0 if status.state == "finished" else status.epochs):
            st.markdown(verbatim(said.sentence), help=explained("Overfitting", "Underfitting", "Loss"))
        last = max(status.epochs, *(len(history) for history in histories.values()))
        st.plotly_chart(
            charts.pace(histories).update_xaxes(range=[0, last]),
            key="pace",
            config=PLOTLY,
            alt="Learning rate and images per second by epoch",
        )
        last_validation(run)
        with st.expander("Table behind the charts", on_change="rerun") as table:
            if table.open:
                st.dataframe(pd.DataFrame(map(asdict, results)), hide_index=True)
    elif status.active:
        st.markdown("The curves begin when the first epoch ends.")
    with st.expander("Log", expanded=status.state in ("failed", "lost")):
        st.code(log_tail(run), None, height=260, wrap_lines=True)


def beside(run: RunFolder) -> dict[str, list[EpochResult]]:
    """Curves of other runs, chosen below the run."""
    return {name: RunFolder.named(name).metrics() for name in st.session_state.get(f"beside-{run.name}", [])}


def last_validation(run: RunFolder) -> None:
    """The confusion matrix of the last validation."""
    matrix, names = run.confusion(), VOCABULARIES[run.config().expressions].names
    if matrix is None or len(matrix) != len(names):
        return
    with st.expander("Confusion matrix of the last validation", on_change="rerun") as opened:
        if opened.open:
            st.altair_chart(confusion(matrix, names, "row", ("", "")), key="last-validation")


def log_tail(run: RunFolder) -> str:
    """The last lines of a run's log; only the end of the file is read."""
    if not run.log.exists():
        return "There is no log yet. A run writes one when it is started from this page."
    with run.log.open("rb") as file:
        file.seek(max(0, run.log.stat().st_size - 8192))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-LOG_LINES:])
