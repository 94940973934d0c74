"""`ferscope labels` and `ferscope slices`: wrong network or wrong label, and the kinds of images with many errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fer_core.errors import ConfigError
from fer_core.evaluation.intervals import bounded
from trainers.console import AsJson, app, figures_table, out

if TYPE_CHECKING:
    from fer_core.evaluation.predictions import Predictions

Network = Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")]
Key = Annotated[str, typer.Option("--table", help="Data set and split of a predictions table: fer2013-val.")]


@app.command()
def labels(
    network: Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")] = "",
    table: Annotated[str, typer.Option("--table", help="Data set and split of a predictions table: fer2013-val.")] = "",
    votes: Annotated[Path | None, typer.Option(help="A csv of votes; FER+ is shipped for FER2013.")] = None,
    without_votes: Annotated[
        bool, typer.Option(help="Judge the labels by the network's predictions (cleanlab).")
    ] = False,
    crossval: Annotated[str, typer.Option(help="Judge them by the predictions of this cross-validation.")] = "",
    csv: Annotated[
        Path | None,
        typer.Option("--csv", dir_okay=False, help="Write the suspected labels to this csv, as corrections."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Divide a network's errors by people's votes: network wrong, label contested, label probably wrong.

    For a set without votes, list the labels that are probably wrong (confident learning).
    """
    from dataclasses import asdict

    from fer_core.datasets.votes import have_votes
    from fer_core.evaluation import label_issues as issues
    from fer_core.evaluation import label_quality as quality
    from fer_core.experiments.crossval import CrossValidation
    from fer_core.runs.store import find

    if bool(crossval) == bool(network) or bool(network) != bool(table):
        raise ConfigError("Give a network and its --table, or --crossval NAME.")
    if crossval:
        _suspected(f"The cross-validation {crossval}", CrossValidation.named(crossval).table(), csv, as_json)
        return
    found = find(network)
    predictions = found.predictions(table)
    dataset, split = (str(predictions.table[name].iloc[0]) for name in ("dataset", "split"))
    if without_votes or (votes is None and not have_votes(predictions.table, dataset)):
        issues.not_learned(found.card, split)
        _suspected(f"{found.name} on {table}", predictions, csv, as_json)
        return
    counts = quality.votes_of(predictions, votes)
    judged = quality.judge(predictions, counts)
    divided, ceiling = quality.verdicts(judged), quality.ceiling(judged, counts)
    if as_json:
        print(json.dumps({"verdicts": divided.to_dict("records"), "ceiling": asdict(ceiling)}))
        return
    out.print(
        f"{found.name} on {table}: {int(divided['n'].sum()):,} errors on {ceiling.n:,} images with votes. Against the "
        f"given labels the voters' majority scores {ceiling.majority:.1%} of {ceiling.decided:,}, the network "
        f"{ceiling.network:.1%} on the same images; one random voter {ceiling.voter:.1%} of all.",
        soft_wrap=True,
    )
    shown = figures_table("verdict", "n", "share of errors", "answers the majority", "two votes or more")
    for row in divided.to_dict("records"):
        shown.add_row(
            row["verdict"],
            f"{row['n']:,}",
            bounded(row["share"], row["low"], row["high"], " %"),
            f"{row['sided']:,}",
            f"{row['supported']:,}",
        )
    out.print(shown)


