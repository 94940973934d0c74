"""`ferscope train`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fer_core.errors import ConfigError
from trainers.cluster import Cpus, Gpus, On, spread
from trainers.console import (
    AsJson,
    Bad,
    Data,
    app,
    on_interrupt,
    out,
    refuse_beside_resume,
    report_skipped,
    stop_last,
)

if TYPE_CHECKING:
    from fer_core.datasets import Dataset, OnBad
    from fer_core.runs.folder import RunFolder, RunStatus
    from fer_core.runs.queue import Ticket
    from fer_core.training.distributed import World


@app.command()
def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Name of a shipped recipe, or the path of a TOML file.")] = "",
    data: Data = "",
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in optimizer.lr=0.05.")] = None,
    name: Annotated[str, typer.Option(help="Name of the run; derived from the recipe's name by default.")] = "",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Number of runs, each with the next seed.")] = 1,
    resume: Annotated[str, typer.Option(help="Continue this run from its last checkpoint.")] = "",
    on_bad: Bad = None,
    on: On = "",
    cpus: Cpus = 1.0,
    gpus: Gpus = None,
    log: Annotated[
        Literal["tensorboard"] | None,
        typer.Option(help="Write the history for TensorBoard too, into tensorboard/ of the run's folder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a network from a recipe. Ctrl-C saves; `--resume NAME` continues.

    With `torchrun --nproc-per-node N -m trainers.cli train …` N processes, or GPUs, share each batch.
    """
    from fer_core.datasets import open_dataset
    from fer_core.runs.folder import RunFolder
    from fer_core.runs.store import taken_back
    from fer_core.training.distributed import joined

    if bool(recipe) == bool(resume):
        raise ConfigError("Give a recipe to start (ferscope train RECIPE --data PATH), or --resume NAME to continue.")
    if resume:
        refuse_beside_resume(context, "data", "on_bad", "log")
    elif not data:
        raise ConfigError("--data is missing: give the path of a csv or folder, or the name of a known data set.")
    with joined() as world:  # several processes, where torchrun has started this one
        if on and world.size > 1:
            raise ConfigError("--on starts processes of its own; leave torchrun away.")
        if on and log:
            raise ConfigError("--log writes from this process; leave --on away.")
        opened: list[RunFolder] = []
        if world.leads:
            if resume:
                opened, data = [_unfinished(resume)], data or RunFolder.named(resume).status().data
            dataset = open_dataset(data, on_bad=on_bad)
            report_skipped(dataset)
            opened = opened or _new_runs(recipe, set_ or [], data, name, seeds)
        names, data = world.gather(([run.name for run in opened], data))[0]
        if not world.leads:
            dataset = open_dataset(data, on_bad=on_bad)  # the leader has read it: the cache is there
        console = Console(quiet=as_json or not world.leads, soft_wrap=not sys.stdout.isatty())
        with nullcontext() if resume else taken_back(opened):
            if on:
                _on_cluster(opened, on, cpus, gpus, console, on_bad)
            else:
                _one_after_the_other(
                    [RunFolder.named(one) for one in names], dataset, console, world, log == "tensorboard"
                )
    if world.leads:
        _print([_result(run) for run in opened], seeds, as_json)


def _unfinished(name: str) -> RunFolder:
    from fer_core.runs.folder import RunFolder

    run = RunFolder.named(name)
    if run.status().state == "finished":
        raise ConfigError(f"The run “{name}” has finished; start a new one from its recipe instead.")
    return run


def _new_runs(recipe: str, settings: Sequence[str], data: str, name: str, seeds: int) -> list[RunFolder]:
    from fer_core.recipe import load_recipe
    from fer_core.runs.folder import RunFolder
    from fer_core.runs.store import free_name

    config = load_recipe(recipe, settings)
    absolute = str(Path(data).resolve()) if Path(data).exists() else data
    stem, made = name or Path(recipe).stem, []
    for seed in range(config.seed, config.seed + seeds):
        one = stem if seeds == 1 else f"{stem}-seed-{seed}"
        one = one if name and seeds == 1 else free_name(one)
        made.append(RunFolder.create(one, config.model_copy(update={"seed": seed}), absolute))
    return made


