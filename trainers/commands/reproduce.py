"""`ferscope reproduce`: the recipes of the reports, one after the other, within a budget."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from fer_core.errors import FerError, RunError, UnknownName
from trainers.cluster import Cpus, Gpus, On, spread
from trainers.console import AsJson, app, on_interrupt, out, stop_last


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
    from fer_core.datasets import open_dataset
    from fer_core.experiments import reproduction
    from fer_core.runs.folder import RunFolder, Stopped

    configs = reproduction.of_reports()
    patterns = [pattern.strip() for pattern in only.split(",")]
    chosen = [name for pattern in patterns for name in configs if fnmatch(name, pattern)]
    chosen = sorted(dict.fromkeys(chosen), key=lambda name: bool(configs[name].about.members))  # they need the others
    if not chosen:
        raise UnknownName("recipe of a report", only, configs)
    places = reproduction.at_hand(data or [])
    console = Console(quiet=as_json, soft_wrap=not sys.stdout.isatty())
    able = []
    for name in chosen:
        if lacking := reproduction.row(name, configs[name], places).lacking:
            add = f"ferscope data add PATH --name {lacking[0]}"
            console.print(f"{name}: not run, {', '.join(lacking)} missing; add it with `{add}`.")
        else:
            able.append(name)
    done = [name for name in able if reproduction.done_here(name, configs[name])]
    left = [name for name in able if name not in done]
    begun: dict[str, RunFolder] = {}
    asked = [] if on else on_interrupt(lambda: stop_last([*begun.values()]))

    def opened(name: str) -> Any:
        return open_dataset(places[configs[name].about.data])

    def confirm(name: str) -> None:
        run = RunFolder.named(name)
        reproduction.report(run, opened(name), configs[name])  # it may have been ended before its report
        console.print(f"{name}: finished already.")

    def begin(name: str) -> None:
        place = places[configs[name].about.data]
        begun[name] = reproduction.begin(name, configs[name], opened(name), place, minutes)

    def end(name: str) -> None:
        config, dataset = configs[name], opened(name)
        if config.about.members:
            reproduction.vote(name, config, dataset, places[config.about.data])
        else:
            if not on:
                begin(name)
                reproduction.train(begun[name], dataset)
            reproduction.report(begun[name], dataset, config)
        console.print(f"{name}: {said(reproduction.row(name, config, places))}")
        reproduction.write(reproduction.rows(data or []))

    def each(names: Iterable[str], do: Callable[[str], None]) -> None:
        """One that fails says why; the others are none the worse for it."""
        for name in names:
            if asked:
                raise Stopped
            try:
                do(name)
            except Stopped:
                raise
            except (FerError, RuntimeError, OSError) as error:
                console.print(f"{name}: failed. {error}", markup=False)

    try:
        each(done, confirm)
        if on:
            each([name for name in left if not configs[name].about.members], begin)
            try:
                spread([*begun.values()], "reproduction", on, cpus, gpus, console)
            except RunError as error:
                console.print(str(error), markup=False)
            ended = {name for name, run in begun.items() if run.status().state == "finished"}
            left = [name for name in left if name in ended or configs[name].about.members]
        each(left, end)
    except Stopped:
        stopped = ", ".join(name for name, run in begun.items() if run.status().state == "stopped")
        console.print(f"Stopped{stopped and ' and saved in '}{stopped}. The same command goes on.")
        raise typer.Exit(130) from None
    found = [row for row in reproduction.rows(data or []) if row.recipe in chosen]
    path = reproduction.write(reproduction.rows(data or []))
    if as_json:
        print(json.dumps(reproduction.table(found).to_dict("records"), default=str))
        return
    figures = (
        Column(name, justify="right") for name in ("reported, %", "reproduced, %", "95 %", "n", "epochs", "CPU min")
    )
    shown = Table(Column("recipe", no_wrap=True), *figures, "verdict")
    for row in found:
        percent = ("–", "–") if row.accuracy is None else (f"{100 * row.accuracy:.1f}", bounds(row))
        shown.add_row(
            row.recipe, "–" if row.reported is None else f"{100 * row.reported:.1f}", *percent, f"{row.n:,}" if row.n else "–",
            f"{row.epochs} of {row.asked}" if row.n else "–",
            "–" if row.cpu_minutes is None else f"{row.cpu_minutes:.1f}", row.verdict or row.state,
        )  # fmt: skip
    out.print(shown)
    console.print(f"Table written to {path}")


def bounds(row: Any) -> str:
    return f"{100 * row.low:.1f} to {100 * row.high:.1f}"


def said(row: Any) -> str:
    reported = "nothing" if row.reported is None else f"{row.reported:.2%}"
    return f"{row.accuracy:.2%} ({bounds(row)}), n = {row.n:,}; {reported} reported; {row.verdict}."
