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
    only: Annotated[str, typer.Option(help="Recipes by name, as “buffalo-*”; several separated by commas.")] = "*",
    minutes: Annotated[float, typer.Option(min=0.01, help="For each recipe: processor time, or time on a GPU.")] = 30,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Path or name of a data set; may be repeated.")
    ] = None,
    on: On = "",
    cpus: Cpus = 1.0,
    gpus: Gpus = None,
    as_json: AsJson = False,
) -> None:
    """Run the recipes that repeat a report's table, in the order given, and write reported beside reproduced figures.

    Each is an ordinary run of the recipe's name, with as many of its epochs as fit the minutes. Finished ones are not
    run again, stopped ones go on, and one that fails does not end the rest. Ctrl-C saves. With --on they train side by
    side on a cluster; what fits the minutes is measured here, and ensembles vote here.
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
    """Reported beside reproduced accuracy, a row a recipe."""
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
