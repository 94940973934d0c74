"""`ferscope runs`: the training runs of this workspace."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from trainers.console import AsJson, app, out

runs_app = typer.Typer(no_args_is_help=True, help="Training runs of this workspace.")
app.add_typer(runs_app, name="runs")
Name = Annotated[str, typer.Argument(help="Name of the run.")]


@runs_app.command("list")
def runs_list(
    tag: Annotated[str, typer.Option(help="Only runs with this tag.")] = "",
    state: Annotated[str, typer.Option(help="Only runs in this state.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the runs, the newest first."""
    from dataclasses import asdict

    from fer_core.runs.store import damaged, runs

    found = {run: status for run in runs() if state in ("", (status := run.look()).state)}
    notes = {run: run.notes() for run in found}
    found = {run: status for run, status in found.items() if not tag or tag in notes[run].tags}
    if as_json:
        print(json.dumps({run.name: asdict(status) | asdict(notes[run]) for run, status in found.items()}))
        return
    if not found:
        chosen = " of this tag and state" if tag or state else ""
        out.print(f"No run{chosen}. Start one: ferscope train heads --data heads", soft_wrap=True)
        return
    problems = damaged()
    table = Table("run", "state", "progress", "left", "data", "tags", "message")
    for run, status in found.items():
        table.add_row(
            run.name, status.state, f"{status.progress:.0%}", status.time_left,
            *map(escape, (status.data, ", ".join(notes[run].tags), " ".join(problems.get(run.name) or [status.message]))),
        )  # fmt: skip
    for column in table.columns[:4]:
        column.no_wrap = True  # a name cut off names nothing
    out.print(table)


@runs_app.command("show")
def runs_show(name: Name, as_json: AsJson = False) -> None:
    """Show a run: its state, best epoch, diagnosis and recipe."""
    from dataclasses import asdict

    from fer_core.recipe import to_toml
    from fer_core.runs.diagnosis import diagnose
    from fer_core.runs.folder import RunFolder, best_epoch

    run = RunFolder.named(name)
    status, results, notes = run.status(), run.metrics(), run.notes()
    best = best_epoch(results)
    said = diagnose(results, 0 if status.state == "finished" else status.epochs)
    if as_json:
        values = {"best": best and asdict(best), "epochs_done": len(results), "diagnosis": said and asdict(said)}
        recipe = run.config().model_dump(mode="json")
        print(json.dumps({"run": name, **asdict(status), **asdict(notes), **values, "recipe": recipe}))
        return
    print_state(name, status)
    if best:
        out.print(f"Best epoch {best.epoch}: validation accuracy {best.val_accuracy:.2%}.")
    if said:
        out.print(said.sentence, soft_wrap=True)
    if notes.tags or notes.note:
        out.print(" ".join([*(f"[{tag}]" for tag in notes.tags), notes.note]), markup=False)
    out.print(to_toml(run.config()), markup=False)
    if status.state in ("failed", "lost"):
        out.print(log_tail(run), markup=False)


def print_state(name: str, status: Any) -> None:
    left = f", {status.time_left} left" if status.time_left else ""
    out.print(
        f"{name}: {status.state}, {status.progress:.0%} done{left}. {status.message}".rstrip(),
        soft_wrap=True,
        markup=False,
    )


