"""`ferscope decide`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from trainers.console import AsJson, app, out


@app.command()
def decide(
    a: Annotated[str, typer.Argument(help="A network, by name or folder.")],
    b: Annotated[str, typer.Argument(help="The other network.")],
    table: Annotated[str, typer.Option(help="“<data set>-<split>”. Default: the first table that both have.")] = "",
    data: Annotated[str, typer.Option(help="Data set with the images, for slices and groups of people.")] = "",
    to: Annotated[Path | None, typer.Option(help="Write the page for sign-off to this HTML file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold two networks side by side for sign-off: a verdict, its reasons, every finding, and what is not known."""
    from fer_core.datasets import open_dataset
    from fer_core.reports.decision import RULE
    from fer_core.reports.decision import decide as decided
    from fer_core.reports.evaluation_report import shared_table
    from fer_core.runs.store import find
    from fer_core.workspace import write_atomically

    networks = find(a), find(b)
    found = decided(*networks, table or shared_table(networks), open_dataset(data) if data else None)
    if to is not None:
        write_atomically(to, found.html().encode())
    if as_json:
        print(json.dumps(asdict(found)))
        return
    out.print(found.verdict, style="bold", soft_wrap=True)
    for line in (*found.reasons, RULE):
        out.print(line, soft_wrap=True)
    shown = Table("topic", f"A: {found.a}", f"B: {found.b}", "B minus A", "favours")
    for row in found.table().drop(columns="p").itertuples(index=False):
        shown.add_row(*map(str, row))
    out.print(shown)
    out.print("Not known:", *(f"- {line}" for line in found.unknown), sep="\n", soft_wrap=True)
