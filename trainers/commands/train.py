"""`ferscope train`."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

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
    sentence,
    stop_last,
)


@app.command()
def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Name of a shipped recipe, or the path of a TOML file.")] = "",
    data: Data = "",
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in optimizer.lr=0.05.")] = None,
    name: Annotated[str, typer.Option(help="Name of the run; made from the recipe's when none is given.")] = "",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Train that many runs, each with the next seed.")] = 1,
    resume: Annotated[str, typer.Option(help="Go on with this run from its last save.")] = "",
    on_bad: Bad = None,
    on: On = "",
    cpus: Cpus = 1.0,
    gpus: Gpus = None,
    as_json: AsJson = False,
) -> None:
    """Train a network by a recipe. Ctrl-C saves; `--resume NAME` goes on from there.

    Under `torchrun --nproc-per-node N -m trainers.cli train …` N processes, or GPUs, share each batch.
    """
    from fer_core.datasets import open_dataset
    from fer_core.runs.folder import RunFolder
    from fer_core.runs.store import free_name, taken_back
    from fer_core.training.config import load_recipe
    from fer_core.training.distributed import joined

    if bool(recipe) == bool(resume):
        raise ConfigError("Give a recipe to start (ferscope train RECIPE --data PATH), or --resume NAME to go on.")
    if resume:
        refuse_beside_resume(context, "data", "on_bad")
    with joined() as world:  # several processes, where torchrun has started this one
        if on and world.size > 1:
            raise ConfigError("--on starts processes of its own; leave torchrun away.")
        opened: list[RunFolder] = []
        if world.leads and resume:
            run = RunFolder.named(resume)
            status = run.status()
            if status.state == "finished":
                raise ConfigError(f"The run “{resume}” has finished; start a new one from its recipe instead.")
            data = data or status.data
            dataset = open_dataset(data, on_bad=on_bad)
            opened = [run]
        elif world.leads:
            if not data:
                raise ConfigError("--data is missing: the path of a csv or folder, or “synthetic” for the drawn faces.")
            config = load_recipe(recipe, set_ or [])
            dataset = open_dataset(data, on_bad=on_bad)
            absolute = str(Path(data).resolve()) if Path(data).exists() else data
            stem = name or Path(recipe).stem
            for seed in range(config.seed, config.seed + seeds):
                one = stem if seeds == 1 else f"{stem}-seed-{seed}"
                one = one if name and seeds == 1 else free_name(one)
                opened.append(RunFolder.create(one, config.model_copy(update={"seed": seed}), absolute))
        names, data = world.gather(([run.name for run in opened], data))[0]
        if not world.leads:
            dataset = open_dataset(data, on_bad=on_bad)  # the leader has read it: the cache is there
        else:
            report_skipped(dataset)
        console = Console(quiet=as_json or not world.leads, soft_wrap=not sys.stdout.isatty())
        with nullcontext() if resume else taken_back(opened):
            if on:
                results = _on_cluster(opened, on, cpus, gpus, console, on_bad)
            else:
                begun: list[RunFolder] = []
                asked, results = on_interrupt(lambda: stop_last(begun)), []
                for name in names:
                    if asked:
                        console.print(f"Stopped after {begun[-1].name}. Go on with: ferscope train --resume {name}")
                        raise typer.Exit(130)
                    begun.append(RunFolder.named(name))
                    results.append(_train(begun[-1], dataset, console, world))
        if not world.leads:
            return
    if seeds > 1:
        _over_seeds(results, as_json)
    elif as_json:
        print(json.dumps(results[0]))


def _over_seeds(results: list[dict[str, Any]], as_json: bool) -> None:
    """Mean and standard deviation (n - 1) of the runs' validation accuracy."""
    from statistics import mean, stdev

    accuracies = [figures["accuracy"] for result in results for figures in result["results"].values()]
    if not accuracies:  # trained without a validation part
        print(json.dumps({"runs": results, "seeds": len(results)})) if as_json else None
        return
    summary = {"mean_accuracy": mean(accuracies), "sd_accuracy": stdev(accuracies), "seeds": len(accuracies)}
    if as_json:
        print(json.dumps({"runs": results, **summary}))
        return
    out.print(
        f"{len(accuracies)} seeds: accuracy {mean(accuracies):.2%}, standard deviation "
        f"{100 * stdev(accuracies):.2f} points between seeds."
    )


def _train(run: Any, dataset: Any, console: Console, world: Any) -> dict[str, Any]:
    from fer_core.runs.crossval import divided
    from fer_core.runs.folder import Stopped
    from fer_core.runs.launch import await_turn
    from fer_core.training.loop import Trainer

    said: set[str] = set()

    def wait(first: Any) -> None:
        if first.name not in said:
            console.print(f"Waiting for its turn: {first.name} has the device {first.device}.")
            said.add(first.name)

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}")
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=console.quiet or not sys.stdout.isatty()
    ) as bar:
        task = bar.add_task("Preparing", total=None, note="")

        def show(status: Any) -> None:
            bar.update(
                task,
                description=f"Epoch {min(status.epoch + 1, status.epochs)} of {status.epochs}",
                completed=status.step,
                total=status.steps,
                note=f"{status.images_per_second:,.0f} images/s, {status.time_left} left",
            )

        try:
            if world.leads:
                await_turn(run, wait)
            trainer = Trainer(run, divided(run, dataset), on_step=show, world=world)
            console.print(
                f"Run {run.name}: {trainer.config.network} on {dataset.title}, {len(trainer.rows):,} pictures."
            )
            if trainer.left_out:
                console.print(f"Left out {trainer.left_out:,} pictures labelled {', '.join(trainer.config.leave_out)}.")
            if trainer.start:
                console.print(f"Start: {trainer.start.sentence}.")
            console.print(f"Speed: {trainer.speed_note}.")
            if warning := run.warning():
                console.print(f"[bold]Leak:[/bold] {warning}")
            for result in trainer.epochs():
                validated = (
                    f"validation loss {result.val_loss:.3f} nats, accuracy {result.val_accuracy:6.2%}; "
                    if result.val_loss is not None
                    else ""
                )
                console.print(
                    f"Epoch {result.epoch:3d}: train loss {result.train_loss:.3f} nats, accuracy "
                    f"{result.train_accuracy:6.2%}; {validated}{result.images_per_second:,.0f} images/s, "
                    f"data {result.data_share:.1%} of the step"
                )
        except Stopped:
            console.print(f"Stopped and saved. Go on with: ferscope train --resume {run.name}")
            raise typer.Exit(130) from None
    return _told(run, console) if world.leads else {}


def _on_cluster(
    runs: list[Any], on: str, cpus: float, gpus: float | None, console: Console, on_bad: Any
) -> list[dict[str, Any]]:
    from fer_core.runs.folder import Stopped

    try:
        spread(runs, runs[0].name, on, cpus, gpus, console, on_bad)
    except Stopped:
        for run in runs:
            if run.status().state != "finished":
                console.print(f"Stopped and saved. Go on with: ferscope train --resume {run.name}")
        raise typer.Exit(130) from None
    return [_told(run, console) for run in runs]


def _told(run: Any, console: Console) -> dict[str, Any]:
    """Say how a finished run ended."""
    from fer_core.checkpoint import read_card

    card = read_card(run.path)
    for key, figures in card.results.items():
        console.print(f"Best epoch {card.best_epoch}. {sentence(key, figures)}\nWritten to {run.path}")
    if not card.results:
        console.print(f"Nothing was validated: epoch {card.best_epoch}, the last one, is kept.\nWritten to {run.path}")
    return {"run": run.name, "folder": str(run.path), "results": card.results}
