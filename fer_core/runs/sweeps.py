"""A search over a recipe's settings: a TOML file says which, Optuna says what to try next, and each trial is a run.

Any number of worker processes share a sweep through its folder: Optuna's journal file says which trials there are, and a
lock lets one process at a time take the next. A trial whose process has died is taken over, from the last save of its run.
"""

from __future__ import annotations

import itertools
import json
import os
import tomllib
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from filelock import FileLock
from pydantic import Field, ValidationError, model_validator

from fer_core import workspace
from fer_core.datasets import Dataset
from fer_core.errors import ConfigError, FerError, RunError, UnknownName
from fer_core.evaluation.intervals import Interval, wilson
from fer_core.runs.folder import EpochResult, NamedFolder, NoRoom, RunFolder, RunStatus, Stopped, best_epoch
from fer_core.runs.process import Process
from fer_core.training.config import About, Section, TrainConfig, load_recipe, recipes, toml_value
from fer_core.workspace import write_atomically

if TYPE_CHECKING:
    import optuna

SWEEPS = workspace.ROOT / "trainers" / "sweeps"
TRIAL = "trial.json"  # in the run folder: the sweep, the number and the settings of the trial
TRIES = 1000  # draws in a row that were tried before, after which a space counts as exhausted


class Range(Section):
    """Numbers between two ends; whole ones where both ends are whole."""

    low: int | float
    high: int | float
    log: bool = Field(False, description="Draw the order of magnitude, as for a learning rate.")

    @model_validator(mode="after")
    def _to_draw_from(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low = {self.low:g} is above high = {self.high:g}; swap them")
        if self.log and self.low <= 0:
            raise ValueError(f"log = true, and low = {self.low:g} has no order of magnitude; take one above 0")
        return self

    @property
    def tried(self) -> list[int | float]:
        """Values that show whether the setting takes what may be drawn; one is a fraction, if fractions are."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return [self.low, self.high] if whole else [self.low, self.high, self.low + 0.618 * (self.high - self.low)]


class Sweep(Section):
    """Which settings of a recipe are searched, and how."""

    about: About = About()
    recipe: str = Field(description="Name or path of the recipe that all trials start from.")
    sampler: Literal["grid", "random", "tpe"] = "grid"
    pruner: Literal["none", "median", "halving"] = Field(
        "none", description="Ends a trial early: below the median of the others, or by successive halving."
    )
    trials: int = Field(0, ge=0, le=100_000, description="How many; 0 tries the whole grid.")
    seed: int = Field(0, ge=0, lt=2**31)
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings that are the same in all trials.")
    space: dict[str, list[Any] | Range] = Field(description="Setting to the list of its values, or to low, high, log.")

    @property
    def grid(self) -> list[dict[str, str]]:
        """All combinations, the last setting changing fastest; each value as TOML writes it."""
        values = [
            list(dict.fromkeys(map(toml_value, choices)))  # a value that was written twice is tried once
            for choices in self.space.values()
            if isinstance(choices, list)
        ]
        return [dict(zip(self.space, combination, strict=True)) for combination in itertools.product(*values)]

    @property
    def total(self) -> int:
        """How many trials there will be; fewer where a small space is exhausted before."""
        return len(self.grid[: self.trials or None]) if self.sampler == "grid" else self.trials

    def config(self, values: dict[str, str]) -> TrainConfig:
        """The recipe of a trial.

        Args:
            values: setting to its value as TOML writes it.
        """
        fixed = [f"{name}={toml_value(value)}" for name, value in self.settings.items()]
        return load_recipe(self.recipe, [*fixed, *(f"{name}={value}" for name, value in values.items())])


def load_sweep(source: str | Path, recipe: Path | None = None) -> Sweep:
    """Read a sweep file by name or path. Every value that may be tried is checked against the recipe.

    Args:
        recipe: taken in the place of the one that the file names.

    Raises:
        ConfigError: unreadable TOML, an unknown key or setting, a value out of range.
    """
    path = sweep_files().get(str(source), Path(source))
    if not path.is_file():
        raise UnknownName("sweep file", str(source), sweep_files())
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        for part in ("settings", "space"):
            if isinstance(values.get(part), dict):
                values[part] = dict(_flat(values[part]))
        values |= {"recipe": str(recipe)} if recipe else {}
        sweep = Sweep.model_validate(values)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML ({error}).") from error
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'] if '[' not in str(part))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
            if not (e["type"] == "list_type" and isinstance(e["input"], dict))  # it is meant as a range
        )
        raise ConfigError(f"{path}: {said}.") from error
    if not sweep.space or any(choices == [] for choices in sweep.space.values()):
        raise ConfigError(f"{path}: [space] needs a setting, and each at least one value.")
    if sweep.sampler == "grid" and any(isinstance(choices, Range) for choices in sweep.space.values()):
        raise ConfigError(f"{path}: a grid needs lists of values; take sampler = “random” or “tpe” for low and high.")
    if sweep.sampler != "grid" and not sweep.trials:
        raise ConfigError(f"{path}: sampler = “{sweep.sampler}” needs trials, how many to make.")
    for name, choices in sweep.space.items():
        for value in choices.tried if isinstance(choices, Range) else choices:
            if not sweep.config({name: toml_value(value)}).val_split:
                raise ConfigError(f"{path}: a sweep compares validation figures, and val_split is empty.")
    return sweep


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`optimizer.lr = …` in TOML is a table in a table; its name here is “optimizer.lr”."""
    for name, value in values.items():
        if isinstance(value, dict) and not {"low", "high"} <= value.keys():
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def sweep_files() -> dict[str, Path]:
    """The shipped sweep files by name."""
    return {path.stem: path for path in sorted(SWEEPS.glob("*.toml"))}


@dataclass(frozen=True)
class Trial:
    """A trial as its run folder tells it.

    Attributes:
        values: the searched settings.
        accuracy: best validation accuracy so far, a share; None before the first epoch.
        n: pictures of the validation part; 0 before the first epoch.
    """

    number: int
    run: RunFolder
    status: RunStatus
    values: dict[str, Any]
    accuracy: float | None
    epochs: int
    n: int

    @property
    def pruned(self) -> bool:
        return self.status.message.startswith(_PRUNED)

    @property
    def bounds(self) -> Interval | None:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(round(self.accuracy * self.n), self.n) if self.accuracy is not None and self.n else None


_PRUNED = "Pruned"


class SweepFolder(NamedFolder):
    """A sweep's files: `sweep.toml`, `recipe/` (a copy of the recipe), `sweep.json` (data), `journal.log` (Optuna's), the logs
    of its workers."""

    KIND, PLACE, LONGEST = "a sweep", "sweeps", 70  # its runs have longer names

    @classmethod
    def create(cls, name: str, source: str | Path, data: str) -> SweepFolder:
        """A new sweep from a file, or the one that is there already if it searches the same in the same data.

        Raises:
            ConfigError: the file is not valid.
            RunError: another sweep has the name, or has left runs of it behind, or it would leave the sweeps folder.
        """
        sweep, folder = load_sweep(source), cls.named(name)
        for values in sweep.grid[: sweep.trials or None] if sweep.sampler == "grid" else ():
            sweep.config(values)  # each value alone is fine, but some may not go together
        text = sweep_files().get(str(source), Path(source)).read_text(encoding="utf-8")
        recipe = recipes().get(sweep.recipe, Path(sweep.recipe))
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.lock:
            if (folder.path / "sweep.json").exists():
                kept = folder.sweep
                same = kept.model_copy(update={"recipe": sweep.recipe}) == sweep
                if not same or load_recipe(kept.recipe) != load_recipe(recipe) or folder.data != data:
                    raise RunError(f"There is already another sweep called “{name}”; choose another name.")
                return folder
            if left := sorted(path.name for path in workspace.runs().glob(f"{name}-[0-9][0-9][0-9][0-9]")):
                raise RunError(
                    f"The runs {left[0]} to {left[-1]} of another sweep called “{name}” are still there; choose another name, "
                    "or delete them."
                )
            write_atomically(folder.path / "sweep.toml", text.encode())
            write_atomically(folder.path / "recipe" / recipe.name, recipe.read_bytes())
            if sweep.sampler == "grid":
                study = folder.study()
                made = len(study.trials)  # a sweep that was killed while it was made
                for values in sweep.grid[made : sweep.trials or None]:
                    study.enqueue_trial(values)
            write_atomically(folder.path / "sweep.json", json.dumps({"data": data}).encode())
        return folder

    @property
    def lock(self) -> FileLock:
        return FileLock(self.path / ".lock")

    @cached_property
    def sweep(self) -> Sweep:
        """As it was made: the recipe is the copy, for its file may have been changed or moved since."""
        return load_sweep(self.path / "sweep.toml", next((self.path / "recipe").glob("*.toml"), None))

    @property
    def data(self) -> str:
        """Raises: RunError: there is no such sweep."""
        try:
            return str(json.loads((self.path / "sweep.json").read_text(encoding="utf-8"))["data"])
        except (FileNotFoundError, ValueError, KeyError) as error:
            raise RunError(f"There is no sweep “{self.name}” in {self.path.parent}, or it is damaged.") from error

    def study(self) -> optuna.Study:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruners: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
            "none": optuna.pruners.NopPruner,
            "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
            "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        }
        return optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(self.path / "journal.log"))),
            study_name="sweep",
            direction="maximize",
            pruner=pruners[self.sweep.pruner](),
            load_if_exists=True,
        )

    def request_stop(self) -> None:
        """Ask the workers to save their trials and end."""
        (self.path / "stop").touch()

    @property
    def stop_requested(self) -> bool:
        return (self.path / "stop").exists()

    def begin(self) -> None:
        """Forget a stop that was asked for before."""
        self.data  # noqa: B018 there is such a sweep
        (self.path / "stop").unlink(missing_ok=True)

    def trials(self) -> list[Trial]:
        """The trials that were begun, by number, read from their run folders."""
        found = []
        for path in workspace.runs().glob(f"{self.name}-[0-9][0-9][0-9][0-9]/{TRIAL}"):
            with suppress(FileNotFoundError, ValueError, KeyError):  # deleted in this moment, or damaged
                told = json.loads(path.read_text(encoding="utf-8"))
                if told["sweep"] != self.name:
                    continue
                run, values = (
                    RunFolder(path.parent),
                    {key: tomllib.loads(f"v={v}")["v"] for key, v in told["values"].items()},
                )
                results = run.metrics()
                best = best_epoch(results)
                accuracy = best.val_accuracy if best else None
                found.append(Trial(told["number"], run, run.look(), values, accuracy, len(results), told["n"]))
        return sorted(found, key=lambda trial: trial.number)

    def importance(self) -> dict[str, float]:
        """Share of the accuracy's variance that each setting explains (PED-ANOVA, Watanabe et al. 2023), largest first.

        Empty with fewer than eight finished trials, or where all have the same figure.
        """
        done = [t for t in self.trials() if t.accuracy is not None and t.status.state == "finished"]
        varied = [name for name in self.sweep.space if len({toml_value(t.values[name]) for t in done}) > 1]
        if len(done) < 8 or not varied or len({t.accuracy for t in done}) == 1:
            return {}
        import optuna

        study = optuna.create_study(direction="maximize")
        choices = {name: sorted({toml_value(t.values[name]) for t in done}) for name in varied}
        for trial in done:
            space: dict[str, optuna.distributions.BaseDistribution] = {}
            params: dict[str, Any] = {}
            for name in varied:
                searched = self.sweep.space[name]
                if isinstance(searched, Range):
                    params[name] = float(trial.values[name])
                    space[name] = optuna.distributions.FloatDistribution(searched.low, searched.high, log=searched.log)
                else:
                    params[name] = toml_value(trial.values[name])
                    space[name] = optuna.distributions.CategoricalDistribution(choices[name])
            study.add_trial(optuna.create_trial(params=params, distributions=space, value=trial.accuracy))
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
        return {name: float(share) for name, share in found.items()}


