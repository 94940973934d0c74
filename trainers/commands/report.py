"""`ferscope report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trainers.console import AsJson, app, out


@app.command()
def report(
    networks: Annotated[list[str], typer.Argument(help="One or more networks, by name or folder.")],
    to: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("report"),
    table: Annotated[
        str, typer.Option(help="“<data set>-<split>”. Default: the first table that all networks have.")
    ] = "",
    data: Annotated[
        str, typer.Option(help="Data set with the images, to show the worst errors where its licence allows.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write a report: an HTML file with tables and figures, a model card per network (Markdown), and all tables (csv)."""
    from fer_core.datasets import open_dataset
    from fer_core.reports.evaluation_report import document
    from fer_core.runs.store import find

    made = document(
        list({network.name: network for network in map(find, networks)}.values()),
        table,
        open_dataset(data) if data else None,
    )
    paths = made.write(to)
    if as_json:
        print(json.dumps([str(path) for path in paths]))
        return
    out.print(f"Wrote {paths[0]} and {len(paths) - 1} files beside it.", soft_wrap=True)
