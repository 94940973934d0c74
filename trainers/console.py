"""What all commands share: the app they register on, the console and common options."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from fer_core.errors import ConfigError
from fer_core.faces import DETECTORS

if TYPE_CHECKING:
    from fer_core.datasets import Dataset
    from fer_core.runs.folder import RunFolder

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
out = Console()


Data = Annotated[str, typer.Option("--data", help="Path of a csv file or folder, or the name of an added data set.")]
Bad = Annotated[
    Literal["refuse", "skip"] | None,
    typer.Option(
        "--on-bad",
        help="What to do with images that cannot be read. Default: as chosen when the data set was added, otherwise refuse.",
    ),
]
Detector = Annotated[
    str,
    typer.Option(
        "--detector",
        help=f"Face detector: {', '.join(DETECTORS.names())}; none where the images are faces already.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


def refuse_beside_resume(context: typer.Context, *allowed: str) -> None:
    """
    Raises:
        ConfigError: an option was given beside `--resume` that only applies to a new run.
    """
    free = {"resume", "on", "cpus", "gpus", "as_json", *allowed}
    sources = {option: context.get_parameter_source(option.name) for option in context.command.params if option.name}
    given = [
        option.opts[0] for option, source in sources.items()
        if source and source.name == "COMMANDLINE" and option.name not in free
    ]  # fmt: skip
    if given:
        raise ConfigError(
            f"--resume {context.params['resume']} continues with its own settings: leave out {', '.join(given)}, or start anew."
        )


def on_interrupt(stop: Callable[[], object]) -> list[int]:
    """Let Ctrl-C and `kill` call `stop`, so that the work finishes its step and saves instead of ending at once.

    Returns:
        the signals received since then. A signal during the evaluation of a run does not end that run, but no other run
        may start afterwards.
    """
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        came.append(number)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return came


def stop_last(begun: Sequence[RunFolder]) -> None:
    """Ask the run that was started last to stop. Exit if there is none."""
    if not begun:
        os._exit(130)
    begun[-1].request_stop()


def figures_table(*header: str) -> Table:
    """A table whose first column is text and whose others are figures, right-aligned."""
    table = Table(*header)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def report_skipped(dataset: Dataset) -> None:
    """Print to stderr how many images a set leaves out, and the first of them."""
    if dataset.skipped:
        from fer_core.datasets import named

        message = f"{dataset.left_out:,} images of {dataset.title} are left out: {named(dataset.skipped)}"
        Console(stderr=True).print(message, soft_wrap=True, markup=False)
