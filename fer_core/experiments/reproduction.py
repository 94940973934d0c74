"""Recipes that reproduce a row of a report's table: the data they need, and the results.

A recipe's run is an ordinary run folder of the recipe's name. The result is read from its card: from the workspace's
own finished run, otherwise from the shipped ones (`reproduced/<recipe>`, cards, histories and predictions without
weights).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from fer_core import workspace
from fer_core.checkpoint import Card, read_card
from fer_core.datasets import name_of
from fer_core.datasets.derived import SHIPPED as SHIPPED_SETS
from fer_core.datasets.known import known, resolve
from fer_core.errors import DataError
from fer_core.evaluation.intervals import Interval
from fer_core.recipe import TrainConfig, load_recipe, recipes
from fer_core.runs.folder import RunFolder

PLACE = "reproduction.csv"  # of the table, in the workspace
SHIPPED = Path(__file__).with_name("reproduced")
TAKEN_FREELY = {"about", "epochs", "train_share", "device", "threads", "precision", "memory_format", "compile"}
State = Literal["run", "not run", "data missing"]


@dataclass(frozen=True)
class Row:
    """One recipe with its reported and its reproduced result. Accuracies are shares; n images; `share` of the training
    set in an epoch.

    Attributes:
        data: the set it needs; `split` the part that gave the figure here.
        epochs, asked: epochs that were trained, and those of the recipe.
        verdict: in words; empty where it has not been run.
        cut: the budget was smaller than the recipe's epochs.
        lacking: names of the data sets that are not at hand.
        weights: what it starts from, where that is not chance.
        folder: of the run.
    """

    recipe: str
    report: str
    source: str
    title: str
    table: str
    network: str
    data: str
    reported: float | None
    reported_on: str
    state: State
    verdict: str = ""
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    split: str = ""
    epochs: int = 0
    asked: int = 0
    share: float = 1.0
    cpu_minutes: float | None = None
    device: str = ""
    cut: bool = False
    lacking: tuple[str, ...] = ()
    weights: str = ""
    folder: Path | None = None

    @property
    def bounds(self) -> str:
        """The reproduced figure's interval in per cent; “–” where it has not been run."""
        return "–" if self.low is None or self.high is None else Interval(self.low, self.high).text()

    @property
    def sentence(self) -> str:
        """The reproduced beside the reported figure; empty where it has not been run."""
        if self.accuracy is None:
            return ""
        reported = "nothing" if self.reported is None else f"{self.reported:.2%}"
        return f"{self.accuracy:.2%} ({self.bounds}), n = {self.n:,}; {reported} reported; {self.verdict}."


def of_reports() -> dict[str, TrainConfig]:
    """The shipped recipes that repeat a report, by name."""
    loaded = {name: load_recipe(path) for name, path in recipes().items()}
    return {name: config for name, config in loaded.items() if config.about.report}


def verdict(
    reported: float | None, accuracy: float, low: float, high: float, *, done: float, asked: int, differs: str = ""
) -> str:
    """Whether the reproduced figure agrees with the reported one.

    Args:
        low, high: the reproduced figure's 95 % interval.
        done, asked: epochs over the whole training part that the run was given, and those of the recipe.
        differs: why the two are different quantities; empty: they are not.
    """
    cut = f", with {round(done, 2):g} of {asked} epochs" if done < asked else ""
    if reported is None:
        return f"not comparable: none was reported{cut}"
    if differs:
        return f"not comparable: {differs}{cut}"
    if low <= reported <= high:
        return "agrees" + cut
    if accuracy > reported:
        return "better" + cut
    # a training that was cut short is no evidence against a report
    return f"not comparable: lower{cut}" if cut else "worse"


def rows(sets: Iterable[str] = ()) -> list[Row]:
    """All recipes that reproduce reports, with their results.

    Args:
        sets: data sets at hand beside those the workspace knows, by path.
    """
    configs, places = of_reports(), at_hand(sets)
    return [row(name, config, places) for name, config in configs.items()]


