"""Train a network: start a run, watch it, stop it, go on. A run is a process of its own; this page reads its folder."""

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import curves, forms
from dashboard.charts import runs as charts
from dashboard.charts.confusion import confusion
from dashboard.text import interval, percent, pictures, table_title, verbatim
from fer_core.datasets.known import SYNTHETIC, known
from fer_core.errors import ConfigError, FerError, RunError
from fer_core.evaluation.intervals import Interval
from fer_core.experiments.estimate import estimate_elsewhere
from fer_core.labels import VOCABULARIES
from fer_core.models import titles
from fer_core.recipe import Section, TrainConfig, load_recipe, recipes, to_toml, toml_value
from fer_core.runs import queue, store
from fer_core.runs.diagnosis import diagnose
from fer_core.runs.folder import EpochResult, Notes, RunFolder, RunStatus, best_epoch
from fer_core.training.launch import kill, launch, stop

WATCH = 2.0  # least seconds between two looks at a run that goes on; as often as it writes its status
NEWEST = 15  # runs listed as links; older ones are found by name
# The settings that most trials change, by section; they stand in front of all others.
FIRST = {"": ("network", "epochs", "batch_size"), "optimizer": ("name", "lr", "weight_decay")}
LOG_LINES = 12
PLOTLY = {"displayModeBar": False}


def new_run() -> None:
    """The form of a new run, with its recipe and command line, and the button that starts it."""
    left, middle, right = st.columns(3)
    like = st.query_params.get("like")  # a run whose settings and data are the start
    start = like or "new"
    used = RunFolder.named(like).status().data if like else SYNTHETIC
    sets = list(dict.fromkeys([used, SYNTHETIC, *known()]))
    data = left.selectbox(
        "Data", sets, key=f"{start}.data", help="The Data page adds a csv or a folder of pictures.", bind="query-params"
    )
    names = [*([like] if like else []), *recipes()]
    usual = 0 if like else names.index("synthetic" if data == SYNTHETIC else "small-vgg")
    recipe = middle.selectbox(
        "Recipe", names, usual, lambda name: recipe_title(name, like), f"{start}.recipe{'.synthetic' * (data == SYNTHETIC)}",
        bind="query-params",
    )  # fmt: skip
    proposal = store.free_name(recipe)
    source = str(RunFolder.named(recipe).path / "config.toml") if recipe == like else recipe
    name = right.text_input("Name of the run", proposal, 80, f"{proposal}.name", live=True, bind="query-params")
    base = load_recipe(source)
    st.caption(verbatim(about(base)))

    settings = changed_settings(base, recipe, source)
    wrong = None
    try:
        RunFolder.named(name).refuse_taken()
        config = load_recipe(source, settings)
    except FerError as error:
        wrong, config = error, base
        st.error(verbatim(without_path(error, source)))
    command = ["ferscope", "train", source, "--data", data, "--name", name]
    command += [part for setting in settings for part in ("--set", setting)]
    with st.expander("Recipe and command line"):
        st.caption("The same run from a terminal:")
        st.code(shlex.join(command), "bash", wrap_lines=True)
        st.caption("The recipe with these settings; what is not named has its default:")
        st.code(to_toml(config), "toml")
    with st.container(horizontal=True, vertical_alignment="center"):
        started = st.button("Start training", type="primary", disabled=wrong is not None)
        asked_for = st.button(
            "Estimate time and memory", disabled=wrong is not None, help="Trains a few steps and throws them away."
        )
        estimated(source, data, settings, asked_for)
    if started:
        run = RunFolder.create(name, config, data)
        launch(run)
        st.query_params["run"] = run.name
        st.query_params.pop("like", None)
        st.rerun()


def recipe_title(name: str, like: str | None) -> str:
    return f"as the run {name}" if name == like else f"{name}: {load_recipe(name).about.title}"


