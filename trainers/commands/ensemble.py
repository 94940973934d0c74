"""`ferscope ensemble`: several networks as one."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainers.console import AsJson, Data, app, out


class Vote(StrEnum):
    mean = "mean"
    weighted = "weighted"
    stacked = "stacked"


@app.command()
def ensemble(
    networks: Annotated[list[str], typer.Argument(help="Two or more networks or runs.")],
    data: Data,
    name: Annotated[str, typer.Option(help="Name of the ensemble.")] = "ensemble",
    vote: Annotated[
        Vote, typer.Option(help="mean of the probabilities; weighted or stacked: fitted on the validation set only.")
    ] = Vote.mean,
    split: Annotated[
        str, typer.Option(help="Split to evaluate on; never one that its members were trained on.")
    ] = "val",
    as_json: AsJson = False,
) -> None:
    """Combine networks into one that votes with their probabilities, and evaluate it.

    Expressions are matched by name; those that not every network knows are left out, with a message. The networks may
    use different image sizes. On the split that a vote was fitted on, predictions are cross-fitted.
    """
    from fer_core.checkpoint import read_card, write_card
    from fer_core.datasets import open_dataset
    from fer_core.evaluation.predict import predict_checkpoint
    from fer_core.evaluation.results import in_words, obtained, results, trained_on
    from fer_core.experiments.ensemble import combine

    dataset = open_dataset(data)
    absolute = str(Path(data).resolve()) if Path(data).exists() else data
    run = combine(networks, name, absolute, voting=vote.value, dataset=dataset)
    card, key = read_card(run.path), f"{dataset.name}-{split}"
    if card.leave_out:
        Console(stderr=True).print(
            f"Left out, because not every member predicts it: {', '.join(card.leave_out)}.", soft_wrap=True
        )
    if key not in card.results:
        predictions, _ = predict_checkpoint(run.path, dataset, split)
        figures = results(predictions, dataset, split, trained_on(card), obtained(card, dataset, split))
        card = card.model_copy(update={"results": card.results | {key: figures}})
        write_card(run.path, card)
    weights = card.arguments.get("weights")
    if as_json:
        print(json.dumps({"run": run.name, **card.results[key], **({"weights": weights} if weights else {})}))
        return
    out.print(f"{run.name}: {in_words(key, card.results[key])}", soft_wrap=True)
    if weights:
        shares = ", ".join(f"{one} {share:.2f}" for one, share in zip(networks, weights, strict=True))
        out.print(f"Weights: {shares}.", soft_wrap=True)
    if vote is not Vote.mean:
        out.print(f"Epochs chosen on {card.chosen_on}.", soft_wrap=True)
    out.print(f"Written to {run.path}", soft_wrap=True)
