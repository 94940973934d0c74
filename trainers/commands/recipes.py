"""`ferscope recipes`: what can be trained, after which report, with which data, and what came out."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rich.table import Column, Table

from trainers.console import AsJson, app, out


@app.command()
def recipes(as_json: AsJson = False) -> None:
    """List the shipped recipes; of those that repeat a report's table, the data they need and what came out."""
    from fer_core.runs.reproduction import rows
    from fer_core.training.config import load_recipe
    from fer_core.training.config import recipes as shipped

    loaded = {name: load_recipe(path) for name, path in shipped().items()}
    found = {row.recipe: row for row in rows()}
    if as_json:
        status = {name: asdict(row) | {"folder": row.folder and str(row.folder)} for name, row in found.items()}
        print(json.dumps({n: r.model_dump(mode="json") | {"status": status.get(n)} for n, r in loaded.items()}))
        return
    table = Table(Column("recipe", no_wrap=True), "source", "network", "epochs", "data", "reported", "status")
    for name, recipe in loaded.items():
        about, row = recipe.about, found.get(name)
        reported = about.reported
        if row is not None:
            reported = "–" if row.reported is None else f"{100 * row.reported:.1f} %"
        table.add_row(
            name, about.report or about.source, recipe.network, "–" if about.members else str(recipe.epochs),
            ", ".join(about.needs) or about.data, reported, _status(row),
        )  # fmt: skip
    out.print(table)


def _status(row: Any) -> str:
    if row is None:
        return ""
    if row.accuracy is None:
        return str(row.state)
    return f"{100 * row.accuracy:.1f} % ({100 * row.low:.1f} to {100 * row.high:.1f}): {row.verdict}"
