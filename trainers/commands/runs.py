"""`ferscope runs`: the training runs of this workspace."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from fer_core.errors import ConfigError
from trainers.console import AsJson, app, out

runs_app = typer.Typer(no_args_is_help=True, help="Training runs of this workspace.")
app.add_typer(runs_app, name="runs")


@runs_app.command("list")
def runs_list(as_json: AsJson = False) -> None:
    """List the runs, the newest first."""
    from dataclasses import asdict

    from fer_core.runs.store import runs

    states = {run.name: run.status() for run in runs()}
    if as_json:
        print(json.dumps({name: asdict(status) for name, status in states.items()}))
        return
    table = Table("run", "state", "progress", "left", "data", "message")
    for name, status in states.items():
        table.add_row(name, status.state, f"{status.progress:.0%}", status.time_left, status.data, status.message)
    out.print(table)


@runs_app.command("stop")
def runs_stop(name: str) -> None:
    """Ask a run to finish its step, save and end."""
    from fer_core.runs.folder import RunFolder

    run = RunFolder.named(name)
    if run.status().state != "running":
        raise ConfigError(f"The run “{name}” is {run.status().state}; only a running one can be stopped.")
    run.request_stop()
    out.print(f"Asked “{name}” to stop; it saves first.")


@runs_app.command("promote")
def runs_promote(
    name: str, to: Annotated[str, typer.Option(help="Its name there; the run's when not given.")] = ""
) -> None:
    """Copy a finished run to `checkpoints/`, where the networks to be shipped lie."""
    from fer_core.runs.store import promote

    out.print(f"Copied to {promote(name, to)}", soft_wrap=True)
