"""The recipes that repeat a row of a report's table: which data they need, how much fits a budget, what came out.

A recipe's run is an ordinary run folder of the recipe's name. What came out is read from its card: from the workspace's
own run where it has finished, else from the ones that ship with the program (`reproduced/<recipe>`, cards,
histories and predictions without weights).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from fer_core import workspace
from fer_core.checkpoint import Card, read_card
from fer_core.datasets import Dataset
from fer_core.datasets.derived import SHIPPED as SHIPPED_SETS
from fer_core.datasets.known import known, resolve
from fer_core.errors import ConfigError, DataError, RunError
from fer_core.recipe import TrainConfig, load_recipe, recipes
from fer_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from fer_core.experiments.estimate import Estimate

SHIPPED = Path(__file__).with_name("reproduced")
SMALLEST = 0.1  # of an epoch: a network that has seen less has not been trained
OVER = 0.1  # of an epoch that a run may take longer than its budget
TAKEN_FREELY = {"about", "epochs", "train_share", "device", "threads", "precision", "memory_format", "compile"}
State = Literal["run", "not run", "data missing"]


@dataclass(frozen=True)
class Row:
    """One recipe: what was reported and what came out. Accuracies are shares; n pictures; `share` of train in an epoch.

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


def of_reports() -> dict[str, TrainConfig]:
    """The shipped recipes that repeat a report, by name."""
    loaded = {name: load_recipe(path) for name, path in recipes().items()}
    return {name: config for name, config in loaded.items() if config.about.report}


def within(minutes: float, asked: int, epoch: float) -> tuple[int, float]:
    """(epochs, share of the training pictures) that fit a budget.

    Args:
        minutes: the budget.
        asked: epochs of the recipe; never more.
        epoch: minutes that one takes.

    Raises:
        ConfigError: not even `SMALLEST` of an epoch fits.
    """
    fit = minutes / epoch
    if fit + OVER >= 1:
        return min(asked, int(fit + OVER)), 1.0
    if fit < SMALLEST:
        raise ConfigError(
            f"One epoch takes {epoch:.1f} min here, and the budget is {minutes:g} min; give --minutes "
            f"{SMALLEST * epoch:.0f} or more."
        )
    return 1, round(fit, 3)


def verdict(
    reported: float | None, accuracy: float, low: float, high: float, *, done: float, asked: int, differs: str = ""
) -> str:
    """What the reproduced figure says about the reported one.

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
    """All recipes of reports with what is known of them.

    Args:
        sets: data sets at hand beside those the workspace knows, by path.
    """
    configs, places = of_reports(), at_hand(sets)
    return [row(name, config, places) for name, config in configs.items()]


def row(name: str, config: TrainConfig, places: dict[str, str]) -> Row:
    """One recipe with what is known of it.

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
    """The folder that holds a recipe's outcome: the workspace's finished run, else the shipped one; None: neither."""
    if done_here(name, config) and read_card(RunFolder.named(name).path).results:  # an ensemble's come with its report
        return RunFolder.named(name).path
    shipped = SHIPPED / name
    return shipped if (shipped / "card.json").is_file() and _repeats(shipped, config) else None


def done_here(name: str, config: TrainConfig) -> bool:
    """Whether the workspace has a finished run of the recipe."""
    run = RunFolder.named(name)
    return run.path.is_dir() and run.look().state == "finished" and _repeats(run.path, config)


def _repeats(folder: Path, config: TrainConfig) -> bool:
    """Whether a run follows a recipe, in however many epochs."""
    if config.about.members:  # an ensemble is told by what it was made of
        return (folder / "card.json").exists() and tuple(
            read_card(folder).recipe.get("members", ())
        ) == config.about.members
    given = load_recipe(folder / "config.toml")
    return given.model_dump(exclude=TAKEN_FREELY) == config.model_dump(exclude=TAKEN_FREELY)


def table(found: Iterable[Row]) -> pd.DataFrame:
    """Rows as a table, one column a field; without where the run lies on this machine."""
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
        path, layout = resolve(place)
        places[layout.called(path)] = str(path)
    for name in known():
        try:
            path, layout = resolve(name)
        except DataError:  # its files are gone
            continue
        places.setdefault(layout.called(path), name)
        places.setdefault(name, name)
    for path in SHIPPED_SETS.glob("*.toml"):
        places.setdefault(path.stem, str(path))  # usable where its parts are, which the recipe's `needs` name
    return places


def begin(name: str, config: TrainConfig, dataset: Dataset, data: str, minutes: float) -> RunFolder:
    """A recipe's run with as many epochs as fit a budget, or the one there is, where that was stopped.

    Args:
        data: what opens the data set.
        minutes: of processor time; of wall time on a GPU. What an epoch takes is measured here.

    Raises:
        ConfigError: not even `SMALLEST` of an epoch fits.
        RunError: a run of that name follows another recipe.
    """
    from fer_core.experiments.estimate import estimate

    run = RunFolder.named(name)
    if not run.path.exists():
        cost = estimate(config, dataset)
        epochs, share = within(minutes, config.epochs, _minutes(cost))
        return RunFolder.create(name, config.model_copy(update={"epochs": epochs, "train_share": share}), data)
    if not _repeats(run.path, config):
        raise RunError(f"The run “{name}” has other settings than the recipe {name}; rename it, and start again.")
    return run


def train(run: RunFolder, dataset: Dataset) -> None:
    """Train a recipe's run here, from its last save where it has one.

    Raises:
        Stopped: a stop was asked for; the same call goes on.
    """
    from fer_core.training.launch import await_turn
    from fer_core.training.loop import Trainer

    await_turn(run)
    for _ in Trainer(run, dataset).epochs():
        pass


def report(run: RunFolder, dataset: Dataset, config: TrainConfig) -> None:
    """Give the card the figures of the test part; of the part that chose the epoch where the set has no other."""
    from fer_core.checkpoint import write_card
    from fer_core.evaluation.predict import predict_checkpoint
    from fer_core.evaluation.results import obtained, results, trained_on

    split = "test" if "test" in dataset.splits else config.val_split
    key = f"{dataset.name}-{split}"
    if key not in read_card(run.path).results:
        predictions, card = predict_checkpoint(run.path, dataset, split)
        figures = results(predictions, dataset, split, trained_on(card), obtained(card, dataset, split))
        write_card(run.path, card.model_copy(update={"results": {key: figures} | card.results}))


def _minutes(cost: Estimate) -> float:
    """Of one epoch: of the processor where it computes, else of the clock."""
    seconds = cost.cpu_seconds_per_epoch if "processor" in cost.device else cost.seconds_per_epoch
    return seconds / 60


def vote(name: str, config: TrainConfig, dataset: Dataset, data: str) -> RunFolder:
    """Make the ensemble of a recipe from its members' runs and evaluate it.

    Raises:
        ConfigError: a member has no finished run, or they do not fit together.
    """
    from fer_core.experiments.ensemble import combine

    for member in config.about.members:
        run = RunFolder.named(member)
        if not run.path.is_dir() or run.look().state != "finished":
            raise ConfigError(f"{member} has not been trained here; `ferscope reproduce --only {member}` does it.")
    run = combine(config.about.members, name, data, config.about.title, dataset=dataset)
    report(run, dataset, config)
    return run


def write(found: Iterable[Row]) -> Path:
    """Write the table of all recipes into the workspace and return its place."""
    path = workspace.home() / "reproduction.csv"
    workspace.write_atomically(path, table(found).to_csv(index=False, float_format="%.4f").encode())
    return path
