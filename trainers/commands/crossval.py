"""`ferscope crossval`."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fer_core.errors import ConfigError
from fer_core.evaluation.intervals import Interval, bounded
from trainers.cluster import Cpus, Gpus, On, spread
from trainers.console import AsJson, app, on_interrupt, out, refuse_beside_resume, stop_last


@app.command()
def crossval(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Name of a shipped recipe, or the path of a TOML file.")] = "",
    data: Annotated[str, typer.Option(help="Path of a csv or folder, or the name of a known data set.")] = "",
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in optimizer.lr=0.05.")] = None,
    folds: Annotated[int, typer.Option(min=2, max=1000, help="Number of folds.")] = 5,
    pool: Annotated[str, typer.Option(help="Splits that are divided into folds, separated by commas.")] = "train",
    group: Annotated[
        str | None,
        typer.Option(
            help="Column whose values stay in one fold; “” for none. Default: person or film, if the set knows them."
        ),
    ] = None,
    twins_apart: Annotated[
        bool, typer.Option("--twins-apart", help="Allow duplicates of an image in different folds.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Do not balance the expressions across the folds.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the division into folds.")] = 0,
    name: Annotated[str, typer.Option(help="Name; derived from the recipe's name by default.")] = "",
    resume: Annotated[str, typer.Option(help="Continue this cross-validation.")] = "",
    on: On = "",
    cpus: Cpus = 1.0,
    gpus: Gpus = None,
    as_json: AsJson = False,
) -> None:
    """Train a recipe once per fold; print each fold, mean and standard deviation; write the out-of-fold predictions."""
    from fer_core.datasets import open_dataset
    from fer_core.experiments.crossval import CrossValidation
    from fer_core.recipe import load_recipe
    from fer_core.runs.folder import Stopped
    from fer_core.runs.store import taken_back

    if bool(recipe) == bool(resume):
        raise ConfigError(
            "Give a recipe to start (ferscope crossval RECIPE --data PATH), or --resume NAME to continue."
        )
    if resume:
        refuse_beside_resume(context)
        made = CrossValidation.named(resume)
        dataset = open_dataset(made.told()["data"])
    else:
        if not data:
            raise ConfigError("--data is missing: the path of a csv or folder, or “heads” for the rendered heads.")
        dataset = open_dataset(data)
        absolute = str(Path(data).resolve()) if Path(data).exists() else data
        made = CrossValidation.create(
            name or f"{Path(recipe).stem}-cv", load_recipe(recipe, set_ or []), dataset, absolute, folds, seed=seed,
            pool=tuple(part.strip() for part in pool.split(",")), group=group, stratified=not plain, twins_apart=twins_apart,
        )  # fmt: skip
    console = Console(quiet=as_json, soft_wrap=not sys.stdout.isatty())
    try:
        with nullcontext() if resume else taken_back(made.runs, made.path):
            if on:
                left = [fold.run for fold in made.folds() if fold.accuracy is None]
                spread(left, made.name, on, cpus, gpus, console)
            else:
                _here(made, dataset, console)
    except Stopped:
        console.print(f"Stopped and saved. Continue with: ferscope crossval --resume {made.name}")
        raise typer.Exit(130) from None
    path, found = made.finish(), made.summary()
    if as_json:
        print(json.dumps({"name": made.name, "table": str(path), **found}))
        return
    table = Table("fold", "accuracy, %", "95 %", "n")
    for row in found["folds"]:
        table.add_row(row["run"], f"{100 * row['accuracy']:.1f}", Interval(*row["interval"]).text(), f"{row['n']:,}")
    out.print(table)
    low, high = found["all"]["accuracy_interval"]
    whole = bounded(found["all"]["accuracy"], low, high, " %")
    out.print(
        f"Mean over folds {100 * found['mean']:.1f} %, standard deviation {100 * found['sd']:.1f} points. All images, each "
        f"predicted by the network that was not trained on it: "
        f"{whole}, n = {found['all']['n']:,}. Kept together: {made.told()['kept_together'] or 'nothing'}.\n"
        f"Table written to {path}",
        soft_wrap=True,
    )


def _here(made: Any, dataset: Any, console: Console) -> None:
    """Train the folds one after the other in this process; they wait for the device once."""
    from fer_core.experiments.crossval import train_fold
    from fer_core.runs import queue
    from fer_core.runs.folder import Stopped

    now: list[Any] = []
    asked = on_interrupt(lambda: stop_last(now))
    queue.wait(queue.device_of(made.runs[0].config().device), made.name, lambda first: None)
    for run in made.runs:
        if asked:
            raise Stopped
        now.append(run)
        train_fold(run, dataset)
        console.print(f"{run.name}: {len(run.metrics())} epochs.")
