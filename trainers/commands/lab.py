"""`ferscope lab`: experiments on a network with rendered heads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import pandas as pd
import typer

from fer_core.evaluation.comparison import p_value
from fer_core.evaluation.intervals import bounded
from fer_core.lab.curve import STEPS
from fer_core.lab.muscles import PEOPLE as MUSCLE_PEOPLE
from fer_core.lab.smallest import PEOPLE as SMALLEST_PEOPLE
from fer_core.lab.truth import PEOPLE as TRUTH_PEOPLE
from fer_core.lab.view import PEOPLE as VIEW_PEOPLE
from fer_core.lab.view import VIEWS
from fer_core.lab.who import LIMITS, MAIN, PROPERTIES
from fer_core.lab.who import PEOPLE as WHO_PEOPLE
from trainers.console import AsJson, app, figures_table, out

if TYPE_CHECKING:
    from fer_core.lab.results import Result

lab_app = typer.Typer(no_args_is_help=True, help="Experiments on a network with rendered heads.")
app.add_typer(lab_app, name="lab")

Networks = Annotated[list[str], typer.Argument(help="Names of networks or runs, or the paths of their folders.")]
Shown = Annotated[str, typer.Option("--expression", help="What the heads show, such as happy.")]
MouthState = Annotated[
    Literal["open", "closed"] | None,
    typer.Option("--mouth", help="Default: as most people show the expression."),
]
People = Annotated[int, typer.Option("--people", help="Number of rendered people, at least 8.")]
Seed = Annotated[int, typer.Option(min=0, help="Other people with another seed.")]
Csv = Annotated[Path | None, typer.Option("--csv", dir_okay=False, help="Write the table to this file.")]


class Found(NamedTuple):
    """What is printed of one network: sentences, the table, and the figures of the table that are shown."""

    sentence: str
    table: pd.DataFrame
    shown: pd.DataFrame


@lab_app.command("curve")
def curve(
    networks: Networks, expression: Shown = "happy", people: People = 60,
    steps: Annotated[int, typer.Option(help="Number of intensities from 0 to 1, at least 5.")] = STEPS,
    mouth: MouthState = None, seed: Seed = 0, csv: Csv = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Measure how much of an expression a network needs: a response curve, its threshold, slope and lapse rate."""
    from fer_core.lab import curve as lab

    def one(measured: Callable[..., Result]) -> Found:
        found = measured(lab.measure, expression, people, steps, mouth, seed)
        table = found.table
        own = table[table["expression"] == expression]
        shown = pd.DataFrame(
            {
                "intensity": [f"{x:.2f}" for x in own["intensity"]],
                "probability": [bounded(*row) for row in own[["probability", "low", "high"]].to_numpy()],
                "predicted": [
                    bounded(*row) for row in own[["predicted", "predicted_low", "predicted_high"]].to_numpy()
                ],
            }
        )
        return Found(found.sentence, table, shown)

    _print(networks, one, csv, as_json)


@lab_app.command("muscles")
def muscles(
    networks: Networks, expression: Shown = "happy", people: People = MUSCLE_PEOPLE, mouth: MouthState = None,
    seed: Seed = 0, csv: Csv = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Measure which action units of an expression a network uses: alone, taken away, and by Shapley values."""
    from fer_core.lab import muscles as lab

    def one(measured: Callable[..., Result]) -> Found:
        found = measured(lab.measure, expression, people, mouth, seed)
        table = found.table
        shown = pd.DataFrame(
            {
                "action unit": [
                    f"AU{row.unit} {row.name_}" for row in table.rename(columns={"name": "name_"}).itertuples()
                ],
                "alone": [f"{100 * value:+.1f}" for value in table["alone"]],
                "missing": [f"{-100 * value:+.1f}" for value in table["without"]],
                "Shapley value": [_change(*row) for row in table[["difference", "low", "high"]].to_numpy()],
                "p (Holm)": [p_value(value) for value in table["p_adjusted"]],
            }
        )
        return Found(found.sentence, table, shown)

    _print(networks, one, csv, as_json)


@lab_app.command("who")
def who(
    networks: Networks, expression: Shown = "neutral",
    change: Annotated[
        list[str] | None,
        typer.Option("--change", help=f"What is changed: {', '.join(PROPERTIES)}. Can be repeated. Default: {', '.join(MAIN)}."),
    ] = None,
    people: People = WHO_PEOPLE, seed: Seed = 0, csv: Csv = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Measure what changes when only the person does: age, sex, ancestry, skin tone and more, paired over people."""
    from fer_core.lab import who as lab

    def one(measured: Callable[..., Result]) -> Found:
        found = measured(lab.measure, expression, change or list(MAIN), people, seed)
        table = found.table
        shown = pd.DataFrame(
            {
                "change": table["title"] + ": " + table["from"] + " to " + table["to"],
                "answer": table["answer"],
                "difference (points)": [_change(*row) for row in table[["difference", "low", "high"]].to_numpy()],
                "p (Holm)": [p_value(value) for value in table["p_adjusted"]],
            }
        )
        return Found(found.sentence, table, shown)

    _print(networks, one, csv, as_json, after=LIMITS)


@lab_app.command("truth")
def truth(
    networks: Networks,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="An attribution method. Can be repeated. Default: the nine quick ones."),
    ] = None,
    people: People = TRUTH_PEOPLE, seed: Seed = 0, csv: Csv = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Measure how much of each method's map lies on the pixels that an expression really moves or shades."""
    from fer_core.lab import truth as lab

    def one(measured: Callable[..., Result]) -> Found:
        found = measured(lab.measure, method or list(lab.QUICK), people, seed)
        table = found.table
        whole = table[table["expression"] == lab.ALL]
        shown = pd.DataFrame(
            {
                "method": whole["title"],
                "attribution on the truth": [
                    bounded(*row) for row in whole[["mass", "mass_low", "mass_high"]].to_numpy()
                ],
                "maximum on the truth": [
                    bounded(*row) for row in whole[["pointing", "pointing_low", "pointing_high"]].to_numpy()
                ],
                "more than a blob (points)": [_change(*row) for row in whole[["difference", "low", "high"]].to_numpy()],
                "p (Holm)": ["control" if pd.isna(value) else p_value(value) for value in whole["p_adjusted"]],
            }
        )
        return Found(found.sentence, table, shown)

    _print(networks, one, csv, as_json)


