"""`ferscope ensemble`: several networks as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trainers.console import AsJson, Data, app, out, sentence


@app.command()
def ensemble(
    networks: Annotated[list[str], typer.Argument(help="Two or more networks or runs of the same expressions.")],
    data: Data,
    name: Annotated[str, typer.Option(help="Name of the ensemble.")] = "ensemble",
    split: Annotated[
        str, typer.Option(help="What it is evaluated on; never what its members were trained on.")
    ] = "val",
    as_json: AsJson = False,
) -> None:
    """Combine networks into one that answers with the mean of their probabilities, and evaluate it."""
    from fer_core.checkpoint import write_card
    from fer_core.datasets import open_dataset
    from fer_core.evaluation.predict import predict_checkpoint
    from fer_core.evaluation.results import results
    from fer_core.runs.ensemble import combine

    dataset = open_dataset(data)
    run = combine(networks, name, str(Path(data).resolve()) if Path(data).exists() else data)
    predictions, card = predict_checkpoint(run.path, dataset, split)
    figures = results(predictions, dataset, split)
    write_card(run.path, card.model_copy(update={"results": {f"{dataset.name}-{split}": figures}}))
    if as_json:
        print(json.dumps({"run": run.name, **figures}))
        return
    out.print(f"{run.name}: {sentence(f'{dataset.name}-{split}', figures)}", soft_wrap=True)
    out.print(f"Written to {run.path}", soft_wrap=True)
