"""`ferscope data check`, `faceless` and `leaks`: what is wrong with a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress

from trainers.commands.data import Csv, data_app, show_first, table_of, write
from trainers.console import AsJson, Bad, Detector, out


@data_app.command("check")
def data_check(data: str, on_bad: Bad = None, as_json: AsJson = False) -> None:
    """Find duplicates within and across splits, contradicting labels, and blank images."""
    from fer_core.datasets import open_dataset
    from fer_core.datasets.check import check

    found = check(open_dataset(data, on_bad=on_bad))
    if as_json:
        print(json.dumps(found.to_json()))
        return
    for sentence in found.sentences():
        out.print(sentence, soft_wrap=True)
    if len(found.across):
        out.print(table_of("groups that touch", found.across))


@data_app.command("faceless")
def data_faceless(
    data: str,
    detector: Detector = "mtcnn",
    on_bad: Bad = None,
    csv: Csv = None,
    as_json: AsJson = False,
) -> None:
    """List the images that show no face, according to FER+'s votes if there are any, otherwise to a face detector."""
    from fer_core.datasets import open_dataset
    from fer_core.datasets.faceless import faceless_of

    dataset = open_dataset(data, on_bad=on_bad)
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task("Looking for faces", total=None)
        table = faceless_of(dataset, detector, lambda done, total: bar.update(task, completed=done, total=total))
    write(table, csv, as_json)
    if as_json:
        print(table.to_json(orient="records"))
        return
    more = show_first(table, csv)
    out.print(
        f"{len(table):,} of {len(dataset):,} images show no face.{more} A detector also misses dark, turned and covered faces. "
        f"Check the images, then drop them with: ferscope data clean {data} --steps faceless",
        soft_wrap=True,
    )


@data_app.command("leaks")
def data_leaks(
    data: str,
    split: Annotated[str, typer.Option(help="Split to evaluate on.")] = "val",
    into: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    turned: Annotated[
        bool, typer.Option("--turned", help="Also find rotated or shifted copies. This takes minutes.")
    ] = False,
    near: Annotated[
        Path | None,
        typer.Option("--near", dir_okay=False, help="Write the images that are only similar to this file."),
    ] = None,
    on_bad: Bad = None,
    csv: Csv = None,
    as_json: AsJson = False,
) -> None:
    """List the images of a split that also occur in another split, each with its duplicate.

    The table has identical and mirrored images. Similar images, copies recognised by their file names and, with --turned,
    rotated or shifted copies are counted separately.
    """
    from fer_core.datasets import open_dataset
    from fer_core.datasets.check import copies_between

    found = copies_between(open_dataset(data, on_bad=on_bad), split, into, turned=turned)
    write(found.leaks, csv, as_json)
    if near:
        write(found.alike, near, as_json)
    if as_json:
        print(found.leaks.to_json(orient="records"))
        return
    for sentence in found.sentences():
        out.print(escape(sentence), soft_wrap=True)