def estimated(source: str, data: str, settings: Sequence[str], measure: bool) -> None:
    """What a few steps of these settings say about the whole run."""
    known = st.session_state.setdefault("estimates", {})
    key = (source, data, *settings)
    if measure:
        try:
            with st.spinner("Measuring a few steps (about ten seconds)"):
                known[key] = estimate_elsewhere(source, data, settings)
        except ConfigError as error:
            known[key] = error
    found = known.get(key)
    if isinstance(found, ConfigError):
        st.error(verbatim(str(found)))
    elif found:
        st.markdown(
            f"About **{duration(found.seconds)}** ({found.seconds_per_epoch:.1f} s per epoch) and "
            f"**{found.memory / 1e9:.1f} GB** on the {verbatim(found.device)}, at its current load; "
            f":gray[measured on {found.measured} steps]"
        )


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def about(config: TrainConfig) -> str:
    """Where a recipe comes from and what to expect, in a sentence."""
    source = config.about.source and f"Source: {config.about.source}."
    reported = config.about.reported and f"Reported: {config.about.reported}."
    cost = config.about.cost and f"Takes {config.about.cost}."
    return " ".join(part for part in (source, reported, cost) if part)


def changed_settings(base: TrainConfig, recipe: str, source: str) -> list[str]:
    """Draw every setting of a recipe; the changed ones as `key=value`, as the command line takes them.

    Args:
        recipe: its name, which stands before theirs in the address.
        source: what `load_recipe` takes.
    """

    def draw(model: Section, names: Sequence[str], prefix: str) -> None:
        def check(name: str, value: object) -> None:
            try:
                load_recipe(source, [f"{prefix}{name}={toml_value(value)}"])
            except ConfigError as error:
                said = without_path(error, source)
                if said.startswith(f"{prefix}{name}"):  # what speaks of several settings is said of the whole recipe
                    raise ConfigError(said) from error

        values = forms.fields(model, names, recipe, prefix=prefix, check=check, choices=choices)
        found.extend(f"{prefix}{name}={plain(value)}" for name, value in values.items())

    found: list[str] = []
    choices = {
        "network": {name: title for name, title in titles().items() if name != "ensemble"},  # is made, not trained
        "expressions": {name: ", ".join(one.names) for name, one in VOCABULARIES.items()},
    }
    sections = {name: value for name in TrainConfig.model_fields if isinstance(value := getattr(base, name), Section)}
    del sections["about"]
    groups = {"": base, **sections}
    for section, names in FIRST.items():
        draw(groups[section], names, section and f"{section}.")
    with st.expander("All settings"):
        for tab, section in zip(st.tabs([*sections, "more"]), [*sections, ""], strict=True):
            with tab:
                shown = (*FIRST.get(section, ()), "about", *(sections if section == "" else ()))
                rest = [name for name in type(groups[section]).model_fields if name not in shown]
                draw(groups[section], rest, section and f"{section}.")
    return found


def plain(value: object) -> str:
    """A setting's value as one types it: a bare word needs no quotes."""
    return value if isinstance(value, str) and value.replace("-", "").isidentifier() else toml_value(value)


def without_path(error: FerError, recipe: str) -> str:
    return str(error).removeprefix(f"{recipes().get(recipe, recipe)}: ")


def watch(run: RunFolder) -> None:
    """A run, looked at again while it goes on; the rest of the page stays as it is. Figures are asked for whenever a
    fiftieth of the time left has passed, curves once an epoch: a page that watches takes next to nothing from the run."""
    status, results = run.status(), run.metrics()
    known = status.active, bool(results)
    often = rarely = None
    if status.active:
        often = rarely = WATCH
        if results:
            often = min(max(WATCH, status.seconds_left / 50), 10.0)
            rarely = min(max(WATCH, results[-1].wall_seconds), 30.0)
    st.fragment(look, run_every=often)(now, run, known)
    st.fragment(look, run_every=rarely)(so_far, run)


def look(show: Callable[..., None], run: RunFolder, *known: object) -> None:
    """One look; what goes wrong is said here, because Home does not see what a fragment does later."""
    try:
        show(run, *known)
    except FerError as error:
        st.error(verbatim(str(error)))


def now(run: RunFolder, known: tuple[bool, bool]) -> None:
    """State and figures of a run."""
    status, results = run.status(), run.metrics()
    if known != (status.active, bool(results)):
        st.rerun()  # the whole page, once: it has ended, or the curves begin
    words, actions = st.columns([3, 2], vertical_alignment="center")
    with words:
        sentence(run, status)
    with actions.container(horizontal=True, horizontal_alignment="right"):
        buttons(run, status)
    st.progress(status.progress, text=progress(status))
    if text := run.warning():
        st.warning(verbatim(text))
    best = best_epoch(results)
    with st.container(horizontal=True, gap="medium"):
        st.metric("Best validation accuracy", percent(best.val_accuracy) if best else "–", width="content")
        st.metric("Learning rate", f"{results[-1].lr:.2g}" if results else "–", width="content")
        speed = f"{status.images_per_second:,.0f} images/s" if status.images_per_second else "–"
        st.metric("Speed", speed, width="content")
        if status.active:
            st.metric("Time left", status.time_left or "–", width="content")


