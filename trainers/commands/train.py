"""`ferscope train` and `ferscope recipes`."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fer_core.errors import ConfigError
from trainers.console import AsJson, Bad, Data, OnBad, app, out, report_skipped, sentence


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Name of a shipped recipe, or the path of a TOML file.")] = "",
    data: Data = "",
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in optimizer.lr=0.05.")] = None,
    name: Annotated[str, typer.Option(help="Name of the run; made from the recipe's when none is given.")] = "",
    resume: Annotated[str, typer.Option(help="Go on with this run from its last save.")] = "",
    on_bad: Bad = OnBad.refuse,
    as_json: AsJson = False,
) -> None:
    """Train a network by a recipe. Ctrl-C saves; `--resume NAME` goes on from there."""
    from fer_core.datasets import open_dataset
    from fer_core.runs.folder import RunFolder
    from fer_core.runs.store import free_name
    from fer_core.training.config import load_recipe

    if bool(recipe) == bool(resume):
        raise ConfigError("Give a recipe to start (ferscope train RECIPE --data PATH), or --resume NAME to go on.")
    if resume:
        run = RunFolder.named(resume)
        status = run.status()
        if status.state == "finished":
            raise ConfigError(f"The run “{resume}” has finished; start a new one from its recipe instead.")
        data = data or status.data
        dataset = open_dataset(data, on_bad=on_bad.value)
    else:
        if not data:
            raise ConfigError("--data is missing: the path of a csv or folder, or “synthetic” for the drawn faces.")
        config = load_recipe(recipe, set_ or [])
        dataset = open_dataset(data, on_bad=on_bad.value)
        absolute = str(Path(data).resolve()) if Path(data).exists() else data
        run = RunFolder.create(name or free_name(Path(recipe).stem), config, absolute)
    report_skipped(dataset)
    result = _train(run, dataset, quiet=as_json)
    if as_json:
        print(json.dumps(result))


def _train(run: Any, dataset: Any, quiet: bool) -> dict[str, Any]:
    from fer_core.checkpoint import read_card
    from fer_core.runs.folder import Stopped
    from fer_core.training.loop import Trainer

    def stop(*_: Any) -> None:
        run.request_stop()  # the loop finishes its step, saves and ends

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    console = Console(quiet=quiet, soft_wrap=not sys.stdout.isatty())
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}")
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet or not sys.stdout.isatty()) as bar:
        task = bar.add_task("Preparing", total=None, note="")

        def show(status: Any) -> None:
            bar.update(
                task,
                description=f"Epoch {min(status.epoch + 1, status.epochs)} of {status.epochs}",
                completed=status.step,
                total=status.steps,
                note=f"{status.images_per_second:,.0f} images/s, {status.time_left} left",
            )

        trainer = Trainer(run, dataset, on_step=show)
        console.print(f"Run {run.name}: {trainer.config.network} on {dataset.title}, {len(trainer.rows):,} pictures.")
        console.print(f"Speed: {trainer.speed_note}.")
        try:
            for result in trainer.epochs():
                console.print(
                    f"Epoch {result.epoch:3d}: train loss {result.train_loss:.3f} nats, accuracy "
                    f"{result.train_accuracy:6.2%}; validation loss {result.val_loss:.3f} nats, accuracy "
                    f"{result.val_accuracy:6.2%}; {result.images_per_second:,.0f} images/s, "
                    f"data {result.data_share:.1%} of the step"
                )
        except Stopped:
            console.print(f"Stopped and saved. Go on with: ferscope train --resume {run.name}")
            raise typer.Exit(130) from None
    card = read_card(run.path)
    for key, figures in card.results.items():
        console.print(f"Best epoch {card.best_epoch}. {sentence(key, figures)}\nWritten to {run.path}")
    return {"run": run.name, "folder": str(run.path), "results": card.results}


@app.command()
def recipes(as_json: AsJson = False) -> None:
    """List the shipped recipes."""
    from fer_core.training.config import load_recipe
    from fer_core.training.config import recipes as shipped

    loaded = {name: load_recipe(path) for name, path in shipped().items()}
    if as_json:
        print(json.dumps({name: recipe.model_dump(mode="json") for name, recipe in loaded.items()}))
        return
    table = Table("recipe", "network", "epochs", "source", "reported")
    for name, recipe in loaded.items():
        table.add_row(name, recipe.network, str(recipe.epochs), recipe.about.source, recipe.about.reported)
    out.print(table)