@lab_app.command("view")
def view(
    networks: Networks,
    change: Annotated[str, typer.Option("--change", help=f"What is changed: {', '.join(VIEWS)}.")] = "margin",
    people: People = VIEW_PEOPLE, seed: Seed = 0, csv: Csv = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Measure accuracy against pose, light, or how the face is cut, compared with the usual value on the same people."""
    from fer_core.lab import view as lab

    def one(measured: Callable[..., Result]) -> Found:
        found = measured(lab.measure, change, people, seed)
        table = found.table
        whole = table[table["expression"] == lab.ALL]
        shown = pd.DataFrame(
            {
                VIEWS[change].title: [lab.worded(change, value) for value in whole["value"]],
                "accuracy": [bounded(*row) for row in whole[["accuracy", "accuracy_low", "accuracy_high"]].to_numpy()],
                "difference (points)": [_change(*row) for row in whole[["difference", "low", "high"]].to_numpy()],
                "p (Holm)": ["usual" if pd.isna(value) else p_value(value) for value in whole["p_adjusted"]],
            }
        )
        return Found(found.sentence, table, shown)

    _print(networks, one, csv, as_json)


@lab_app.command("smallest")
def smallest(
    networks: Networks, expression: Shown = "happy",
    to: Annotated[str, typer.Option("--to", help="The answer that the expression is to turn into.")] = "neutral",
    people: People = SMALLEST_PEOPLE, seed: Seed = 0, csv: Csv = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Search the smallest movements of faces that turn one answer of a network into another."""
    from fer_core.lab import smallest as lab

    def one(measured: Callable[..., Result]) -> Found:
        found = measured(lab.measure, expression, to, people, seed)
        table = found.table
        shown = pd.DataFrame(
            {
                "action unit": [f"AU{unit} {title}" for unit, title in zip(table["unit"], table["title"], strict=True)],
                "used on (%)": [bounded(*row) for row in table[["share", "low", "high"]].to_numpy()],
                "change (%)": [f"{100 * value:+.0f}" for value in table["change"]],
            }
        )
        return Found(found.sentence, table, shown)

    _print(networks, one, csv, as_json)


_change = partial(bounded, form="+.1f")


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; Ctrl-C ends the command, and the people that are done are kept."""
    from rich.progress import Progress

    with Progress(console=out, transient=True, disable=quiet) as bar:
        task = bar.add_task("People")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(
    names: Sequence[str],
    ask: Callable[[Callable[..., Result]], Found],
    csv: Path | None,
    as_json: bool,
    after: str = "",
) -> None:
    from fer_core.lab.results import measured
    from fer_core.runs.store import find
    from fer_core.serving.predictor import LoadedNetwork
    from fer_core.workspace import write_atomically

    tables, sentences = {}, {}
    for name in names:
        checkpoint = find(name)
        with _bar(as_json) as progress:
            found = ask(partial(measured, checkpoint.folder, LoadedNetwork.of(checkpoint.folder), progress=progress))
        tables[checkpoint.name], sentences[checkpoint.name] = found.table, found.sentence
        if not as_json:
            out.print(found.sentence, soft_wrap=True, highlight=False)
            shown = figures_table(*found.shown.columns)
            for row in found.shown.itertuples(index=False):
                shown.add_row(*map(str, row))
            out.print(shown)
    if as_json:
        rows = {name: table.to_dict("records") for name, table in tables.items()}
        print(json.dumps({name: {"sentence": sentences[name], "rows": rows[name]} for name in tables}))
    elif after:
        out.print(after, soft_wrap=True)
    if csv is not None:
        whole = pd.concat(tables, names=["network"]).reset_index("network")
        write_atomically(csv, whole.to_csv(index=False).encode())
        if not as_json:
            out.print(f"Table written to {csv}", soft_wrap=True)