def so_far(run: RunFolder) -> None:
    """Curves and log of a run."""
    status, results = run.status(), run.metrics()
    if results:
        histories = {run.name: results} | beside(run)
        curves.show(histories, epochs=status.epochs)
        if said := diagnose(results):
            st.caption(verbatim(said.sentence))
        last = max(status.epochs, *(len(history) for history in histories.values()))
        st.plotly_chart(
            charts.pace(histories).update_xaxes(range=[0, last]),
            key="pace",
            config=PLOTLY,
            alt="Learning rate and images a second by epoch",
        )
        last_validation(run)
        with st.expander("Table behind the curves", on_change="rerun") as table:
            if table.open:
                st.dataframe(pd.DataFrame(map(asdict, results)), hide_index=True)
    elif status.active:
        st.caption("The curves begin when the first epoch ends.")
    with st.expander("Log", expanded=status.state in ("failed", "lost")):
        st.code(log_tail(run), None, height=260, wrap_lines=True)


def beside(run: RunFolder) -> dict[str, list[EpochResult]]:
    """Curves of other runs, chosen below the run."""
    return {name: RunFolder.named(name).metrics() for name in st.session_state.get(f"beside-{run.name}", [])}


def last_validation(run: RunFolder) -> None:
    """Which expressions the last validation took for which."""
    matrix, names = run.confusion(), VOCABULARIES[run.config().expressions].names
    if matrix is None or len(matrix) != len(names):
        return
    with st.expander("Last validation: what was read as what", on_change="rerun") as opened:
        if opened.open:
            st.altair_chart(confusion(matrix, names, "row", ("", "")), key="last-validation")


def sentence(run: RunFolder, status: RunStatus) -> None:
    """The state of a run in words."""
    if status.state == "failed":
        st.error(verbatim(f"Failed. {status.message}"))
    elif status.state == "lost":
        st.warning(verbatim(f"Lost. {status.message}"))
    elif status.state == "finished":
        if not run.config().val_split:
            st.markdown("Finished. Nothing was validated: the last epoch is kept.")
        for key, figures in store.find(run.path).card.results.items():
            low, high = figures["accuracy_interval"]
            st.markdown(
                f"Finished: accuracy **{percent(figures['accuracy'])}** :gray[({interval(Interval(low, high))})] "
                f"on {verbatim(table_title(key))}, {pictures(figures['n'])}; 95 % interval."
            )
    else:
        st.markdown(state_in_words(run, status))


def state_in_words(run: RunFolder, status: RunStatus) -> str:
    if status.state == "queued":
        return waiting(run) if status.pid else "Waiting to be started."
    if status.state == "stopping":
        return "Stopping: it ends its step and saves. If it has not ended after a minute, it is killed."
    if status.state == "running":
        return (
            f"Training on {verbatim(Path(status.data).name)}, on the {verbatim(status.device)}. {use(status)}".rstrip()
        )
    return status.message or status.state.capitalize()


def use(status: RunStatus) -> str:
    """What it takes of the machine."""
    if not status.memory:
        return ""
    gpu = f" and {status.gpu_memory / 1e9:.1f} GB of the GPU's" if status.gpu_memory else ""
    return f":gray[It uses {status.processors:.1f} processors, {status.memory / 1e9:.1f} GB of memory{gpu}.]"


def waiting(run: RunFolder) -> str:
    """Who is before it in the line of its device."""
    device = queue.device_of(run.config().device)
    names = [ticket.name for ticket in queue.line(device)]
    before = names[: names.index(run.name)] if run.name in names else []
    if not before:
        return "Starting: it loads the program and the data."
    others = f", then {len(before) - 1} more" if len(before) > 1 else ""
    return (
        f"Waiting for its turn: {verbatim(before[0])} has the device {verbatim(device)}{others}. It starts by itself."
    )


def progress(status: RunStatus) -> str:
    if status.state == "finished":
        return f"{status.epoch} of {status.epochs} epochs"
    epoch = min(status.epoch + 1, status.epochs)
    return f"Epoch {epoch} of {status.epochs}, {status.progress:.0%} of the run" if status.steps else "Not begun yet"


