"""`ferscope evaluate`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from trainers.console import AsJson, Bad, Data, app, figures_table, out, report_skipped


@app.command()
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")],
    data: Data,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    on_bad: Bad = None,
    as_json: AsJson = False,
) -> None:
    """Predict a split, print the figures with 95 % intervals, and keep the predictions table.

    The table of a run is stored beside its weights, the table of any other network in evaluations/ of the workspace.
    Tables of other images, and tables that ship with a network, are never replaced.
    """
    from fer_core.datasets import open_dataset
    from fer_core.datasets.leaks import leak_warning
    from fer_core.evaluation.predict import answers, how_obtained, keep, stronger_table
    from fer_core.evaluation.report import CLASS_FIGURES
    from fer_core.evaluation.results import IN_WORDS, in_words, results, trained_on
    from fer_core.runs.store import find

    found = find(checkpoint)
    dataset = open_dataset(data, on_bad=on_bad)
    report_skipped(dataset)
    total = len(dataset.without(found.card.leave_out).rows(split))
    if left := len(dataset.rows(split)) - total:
        Console(stderr=True).print(
            f"Left out {left:,} images labelled {', '.join(found.card.leave_out)}, as in the training of {found.name}."
        )
    if warning := leak_warning(dataset, split, trained_on(found.card)):
        Console(stderr=True).print(f"[bold]Leak:[/bold] {warning}", soft_wrap=True)
    if stronger := stronger_table(found.folder, dataset, split):
        Console(stderr=True).print(
            f"The predictions table of {found.name} on {dataset.name}, {split} is {stronger} and stays. {IN_WORDS[stronger]} "
            "The vote was fitted on these images, so its new predictions would look better than they are.",
            soft_wrap=True,
        )
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task(f"Predicting {total:,} images", total=total)
        predictions, _ = answers(found.folder, dataset, split, on_batch=lambda done: bar.update(task, completed=done))
    how = how_obtained(found.folder, found.card, dataset, split)
    written = None if stronger else keep(found.folder, predictions, how)
    figures = results(predictions, dataset, split, trained_on(found.card), how)
    if as_json:
        print(json.dumps(figures))
        return
    out.print(in_words(written.key if written else f"{dataset.name}-{split}", figures), soft_wrap=True)
    table = figures_table("expression", "precision", "recall", "F1", "AUROC", "average precision", "n")
    for name, row in figures["per_class"].items():
        shown = ("–" if row[key] is None else f"{100 * row[key]:.1f}" for key in CLASS_FIGURES)
        table.add_row(name, *shown, f"{row['support']:,}")
    out.print(table)
    if written:
        out.print(written.sentence, soft_wrap=True)
