"""`ferscope compare-private`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from trainers.console import AsJson, Detector, app, figures_table, out


@app.command("compare-private")
def compare_private(
    place: Annotated[Path, typer.Argument(help="A zip or folder of class folders; 30 images in each are enough.")],
    networks: Annotated[list[str], typer.Argument(help="Networks, by name.")],
    table: Annotated[
        str, typer.Option(help="“<data set>-<split>”. Default: the first table that all networks have.")
    ] = "",
    detector: Detector = "mtcnn",
    folder: Annotated[
        list[str] | None,
        typer.Option(
            help="FOLDER=EXPRESSION, or FOLDER=“leave out”, for a folder whose name is not an expression; may be repeated."
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="Write the whole report as one HTML file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a private set with the benchmark and explain the gap: the Compare tab of `ferscope live`, for scripts.

    The benchmark's own images are compared too if this machine has them (`ferscope data add`).
    """
    from fer_core.datasets.class_folders import decided, proposed, words
    from fer_core.errors import ConfigError
    from fer_core.evaluation.comparison import p_value
    from fer_core.experiments.private_set import PrivateSetReport, compare_networks
    from fer_core.reports.evaluation_report import shared_table
    from fer_core.runs.store import find
    from fer_core.serving.predictor import Predictor
    from fer_core.workspace import write_atomically

    counts = words(place)
    given = dict(one.partition("=")[::2] for one in folder or [])
    if strange := set(given) - set(counts):
        raise ConfigError(
            f"{place} has no folder {', '.join(sorted(strange))}; it has {', '.join(name or '“”' for name in counts)}."
        )
    meant = decided(proposed(counts) | given)
    found = {network.name: network for network in map(find, networks)}
    key = table or shared_table(found.values())
    known = {name: (Predictor(one.folder).members[0], one.predictions(key)) for name, one in found.items()}
    reports: list[PrivateSetReport] = []
    total = sum(counts.values())
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task("Reading", total=total)
        for step in compare_networks(place, meant, known, key, detector, total):
            if isinstance(step, int):
                bar.update(task, completed=step)
            elif isinstance(step, str):
                bar.update(task, description=step)
            else:
                reports = step
    if to:
        from fer_core.reports.private_set_report import page

        write_atomically(to, page(reports).encode())
    if as_json:
        print(json.dumps({one.network: one.to_json() for one in reports}))
        return
    for one in reports:
        out.print(one.sentence(), soft_wrap=True)
        out.print(
            f"Of the gap, {100 * one.gap.prior:+.1f} points are due to the class balance and {100 * one.gap.rest:+.1f} the rest. "
            f"It differs in: {', '.join(one.shifted) or 'nothing that was measured'}."
            + ("" if one.differences is not None else " The benchmark's images are not on this machine."),
            soft_wrap=True,
        )
        rows = figures_table("expression", "benchmark", "n", "private", "n", "gap", "p (Holm)")
        row: Any
        for row in one.per_expression.itertuples(index=False):
            rows.add_row(
                str(row.expression),
                *(
                    text
                    for end in "ab"
                    for text in (_share(getattr(row, f"recall_{end}")), f"{int(getattr(row, f'n_{end}')):,}")
                ),
                _share(row.difference, "+"),
                p_value(row.p_adjusted),
            )
        out.print(rows)
        if one.skipped:
            first = one.skipped[0]
            out.print(f"{len(one.skipped):,} files were left out; first {first.id}: {first.reason}", soft_wrap=True)
    if to:
        out.print(f"Report written to {to}", soft_wrap=True)


def _share(value: float, sign: str = "") -> str:
    return "–" if value != value else f"{100 * value:{sign}.1f}"
