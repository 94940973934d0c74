"""`ferscope import`: predictions and networks of other programs, as networks of this workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fer_core.errors import ConfigError
from trainers.console import AsJson, app, out

import_app = typer.Typer(no_args_is_help=True, help="Predictions and networks of other programs.")
app.add_typer(import_app, name="import")

Name = Annotated[str, typer.Option(help="Name in this workspace; made from the file's name if not given.")]
Title = Annotated[str, typer.Option(help="What pages call it; the name if not given.")]


@import_app.command("predictions")
def import_predictions(
    file: Annotated[Path, typer.Argument(help="A csv or parquet file with a row an image.")],
    name: Name = "",
    data: Annotated[str, typer.Option(help="Data set that the images belong to; labels are then taken from it.")] = "",
    split: Annotated[
        str,
        typer.Option(help="train, val or test. Default: as the file says, or of any split, or test without --data."),
    ] = "",
    title: Title = "",
    image: Annotated[str, typer.Option(help="Column with the image's file or id.")] = "",
    label: Annotated[str, typer.Option(help="Column with the label.")] = "",
    predicted: Annotated[str, typer.Option(help="Column with the predicted class.")] = "",
    scores: Annotated[
        list[str] | None,
        typer.Option(help="EXPRESSION=COLUMN, for values of an expression; may be given several times."),
    ] = None,
    order: Annotated[
        str,
        typer.Option(help="Order of the expressions where numbers stand for them: angry,disgust,... or a numbering."),
    ] = "",
    kind: Annotated[
        str, typer.Option(help="What the values are: logits, probabilities, per cent, log-probabilities or scores.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how the columns are understood, and keep nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import predictions that any program made, so that every page and command that reads tables takes them.

    How the columns are understood is printed; correct it with the options. What does not fit is counted and named.
    """
    from dataclasses import replace

    from fer_core.datasets import open_dataset
    from fer_core.foreign import suggested_name
    from fer_core.foreign.predictions import KINDS, convert, guess, ordered, read_table
    from fer_core.foreign.predictions import import_predictions as keep

    if kind and kind not in KINDS:
        raise ConfigError(f"--kind {kind}: expected {', '.join(KINDS)}.")
    pairs = [text.partition("=") for text in scores or []]
    if wrong := [text for text, (_, sign, column) in zip(scores or [], pairs, strict=True) if not sign or not column]:
        raise ConfigError(f"--scores {wrong[0]}: expected EXPRESSION=COLUMN, as in happy=p3.")
    table, name = read_table(file), name or suggested_name(file)
    columns = guess(table, ordered(order))
    given: dict[str, Any] = {"image": image, "label": label, "predicted": predicted, "kind": kind}
    columns = replace(columns, **{key: value for key, value in given.items() if value})
    if pairs:
        columns = replace(columns, scores={expression: column for expression, _, column in pairs})
    dataset = open_dataset(data) if data else None
    found = convert(
        table, columns, dataset=dataset, split=split or ("" if dataset else "test"), name=suggested_name(file)
    )
    folder = None if dry_run else keep(found, name, file.name, file.read_bytes(), title=title)
    if as_json:
        left = [{"id": one.id, "reason": one.reason, "n": one.n} for one in found.left_out]
        keys = [f"{table.table['dataset'].iloc[0]}-{part}" for part, table in found.tables.items()]
        made = {"network": None if dry_run else name, "tables": keys, "rows": found.rows, "notes": found.notes}
        print(json.dumps({**made, "left_out": left, "columns": columns.sentence}))
        return
    out.print(f"Understood: {columns.sentence}.", soft_wrap=True, markup=False)
    for sentence in found.notes:
        Console(stderr=True).print(sentence, soft_wrap=True, markup=False)
    for one in found.left_out:
        Console(stderr=True).print(f"{one.n:,} left out: {one.id}: {one.reason}", soft_wrap=True, markup=False)
    for part, made_of_it in found.tables.items():
        key = f"{made_of_it.table['dataset'].iloc[0]}-{part}"
        share = float(made_of_it.correct.mean())
        out.print(f"{key}: {len(made_of_it):,} images, accuracy {share:.2%}.", soft_wrap=True)
    if folder:
        out.print(
            f"Imported as “{name}”, in {folder}. See it: ferscope report {name}, or the workbench.", soft_wrap=True
        )


@app.command()
def table(
    network: Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")],
    to: Annotated[Path, typer.Option("--out", dir_okay=False, help="The csv file to write; .parquet writes parquet.")],
    key: Annotated[str, typer.Option("--table", help="“<data set>-<split>”. Default: the network's first table.")] = "",
) -> None:
    """Write a predictions table as a csv that other tools read: id, label, predicted, confidence, probabilities, logits."""
    from fer_core.runs.store import find
    from fer_core.workspace import write_atomically

    found = find(network)
    if not found.tables:
        raise ConfigError(
            f"{found.name} has no predictions table; ferscope evaluate {found.name} --data DATA writes one."
        )
    frame = found.predictions(key or next(iter(found.tables))).to_frame()
    parquet = to.suffix == ".parquet"
    write_atomically(to, frame.to_parquet(index=False) if parquet else frame.to_csv(index=False).encode())
    out.print(f"{len(frame):,} rows written to {to}", soft_wrap=True)
