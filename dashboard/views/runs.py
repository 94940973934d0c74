"""Runs: which settings were better? Curves, differing settings, diagnoses, and cost against accuracy."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pandas as pd
import streamlit as st

from dashboard import curves, damaged, markup
from dashboard.behind import table_behind
from dashboard.charts import runs as charts
from dashboard.markup import sparkline
from dashboard.pickers import to_address
from dashboard.text import estimate, verbatim
from fer_core.datasets.titles import dataset_title
from fer_core.durations import duration
from fer_core.errors import FerError
from fer_core.evaluation.intervals import Interval, percent, wilson
from fer_core.glossary import explained
from fer_core.recipe import Section, TrainConfig, choice_title, setting_title
from fer_core.reports.html import Cell, share
from fer_core.runs import store
from fer_core.runs.diagnosis import Diagnosis, diagnose
from fer_core.runs.folder import EpochResult, RunFolder, RunStatus, best_epoch

PLOTLY = {"displayModeBar": False}
FIRST = 6  # runs that are compared when the address names none
NEWEST = 200  # runs that can be chosen without a tag
LEAST_PARALLEL = 8  # runs, below which parallel lines show less than the table
AXES = 6  # settings that can be drawn beside each other and still be read


@dataclass(frozen=True)
class Compared:
    """A run with all that the page shows of it."""

    run: RunFolder
    status: RunStatus
    settings: dict[str, object]
    results: list[EpochResult]
    best: EpochResult
    said: Diagnosis | None
    n: int  # images of its validation set; 0 until its card says so

    @property
    def data(self) -> str:
        """The data set that it was trained on, by its name."""
        return dataset_title(Path(self.status.data).name)

    @property
    def accuracy(self) -> float:
        """The best epoch's validation accuracy; `best_epoch` gives only epochs that have one."""
        return cast(float, self.best.val_accuracy)

    @property
    def minutes(self) -> float:
        return sum(result.cpu_seconds for result in self.results) / 60

    @property
    def bounds(self) -> Interval | None:
        """Wilson's interval of the best epoch's validation accuracy."""
        return wilson(round(self.accuracy * self.n), self.n) if self.n else None


def read(run: RunFolder) -> Compared | None:
    """A run that has validated an epoch; None before, without a validation set, or if its recipe cannot be read."""
    try:
        results = run.metrics()
        settings = flat(run.config())
    except FerError:
        return None
    best, status = best_epoch(results), run.look()
    if best is None:
        return None
    said = diagnose(results, 0 if status.state == "finished" else status.epochs)
    return Compared(run, status, settings, results, best, said, validated_images(run))


def validated_images(run: RunFolder) -> int:
    matrix = run.confusion()
    if matrix is not None:
        return int(matrix.sum())
    try:
        return max((figures["n"] for figures in store.find(run.path).card.results.values()), default=0)
    except FerError:  # no card yet
        return 0


def flat(config: TrainConfig) -> dict[str, object]:
    """Every setting by its key on the command line; tables and lists as text."""
    found: dict[str, object] = {}
    for name in TrainConfig.model_fields:
        value = getattr(config, name)
        if isinstance(value, Section):
            found |= {f"{name}.{inner}": getattr(value, inner) for inner in type(value).model_fields if name != "about"}
        else:
            found[name] = value
    return {name: value if isinstance(value, int | float | str) else str(value) for name, value in found.items()}


def differing(runs: list[Compared]) -> list[str]:
    """Settings that are not the same in all runs, in the recipe's order."""
    return [name for name in runs[0].settings if len({run.settings.get(name) for run in runs}) > 1]


def best_in_words(runs: list[Compared], names: list[str]) -> str:
    """Which run was best, by how much, and whether the difference is significant."""
    order = sorted(runs, key=lambda run: -run.accuracy)
    first = order[0]
    reached = estimate(first.accuracy, first.bounds, first.n) if first.bounds else f"**{percent(first.accuracy)}**"
    said = f"**{verbatim(first.run.name)}** has the highest validation accuracy: {reached} at epoch {first.best.epoch}."
    if len(order) > 1:
        second = order[1]
        gap = 100 * (first.accuracy - second.accuracy)
        said += f" This is {gap:.1f} points more than {verbatim(second.run.name)}"
        if first.bounds and second.bounds:
            apart = first.bounds.low > second.bounds.high
            said += "; the intervals do not overlap" if apart else "; the intervals overlap, so it may be chance"
        said += f". {len(names) or 'No'} {'settings differ' if len(names) > 1 else 'setting differs'}."
    return said