def sweeps() -> list[SweepFolder]:
    """All sweeps of the workspace, the newest first."""
    root = workspace.home() / "sweeps"
    made = (
        sorted(root.glob("*/sweep.json"), key=lambda path: path.stat().st_mtime, reverse=True) if root.is_dir() else []
    )
    return [SweepFolder(path.parent) for path in made]


def work(folder: SweepFolder, dataset: Dataset, parent: int = 0) -> int:
    """Take trials one after the other until none is left, a stop is asked for, or the parent process is gone.

    Returns:
        how many trials this process has ended.
    """
    study, ended = folder.study(), 0

    def stop() -> bool:
        return folder.stop_requested or bool(parent and os.getppid() != parent)

    while not stop() and (taken := take(folder, study, dataset)):
        ended += _train(*taken, study, dataset, stop)
    return ended


def take(
    folder: SweepFolder, study: optuna.Study, dataset: Dataset, busy: frozenset[str] = frozenset()
) -> tuple[optuna.trial.Trial, RunFolder] | None:
    """The next trial for this process: one that a dead process has left, else a new one.

    Args:
        busy: names of runs that this process has taken before and not ended yet.
    """
    import optuna

    with folder.lock:
        running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        for frozen in running:
            trial = optuna.trial.Trial(study, frozen._trial_id)
            run = RunFolder.named(f"{folder.name}-{frozen.number:04d}")
            if run.name in busy:
                continue
            status = run.look() if run.path.is_dir() else None
            if status is None:
                return trial, _make(folder, trial, dataset)  # killed before its run was made, or the run was deleted
            if status.active and status.pid and status.process != Process.this():
                continue
            if status.state in ("finished", "failed"):  # killed before it could tell
                _tell(study, trial, run)
                continue
            run.claim()
            return trial, run
        refused: ConfigError | None = None
        for _ in range(TRIES):
            begun = [t for t in study.get_trials(deepcopy=False) if t.state != optuna.trial.TrialState.WAITING]
            tried = [t for t in begun if "again" not in t.user_attrs]
            if len(tried) >= folder.sweep.total:
                return None
            study.sampler = _sampler(folder.sweep, len(begun))
            trial = study.ask()
            values = _suggest(folder.sweep, trial)
            again = any(t.params == trial.params for t in tried)
            try:
                folder.sweep.config(values)
            except ConfigError as error:  # settings that do not go together
                again, refused = True, error
            if again:
                trial.set_user_attr("again", True)  # a draw, not a trial: it is not made twice
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            return trial, _make(folder, trial, dataset)
        if refused and not tried:
            raise refused
    return None