def row(name: str, config: TrainConfig, places: dict[str, str]) -> Row:
    """One recipe with its result.

    Args:
        places: the data sets at hand, as `at_hand` finds them.
    """
    about = config.about
    lacking = tuple(need for need in (about.needs or (about.data,)) if need not in places)
    asked = Row(
        name, about.report, about.source, about.title, about.table, config.network, about.data, about.reported_accuracy,
        about.reported_on, "data missing" if lacking else "not run", asked=0 if about.members else config.epochs,
        lacking=lacking, weights=config.transfer.weights,
    )  # fmt: skip
    folder = finished(name, config)
    if folder is None:
        return asked
    card, given = read_card(folder), load_recipe(folder / "config.toml")
    key, figures = next(iter(card.results.items()))
    low, high = figures["accuracy_interval"]
    voted = bool(about.members)  # nothing is trained, so nothing is cut
    done = config.epochs if voted else given.epochs * given.train_share
    said = verdict(
        about.reported_accuracy, figures["accuracy"], low, high, done=done, asked=config.epochs, differs=about.differs
    )
    if voted and (short := _short_members(card)):
        said += f"; its members were cut: {short}"
    return replace(
        asked, state="run", verdict=said, accuracy=figures["accuracy"], low=low, high=high, n=figures["n"],
        split=key.rpartition("-")[2], epochs=0 if voted else card.epochs, share=given.train_share,
        cpu_minutes=card.cost.cpu_minutes, device=card.cost.device, cut=done < config.epochs, folder=folder,
    )  # fmt: skip


def _short_members(card: Card) -> str:
    members = card.recipe.get("members", {})
    known_recipes = recipes()
    cut = []
    for name, given in members.items():
        asked = load_recipe(known_recipes[name]).epochs if name in known_recipes else 0
        done = given.get("epochs", TrainConfig().epochs) * given.get("train_share", 1.0)
        if done < asked:
            cut.append(f"{name} {round(done, 2):g} of {asked} epochs")
    return ", ".join(cut)


def finished(name: str, config: TrainConfig) -> Path | None:
    """The folder with a recipe's result: the workspace's finished run, otherwise the shipped one, otherwise None."""
    if done_here(name, config) and read_card(RunFolder.named(name).path).results:  # an ensemble's come with its report
        return RunFolder.named(name).path
    shipped = SHIPPED / name
    return shipped if (shipped / "card.json").is_file() and repeats(shipped, config) else None


def done_here(name: str, config: TrainConfig) -> bool:
    """Whether the workspace has a finished run of the recipe."""
    run = RunFolder.named(name)
    return run.path.is_dir() and run.look().state == "finished" and repeats(run.path, config)


def repeats(folder: Path, config: TrainConfig) -> bool:
    """Whether a run follows a recipe, in however many epochs."""
    if config.about.members:  # an ensemble is told by what it was made of
        return (folder / "card.json").exists() and tuple(
            read_card(folder).recipe.get("members", ())
        ) == config.about.members
    given = load_recipe(folder / "config.toml")
    return given.model_dump(exclude=TAKEN_FREELY) == config.model_dump(exclude=TAKEN_FREELY)


def table(found: Iterable[Row]) -> pd.DataFrame:
    """Rows as a table, one column per field, without the path of the run."""
    table = pd.DataFrame([asdict(one) for one in found]).drop(columns="folder")
    return table.assign(lacking=table["lacking"].map(", ".join))


def at_hand(sets: Iterable[str] = ()) -> dict[str, str]:
    """Data sets by the name that predictions tables give them, to the path or known name that opens them: those given,
    those the workspace knows, and the shipped mixtures of which all parts are known.

    Raises:
        DataError: one that was given is not there.
    """
    places = {}
    for place in sets:
        places[name_of(place)] = str(resolve(place)[0])
    for name in known():
        try:
            places.setdefault(name_of(name), name)
        except DataError:  # its files are gone
            continue
        places.setdefault(name, name)
    for path in SHIPPED_SETS.glob("*.toml"):
        places.setdefault(path.stem, str(path))  # usable where its parts are, which the recipe's `needs` name
    return places


def write(found: Iterable[Row]) -> Path:
    """Write the table of all recipes into the workspace and return its place."""
    path = workspace.home() / PLACE
    workspace.write_atomically(path, table(found).to_csv(index=False, float_format="%.4f").encode())
    return path
