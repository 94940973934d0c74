"""What is expected of a recipe: the figure of the shipped network, the same as everywhere."""

import pytest

from fer_core.datasets.titles import table_in_words
from fer_core.evaluation.intervals import Interval, percent
from fer_core.experiments.expectation import expect
from fer_core.recipe import load_recipe
from fer_core.runs.store import checkpoints


@pytest.mark.parametrize("name", ["fer2013-best", "fer2013-fast", "small-vgg", "mini-xception"])
def test_a_recipe_promises_what_the_shipped_network_has(name: str) -> None:
    shipped = checkpoints()[name]
    figures = shipped.card.results["fer2013-val"]
    accuracy = f"{percent(figures['accuracy'])} ({Interval(*figures['accuracy_interval']).text()})"
    recipe = load_recipe(name)
    found = expect(name, recipe, "fer2013", [shipped])
    assert found.accuracy == f"{accuracy} on {table_in_words('fer2013-val')}"
    assert found.accuracy_source == "the shipped network of this name"
    assert recipe.about.expected.startswith(
        accuracy.replace("\N{NO-BREAK SPACE}", " ")
    )  # where the network is not there


def test_a_recipe_whose_settings_were_changed_promises_nothing_of_the_network() -> None:
    changed = load_recipe("small-vgg").model_copy(update={"epochs": 3})
    assert (
        expect("small-vgg", changed, "fer2013", [checkpoints()["small-vgg"]]).accuracy_source == "measured by FERscope"
    )
