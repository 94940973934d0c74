"""The form of a new run on the Train page: data set, recipe, every setting, the command line, and an estimate."""

import shlex
from collections.abc import Sequence

import streamlit as st

from dashboard import forms
from dashboard.text import verbatim
from fer_core.datasets.known import SYNTHETIC, known
from fer_core.errors import ConfigError, FerError
from fer_core.experiments.estimate import estimate_elsewhere
from fer_core.labels import VOCABULARIES
from fer_core.models import titles
from fer_core.recipe import Section, TrainConfig, load_recipe, recipes, to_toml, toml_value
from fer_core.runs import store
from fer_core.runs.folder import RunFolder
from fer_core.training.launch import launch

# The settings that most trials change, by section; they stand in front of all others.
FIRST = {"": ("network", "epochs", "batch_size"), "optimizer": ("name", "lr", "weight_decay")}


def new_run() -> None:
    """The form of a new run, with its recipe and command line, and the button that starts it."""
    left, middle, right = st.columns(3)
    like = st.query_params.get("like")  # a run whose settings and data are the start
    start = like or "new"
    used = RunFolder.named(like).status().data if like else SYNTHETIC
    sets = list(dict.fromkeys([used, SYNTHETIC, *known()]))
    data = left.selectbox(
        "Data set", sets, key=f"{start}.data", help="Add your own data set on the Data page.", bind="query-params"
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
    st.markdown(verbatim(about(base)))

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
        st.markdown("To start this run from a terminal:")
        st.code(shlex.join(command), "bash", wrap_lines=True)
        st.markdown("The recipe with these settings; all other settings have their defaults:")
        st.code(to_toml(config), "toml")
    with st.container(horizontal=True, vertical_alignment="center"):
        started = st.button("Start training", type="primary", disabled=wrong is not None)
        asked_for = st.button(
            "Estimate time and memory", disabled=wrong is not None, help="Trains a few steps and discards them."
        )
        estimated(source, data, settings, asked_for)
    if started:
        run = RunFolder.create(name, config, data)
        launch(run)
        st.query_params["run"] = run.name
        st.query_params.pop("like", None)
        st.rerun()


def recipe_title(name: str, like: str | None) -> str:
    return f"same as run {name}" if name == like else f"{name}: {load_recipe(name).about.title}"


def estimated(source: str, data: str, settings: Sequence[str], measure: bool) -> None:
    """Time and memory of the whole run, estimated from a few steps."""
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
            f"**{found.memory / 1e9:.1f} GB** on {verbatim(found.device)} at its current load, "
            f"estimated from {found.measured} steps."
        )


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def about(config: TrainConfig) -> str:
    """Where a recipe comes from and which result to expect."""
    source = config.about.source and f"Source: {config.about.source}."
    reported = config.about.reported and f"Reported: {config.about.reported}."
    cost = config.about.cost and f"Training takes {config.about.cost}."
    return " ".join(part for part in (source, reported, cost) if part)


def changed_settings(base: TrainConfig, recipe: str, source: str) -> list[str]:
    """Draw every setting of a recipe and return the changed ones as `key=value`, as the command line takes them.

    Args:
        recipe: its name, the first part of the settings' keys in the address.
        source: what `load_recipe` takes.
    """

    def draw(model: Section, names: Sequence[str], prefix: str) -> None:
        def check(name: str, value: object) -> None:
            try:
                load_recipe(source, [f"{prefix}{name}={toml_value(value)}"])
            except ConfigError as error:
                said = without_path(error, source)
                if said.startswith(f"{prefix}{name}"):  # an error of several settings is shown for the whole recipe
                    raise ConfigError(said) from error

        values = forms.fields(model, names, recipe, prefix=prefix, check=check, choices=choices)
        found.extend(f"{prefix}{name}={plain(value)}" for name, value in values.items())

    found: list[str] = []
    choices = {
        "network": {
            name: title for name, title in titles().items() if name != "ensemble"
        },  # made of networks, not trained
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
                drawn = (*FIRST.get(section, ()), "about", *(sections if section == "" else ()))
                rest = [name for name in type(groups[section]).model_fields if name not in drawn]
                draw(groups[section], rest, section and f"{section}.")
    return found


def plain(value: object) -> str:
    """A setting's value as one types it: a bare word needs no quotes."""
    return value if isinstance(value, str) and value.replace("-", "").isidentifier() else toml_value(value)


def without_path(error: FerError, recipe: str) -> str:
    return str(error).removeprefix(f"{recipes().get(recipe, recipe)}: ")