def choose() -> list[RunFolder]:
    """The runs to compare; the choice is in the address."""
    runs = {run.name: run for run in store.runs()[:NEWEST]}
    every, tags = list(runs), sorted({tag for run in runs.values() for tag in run.notes().tags})
    left, right = st.columns([1, 3])
    tag = left.selectbox("Tag", tags, None, placeholder="all", disabled=not tags)
    if tag:
        runs = {name: run for name, run in runs.items() if tag in run.notes().tags}
    asked = st.query_params.get_all("run")
    if gone := [name for name in asked if name not in every]:
        st.info(verbatim(f"“{', '.join(gone)}” from the link is not among the newest {NEWEST} runs here."))
    default = [name for name in asked if name in runs] or [name for name, run in runs.items() if run.metrics()][:FIRST]
    names = right.multiselect("Runs", list(runs), default, key=f"runs-{tag}")
    if len(names) < len(runs):
        st.markdown(f"{len(names):,} of {len(runs):,} runs are compared. Choose more in the box above.")
    to_address("run", *names)
    return [runs[name] for name in names]


def rows(runs: list[Compared], names: list[str]) -> list[list[Cell]]:
    best = max(run.accuracy for run in runs)
    found: list[list[Cell]] = []
    for run in sorted(runs, key=lambda run: -run.accuracy):
        accuracy = run.accuracy
        figure = share(accuracy, run.bounds)
        found.append(
            [
                run.run.name,
                run.status.state,
                figure,
                f"{100 * (accuracy - best):+.1f}" if accuracy < best else "",
                sparkline([result.val_accuracy for result in run.results if result.val_accuracy is not None]),
                f"{run.best.epoch} of {run.status.epochs}",
                run.said.verdict if run.said else "",
                duration(60 * run.minutes),
                *(choice_title(run.settings.get(name)) for name in names),
            ]
        )
    return found


HEADER = (
    "Run", "State", "Best validation accuracy, %", "Difference, points", "By epoch", "Best epoch", "Diagnosis", "CPU time",
)  # fmt: skip


def group(data: str, runs: list[Compared]) -> None:
    """Runs of one data set: which is best, the table, the curves. Runs of different data sets are never ranked."""
    names = differing(runs)
    st.subheader(verbatim(data))
    st.markdown(best_in_words(runs, names))
    st.html(markup.table([*HEADER, *map(setting_title, names)], rows(runs, names), words=(0, 1, 6)))
    st.markdown("**Learning curves**", help=explained("Loss", "Epoch"))
    curves.show({run.run.name: run.results for run in runs}, key=f"curves-{data}")
    for run in runs:
        if run.said:
            st.markdown(f"**{verbatim(run.run.name)}**: {verbatim(run.said.sentence)}")
    if names and len(runs) >= LEAST_PARALLEL:
        settings_and_accuracy(data, runs, names)


def settings_and_accuracy(data: str, runs: list[Compared], names: list[str]) -> None:
    st.markdown("**Settings and accuracy**")
    axes = names
    if len(names) > AXES:
        first = sorted(names, key=lambda name: name.startswith("image."))[:AXES]
        axes = st.multiselect(
            "Settings in the chart", names, first, format_func=setting_title, max_selections=AXES,
            key=f"axes-{data}-{'-'.join(names)}",
        )  # fmt: skip
    table = pd.DataFrame([{setting_title(name): run.settings[name] for name in axes} for run in runs])
    table["best accuracy"] = [run.accuracy for run in runs]
    st.plotly_chart(
        charts.parallel(table, "best accuracy", "Best accuracy, %"), config=PLOTLY, key=f"parallel-{data}",
        alt="One line per run, from its settings to its best validation accuracy",
    )  # fmt: skip


def costs_of(runs: list[Compared]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": run.run.name,
            "data": run.data,
            "minutes": max(run.minutes, 1e-3),
            "accuracy": run.accuracy,
            "low": run.bounds.low if run.bounds else run.accuracy,
            "high": run.bounds.high if run.bounds else run.accuracy,
        }
        for run in runs
    )


st.title("Runs: which settings were better?", help=explained("Seed", "Overfitting", "Underfitting"))
if not store.runs():
    st.info("There are no runs yet. Train two networks with different settings to compare them.")
    if st.button("Train a network", type="primary"):
        st.switch_page("views/train.py")
    st.stop()
damaged.show()
chosen = choose()
compared = [found for run in chosen if (found := read(run))]
if not compared:
    st.info(
        "None of these runs has finished an epoch with validation yet. Choose other runs above, or come back later."
    )
    st.stop()
groups: dict[str, list[Compared]] = {}
for found in compared:
    groups.setdefault(found.data, []).append(found)
if len(groups) > 1:
    st.markdown(
        f"These runs were trained on {len(groups)} data sets. Only runs on the same data set are ranked together."
    )
for data, members in groups.items():
    group(data, members)
st.markdown("The best of many epochs and runs looks slightly better than it is. Confirm it on a test set.")
st.caption("Grey: 95 % confidence intervals (Wilson). Diagnoses use the last fifth of the epochs, at least five.")

st.subheader("Cost and accuracy")
for data, members in groups.items():
    costs = costs_of(members)
    if len(groups) > 1:
        st.markdown(f"**{verbatim(data)}**")
    st.plotly_chart(
        charts.cost(costs), config=PLOTLY, key=f"cost-{data}", alt="CPU minutes against best validation accuracy"
    )
everything = costs_of(compared).join(pd.DataFrame([run.settings for run in compared])[differing(compared)])
table_behind("charts", everything, "runs")
