"""Recipes: reading, checking, settings."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_core.errors import ConfigError, UnknownName
from fer_core.recipe import (
    About,
    TrainConfig,
    by_task,
    choice_title,
    load_recipe,
    parse,
    recipes,
    to_toml,
    toml_value,
)


def test_every_shipped_recipe_is_valid_and_says_where_it_comes_from() -> None:
    assert {"small-vgg", "mini-xception"} <= set(recipes())
    for path in recipes().values():
        about = load_recipe(path).about
        assert about.title
        head = path.read_text(encoding="utf-8").split("\n\n")[0]
        if about.report:
            assert "Reported: " in head
            assert not about.task
        else:
            assert about.task
            assert "%" in about.expected
            assert "minutes" in about.cost
        assert "Run: ferscope " in head


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("epoch=3", "There is no recipe key “epoch”; did you mean “epochs”?"),
        ("optimizer.lrr=1", "There is no key in [optimizer] “lrr”; did you mean “lr”?"),
        ("optimizer.lr=-1", "optimizer.lr = -1: Input should be greater than 0"),
        ("optimizer.lr=nan", "optimizer.lr"),
        ("optimizer.sgd_after=0.5", "name = “sgd” uses SGD from the start"),
        ("val_split=test", "must not choose the best epoch"),
        ("val_split=val+test", "must not choose the best epoch"),
        ("loss.class_weights=[-1, 1, 1, 1, 1, 1, 1]", "weights must be at least 0"),
        ("loss.class_weights=[0, 0, 0, 0, 0, 0, 0]", "one of them above 0"),
        ("schedule.milestones=[30, 45]", "expected shares of the run from 0 to below 1, not epochs"),
        ("epochs.more=3", "epochs is a value and cannot contain the key more"),
        ("epochs", "has no value; write key=value"),
        ("resolution=[[0.5, 32], [0.2, 48]]", "shares must increase"),
        ("device=tpu", "device"),
        ("expressions=fer9", "There is no vocabulary “fer9”; did you mean “fer7”?"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_remedy(setting: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe("small-vgg", [setting])
    assert says in str(caught.value)


def test_settings_change_the_recipe_and_nothing_else() -> None:
    plain = load_recipe("small-vgg")
    changed = load_recipe("small-vgg", ["optimizer.lr=0.01", "network=mini-xception", "loss.class_weights=balanced"])
    assert changed.optimizer.lr == 0.01
    assert changed.network == "mini-xception"
    assert changed.loss.class_weights == "balanced"
    assert changed.augment == plain.augment
    assert load_recipe("small-vgg") == plain


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean “small-vgg”"):
        load_recipe("smal-vgg")


def test_broken_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("epochs = = 3")
    with pytest.raises(ConfigError, match=r"mine\.toml is not valid TOML"):
        load_recipe(tmp_path / "mine.toml")


TEXT = st.characters(exclude_categories=("Cs",))  # a lone surrogate cannot be written as UTF-8
VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.text(TEXT) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(TEXT), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)  # a busy machine is no mistake
@given(
    st.builds(
        TrainConfig,
        about=st.builds(About, title=st.text(TEXT), members=st.lists(st.text(TEXT)).map(tuple)),
        network=st.text(TEXT, min_size=1, max_size=20),
        epochs=st.integers(1, 99),
        seed=st.integers(0, 2**31 - 1),
        arguments=st.dictionaries(st.text(TEXT), VALUES, max_size=3),
        resolution=st.just(((0.0, 32), (0.5, 40))) | st.just(()),
        ema=st.floats(0, 0.9999),
    )
)
def test_a_recipe_written_as_toml_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, config: TrainConfig
) -> None:
    path = tmp_path_factory.mktemp("recipe") / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert load_recipe(path) == config


@given(VALUES)
def test_a_value_written_as_toml_stands_on_one_line_and_reads_back_equal(value: object) -> None:
    text = toml_value(value)
    assert "\n" not in text
    assert tomllib.loads(f"value = {text}")["value"] == value


def test_the_names_of_a_sweeps_choices_are_those_of_old_journals() -> None:
    assert [toml_value(value) for value in (0.001, 1e-05, 3, True, "adam", [0.5, 0.75], {"width": 4})] == [
        "0.001", "1e-05", "3", "true", '"adam"', "[0.5, 0.75]", "{width = 4}",
    ]  # fmt: skip


def test_recipes_are_sorted_by_task_the_usual_one_first() -> None:
    found = by_task()
    assert list(found)[:3] == ["First network, on rendered heads", "FER2013, on a processor", "FER2013, on a GPU"]
    assert [names[0] for names in found.values()][:3] == ["heads", "small-vgg", "fer2013-best"]
    assert all(task.startswith("Reproduce “") for task in list(found)[3:])
    listed = [name for names in found.values() for name in names]
    assert set(listed) == set(recipes()) - {"emotions-ensemble"}  # it is made of other recipes' networks
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("value", "title"),
    [("adamw", "AdamW"), ("onecycle", "one cycle"), (0.031622776, "0.0316"), (True, "yes"), (64, "64"), ("own", "own")],
)
def test_values_of_settings_have_titles(value: object, title: str) -> None:
    assert choice_title(value) == title


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"epochs = 0.*batch_size = 1"):
        parse({"epochs": 0, "batch_size": 1})
