"""Which settings are best? A sweep tries them; this page shows its trials while it runs and after."""

from contextlib import suppress
from itertools import accumulate

import pandas as pd
import streamlit as st

from dashboard import cache, markup, pickers
from dashboard.charts import runs as charts
from dashboard.markup import Html
from dashboard.text import interval, percent, pictures, verbatim
from fer_core.datasets.known import SYNTHETIC, known
from fer_core.errors import FerError
from fer_core.experiments.sweep_file import load_sweep, sweep_files
from fer_core.experiments.sweep_folder import SweepFolder, Trial, sweeps
from fer_core.experiments.sweep_process import RESUME, launch
from fer_core.runs import queue

PLOTLY = {"displayModeBar": False}
WATCH = 3.0  # seconds between two looks at a sweep that goes on
BEST = 10  # trials in the table
METRIC = "best accuracy"


def works(folder: SweepFolder) -> bool:
    """Whether a process works on the sweep or waits for its turn: it is in a line, or one of its trials trains."""
    waiting = any(ticket.name == folder.name for line in queue.lines().values() for ticket in line)
    return waiting or any(trial.status.active for trial in folder.trials())


def new_sweep() -> None:
    """The form of a new sweep."""
    left, middle, right = st.columns(3)
    files = sweep_files()
    file = left.selectbox("Sweep file", list(files), format_func=lambda name: f"{name}: {load_sweep(name).about.title}")
    data = middle.selectbox("Data", [SYNTHETIC, *known()])
    workers = right.number_input("Worker processes", 1, 64, 1, help="They share the processor, or the GPU.")
    taken = {folder.name for folder in sweeps()}
    name = next(name for n in range(1, len(taken) + 2) if (name := file if n == 1 else f"{file}-{n}") not in taken)
    sweep = load_sweep(file)
    st.caption(
        f"{sweep.total:,} trials of the recipe {verbatim(sweep.recipe)}, sampler {sweep.sampler}, pruner {sweep.pruner}: "
        f"{verbatim(', '.join(sweep.space))}."
    )
    command = ["ferscope", "sweep", file, "--data", data, "--name", name, "--workers", str(workers)]
    with st.expander("Sweep file and command line"):
        st.code(" ".join(command), "bash", wrap_lines=True)
        st.code(files[file].read_text(encoding="utf-8"), "toml")
    if st.button("Start the search", type="primary"):
        launch([file, data, name, str(workers)], SweepFolder.named(name))
        st.session_state["started"] = name
        st.rerun()


def ended_of(trials: list[Trial]) -> int:
    """How many need no more training; one that was stopped goes on."""
    return sum(trial.pruned or trial.status.state in ("finished", "failed") for trial in trials)


def answer(folder: SweepFolder, trials: list[Trial]) -> str:
    ended = ended_of(trials)
    done = f"{ended:,} of {folder.sweep.total:,} trials have ended."
    scored = [trial for trial in trials if trial.accuracy is not None]
    if not scored:
        return f"{done} None has a figure yet."
    best = max(scored, key=lambda trial: trial.accuracy or 0)
    bounds = f" ({interval(best.bounds)})" if best.bounds else ""
    values = ", ".join(f"{name} = {shown(value)}" for name, value in best.values.items())
    rivals = [t for t in scored if t is not best and best.bounds and t.bounds and t.bounds.high >= best.bounds.low]
    first = "Best" if ended == folder.sweep.total else "Best so far"
    said = f"{first}: **{percent(best.accuracy or 0)}**{bounds} of {pictures(best.n)}, with {verbatim(values)}. {done}"
    if rivals:
        said += f" The intervals of {len(rivals)} other trial{'s' if len(rivals) > 1 else ''} reach into its own."
    return said


def shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def row(trial: Trial) -> list[str | Html]:
    figure: str | Html = ""
    if trial.accuracy is not None:
        figure = markup.figure(trial.accuracy, trial.bounds) if trial.bounds else f"{100 * trial.accuracy:.1f}"
    state = "pruned" if trial.pruned else trial.status.state
    return [trial.run.name, state, figure, str(trial.epochs), *map(shown, trial.values.values())]


