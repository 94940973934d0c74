"""The `ferscope` command. Each command checks its input before it spends time, prints its figures as a table or, with
`--json`, as one JSON object, and ends with exit code 2 and one sentence where the input is at fault."""

from __future__ import annotations

import json
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fer_core.errors import ConfigError, FerError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
data_app = typer.Typer(no_args_is_help=True, help="Data sets that this workspace knows.")
runs_app = typer.Typer(no_args_is_help=True, help="Training runs of this workspace.")
app.add_typer(data_app, name="data")
app.add_typer(runs_app, name="runs")
out = Console()


class OnBad(StrEnum):
    refuse = "refuse"
    skip = "skip"


Data = Annotated[str, typer.Option("--data", help="Path of a csv or folder, or the name of a known data set.")]
Bad = Annotated[OnBad, typer.Option("--on-bad", help="What to do with pictures that cannot be read.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


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
    _report_skipped(dataset)
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
        console.print(f"Best epoch {card.best_epoch}. {_sentence(key, figures)}\nWritten to {run.path}")
    return {"run": run.name, "folder": str(run.path), "results": card.results}


@app.command()
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")],
    data: Data,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    on_bad: Bad = OnBad.refuse,
    as_json: AsJson = False,
) -> None:
    """Predict a split, print the figures with 95 % intervals, and write the predictions table beside the weights."""
    from fer_core.checkpoint import load_network
    from fer_core.datasets import open_dataset
    from fer_core.evaluation.metrics import evaluate as figures_of
    from fer_core.evaluation.predict import predict_split
    from fer_core.runs.store import find

    found = find(checkpoint)
    dataset = open_dataset(data, on_bad=on_bad.value)
    _report_skipped(dataset)
    total = len(dataset.rows(split))
    model, card = load_network(found.folder)
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task(f"Predicting {total:,} pictures", total=total)
        predictions = predict_split(
            model, dataset, split, spec=card.image, expressions=card.vocabulary, tta=card.tta,
            on_batch=lambda done: bar.update(task, completed=done),
        )  # fmt: skip
    path = found.folder / f"predictions-{dataset.name}-{split}.parquet"
    predictions.write(path)
    figures = figures_of(predictions).to_json()
    if as_json:
        print(json.dumps(figures))
        return
    out.print(_sentence(f"{dataset.name}-{split}", figures), soft_wrap=True)
    table = Table("expression", *(Column for Column in ("precision", "recall", "F1", "n")))
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in figures["per_class"].items():
        table.add_row(name, *(f"{100 * row[key]:.1f}" for key in ("precision", "recall", "f1")), f"{row['support']:,}")
    out.print(table)
    out.print(f"Table written to {path}", soft_wrap=True)


def _sentence(key: str, figures: dict[str, Any]) -> str:
    low, high = figures["accuracy_interval"]
    f1_low, f1_high = figures["macro_f1_interval"]
    return (
        f"{key}: accuracy {figures['accuracy']:.2%} ({100 * low:.1f} to {100 * high:.1f}), macro-F1 "
        f"{100 * figures['macro_f1']:.1f} ({100 * f1_low:.1f} to {100 * f1_high:.1f}), n = {figures['n']:,}; "
        "95 % intervals."
    )


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


@app.command()
def live(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine needs a password.")
    ] = "127.0.0.1",
    share: Annotated[bool, typer.Option(help="Make a public Gradio link; needs a password.")] = False,
    password: Annotated[str, typer.Option(envvar="FERSCOPE_PASSWORD", help="For user “ferscope”.")] = "",
) -> None:
    """Open the live app: photos and camera."""
    from dashboard.live import launch

    launch(port=port, host=host, share=share, password=password or None)


@data_app.command("add")
def data_add(path: Path, name: Annotated[str, typer.Option(help="Made from the path when not given.")] = "") -> None:
    """Recognise a data set's layout and remember it under a name."""
    from fer_core.datasets import known

    name = known.add(path, name)
    out.print(f"Added “{name}”: {known.recognise(known.known()[name]).title}.")


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the known data sets."""
    from fer_core.datasets import known

    places = {known.SYNTHETIC: "drawn by the program", **{name: str(path) for name, path in known.known().items()}}
    if as_json:
        print(json.dumps(places))
        return
    table = Table("name", "path")
    for name, place in places.items():
        table.add_row(name, place)
    out.print(table)


@data_app.command("show")
def data_show(data: str, on_bad: Bad = OnBad.refuse, as_json: AsJson = False) -> None:
    """Count a data set's pictures by split and expression."""
    from fer_core.datasets import open_dataset

    dataset = open_dataset(data, on_bad=on_bad.value)
    counts = dataset.index.groupby(["split", "label"]).size().unstack(fill_value=0)
    if as_json:
        nested = {split: {label: int(n) for label, n in row.items()} for split, row in counts.iterrows()}
        print(json.dumps({"title": dataset.title, "counts": nested, "skipped": len(dataset.skipped)}))
        return
    _report_skipped(dataset)
    table = Table(dataset.title, *(str(label) for label in counts.columns), "all")
    for column in table.columns[1:]:
        column.justify = "right"
    for split in dataset.splits:
        row = counts.loc[split]
        table.add_row(split, *(f"{n:,}" for n in row), f"{row.sum():,}")
    out.print(table)


@runs_app.command("list")
def runs_list(as_json: AsJson = False) -> None:
    """List the runs, the newest first."""
    from dataclasses import asdict

    from fer_core.runs.store import runs

    states = {run.name: run.status() for run in runs()}
    if as_json:
        print(json.dumps({name: asdict(status) for name, status in states.items()}))
        return
    table = Table("run", "state", "progress", "left", "data", "message")
    for name, status in states.items():
        table.add_row(name, status.state, f"{status.progress:.0%}", status.time_left, status.data, status.message)
    out.print(table)


@runs_app.command("stop")
def runs_stop(name: str) -> None:
    """Ask a run to finish its step, save and end."""
    from fer_core.runs.folder import RunFolder

    run = RunFolder.named(name)
    if run.status().state != "running":
        raise ConfigError(f"The run “{name}” is {run.status().state}; only a running one can be stopped.")
    run.request_stop()
    out.print(f"Asked “{name}” to stop; it saves first.")


@runs_app.command("promote")
def runs_promote(
    name: str, to: Annotated[str, typer.Option(help="Its name there; the run's when not given.")] = ""
) -> None:
    """Copy a finished run to `checkpoints/`, where the networks to be shipped lie."""
    from fer_core.runs.store import promote

    out.print(f"Copied to {promote(name, to)}", soft_wrap=True)


def _report_skipped(dataset: Any) -> None:
    if dataset.skipped:
        first = "; ".join(f"{bad.id}: {bad.reason}" for bad in dataset.skipped[:3])
        Console(stderr=True).print(f"Left out {len(dataset.skipped):,} of {dataset.title}: {first}", soft_wrap=True)


def main() -> None:
    """Run the command line; an expected error is one sentence on stderr and exit code 2."""
    try:
        app()
    except FerError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold]Error:[/bold] {error}", highlight=False)
        sys.exit(2)
    except BrokenPipeError:  # `ferscope … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