def _one_after_the_other(
    runs: Sequence[RunFolder], dataset: Dataset, console: Console, world: World, tensorboard: bool
) -> None:
    """Train runs in this process, one after the other. Ctrl-C stops the current run and starts no further one."""
    begun: list[RunFolder] = []
    asked = on_interrupt(lambda: stop_last(begun))
    for run in runs:
        if asked:
            console.print(f"Stopped after {begun[-1].name}. Continue with: ferscope train --resume {run.name}")
            raise typer.Exit(130)
        begun.append(run)
        _train(run, dataset, console, world, tensorboard)


def _train(run: RunFolder, dataset: Dataset, console: Console, world: World, tensorboard: bool) -> None:
    from fer_core.runs.folder import Stopped
    from fer_core.runs.mirror import TensorBoard
    from fer_core.training.launch import await_turn
    from fer_core.training.work import outcome, train

    told: set[str] = set()
    mirror = TensorBoard(run) if tensorboard and world.leads else None

    def say(line: str) -> None:
        if mirror:
            mirror.catch_up()
        console.print(line, markup=False)

    def wait(first: Ticket) -> None:
        if first.name not in told:
            console.print(f"Waiting: {first.title} uses the device {first.device}.")
            told.add(first.name)

    try:
        with _progress(console) as show:
            if world.leads:
                await_turn(run, wait)
            train(run, dataset, say, show, world)
    except Stopped:
        console.print(f"Stopped and saved. Continue with: ferscope train --resume {run.name}")
        raise typer.Exit(130) from None
    if world.leads:
        console.print(outcome(run), markup=False)


@contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """A progress bar on a terminal. Yields the function that sets it to a run's status."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}")
    hidden = console.quiet or not sys.stdout.isatty()
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=hidden) as bar:
        task = bar.add_task("Preparing", total=None, note="")

        def show(status: RunStatus) -> None:
            bar.update(
                task,
                description=f"Epoch {min(status.epoch + 1, status.epochs)} of {status.epochs}",
                completed=status.step,
                total=status.steps,
                note=f"{status.images_per_second:,.0f} images/s, {status.time_left} left",
            )

        yield show


def _on_cluster(
    runs: Sequence[RunFolder], on: str, cpus: float, gpus: float | None, console: Console, on_bad: OnBad | None
) -> None:
    from fer_core.runs.folder import Stopped
    from fer_core.training.work import outcome

    try:
        spread(runs, runs[0].name, on, cpus, gpus, console, on_bad)
    except Stopped:
        for run in runs:
            if run.status().state != "finished":
                console.print(f"Stopped and saved. Continue with: ferscope train --resume {run.name}")
        raise typer.Exit(130) from None
    for run in runs:
        console.print(outcome(run), markup=False)


def _result(run: RunFolder) -> dict[str, Any]:
    from fer_core.checkpoint import read_card

    return {"run": run.name, "folder": str(run.path), "results": read_card(run.path).results}


def _print(results: Sequence[dict[str, Any]], seeds: int, as_json: bool) -> None:
    """For several seeds, print mean and standard deviation (n - 1) of the validation accuracy; for one, its JSON."""
    from statistics import mean, stdev

    if seeds == 1:
        if as_json:
            print(json.dumps(results[0]))
        return
    accuracies = [figures["accuracy"] for result in results for figures in result["results"].values()]
    if not accuracies:  # trained without a validation set
        if as_json:
            print(json.dumps({"runs": results, "seeds": len(results)}))
        return
    summary = {"mean_accuracy": mean(accuracies), "sd_accuracy": stdev(accuracies), "seeds": len(accuracies)}
    if as_json:
        print(json.dumps({"runs": results, **summary}))
        return
    out.print(
        f"{len(accuracies)} seeds: accuracy {mean(accuracies):.2%}, standard deviation "
        f"{100 * stdev(accuracies):.2f} points between seeds."
    )
