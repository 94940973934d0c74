"""`ferscope labels` and `ferscope slices`: whose fault errors are, and on which kinds of pictures they gather."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from trainers.console import AsJson, app, out

Network = Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")]
Key = Annotated[str, typer.Option("--table", help="Data set and split of a predictions table: fer2013-val.")]


@app.command()
def labels(
    network: Network,
    table: Key,
    votes: Annotated[Path | None, typer.Option(help="A csv of votes; FER+ is shipped for FER2013.")] = None,
    as_json: AsJson = False,
) -> None:
    """Divide a network's errors by what people voted: network wrong, label contested, label probably wrong."""
    from dataclasses import asdict

    from fer_core.evaluation import label_quality as quality
    from fer_core.runs.store import find

    found = find(network)
    predictions = found.predictions(table)
    counts = quality.votes_of(predictions, votes)
    judged = quality.judge(predictions, counts)
    divided, ceiling = quality.verdicts(judged), quality.ceiling(judged, counts)
    if as_json:
        print(json.dumps({"verdicts": divided.to_dict("records"), "ceiling": asdict(ceiling)}))
        return
    out.print(
        f"{found.name} on {table}: {int(divided['n'].sum()):,} errors on {ceiling.n:,} pictures with votes. Against the "
        f"given labels the voters' majority scores {ceiling.majority:.1%} of {ceiling.decided:,}, the network "
        f"{ceiling.network:.1%} of the same; one voter drawn by lot {ceiling.voter:.1%} of all.",
        soft_wrap=True,
    )
    shown = Table("verdict", "n", "share of errors", "answers the majority", "two votes or more")
    for column in shown.columns[1:]:
        column.justify = "right"
    for row in divided.to_dict("records"):
        shown.add_row(
            row["verdict"],
            f"{row['n']:,}",
            f"{100 * row['share']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})",
            f"{row['sided']:,}",
            f"{row['supported']:,}",
        )
    out.print(shown)


@app.command()
def slices(
    network: Network,
    table: Key,
    data: Annotated[str, typer.Option("--data", help="The data set: a path, or the name of a known one.")],
    min_support: Annotated[int, typer.Option(help="Pictures in a slice, at least.")] = 50,
    crossed: Annotated[bool, typer.Option(help="Pairs of conditions too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Accuracy on slices by brightness, contrast, sharpness and the data set's columns, against what labels explain."""
    import pandas as pd

    from fer_core.datasets import open_dataset
    from fer_core.errors import DataError
    from fer_core.evaluation.comparison import ALPHA
    from fer_core.evaluation.gallery import positions
    from fer_core.evaluation.shift import picture_statistics
    from fer_core.evaluation.slices import columns_of, find
    from fer_core.runs.store import find as find_network

    checkpoint, dataset = find_network(network), open_dataset(data)
    predictions = checkpoint.predictions(table)
    place = positions(dataset, predictions.table)
    if (place < 0).any():
        raise DataError(
            f"{dataset.title} lacks {int((place < 0).sum()):,} of the table's {len(place):,} pictures; name the data set "
            "that the table was made on."
        )
    measured = picture_statistics(dataset.picture(int(row)) for row in place)
    columns = pd.concat([measured, columns_of(dataset, predictions)], axis=1)
    found = find(predictions, columns, min_support=min_support, crossed=crossed).table
    if as_json:
        print(json.dumps(found.to_dict("records")))
        return
    differ = int((found["p_adjusted"] <= ALPHA).sum())
    out.print(
        f"{checkpoint.name} on {table}: {differ} of {len(found)} slices differ from what their labels would give "
        "(Cochran, Mantel and Haenszel, with Holm's correction); intervals are Wilson's, 95 %."
    )
    shown = Table("slice", "n", "accuracy, %", "expected, %", "p (Holm)")
    for column in shown.columns[1:]:
        column.justify = "right"
    for row in found.to_dict("records"):
        shown.add_row(
            row["slice"],
            f"{row['n']:,}",
            f"{100 * row['accuracy']:.1f} ({100 * row['low']:.1f} to {100 * row['high']:.1f})",
            f"{100 * row['expected']:.1f}",
            f"{row['p_adjusted']:.2g}",
        )
    out.print(shown)