def _suspected(whose: str, predictions: Predictions, csv: Path | None, as_json: bool) -> None:
    """The labels that are probably wrong by the predictions of networks that were not trained on the images."""
    from fer_core.datasets.votes import have_votes
    from fer_core.evaluation import label_issues as issues
    from fer_core.evaluation import label_quality as quality
    from fer_core.workspace import write_atomically

    found = issues.label_issues(predictions)
    shares = issues.by_label(predictions, found)
    checked = None
    if have_votes(predictions.table, str(predictions.table["dataset"].iloc[0])):
        checked = issues.confirmed(found, quality.judge(predictions, quality.votes_of(predictions)))
    corrections = found.assign(given=found["label"], label=found["predicted"])[
        ["dataset", "split", "id", "given", "label", "quality"]
    ]
    if csv:
        write_atomically(csv, corrections.to_csv(index=False).encode())
    if as_json:
        figures = {"n": len(predictions), "suspected": len(found), "by_label": shares.to_dict("records")}
        print(json.dumps(figures | {"issues": corrections.to_dict("records"), "voters": checked and vars(checked)}))
        return
    out.print(
        f"{whose}: {len(found):,} of {len(predictions):,} labels are probably wrong (confident learning; no votes asked).",
        soft_wrap=True,
    )
    shown = Table("given label", "n", "suspected", "share", "most frequent prediction")
    for column in shown.columns[1:4]:
        column.justify = "right"
    for row in shares.to_dict("records"):
        share = bounded(row["share"], row["low"], row["high"], " %")
        shown.add_row(row["label"], f"{row['n']:,}", f"{row['suspected']:,}", share, row["instead"])
    out.print(shown)
    if checked:
        share = bounded(checked.share, *checked.interval, " %")
        out.print(
            f"FER+'s voters contradict the label of {share} of the {checked.suspected:,} suspected images with a "
            f"majority, and of {checked.share_of_all:.1%} of all "
            f"{checked.all:,}.",
            soft_wrap=True,
        )
    out.print(
        f"Written to {csv}"
        if csv
        else "--csv FILE writes them for `ferscope data clean --corrections`; check them first."
    )


@app.command()
def slices(
    network: Network,
    table: Key,
    data: Annotated[str, typer.Option("--data", help="The data set: a path, or the name of a known one.")],
    min_support: Annotated[int, typer.Option(help="Smallest number of images in a slice.")] = 50,
    crossed: Annotated[bool, typer.Option(help="Slices by pairs of conditions too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Accuracy on slices by brightness, contrast, sharpness and the data set's columns, compared with what the labels explain."""
    import pandas as pd

    from fer_core.datasets import open_dataset
    from fer_core.datasets.titles import columns_in_words
    from fer_core.errors import DataError
    from fer_core.evaluation.comparison import ALPHA, p_value
    from fer_core.evaluation.gallery import not_here, positions
    from fer_core.evaluation.shift import picture_statistics
    from fer_core.evaluation.slices import columns_of, find
    from fer_core.runs.store import find as find_network

    checkpoint, dataset = find_network(network), open_dataset(data)
    predictions = checkpoint.predictions(table)
    place = positions(dataset, predictions.table)
    lost = not_here(dataset, predictions.table, place)
    if (place < 0).all():
        raise DataError(f"{lost} Name the data set that the table was made on.")
    if lost:
        Console(stderr=True).print(f"{lost} They are left out.", soft_wrap=True)
        predictions, place = predictions.where(place >= 0), place[place >= 0]
    measured = picture_statistics(dataset.picture(int(row)) for row in place)
    columns = pd.concat([measured, columns_of(dataset, predictions)], axis=1)
    found = find(
        predictions, columns, min_support=min_support, crossed=crossed, said=columns_in_words(dataset.name)
    ).table
    if as_json:
        print(json.dumps(found.to_dict("records")))
        return
    differ = int((found["p_adjusted"] <= ALPHA).sum())
    out.print(
        f"{checkpoint.name} on {table}: {differ} of {len(found)} slices are significantly harder or easier "
        "than their mix of expressions explains (Cochran-Mantel-Haenszel test, Holm's correction; 95 % Wilson intervals)."
    )
    shown = figures_table("slice", "n", "accuracy, %", "expected, %", "p (Holm)")
    for row in found.to_dict("records"):
        shown.add_row(
            row["slice"],
            f"{row['n']:,}",
            bounded(row["accuracy"], row["low"], row["high"]),
            f"{100 * row['expected']:.1f}",
            p_value(row["p_adjusted"]),
        )
    out.print(shown)
