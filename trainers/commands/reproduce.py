"""`ferscope reproduce`: the recipes of the reports, one after the other, within a budget."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from fer_core.workspace import home
from trainers.cluster import Cpus, Gpus, On, spread
from trainers.console import AsJson, app, on_interrupt, out, stop_last

if TYPE_CHECKING:
    from fer_core.experiments.reproduction import Row


@app.command()
def reproduce(
    only: Annotated[
        str, typer.Option(help="Names or patterns of recipes, such as “buffalo-*”, separated by commas.")
    ] = "*",
    minutes: Annotated[
        float, typer.Option(min=0.01, help="Minutes per recipe: processor time, or time on a GPU.")
    ] = 30,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Path or name of a data set; may be repeated.")
    ] = None,
    on: On = "",
    cpus: Cpus = 1.0,
    gpus: Gpus = None,
    as_json: AsJson = False,
) -> None:
    """Run the recipes that reproduce a report's table, and write the reported beside the reproduced figures.

    Each recipe becomes a run of its name, with as many epochs as fit the minutes. Finished runs are skipped, stopped
    runs continue, and a failed run does not stop the others. Ctrl-C saves. With --on, runs train in parallel on a
    cluster; the time is measured, and ensembles are evaluated, on this machine.
    """
    from fer_core.experiments.reproduction import PLACE, table
    from fer_core.experiments.reproduction_runs import Reproduction
    from fer_core.runs.folder import Stopped

    console = Console(quiet=as_json, soft_wrap=not sys.stdout.isatty())
    made = Reproduction(only, data or [], minutes, say=lambda line: console.print(line, markup=False))
    asked = [] if on else on_interrupt(lambda: stop_last([*made.begun.values()]))
    together = (lambda runs: spread(runs, "reproduction", on, cpus, gpus, console)) if on else None
    try:
        found = made.run(lambda: bool(asked), together)
    except Stopped:
        names = ", ".join(made.stopped)
        console.print(f"Stopped{names and ' and saved in '}{names}. The same command continues.")
        raise typer.Exit(130) from None
    if as_json:
        print(json.dumps(table(found).to_dict("records"), default=str))
        return
    out.print(shown(found))
    console.print(f"Table written to {home() / PLACE}")


def shown(found: Sequence[Row]) -> Table:
    """Reported and reproduced accuracy, one row per recipe."""
    figures = ("reported, %", "reproduced, %", "95 % interval", "n", "epochs", "CPU min")
    made = Table(Column("recipe", no_wrap=True), *(Column(name, justify="right") for name in figures), "verdict")
    for row in found:
        made.add_row(
            row.recipe,
            "–" if row.reported is None else f"{100 * row.reported:.1f}",
            "–" if row.accuracy is None else f"{100 * row.accuracy:.1f}",
            row.bounds,
            f"{row.n:,}" if row.n else "–",
            f"{row.epochs} of {row.asked}" if row.n else "–",
            "–" if row.cpu_minutes is None else f"{row.cpu_minutes:.1f}",
            row.verdict or row.state,
        )
    return made