def _sampler(sweep: Sweep, begun: int) -> optuna.samplers.BaseSampler:
    """A sampler whose draws follow from the sweep's seed and the count of trials, whichever process draws."""
    import optuna

    if sweep.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=sweep.seed + begun, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=sweep.seed + begun)


def _suggest(sweep: Sweep, trial: optuna.trial.Trial) -> dict[str, str]:
    values = {}
    for name, choices in sweep.space.items():
        if not isinstance(choices, Range):
            values[name] = trial.suggest_categorical(name, [toml_value(value) for value in choices])
        elif isinstance(choices.low, int) and isinstance(choices.high, int):
            values[name] = str(trial.suggest_int(name, choices.low, choices.high, log=choices.log))
        else:
            values[name] = repr(trial.suggest_float(name, choices.low, choices.high, log=choices.log))
    return values


def _make(folder: SweepFolder, trial: optuna.trial.Trial, dataset: Dataset) -> RunFolder:
    values = _suggest(folder.sweep, trial)
    config = folder.sweep.config(values)
    n = len(dataset.without(config.leave_out).rows(config.val_split))
    run = RunFolder.create(f"{folder.name}-{trial.number:04d}", config, folder.data)
    told = {"sweep": folder.name, "number": trial.number, "values": values, "n": n}
    write_atomically(run.path / TRIAL, json.dumps(told).encode())
    run.claim()
    return run


