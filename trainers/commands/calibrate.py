"""`ferscope calibrate`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.progress import Progress

from fer_core.errors import ConfigError
from trainers.console import AsJson, Bad, Data, app, out, report_skipped


@app.command()
def calibrate(
    network: Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")],
    data: Data,
    on_bad: Bad = None,
    as_json: AsJson = False,
) -> None:
    """Fit a network's temperature on its validation set and store it in the card.

    Pages, the live app and everything else that loads the network then apply it. Predictions stay the same, their
    confidence changes. The split is the one that chose the epoch, never a test split.
    """
    from fer_core.checkpoint import CALIBRATION, place_for
    from fer_core.datasets import open_dataset
    from fer_core.evaluation import calibration
    from fer_core.evaluation.metrics.probabilities import log_loss
    from fer_core.evaluation.predict import answers, keep
    from fer_core.runs.store import find

    found = find(network)
    split = calibration.validation_split(found.card)
    if not split:
        raise ConfigError(
            f"{found.name} was trained without a validation set, or its members without a common one, so no image is left to "
            "fit a temperature on. Calibrate the run of the same recipe that kept one and use its temperature."
        )
    dataset = open_dataset(data, on_bad=on_bad)
    report_skipped(dataset)
    total = len(dataset.without(found.card.leave_out).rows(split))
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task(f"Predicting {total:,} images", total=total)
        predictions, _ = answers(found.folder, dataset, split, on_batch=lambda done: bar.update(task, completed=done))
    keep(found.folder, predictions)
    temperature = calibration.calibrate(found.folder, predictions)
    scaled = calibration.with_temperature(predictions, temperature)
    low, high = calibration.temperature_interval(predictions, temperature)
    figures: list[dict[str, Any]] = [
        {
            "ece": found.ece,
            "calibration_error": found.debiased,
            "calibration_error_interval": list(found.interval),
            "log_loss": log_loss(p),
            "overconfidence": calibration.overconfidence(p),
        }
        for p in (predictions, scaled)
        for found in (calibration.calibration_error(p),)
    ]
    before, after = figures
    if as_json:
        print(
            json.dumps(
                {
                    "temperature": temperature,
                    "temperature_interval": [low, high],
                    "n": total,
                    "before": before,
                    "after": after,
                }
            )
        )
        return
    place = place_for(found.folder)
    stored = place / ("card.json" if place == found.folder else CALIBRATION)
    out.print(
        f"Temperature {temperature:.3f} ({low:.3f} to {high:.3f}), fitted on {total:,} images of {dataset.name}, {split}: "
        f"debiased calibration error {100 * before['calibration_error']:.1f} to {100 * after['calibration_error']:.1f} points, "
        f"log loss {before['log_loss']:.3f} to {after['log_loss']:.3f} nats, on the same images. Stored in {stored}.",
        soft_wrap=True,
    )
