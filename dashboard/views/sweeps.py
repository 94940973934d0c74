"""Sweeps: which settings are best? A sweep tries them; this page shows its trials while it runs and afterwards."""

from contextlib import suppress
from itertools import accumulate

import pandas as pd
import streamlit as st

from dashboard import cache, markup, pickers
from dashboard.behind import table_behind
from dashboard.charts import runs as charts
from dashboard.text import estimate, verbatim
from fer_core.datasets.heads import HEADS
from fer_core.datasets.known import known
from fer_core.datasets.titles import dataset_title
from fer_core.errors import FerError
from fer_core.evaluation.intervals import percent
from fer_core.experiments.sweep_file import load_sweep, sweep_files
from fer_core.experiments.sweep_folder import SweepFolder, Trial, sweeps
from fer_core.experiments.sweep_process import RESUME, launch
from fer_core.glossary import explained
from fer_core.recipe import choice_title, load_recipe, setting_title
from fer_core.reports.html import Cell, share
from fer_core.runs import queue

PLOTLY = {"displayModeBar": False}
WATCH = 3.0  # seconds between two updates of a running sweep
BEST = 10  # trials in the table
SAMPLERS = {
    "grid": "All combinations are tried.",
    "random": "The values are drawn at random.",
    "tpe": "New values are drawn near the best ones so far (TPE).",
}
PRUNERS = {
    "none": "Every trial runs to its end.",
    "median": "A trial that is below the median of the others ends early.",
    "halving": "The worse half of the trials ends early, again and again (successive halving).",
}
METRIC = "best accuracy"  # a column of the downloaded table


def is_running(folder: SweepFolder) -> bool:
    """Whether a process works on the sweep or waits in a queue."""
    waiting = any(ticket.name == folder.name for line in queue.lines().values() for ticket in line)
    return waiting or any(trial.status.active for trial in folder.trials())


def new_sweep() -> None:
    """The form of a new sweep."""
    left, middle, right = st.container(key="choices").columns(3)
    files = sweep_files()
    file = left.selectbox("Sweep", list(files), format_func=lambda name: load_sweep(name).about.title)
    data = middle.selectbox("Data set", [HEADS, *known()], format_func=dataset_title)
    workers = right.number_input("Worker processes", 1, 64, 1, help="All workers share the processor or the GPU.")
    taken = {folder.name for folder in sweeps()}
    name = next(name for n in range(1, len(taken) + 2) if (name := file if n == 1 else f"{file}-{n}") not in taken)
    sweep = load_sweep(file)
    recipe = load_recipe(sweep.recipe).about.title
    st.markdown(
        f"The sweep trains {sweep.total:,} networks from the recipe “{verbatim(recipe)}” and varies "
        f"{verbatim(', '.join(setting_title(name).lower() for name in sweep.space))}. {SAMPLERS[sweep.sampler]} "
        f"{PRUNERS[sweep.pruner]}"
    )
    command = ["ferscope", "sweep", file, "--data", data, "--name", name, "--workers", str(workers)]
    with st.expander("Sweep file and command line"):
        st.code(" ".join(command), "bash", wrap_lines=True)
        st.code(files[file].read_text(encoding="utf-8"), "toml")
    if st.button("Start the sweep", type="primary"):
        launch([file, data, name, str(workers)], SweepFolder.named(name))
        st.session_state["started"] = name
        st.rerun()


def ended_of(trials: list[Trial]) -> int:
    """How many trials are complete; a stopped trial is not."""
    return sum(trial.pruned or trial.status.state in ("finished", "failed") for trial in trials)


def best_in_words(folder: SweepFolder, trials: list[Trial]) -> str:
    ended = ended_of(trials)
    done = f"{ended:,} of {folder.sweep.total:,} trials are complete."
    scored = [trial for trial in trials if trial.accuracy is not None]
    if not scored:
        return f"{done} No trial has an accuracy yet."
    best = max(scored, key=lambda trial: trial.accuracy or 0)
    reached = estimate(best.accuracy or 0, best.bounds, best.n) if best.bounds else f"**{percent(best.accuracy or 0)}**"
    values = ", ".join(f"{setting_title(name)} = {choice_title(value)}" for name, value in best.values.items())
    rivals = [t for t in scored if t is not best and best.bounds and t.bounds and t.bounds.high >= best.bounds.low]
    first = "Best validation accuracy" if ended == folder.sweep.total else "Best validation accuracy so far"
    said = f"{first}: {reached}, with {verbatim(values)}. {done}"
    if rivals:
        one = len(rivals) == 1
        said += f" The interval{' of 1 other trial overlaps' if one else f's of {len(rivals)} other trials overlap'} with it."
    return said


def row(trial: Trial) -> list[Cell]:
    figure: Cell = ""
    if trial.accuracy is not None:
        figure = share(trial.accuracy, trial.bounds)
    state = "pruned" if trial.pruned else trial.status.state
    return [trial.run.name, state, figure, str(trial.epochs), *map(choice_title, trial.values.values())]


