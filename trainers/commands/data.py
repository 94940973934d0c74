"""`ferscope data`: the data sets that this workspace knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from trainers.console import AsJson, Bad, OnBad, app, out, report_skipped

data_app = typer.Typer(no_args_is_help=True, help="Data sets that this workspace knows.")
app.add_typer(data_app, name="data")


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
    report_skipped(dataset)
    table = Table(dataset.title, *(str(label) for label in counts.columns), "all")
    for column in table.columns[1:]:
        column.justify = "right"
    for split in dataset.splits:
        row = counts.loc[split]
        table.add_row(split, *(f"{n:,}" for n in row), f"{row.sum():,}")
    out.print(table)