def log_tail(run: Any, lines: int = 20) -> str:
    return (
        "\n".join(run.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        if run.log.exists()
        else ""
    )


@runs_app.command("watch")
def runs_watch(name: Name) -> None:
    """Follow a run until it ends; Ctrl-C stops following, not the run."""
    from fer_core.runs.folder import HEARTBEAT, RunFolder

    run = RunFolder.named(name)

    def shown(status: Any) -> Table:
        table = Table("epoch", "train loss", "train accuracy", "validation loss", "validation accuracy", "lr")
        for result in run.metrics()[-10:]:
            table.add_row(
                str(result.epoch), f"{result.train_loss:.3f}", f"{result.train_accuracy:.2%}",
                "–" if result.val_loss is None else f"{result.val_loss:.3f}",
                "–" if result.val_accuracy is None else f"{result.val_accuracy:.2%}", f"{result.lr:.2g}",
            )  # fmt: skip
        speed = f", {status.images_per_second:,.0f} images/s, {status.time_left} left" if status.time_left else ""
        table.caption = f"{status.state}, epoch {status.epoch} of {status.epochs}{speed}"
        return table

    status = run.status()
    try:
        with Live(shown(status), console=out, auto_refresh=False) as live:
            while status.active and status.pid:
                time.sleep(HEARTBEAT / 4)
                status = run.status()
                live.update(shown(status), refresh=True)
    except KeyboardInterrupt:
        out.print("The run goes on.")
        return
    print_state(name, status)


@runs_app.command("stop")
def runs_stop(
    name: Name,
    now: Annotated[bool, typer.Option("--now", help="Kill it at once. The work since its last save is lost.")] = False,
) -> None:
    """Ask a run to save and end. It is killed if it has not ended after a minute."""
    from fer_core.runs.folder import RunFolder
    from fer_core.training.launch import kill, stop

    run = RunFolder.named(name)
    if now:
        kill(run)
        out.print(f"Killed “{name}”; `ferscope runs resume {name}` continues from its last save.")
    else:
        stop(run)
        out.print(f"Asked “{name}” to stop; it saves first.")


@runs_app.command("resume")
def runs_resume(name: Name) -> None:
    """Continue a run in the background, from its last save, when its device is free."""
    from fer_core.runs.folder import RunFolder
    from fer_core.training.launch import launch

    launch(RunFolder.named(name))
    out.print(f"Started “{name}”; `ferscope runs watch {name}` follows it.")


@runs_app.command("queue")
def runs_queue(as_json: AsJson = False) -> None:
    """Show which run uses each device of this machine, and which runs wait for it."""
    from fer_core.runs.queue import lines

    found = {device: [ticket.name for ticket in tickets] for device, tickets in lines().items()}
    if as_json:
        print(json.dumps(found))
        return
    if not found:
        out.print("Nothing runs and nothing waits.")
    for device, names in found.items():
        table = Table("place", "name", title=f"device {device}")
        for place, name in enumerate(names):
            table.add_row(str(place) if place else "has it", name)
        out.print(table)


@runs_app.command("rm")
def runs_rm(names: Annotated[list[str], typer.Argument(help="Names of the runs.")]) -> None:
    """Move runs to the workspace's trash; `ferscope runs restore NAME` brings one back."""
    from fer_core.runs.store import trash

    for name in names:
        out.print(f"Moved “{name}” to {trash(name)}", soft_wrap=True)


@runs_app.command("restore")
def runs_restore(name: Name) -> None:
    """Restore the run that was last deleted under this name."""
    from fer_core.runs.store import restore

    out.print(f"Brought back to {restore(name).path}", soft_wrap=True)


@runs_app.command("rename")
def runs_rename(name: Name, new: str) -> None:
    """Give a run another name."""
    from fer_core.runs.store import rename

    out.print(f"“{name}” is now “{rename(name, new).name}”.")


@runs_app.command("clone")
def runs_clone(name: Name, new: str) -> None:
    """Make a new run with the recipe and data of another; `ferscope runs resume NEW` starts it."""
    from fer_core.runs.store import clone

    out.print(f"Made “{clone(name, new).name}”; `ferscope runs resume {new}` starts it.")


@runs_app.command("tag")
def runs_tag(
    name: Name,
    tags: Annotated[list[str] | None, typer.Argument(help="All tags of the run; none removes them.")] = None,
    note: Annotated[str | None, typer.Option(help="A note to keep with the run.")] = None,
) -> None:
    """Set the tags of a run, and its note."""
    from dataclasses import replace

    from fer_core.runs.folder import RunFolder

    run = RunFolder.named(name)
    run.status()  # there is one
    notes = run.notes()
    if tags or note is None:
        notes = replace(notes, tags=tuple(tags or ()))
    notes = replace(notes, note=notes.note if note is None else note)
    run.write_notes(notes)
    out.print(f"{name}: {', '.join(notes.tags) or 'no tags'}. {notes.note}".rstrip(), markup=False)


@runs_app.command("promote")
def runs_promote(
    name: Name,
    to: Annotated[str, typer.Option(help="Name in checkpoints/. Default: the name of the run.")] = "",
    half: Annotated[bool, typer.Option(help="Round the weights to 16 bits, and evaluate the rounded network.")] = False,
) -> None:
    """Copy a finished run to `checkpoints/`, to ship it with the program."""
    from fer_core.checkpoint import write_card
    from fer_core.datasets import open_dataset
    from fer_core.evaluation.predict import answers
    from fer_core.evaluation.results import obtained, results
    from fer_core.runs.folder import RunFolder
    from fer_core.runs.store import promote

    run = RunFolder.named(name)
    data = run.status().data
    split = run.config().val_split if half else ""
    dataset = open_dataset(data) if split else None  # before anything is shipped: the data may be gone
    target = promote(name, to, half=half)
    if dataset is not None:
        predictions, card = answers(target, dataset, split)
        predictions.write(target / f"predictions-{dataset.name}-{split}.parquet")
        figures = results(predictions, dataset, split, run.config().train_split, obtained(card, dataset, split))
        write_card(target, card.model_copy(update={"results": {f"{dataset.name}-{split}": figures}}))
    out.print(f"Copied to {target}", soft_wrap=True)