def progress(folder: SweepFolder, running: bool) -> None:
    """The state of a sweep, updated while it runs; the rest of the page stays as it is."""
    trials = folder.trials()
    if running and not is_running(folder):
        st.rerun()  # the whole page, once, because the sweep has ended
    st.markdown(best_in_words(folder, trials))
    total = folder.sweep.total
    ended = ended_of(trials)
    st.progress(min(1.0, ended / total), text=f"{ended:,} of {total:,} trials")
    scored = [trial for trial in trials if trial.accuracy is not None]
    if not scored:
        return
    values = [trial.accuracy or 0.0 for trial in scored]
    left, right = st.columns(2)
    with left:
        st.subheader("Accuracy by trial")
        st.plotly_chart(
            charts.sequence(values, list(accumulate(values, max))), config=PLOTLY, key="history",
            alt="Best validation accuracy of each trial, and the best so far",
        )  # fmt: skip
    with right:
        st.subheader("Importance of the settings", help=explained("Importance of a setting"))
        shares = cache.importance(folder.path)
        if shares:
            st.plotly_chart(
                charts.importance({setting_title(name): share for name, share in shares.items()}),
                config=PLOTLY,
                key="importance",
                alt="Importance of each setting in per cent",
            )
            st.caption("Share of the variance of accuracy that a setting explains (PED-ANOVA over finished trials).")
        else:
            st.markdown("This chart needs eight finished trials with different accuracies.")
    table = pd.DataFrame([trial.values for trial in scored])
    table[METRIC] = values
    if len(scored) > 1:
        st.subheader("Settings and accuracy")
        st.plotly_chart(
            charts.parallel(table.rename(columns=setting_title), METRIC, "Best accuracy, %"), config=PLOTLY, key="parallel",
            alt="One line per trial, from its settings to its best validation accuracy",
        )  # fmt: skip
    st.subheader("Best trials")
    order = sorted(scored, key=lambda trial: -(trial.accuracy or 0))
    st.html(
        markup.table(
            ("Run", "State", "Validation accuracy, %", "Epochs", *map(setting_title, folder.sweep.space)),
            map(row, order[:BEST]),
            words=(0, 1),
            picked=0,
        )
    )
    st.markdown("The best of many trials looks better than it is. Confirm it on a test set with several seeds.")
    st.caption("Grey: 95 % confidence intervals (Wilson).")
    everything = table.assign(run=[trial.run.name for trial in scored], n=[trial.n for trial in scored])
    table_behind("charts", everything, f"{folder.name}")


def one_sweep(folder: SweepFolder) -> None:
    running = is_running(folder)
    trials = folder.trials()
    with st.container(horizontal=True, vertical_alignment="center"):
        if running:
            st.button(
                "Stop", on_click=folder.request_stop, disabled=folder.stop_requested,
                help="Running trials are saved. Continue resumes them.",
            )  # fmt: skip
        elif ended_of(trials) < folder.sweep.total and st.button(
            "Continue", help="Resumes the trials that were stopped, then starts new ones."
        ):
            launch([RESUME, folder.name, "1"], folder)
            st.session_state["started"] = folder.name
            st.rerun()
        st.page_link(
            "views/runs.py", label="Compare the best trials in Runs",
            query_params=[("run", t.run.name) for t in sorted(trials, key=lambda t: -(t.accuracy or 0))[:6]],
        )  # fmt: skip
    st.fragment(progress, run_every=WATCH if running else None)(folder, running)
    log = folder.path / "log.txt"
    if log.exists():
        with st.expander("Log"):
            st.code(
                "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]), None, wrap_lines=True
            )


st.title("Sweeps: which settings are best?", help=explained("Sweep"))
found = {folder.name: folder for folder in sweeps()}
started: str | None = st.session_state.get("started")
if started and started not in found:
    st.markdown(f"Starting “{verbatim(started)}”. The data set is being opened.")
    with suppress(FileNotFoundError):
        said = (SweepFolder.named(started).path / "log.txt").read_text(encoding="utf-8", errors="replace")
        if "Error:" in said:
            st.error(verbatim(said.strip().splitlines()[-1].removeprefix("Error: ")))
            del st.session_state["started"]
    st.fragment(
        lambda name=started: st.rerun() if SweepFolder.named(name).path.joinpath("sweep.json").exists() else None,
        run_every=1.0,
    )()
if found:
    if started in found and st.session_state.pop("started", None):
        st.query_params["sweep"] = started
    chosen = pickers.choose("Sweep", list(found), "sweep", lasting=True)
    try:
        one_sweep(found[chosen])
    except FerError as error:  # said here, so that another can be started
        st.error(verbatim(str(error)))
else:
    st.info("There are no sweeps yet. Start one below.")
with st.expander("New sweep", expanded=not found):
    new_sweep()