def watch(folder: SweepFolder, goes_on: bool) -> None:
    """One look at a sweep; the rest of the page stays as it is."""
    trials = folder.trials()
    if goes_on and not works(folder):
        st.rerun()  # the whole page, once: it has ended
    st.markdown(answer(folder, trials))
    total = folder.sweep.total
    ended = ended_of(trials)
    st.progress(min(1.0, ended / total), text=f"{ended:,} of {total:,} trials")
    scored = [trial for trial in trials if trial.accuracy is not None]
    if not scored:
        return
    values = [trial.accuracy or 0.0 for trial in scored]
    left, right = st.columns(2)
    with left:
        st.subheader("History")
        st.plotly_chart(
            charts.sequence(values, list(accumulate(values, max))), config=PLOTLY, key="history",
            alt="Best validation accuracy of each trial, and the best so far",
        )  # fmt: skip
    with right:
        st.subheader("What matters")
        shares = cache.importance(folder.path)
        if shares:
            st.plotly_chart(
                charts.importance(shares), config=PLOTLY, key="importance", alt="Importance of each setting, per cent"
            )
            st.caption("Share of the accuracy's variance over finished trials that a setting explains (PED-ANOVA).")
        else:
            st.caption("Eight finished trials with different figures tell which setting matters.")
    table = pd.DataFrame([trial.values for trial in scored])
    table[METRIC] = values
    if len(scored) > 1:
        st.subheader("Settings and accuracy")
        st.plotly_chart(
            charts.parallel(table, METRIC, "best accuracy, %"), config=PLOTLY, key="parallel",
            alt="A line a trial through its settings to its best validation accuracy",
        )  # fmt: skip
    st.subheader("Best trials")
    order = sorted(scored, key=lambda trial: -(trial.accuracy or 0))
    st.html(
        markup.table(
            ("Run", "State", "Accuracy, %", "Epochs", *folder.sweep.space),
            map(row, order[:BEST]),
            words=(0, 1),
            picked=0,
        )
    )
    st.caption(
        "In a lighter tone: 95 % intervals (Wilson). The best of many trials looks better than it is: confirm it on a "
        "test split, with several seeds."
    )
    with st.expander("The table behind the charts"):
        everything = table.assign(run=[trial.run.name for trial in scored], n=[trial.n for trial in scored])
        st.dataframe(everything, hide_index=True)
        st.download_button("Download as csv", everything.to_csv(index=False), f"{folder.name}.csv", "text/csv")


def shown_sweep(folder: SweepFolder) -> None:
    goes_on = works(folder)
    trials = folder.trials()
    with st.container(horizontal=True, vertical_alignment="center"):
        if goes_on:
            st.button(
                "Stop", on_click=folder.request_stop, disabled=folder.stop_requested,
                help="The trials in work are saved; Continue goes on with them.",
            )  # fmt: skip
        elif ended_of(trials) < folder.sweep.total and st.button(
            "Continue", help="Goes on with the trials that were begun, then with new ones."
        ):
            launch([RESUME, folder.name, "1"], folder)
            st.session_state["started"] = folder.name
            st.rerun()
        st.page_link(
            "views/runs.py", label="Compare the best as runs",
            query_params=[("run", t.run.name) for t in sorted(trials, key=lambda t: -(t.accuracy or 0))[:6]],
        )  # fmt: skip
    st.fragment(watch, run_every=WATCH if goes_on else None)(folder, goes_on)
    log = folder.path / "log.txt"
    if log.exists():
        with st.expander("Log"):
            st.code(
                "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]), None, wrap_lines=True
            )


st.title("Which settings are best?")
found = {folder.name: folder for folder in sweeps()}
started = st.session_state.get("started")
if started and started not in found:
    st.caption(f"Starting “{verbatim(started)}”: it opens the data.")
    with suppress(FileNotFoundError):
        said = (SweepFolder.named(started).path / "log.txt").read_text(encoding="utf-8", errors="replace")
        if "Error:" in said:
            st.error(verbatim(said.strip().splitlines()[-1].removeprefix("Error: ")))
            del st.session_state["started"]
    st.fragment(
        lambda: st.rerun() if SweepFolder.named(started).path.joinpath("sweep.json").exists() else None, run_every=1.0
    )()
if found:
    if started in found and st.session_state.pop("started", None):
        st.query_params["sweep"] = started
    chosen = pickers.choose("Sweep", list(found), "sweep", lasting=True)
    try:
        if chosen:
            shown_sweep(found[chosen])
    except FerError as error:  # said here, so that another can be started
        st.error(verbatim(str(error)))
else:
    st.info("There is no search yet. The one on drawn faces below takes some minutes.")
with st.expander("A new search", expanded=not found):
    new_sweep()
