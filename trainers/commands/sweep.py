"""`ferscope sweep` and `ferscope sweeps`: searching a recipe's settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from fer_core.errors import ConfigError
from trainers.cluster import Cpus, Gpus, On, joined
from trainers.console import AsJson, app, on_interrupt, out, refuse_beside_resume

sweeps_app = typer.Typer(no_args_is_help=True, help="Sweeps of this workspace.")
app.add_typer(sweeps_app, name="sweeps")


@app.command()
def sweep(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="Name of a shipped sweep file, or the path of a TOML file.")] = "",
    data: Annotated[str, typer.Option(help="Path of a csv or folder, or the name of a known data set.")] = "",
    name: Annotated[str, typer.Option(help="Name of the sweep. Default: the name of the file.")] = "",
    resume: Annotated[str, typer.Option(help="Continue this sweep.")] = "",
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Number of processes that train trials in parallel.")
    ] = 1,
    on: On = "",
    cpus: Cpus = 1.0,
    gpus: Gpus = None,
    as_json: AsJson = False,
) -> None:
    """Search a recipe's settings; each trial is a run. Ctrl-C saves; the same command, or --resume NAME, continues."""
    from fer_core.datasets import open_dataset
    from fer_core.experiments.sweep_folder import SweepFolder
    from fer_core.experiments.sweep_process import run_workers

    if bool(file) == bool(resume):
        raise ConfigError("Give a sweep file to start (ferscope sweep FILE --data PATH), or --resume NAME to continue.")
    if resume:
        refuse_beside_resume(context, "workers")
    if on and workers > 1:
        raise ConfigError(
            "--workers is for this machine; with --on the cluster runs as many trials as it has room for."
        )
    if resume:
        folder = SweepFolder.named(resume)
    else:
        if not data:
            raise ConfigError("--data is missing: the path of a csv or folder, or “heads” for the rendered heads.")
        open_dataset(data)  # what is wrong with it is said once, here; the workers read the cache
        absolute = str(Path(data).resolve()) if Path(data).exists() else data
        folder = SweepFolder.create(name or Path(file).stem, file, absolute)
    folder.begin()
    if on:
        _there(folder, on, cpus, gpus, as_json)
    else:
        on_interrupt(folder.request_stop)
        run_workers(folder, workers, lambda line: None if as_json else out.print(line, soft_wrap=True, markup=False))
    shown(folder, as_json)


def _there(folder: Any, on: str, cpus: float, gpus: float | None, quiet: bool) -> None:
    """Run the trials as tasks of a Ray cluster."""
    from fer_core.datasets import open_dataset
    from fer_core.experiments.sweep_process import report_ended
    from fer_core.experiments.sweep_worker import take

    study, dataset = folder.study(), open_dataset(folder.data)
    told: set[str] = set()

    def say(line: str) -> None:
        if not quiet:
            out.print(line, soft_wrap=True, markup=False)

    def next_run(busy: frozenset[str]) -> Any:
        taken = take(folder, study, dataset, busy)
        return taken and taken[1]

    device = folder.sweep.config({}).device
    with joined(on, cpus, gpus, name=folder.name, device=device, stop=folder.request_stop) as cluster:
        cluster.train(next_run, stop=lambda: folder.stop_requested, look=lambda: report_ended(folder, told, say))


def shown(folder: Any, as_json: bool) -> None:
    """The trials, best first."""
    trials = sorted(folder.trials(), key=lambda trial: -(trial.accuracy or 0))
    if as_json:
        rows = [
            {"trial": t.number, "run": t.run.name, "state": "pruned" if t.pruned else t.status.state, **t.values}
            | {"accuracy": t.accuracy, "interval": t.bounds, "epochs": t.epochs, "n": t.n}
            for t in trials
        ]
        print(json.dumps({"sweep": folder.name, "total": folder.sweep.total, "trials": rows}))
        return
    ended = sum(not trial.status.active and (trial.pruned or trial.status.state != "stopped") for trial in trials)
    out.print(f"{folder.name}: {ended} of {folder.sweep.total} trials have ended.")
    table = Table("trial", "state", "accuracy, % (95 %)", "epochs", "settings")
    for trial in trials[:10]:
        bounds = f" ({trial.bounds.text()})" if trial.bounds else ""
        figure = f"{100 * trial.accuracy:.1f}{bounds}" if trial.accuracy is not None else ""
        state = "pruned" if trial.pruned else trial.status.state
        values = (f"{key} = {f'{v:.4g}' if isinstance(v, float) else v}" for key, v in trial.values.items())
        table.add_row(str(trial.number), state, figure, str(trial.epochs), ", ".join(values))
    for column in table.columns[:-1]:
        column.no_wrap = True
    out.print(table)


@sweeps_app.command("list")
def sweeps_list(as_json: AsJson = False) -> None:
    """List the sweeps of this workspace, and the sweep files that are shipped."""
    from fer_core.experiments.sweep_file import load_sweep, sweep_files
    from fer_core.experiments.sweep_folder import sweeps

    found = {folder.name: {"trials": len(folder.trials()), "total": folder.sweep.total} for folder in sweeps()}
    files = {name: load_sweep(path).about.title for name, path in sweep_files().items()}
    if as_json:
        print(json.dumps({"sweeps": found, "files": files}))
        return
    table = Table("sweep", "trials")
    for name, counts in found.items():
        table.add_row(name, f"{counts['trials']} of {counts['total']}")
    out.print(table)
    for name, title in files.items():
        out.print(f"Shipped: {name} ({title})")


@sweeps_app.command("show")
def sweeps_show(name: str, as_json: AsJson = False) -> None:
    """Show the best trials of a sweep."""
    from fer_core.experiments.sweep_folder import SweepFolder

    folder = SweepFolder.named(name)
    folder.data  # noqa: B018 there is such a sweep
    shown(folder, as_json)


@sweeps_app.command("stop")
def sweeps_stop(name: str) -> None:
    """Ask a sweep's workers to save their trials and end; `ferscope sweep --resume NAME` continues it."""
    from fer_core.experiments.sweep_folder import SweepFolder

    folder = SweepFolder.named(name)
    folder.data  # noqa: B018 there is such a sweep
    folder.request_stop()
    out.print(f"Asked “{name}” to stop; its trials are saved first.")
