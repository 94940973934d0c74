"""Workers of a sweep: take a trial, train it, report it, until none is left."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from fer_core.datasets import Dataset, open_dataset
from fer_core.errors import ConfigError, FerError
from fer_core.recipe import toml_value
from fer_core.runs.folder import TRIAL, EpochResult, NoRoom, RunFolder, RunStatus, Stopped, best_epoch
from fer_core.runs.process import Process
from fer_core.workspace import write_atomically

if TYPE_CHECKING:
    import optuna
from fer_core.experiments.sweep_file import Range, Sweep
from fer_core.experiments.sweep_folder import _PRUNED, SweepFolder

TRIES = 1000  # draws in a row that were tried before, after which a space counts as exhausted


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
    """The next trial for this process: one left by a dead process, otherwise a new one.

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
    """Train a trial that another process has chosen, from the last save of its run if there is one. Called again after
    a crash, it continues; finished trials are not repeated.
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
            assert result.val_accuracy is not None  # `load_sweep` asks for a validation set
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


def main(name: str, parent: int) -> None:
    """`python -m fer_core.experiments.sweep_worker NAME PARENT`: one worker, which ends with its parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the sweep's process asks its workers to stop
    folder = SweepFolder.named(name)
    print(f"{work(folder, open_dataset(folder.data), parent)} trials ended here.", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
