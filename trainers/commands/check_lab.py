"""`ferscope check-lab`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trainers.console import AsJson, app, figures_table, out


@app.command("check-lab")
def check_lab(
    number: Annotated[int, typer.Argument(help="1, 2 or 3: the labs in docs/labs.")],
    answers: Annotated[
        Path | None,
        typer.Option(
            help="The file with your answers. Default: an empty one is printed, to be filled in.", dir_okay=False
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML report with name and figures.", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a student's answers to a lab against this workspace. Exit code 1: an answer is off or open."""
    from fer_core.classroom import exercises
    from fer_core.classroom.exercises.report import SAID
    from fer_core.classroom.exercises.report import report as as_html
    from fer_core.workspace import write_atomically

    lab = exercises.lab(number)
    if answers is None:
        print(exercises.blank(lab), end="")
        return
    given = exercises.read_answers(answers)
    verdicts = exercises.check(lab, given)
    if report is not None:
        write_atomically(report, as_html(lab, given.get("name", ""), verdicts).encode())
    if as_json:
        print(
            json.dumps(
                [{"key": v.question.key, "given": v.given, "check": SAID[v.right], "hint": v.said} for v in verdicts]
            )
        )
    else:
        table = figures_table("Question", "Answer", "Check", "Hint")
        for one in verdicts:
            table.add_row(one.question.key, "" if one.given is None else str(one.given), SAID[one.right], one.said)
        out.print(table)
    if not all(one.right for one in verdicts):
        raise typer.Exit(1)
