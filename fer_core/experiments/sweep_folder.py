"""A sweep's folder. A TOML file names the settings to search, Optuna proposes the trials, and each trial is a run.

Any number of worker processes share a sweep through its folder: Optuna's journal file lists the trials, and a lock lets
one process at a time take the next. If a process dies, another one continues its trial from the last save.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from fer_core import workspace
from fer_core.errors import RunError
from fer_core.evaluation.intervals import Interval, wilson
from fer_core.recipe import load_recipe, recipes, toml_value
from fer_core.runs.folder import TRIAL, NamedFolder, RunFolder, RunStatus, best_epoch
from fer_core.workspace import write_atomically

if TYPE_CHECKING:
    import optuna
from fer_core.experiments.sweep_file import Range, Sweep, load_sweep, sweep_files


@dataclass(frozen=True)
class Trial:
    """A trial, read from its run folder.

    Attributes:
        values: the searched settings.
        accuracy: best validation accuracy so far, a share; None before the first epoch.
        n: images of the validation set; 0 before the first epoch.
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
        """A new sweep from a file, or the existing one if it has the same search and data.

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
        """The sweep as it was created, with its copy of the recipe, because the recipe's file may have changed."""
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
        """Clear an earlier request to stop."""
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
