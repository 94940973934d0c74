"""Run and evaluate the recipes of reports, each within a budget of minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from fer_core.checkpoint import read_card
from fer_core.datasets import Dataset, open_dataset
from fer_core.errors import ConfigError, FerError, RunError, UnknownName
from fer_core.experiments.reproduction import Row, at_hand, done_here, of_reports, repeats, row, rows, write
from fer_core.recipe import TrainConfig
from fer_core.runs.folder import RunFolder, Stopped

if TYPE_CHECKING:
    from fer_core.experiments.estimate import Estimate

SMALLEST = 0.1  # of an epoch: a network that has seen less has not been trained
OVER = 0.1  # of an epoch that a run may take longer than its budget


class Reproduction:
    """The chosen recipes: checks which can run here, and runs them.

    Args:
        only: patterns of names as “buffalo-*”, separated by commas.
        sets: data sets at hand beside those the workspace knows, by path.
        minutes: the budget of each recipe, see `begin`.
        say: called with each line that tells how it goes.

    Attributes:
        chosen: names of the recipes in the order in which they run, ensembles last: they need the others.
        begun: runs that were begun by `run`, by name.

    Raises:
        UnknownName: no recipe of a report fits the patterns.
        DataError: a given data set is not there.
    """

    def __init__(self, only: str, sets: Sequence[str], minutes: float, say: Callable[[str], None]) -> None:
        self.configs = configs = of_reports()
        names = [name for pattern in only.split(",") for name in configs if fnmatch(name, pattern.strip())]
        if not names:
            raise UnknownName("recipe of a report", only, configs)
        self.chosen = sorted(dict.fromkeys(names), key=lambda name: bool(configs[name].about.members))
        self.sets, self.minutes, self.say = sets, minutes, say
        self.places = at_hand(sets)
        self.begun: dict[str, RunFolder] = {}

    def run(
        self, stopping: Callable[[], bool], together: Callable[[Sequence[RunFolder]], None] | None = None
    ) -> list[Row]:
        """Run all that can run. A failure is reported and does not stop the others.

        Args:
            stopping: whether a stop was asked for.
            together: trains begun runs side by side instead of one after the other.

        Returns:
            the chosen recipes with what is known of them now; the table of all of them is written.

        Raises:
            Stopped: a stop was asked for; the runs are saved.
        """
        able = self._able()
        done = [name for name in able if done_here(name, self.configs[name])]
        left = [name for name in able if name not in done]
        self._each(done, self._confirm, stopping)
        if together:
            self._each([name for name in left if not self.configs[name].about.members], self._begin, stopping)
            try:
                together([*self.begun.values()])
            except RunError as error:
                self.say(str(error))
            ended = {name for name, run in self.begun.items() if run.status().state == "finished"}
            left = [name for name in left if name in ended or self.configs[name].about.members]
        self._each(left, self._end if together else self._train_and_end, stopping)
        found = rows(self.sets)
        write(found)
        return [one for one in found if one.recipe in self.chosen]

    @property
    def stopped(self) -> list[str]:
        """Names of the begun runs that were stopped."""
        return [name for name, run in self.begun.items() if run.status().state == "stopped"]

    def _able(self) -> list[str]:
        """The recipes whose data is available. For the others, the missing data are named at once."""
        able = []
        for name in self.chosen:
            if lacking := row(name, self.configs[name], self.places).lacking:
                add = f"ferscope data add PATH --name {lacking[0]}"
                self.say(f"{name}: not run, {', '.join(lacking)} missing; add it with `{add}`.")
            else:
                able.append(name)
        return able

    def _each(self, names: Iterable[str], do: Callable[[str], None], stopping: Callable[[], bool]) -> None:
        for name in names:
            if stopping():
                raise Stopped
            try:
                do(name)
            except Stopped:
                raise
            except (FerError, RuntimeError, OSError) as error:
                self.say(f"{name}: failed. {error}")

    def _place(self, name: str) -> str:
        return self.places[self.configs[name].about.data]

    def _dataset(self, name: str) -> Dataset:
        return open_dataset(self._place(name))

    def _confirm(self, name: str) -> None:
        report(RunFolder.named(name), self._dataset(name), self.configs[name])  # it may have ended before its report
        self.say(f"{name}: finished already.")

    def _begin(self, name: str) -> None:
        self.begun[name] = begin(name, self.configs[name], self._dataset(name), self._place(name), self.minutes)

    def _train_and_end(self, name: str) -> None:
        if not self.configs[name].about.members:
            self._begin(name)
            train(self.begun[name], self._dataset(name))
        self._end(name)

    def _end(self, name: str) -> None:
        config, dataset = self.configs[name], self._dataset(name)
        if config.about.members:
            vote(name, config, dataset, self._place(name))
        else:
            report(self.begun[name], dataset, config)
        self.say(f"{name}: {row(name, config, self.places).sentence}")
        write(rows(self.sets))


def within(minutes: float, asked: int, epoch: float) -> tuple[int, float]:
    """(epochs, share of the training images) that fit a budget.

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


def begin(name: str, config: TrainConfig, dataset: Dataset, data: str, minutes: float) -> RunFolder:
    """A recipe's run with as many epochs as fit the budget, or its stopped run.

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
    if not repeats(run.path, config):
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
