"""`ferscope robustness`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.progress import Progress

from trainers.console import AsJson, Bad, Data, app, figures_table, out, report_skipped


@app.command()
def robustness(
    networks: Annotated[list[str], typer.Argument(help="Names of networks or runs, or paths of their folders.")],
    data: Data,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    limit: Annotated[int | None, typer.Option(help="Number of images, chosen at random. Default: all.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="A corruption; may be given several times.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the table with the network, not only in the cache.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the corruptions.")] = 0,
    on_bad: Bad = None,
    as_json: AsJson = False,
) -> None:
    """Measure the accuracy on corrupted images: noise, blur, brightness, JPEG, rotation, framing, covered eyes or mouth.

    Results are kept, so an interrupted command continues.
    """
    from fer_core.datasets import open_dataset
    from fer_core.evaluation import robustness as measurement
    from fer_core.runs.store import find

    found = [find(name) for name in networks]
    dataset = open_dataset(data, on_bad=on_bad)
    report_skipped(dataset)
    dataset = dataset.without({label for network in found for label in network.card.leave_out})  # the same for all
    chosen = measurement.sample(dataset, split, limit, seed)
    tables = {}
    for network in found:
        with Progress(console=out, transient=True, disable=as_json) as bar:
            task = bar.add_task(f"{network.name}, {len(chosen.rows):,} images per condition", total=None)
            tables[network.name] = measurement.measure(
                network.name, network.folder, dataset, split, chosen, only or (),
                lambda done, total: bar.update(task, completed=done, total=total),  # noqa: B023
            )  # fmt: skip
        if keep:
            measurement.keep(network.folder, dataset, split, chosen, tables[network.name])
    if as_json:
        print(json.dumps({name: table.to_dict("records") for name, table in tables.items()}))
        return
    for name, table in tables.items():
        clean = table.iloc[0]
        out.print(
            f"{name} on {dataset.name}-{split}: {clean['accuracy']:.2%} ({100 * clean['low']:.1f} to "
            f"{100 * clean['high']:.1f}) uncorrupted, {measurement.overall(table):.2%} on average over all corruptions, "
            f"n = {clean['n']:,} each; 95 % intervals.",
            soft_wrap=True,
        )
        shown = figures_table("corruption at severity", *map(str, range(1, 6)))
        for kind, part in table[table["severity"] > 0].groupby("corruption", sort=False):
            shown.add_row(str(kind), *(f"{100 * accuracy:.1f}" for accuracy in part["accuracy"]))
        out.print(shown)