def train_trial(run: RunFolder, dataset: Dataset) -> None:
    """Train a trial that another process has taken for this one, from the last save of its run where it has one.

    Called again, after a process that did the same has died, it goes on; what was told to the study is not done twice.
    """
    import optuna

    told = json.loads((run.path / TRIAL).read_text(encoding="utf-8"))
    folder = SweepFolder.named(told["sweep"])
    study = folder.study()
    frozen = study.get_trials(deepcopy=False)[told["number"]]
    if frozen.state != optuna.trial.TrialState.RUNNING:
        return
    trial = optuna.trial.Trial(study, frozen._trial_id)
    if run.status().state in ("finished", "failed"):
        _tell(study, trial, run)
        return
    run.claim(dead=True)
    _train(trial, run, study, dataset, lambda: folder.stop_requested)


def _train(
    trial: optuna.trial.Trial, run: RunFolder, study: optuna.Study, dataset: Dataset, stop: Callable[[], bool]
) -> bool:
    """Train a trial to its end; False where it was stopped before and waits to be continued."""
    import optuna

    from fer_core.training.loop import Trainer

    def step(status: RunStatus) -> None:
        if stop():
            run.request_stop()

    try:
        training = cast("Generator[EpochResult, None, None]", Trainer(run, dataset, on_step=step).epochs())
        for result in training:
            assert result.val_accuracy is not None  # `load_sweep` asks for a validation part
            trial.report(result.val_accuracy, result.epoch)
            if trial.should_prune() and result.epoch < run.config().epochs:
                training.close()  # it saves and ends
    except Stopped:
        if stop():
            return False
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)  # stopped by hand: this trial alone
        return True
    except NoRoom:  # neither good nor bad: it goes on when there is room
        raise
    except (FerError, RuntimeError) as error:  # torch's words for too little memory are a RuntimeError
        if run.status().state != "failed":
            run.write(replace(run.status(), state="failed", message=str(error)))
    if run.status().state == "stopped":
        run.write(replace(run.status(), message=f"{_PRUNED} after epoch {result.epoch}: others were better by then."))
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        _tell(study, trial, run)
    return True


def _tell(study: optuna.Study, trial: optuna.trial.Trial, run: RunFolder) -> None:
    import optuna

    best = best_epoch(run.metrics())
    if run.status().state == "finished" and best:
        study.tell(trial, best.val_accuracy)
    else:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
