"""`ferscope data`: the data sets of a workspace, and what is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from trainers.console import AsJson, Bad, app, out, report_skipped

if TYPE_CHECKING:
    import pandas as pd

    from fer_core.datasets import Dataset

data_app = typer.Typer(no_args_is_help=True, help="Data sets of this workspace.")
app.add_typer(data_app, name="data")

Name = Annotated[str, typer.Option(help="Name of the new set. Default: derived from the path.")]
ROWS = 40  # of a long table, on the screen
Csv = Annotated[Path | None, typer.Option("--csv", dir_okay=False, help="Write the table to this file.")]


def table_of(title: str, rows: pd.DataFrame, words: tuple[str, ...] = ()) -> Table:
    table = Table(title, *map(str, rows.columns[1:])) if title else Table(*map(str, rows.columns))
    for name, column in zip(rows.columns, table.columns, strict=True):
        column.justify = "left" if name == rows.columns[0] or name in words else "right"
    for row in rows.itertuples(index=False):
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    return table


def write(table: pd.DataFrame, path: Path | None, quiet: bool) -> None:
    if path:
        from fer_core.workspace import write_atomically

        write_atomically(path, table.to_csv(index=False).encode())
        if not quiet:
            out.print(f"Table written to {path}", soft_wrap=True)


def show_first(table: pd.DataFrame, csv: Path | None) -> str:
    """Print the first rows of a table, unless it was written to a file, and say how to get the others."""
    if csv is not None or not len(table):
        return ""
    out.print(table_of("", table.head(ROWS), tuple(table.columns)))
    return f" The first {ROWS} are shown; --csv FILE writes all." if len(table) > ROWS else ""


@data_app.command("add")
def data_add(
    path: Annotated[
        str, typer.Argument(help="A csv, a parquet file or a folder. PATH@MODE selects a mode of the layout.")
    ],
    name: Name = "",
    on_bad: Bad = None,
) -> None:
    """Add a data set under a name. The choice for unreadable images is kept with it."""
    from fer_core.datasets import known, open_dataset

    name = known.add(path, name, on_bad or "refuse")
    dataset = open_dataset(name)
    report_skipped(dataset)
    out.print(f"Added “{name}”: {dataset.title}, {in_words(dataset)}. {dataset.protocol}".strip(), soft_wrap=True)
    modes = known.recognise(known.known()[name]).modes
    if modes and not known.parted(path)[1]:
        out.print(f"It can also be opened as {', '.join(f'{name}@{mode}' for mode in modes)}.", soft_wrap=True)


def in_words(dataset: Dataset) -> str:
    """The number of images in each split, and of those left out."""
    parts = ", ".join(f"{split} {n:,}" for split, n in dataset.splits.items())
    return f"{parts}; {dataset.left_out:,} left out"


@data_app.command("get")
def data_get(name: str) -> None:
    """Download a data set where its owners allow it (fer2013), or say how to get it."""
    from fer_core.datasets import known
    from fer_core.datasets.download import get

    path = get(name)
    out.print(f"Added “{known.add(path, name)}”: {path}", soft_wrap=True)


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the known data sets."""
    from fer_core.datasets import known
    from fer_core.datasets.heads import HEADS

    places = {HEADS: "rendered, built in", **{name: str(path) for name, path in known.known().items()}}
    if as_json:
        print(json.dumps(places))
        return
    table = Table("name", "path")
    for name, place in places.items():
        table.add_row(name, escape(place))
    out.print(table)


@data_app.command("show")
def data_show(data: str, on_bad: Bad = None, as_json: AsJson = False) -> None:
    """Count a data set's images by split and expression."""
    from fer_core.datasets import open_dataset
    from fer_core.datasets.summary import counts as count

    dataset = open_dataset(data, on_bad=on_bad)
    counts = count(dataset)
    counts = counts[counts.sum(axis=1) > 0]
    if as_json:
        nested = {split: counts[split].to_dict() for split in sorted(map(str, counts))}
        why = [{"id": entry.id, "reason": entry.reason, "n": entry.n} for entry in dataset.skipped]
        said = {"title": dataset.title, "counts": nested, "skipped": dataset.left_out, "left_out": why}
        print(json.dumps(said))
        return
    report_skipped(dataset)
    counts = counts.rename_axis(dataset.title).reset_index()
    counts.loc[len(counts)] = ["all", *counts.iloc[:, 1:].sum()]
    out.print(table_of("", counts))
    if dataset.protocol:
        out.print(dataset.protocol, soft_wrap=True)


@data_app.command("audit")
def data_audit(data: str, csv: Csv = None, as_json: AsJson = False) -> None:
    """List every change to a data set: which images were left out or relabelled, and why."""
    from fer_core.datasets import cleaning, open_dataset

    table = cleaning.audit(open_dataset(data))
    write(table, csv, as_json)
    if as_json:
        print(table.to_json(orient="records"))
        return
    more = show_first(table, csv)
    counts = ", ".join(f"{change} {n:,}" for change, n in table.groupby("change")["n"].sum().items()) or "none"
    out.print(f"Changes of {data}: {counts}.{more}", soft_wrap=True)
