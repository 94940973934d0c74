"""`ferscope recipes`: the shipped recipes with source, data and result."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Column, Table

from fer_core.evaluation.intervals import bounded
from trainers.console import AsJson, app, out

if TYPE_CHECKING:
    from fer_core.experiments.reproduction import Row
    from fer_core.recipe import TrainConfig


@app.command()
def recipes(as_json: AsJson = False) -> None:
    """List the shipped recipes; for those that reproduce a report's table, the data they need and the result."""
    from fer_core.experiments.reproduction import rows
    from fer_core.recipe import load_recipe
    from fer_core.recipe import recipes as shipped

    loaded = {name: load_recipe(path) for name, path in shipped().items()}
    found = {row.recipe: row for row in rows()}
    if as_json:
        status = {name: asdict(row) | {"folder": row.folder and str(row.folder)} for name, row in found.items()}
        print(json.dumps({n: r.model_dump(mode="json") | {"status": status.get(n)} for n, r in loaded.items()}))
        return
    table = Table(Column("recipe", no_wrap=True), Column("reported, %", justify="right"), "status")
    for name in loaded:
        row = found.get(name)
        reported = "" if row is None else "–" if row.reported is None else f"{100 * row.reported:.1f}"
        table.add_row(name, reported, _status(loaded[name], row))
    out.print(table)


def _status(recipe: TrainConfig, row: Row | None) -> str:
    """The result, the missing data, or the title of a recipe that reproduces no report."""
    if row is None:
        return recipe.about.title
    if row.accuracy is None:
        return f"{', '.join(row.lacking)} missing" if row.lacking else str(row.state)
    return f"{percent(row)}: {row.verdict}"


def percent(row: Row) -> str:
    if row.accuracy is None or row.low is None or row.high is None:
        return "–"
    return bounded(row.accuracy, row.low, row.high)
