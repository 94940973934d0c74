"""What to expect of a recipe before it is trained: how long it takes on this machine, and which accuracy it has reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from fer_core.datasets.titles import table_in_words
from fer_core.durations import duration
from fer_core.errors import FerError
from fer_core.evaluation.intervals import Interval, percent
from fer_core.experiments.estimate import kept
from fer_core.recipe import TrainConfig
from fer_core.runs.store import Checkpoint

# What changes how a recipe is computed, or how its network is asked, and not what the network learns.
TECHNICAL = ("about", "device", "precision", "memory_format", "compile", "threads", "tta")


@dataclass(frozen=True)
class Expectation:
    """Each is empty where it is not known.

    Attributes:
        seconds: of the whole run on this machine, with the data set that was asked for.
        time_source: how this is known.
        accuracy: with its images.
        accuracy_source: who measured it.
    """

    seconds: float | None
    time_source: str
    accuracy: str
    accuracy_source: str

    @property
    def time(self) -> str:
        return "" if self.seconds is None else duration(self.seconds)


def expect(name: str, recipe: TrainConfig, data: str, networks: Iterable[Checkpoint]) -> Expectation:
    """What is known of a recipe.

    Args:
        name: of the shipped recipe; a shipped network has the name of its own.
        data: what it would be trained on, as `open_dataset` takes it.
        networks: those of this workspace, which may have been trained by the recipe.
    """
    return Expectation(*_time(recipe, data, networks), *_accuracy(name, recipe, networks))


def _time(recipe: TrainConfig, data: str, networks: Iterable[Checkpoint]) -> tuple[float | None, str]:
    for one in networks:
        if not one.shipped and one.card.recipe == _plain(recipe, one) and one.run.status().data == data:
            return 60 * one.card.cost.wall_minutes, f"measured in the run {one.name}"
    if found := kept(recipe, data):
        return found.seconds, f"estimated from {found.measured} steps"
    return None, ""


def _plain(recipe: TrainConfig, network: Checkpoint) -> dict[str, object]:
    """The recipe as a card holds it, with what tells runs of one recipe apart taken from the card."""
    same = {key: network.card.recipe.get(key) for key in ("about", "seed")}
    return recipe.model_dump(mode="json") | same


def _accuracy(name: str, recipe: TrainConfig, networks: Iterable[Checkpoint]) -> tuple[str, str]:
    about = recipe.about
    for one in networks:
        if one.shipped and one.name == name and _learned(one) == _learns(recipe):
            for key, figures in one.card.results.items():
                bounds = Interval(*figures["accuracy_interval"])
                words = f"{percent(figures['accuracy'])} ({bounds.text()}) on {table_in_words(key)}"
                return words, "the shipped network of this name"
    if about.expected:
        return about.expected, "measured by FERscope"
    return about.reported, about.source if about.reported else ""


def _learns(recipe: TrainConfig) -> dict[str, object]:
    return {key: value for key, value in recipe.model_dump(mode="json").items() if key not in TECHNICAL}


def _learned(network: Checkpoint) -> dict[str, object]:
    """The settings that a network was trained with; a card leaves out those that the recipe left as they are."""
    try:
        return _learns(TrainConfig.model_validate(network.card.recipe))
    except (FerError, ValidationError):  # a setting that has another name by now
        return {}
