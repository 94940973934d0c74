"""The form of a new run on the Train page: data set, recipe, every setting, the command line, and an estimate."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import forms, markup
from dashboard.pickers import choose
from dashboard.text import verbatim
from fer_core.datasets.heads import HEADS
from fer_core.datasets.known import known
from fer_core.datasets.titles import dataset_title
from fer_core.durations import duration
from fer_core.errors import ConfigError, FerError
from fer_core.experiments.estimate import estimate_elsewhere, kept
from fer_core.experiments.expectation import expect
from fer_core.labels import VOCABULARIES
from fer_core.models import titles
from fer_core.recipe import Section, TrainConfig, by_task, load_recipe, recipes, setting_title, to_toml, toml_value
from fer_core.reports.html import Cell
from fer_core.runs import store
from fer_core.runs.folder import RunFolder
from fer_core.training.launch import launch

NAME = 400  # pixels of the box with the name
# The settings that most trials change, by section; they stand in front of all others.
FIRST = {"": ("network", "epochs", "batch_size"), "optimizer": ("name", "lr", "weight_decay")}


def new_run() -> None:
    """The form of a new run, with its recipe and command line, and the button that starts it."""
    left, middle, right = st.container(key="choices").columns(3)
    like = st.query_params.get("like")  # a run whose settings and data are the start
    start = like or "new"
    used = RunFolder.named(like).status().data if like else HEADS
    sets = list(dict.fromkeys([used, HEADS, *known()]))
    data = left.selectbox(
        "Data set", sets, format_func=place_title, key=f"{start}.data", bind="query-params",
        help="Add your own data set on the Data page.",
    )  # fmt: skip
    recipe = choose_recipe(like, data, middle, right)
    source = str(RunFolder.named(recipe).path / "config.toml") if recipe == like else recipe
    base = load_recipe(source)
    settings, wrong = changed_settings(base, recipe, source)
    proposal = store.free_name(recipe)
    with st.container(width=NAME):
        name = st.text_input("Name of the run", proposal, 80, f"{proposal}.name", live=True, bind="query-params")
        try:
            RunFolder.named(name).refuse_taken()
        except FerError as error:
            taken = name in {run.name for run in store.runs()}
            free = f" “{store.free_name(name)}” is free." if taken else ""
            st.error(verbatim(f"{error}{free}"))
            wrong.append("Name of the run")
    config = base if wrong else load_recipe(source, settings)
    command = ["ferscope", "train", source, "--data", data, "--name", name]
    command += [part for setting in settings for part in ("--set", setting)]
    with st.container(horizontal=True, vertical_alignment="center"):
        started = st.button("Start training", type="primary", disabled=bool(wrong))
        asked_for = st.button(
            "Estimate time and memory", disabled=bool(wrong), help="Trains a few steps and discards them."
        )
        if wrong:
            st.markdown(f"To start, correct: {verbatim('; '.join(wrong))}.")
        else:
            estimated(source, data, config, settings, asked_for)
    with st.expander("Recipe and command line"):
        st.markdown("To start this run from a terminal:")
        st.code(shlex.join(command), "bash", wrap_lines=True)
        st.markdown("The recipe with these settings; all other settings have their defaults:")
        st.code(to_toml(config), "toml")
    if started:
        run = RunFolder.create(name, config, data)
        launch(run)
        st.query_params.from_dict({"run": run.name})  # what was typed here is no start for the next run
        st.rerun()


def place_title(place: str) -> str:
    """A data set as the form calls it: its title, with its name where somebody has given it one of its own."""
    title = dataset_title(place)
    return title if title != place or "/" not in place else f"{Path(place).name} ({place})"


def choose_recipe(like: str | None, data: str, middle: DeltaGenerator, right: DeltaGenerator) -> str:
    """The recipe: first its task, then one of this task; a table says what to expect of each.

    Args:
        like: a run whose settings are the start; its recipe is the first choice.
    """
    tasks = by_task()
    if like:
        tasks = {f"As the run {like}": [like]} | tasks
    asked = st.query_params.get("recipe")
    usual = list(tasks)[0 if like or data == HEADS else 1]
    of_asked = next((task for task, names in tasks.items() if asked in names), usual)
    if asked != st.session_state.get("last-recipe"):  # from a link, which names no task
        st.query_params["task"] = of_asked
    task = choose("Task", list(tasks), "task", default=usual, place=middle)
    recipe = choose("Recipe", tasks[task], "recipe", lambda name: recipe_title(name, like), place=right)
    if recipe != like:
        expectations(tasks[task], recipe, data)
    return recipe


def recipe_title(name: str, like: str | None) -> str:
    return f"Same settings as {name}" if name == like else load_recipe(name).about.title


def expectations(names: Sequence[str], chosen: str, data: str) -> None:
    """What to expect of the recipes of a task: time on this machine and accuracy, the chosen one bold."""
    networks = store.checkpoints().values()
    loaded = {name: load_recipe(name) for name in names}
    found = {name: expect(name, recipe, data, networks) for name, recipe in loaded.items()}
    rows: list[list[Cell]] = [
        [
            recipe.about.title,
            f"{one.time} ({one.time_source})" if one.time else "not measured yet",
            recipe.about.cost or "–",
            one.accuracy or "–",
            one.accuracy_source or "–",
        ]
        for (name, one), recipe in zip(found.items(), loaded.values(), strict=True)
    ]
    header = ("Recipe", "Time on this machine", "Time elsewhere", "Accuracy to expect", "According to")
    st.html(markup.table(header, rows, words=range(len(header)), picked=list(names).index(chosen)))
    unknown = [name for name, one in found.items() if not one.time]
    if unknown and st.button(
        f"Measure the time of {'this recipe' if len(names) == 1 else f'{len(unknown)} recipes'} on this machine",
        help="Trains a few steps of each and discards them. This takes some ten seconds a recipe.",
    ):
        measure(unknown, loaded, data)


def measure(names: Sequence[str], loaded: Mapping[str, TrainConfig], data: str) -> None:
    """Estimate recipes one after the other; what cannot be measured is said, and the others are measured."""
    bar, refused = st.progress(0.0), []
    for number, name in enumerate(names):
        title = loaded[name].about.title
        bar.progress(number / len(names), f"Measuring a few steps of {title} ({number + 1} of {len(names)})")
        try:
            estimate_elsewhere(name, data)
        except ConfigError as error:
            refused.append(f"{title}: {error}")
    bar.empty()
    if refused:
        st.warning(verbatim(f"Not measured. {' '.join(refused)}"))
    else:
        st.rerun()  # the table stands above


def estimated(source: str, data: str, config: TrainConfig, settings: Sequence[str], measure: bool) -> None:
    """Time and memory of the whole run, estimated from a few steps."""
    if measure:
        try:
            with st.spinner("Measuring a few steps (about ten seconds)"):
                estimate_elsewhere(source, data, settings)
        except ConfigError as error:
            st.error(verbatim(str(error)))
            return
    if found := kept(config, data):
        st.markdown(
            f"About **{duration(found.seconds)}** ({found.seconds_per_epoch:.1f} s per epoch) and "
            f"**{found.memory / 1e9:.1f} GB** on {verbatim(found.device)}, estimated from {found.measured} steps."
        )


def changed_settings(base: TrainConfig, recipe: str, source: str) -> tuple[list[str], list[str]]:
    """Draw every setting of a recipe. Returns the changed ones as `key=value`, as the command line takes them, and the titles
    of those that the recipe refuses; each has its error below its field.

    Args:
        recipe: its name, the first part of the settings' keys in the address.
        source: what `load_recipe` takes.
    """

    def draw(model: Section, names: Sequence[str], prefix: str) -> None:
        def check(name: str, value: object) -> None:
            setting = f"{prefix}{name}={plain(value)}"
            found.append(setting)
            try:  # with those that fit, so that what two settings have against each other stands at the second
                load_recipe(source, [*fitting, setting])
                fitting.append(setting)
            except ConfigError as error:
                wrong.append(f"{place}{setting_title(prefix + name)}")
                raise ConfigError(without_path(error, source)) from error

        forms.fields(model, names, recipe, prefix=prefix, check=check, choices=choices)

    found: list[str] = []
    fitting: list[str] = []
    wrong: list[str] = []
    place = ""  # where the field is, if it is folded
    choices = {
        "network": {name: title for name, title in titles().items() if name != "ensemble"},  # made of networks
        "expressions": {name: ", ".join(one.names) for name, one in VOCABULARIES.items()},
    }
    sections = {name: value for name in TrainConfig.model_fields if isinstance(value := getattr(base, name), Section)}
    del sections["about"]
    groups = {"": base, **sections}
    for section, names in FIRST.items():
        draw(groups[section], names, section and f"{section}.")
    with st.expander("All settings"):
        tabs = [TrainConfig.model_fields[name].title or name for name in sections]
        for tab, section in zip(st.tabs([*tabs, "Other"]), [*sections, ""], strict=True):
            with tab:
                place = f"All settings, {TrainConfig.model_fields[section].title if section else 'Other'}: "
                drawn = (*FIRST.get(section, ()), "about", *(sections if section == "" else ()))
                rest = [name for name in type(groups[section]).model_fields if name not in drawn]
                draw(groups[section], rest, section and f"{section}.")
    return found, wrong


def plain(value: object) -> str:
    """A setting's value as one types it: a bare word needs no quotes."""
    return value if isinstance(value, str) and value.replace("-", "").isidentifier() else toml_value(value)


def without_path(error: FerError, recipe: str) -> str:
    return str(error).removeprefix(f"{recipes().get(recipe, recipe)}: ")