def buttons(run: RunFolder, status: RunStatus) -> None:
    """What can be done with a run in its state."""
    if status.state == "finished":
        table = next(iter(store.find(run.path).tables), "")
        picked = {"network": run.name, "table": table}
        for label, page in (("Evaluate", "views/evaluate.py"), ("Explain", "views/explain.py")):
            st.page_link(page, label=f"{label} this network", query_params=picked)
    elif status.state == "stopping":
        if st.button("Kill now", help="What it did since its last save is lost; Resume goes on from there."):
            kill(run)
            st.rerun()
    elif status.active and status.pid:
        st.button(
            "Stop", on_click=ask_to_stop, args=(run,), help="It ends its step and saves; Resume goes on from there."
        )
    elif st.button("Resume" if status.steps else "Start", help="Goes on from the last save."):
        launch(run)
        st.rerun()


def ask_to_stop(run: RunFolder) -> None:
    with suppress(RunError):  # it has ended in this moment, as the page will show
        stop(run)


def manage(run: RunFolder) -> None:
    """Tags and note, another name, a copy, the trash."""
    status, notes = run.look(), run.notes()
    at_rest = not (status.active and status.pid)
    with st.expander("Tags, name, delete"):
        left, right = st.columns(2)
        tags = left.text_input("Tags", ", ".join(notes.tags), key=f"tags-{run.name}", help="Separated by commas.")
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
            st.page_link("views/train.py", label="Start another like it", query_params={"like": run.name})
            if st.button("Delete", disabled=not at_rest, help="Moves the folder to the workspace's trash."):
                store.trash(run.name)
                st.query_params.clear()
                st.rerun()


def log_tail(run: RunFolder) -> str:
    """The last lines of a run's log; only the end of the file is read."""
    if not run.log.exists():
        return "There is no log: a run writes one once it has been started from this page."
    with run.log.open("rb") as file:
        file.seek(max(0, run.log.stat().st_size - 8192))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-LOG_LINES:])


def all_runs(shown: str | None) -> None:
    """The runs of this workspace, the newest first, as links."""
    runs = store.runs()
    st.subheader("Runs")
    if not runs:
        st.caption("None yet. The synthetic faces and their recipe take about a minute.")
        return
    goes_on = any(run.look().active for run in runs[:NEWEST])
    st.fragment(rows, run_every=15 * WATCH if goes_on else None)(runs[:NEWEST], shown)
    if older := [run.name for run in runs[NEWEST:]]:
        name = st.selectbox("Older runs", older, None, placeholder=f"{len(older):,} more")
        if name:
            st.query_params["run"] = name
            st.rerun()


def rows(runs: list[RunFolder], shown: str | None) -> None:
    """One line a run: link, state, how far, best accuracy, data."""
    widths = [3.6, 1.7, 1.8, 1.5, 1.8]
    for column, heading in zip(st.columns(widths), ("run", "state", "progress", "best accuracy", "data"), strict=True):
        column.caption(heading)
    for run in runs:
        status, results = run.look(), run.metrics()
        name, state, share, best, data = st.columns(widths, vertical_alignment="center")
        name.page_link("views/train.py", label=run.name, query_params={"run": run.name}, disabled=run.name == shown)
        state.markdown(status.state)
        left = f", {status.time_left} left" if status.time_left else ""
        share.markdown(f"{status.progress:.0%}{left}")
        kept = best_epoch(results)
        best.markdown(percent(kept.val_accuracy) if kept else ":gray[–]")
        data.markdown(f":gray[{verbatim(Path(status.data).name)}]")


def main() -> None:
    name = st.query_params.get("run")
    if name is None:
        st.title("Train a network")
        new_run()
    else:
        title, back = st.columns([3, 2], vertical_alignment="bottom")
        title.title(verbatim(name))
        with back.container(horizontal=True, horizontal_alignment="right"):
            st.page_link("views/train.py", label="Start another run")
        try:
            run = RunFolder.named(name)
            run.status()
            others = [other.name for other in store.runs() if other.name != name][:100]
            if others:
                st.multiselect(
                    "Curves of other runs beside it",
                    others,
                    key=f"beside-{name}",
                    placeholder="none",
                )
            watch(run)
            manage(run)
        except FerError as error:  # said here, so that the other runs are still listed
            st.error(verbatim(str(error)))
    all_runs(name)


main()
