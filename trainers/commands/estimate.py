"""`ferscope estimate`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from trainers.console import AsJson, Data, app, out


@app.command()
def estimate(
    recipe: Annotated[str, typer.Argument(help="Name of a shipped recipe, or the path of a TOML file.")],
    data: Data,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in optimizer.lr=0.05.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a few training steps of a recipe and estimate its time and memory."""
    from fer_core.datasets import open_dataset
    from fer_core.experiments.estimate import estimate as measure
    from fer_core.recipe import load_recipe

    config = load_recipe(recipe, set_ or [])
    found = measure(config, open_dataset(data))
    if as_json:
        print(json.dumps(asdict(found)))
        return
    out.print(
        f"About {found.seconds / 60:.1f} min for {config.epochs} epochs ({found.seconds_per_epoch:.1f} s per epoch, "
        f"{found.images_per_second:,.0f} images/s) and {found.memory / 1e9:.1f} GB on the {found.device}, at its current "
        f"load; measured on {found.measured} steps.",
        soft_wrap=True,
    )
