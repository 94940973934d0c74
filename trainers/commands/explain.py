"""`ferscope explain`: what a network looks at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.table import Table

from fer_core.evaluation.intervals import bounded
from trainers.console import AsJson, Bad, Data, app, out, report_skipped

Name = Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")]
Split = Annotated[str, typer.Option(help="train, val or test.")]
Layer = Annotated[str, typer.Option(help="Layer, for methods that need one. Default: the network's own choice.")]


@app.command()
def explain(
    checkpoint: Name,
    data: Data,
    to: Annotated[
        Path, typer.Option("--out", help="Folder for the images and maps. It is created if it does not exist.")
    ],
    split: Split = "val",
    image: Annotated[list[str] | None, typer.Option(help="Id of an image. Can be repeated.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Attribution method. Can be repeated.")] = None,
    target: Annotated[str, typer.Option(help="“predicted”, “given”, or the name of an expression.")] = "predicted",
    against: Annotated[
        str, typer.Option(help="Contrast class: explain why the target was predicted rather than this one.")
    ] = "",
    layer: Layer = "",
    figure: Annotated[
        bool, typer.Option("--figure", help="Draw a correct and a wrong example of each expression with their maps.")
    ] = False,
    on_bad: Bad = None,
    as_json: AsJson = False,
) -> None:
    """Write attribution maps: overlays (png), the maps themselves (npy) and a description (json)."""
    from fer_core.datasets import open_dataset
    from fer_core.runs.store import find
    from fer_core.serving.map_files import write_explanations

    found, dataset = find(checkpoint), open_dataset(data, on_bad=on_bad)
    report_skipped(dataset)
    report = write_explanations(
        found, dataset, split, to, images=image or [], methods=method or ["grad-cam"], target=target,
        against=against or None, layer=layer or None, with_figure=figure,
    )  # fmt: skip
    if as_json:
        print(json.dumps(report))
        return
    if report["maps"]:
        shown = Table("image", "label", "predicted", "explained", "method", "map")
        for one in report["maps"]:
            why = f"{one['target']} rather than {against}" if against else one["target"]
            shown.add_row(one["image"], one["label"], one["predicted"], why, one["method"], one["map"])
        out.print(shown)
    out.print(f"Written to {to}", soft_wrap=True)


@app.command("explain-report")
def explain_report(
    checkpoint: Name,
    data: Data,
    split: Split = "val",
    layer: Layer = "",
    limit: Annotated[
        int, typer.Option(min=0, help="Number of random images for regions and covering; 0 means the whole split.")
    ] = 0,
    methods_on: Annotated[
        int, typer.Option(min=2, help="How many of these images the comparison of methods uses. Use at least 128.")
    ] = 128,
    method: Annotated[
        list[str] | None, typer.Option(help="A method to compare. Can be repeated. Default: all.")
    ] = None,
    tta: Annotated[
        str,
        typer.Option(
            help="Test-time augmentation for regions and covering: none, flip, ten-crop or ten-crop-if-close. Default: the "
            "network's own."
        ),
    ] = "",
    on_bad: Bad = None,
    as_json: AsJson = False,
) -> None:
    """Measure which facial regions a network relies on, and how faithful each attribution method is.

    Writes four tables beside the network: attribution per region, the cost of covering each region, a leaderboard of
    methods, and mean maps.
    """
    from rich.progress import Progress

    from fer_core.checkpoint import load_network
    from fer_core.datasets import open_dataset
    from fer_core.explanation import METHODS, region_report
    from fer_core.models import attribution_layer
    from fer_core.runs.store import find

    for name in method or []:
        METHODS.get(name)
    found = find(checkpoint)
    dataset = open_dataset(data, on_bad=on_bad)
    report_skipped(dataset)
    model, card = load_network(found.folder)
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task("Measuring")
        made = region_report.make(
            model, card, found.folder, dataset, split,
            layer=layer or attribution_layer(card.network, model), limit=limit, methods_on=methods_on,
            methods=method, tta=tta or None,
            on_progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
        )  # fmt: skip
    path = region_report.write(found.folder, made)
    if as_json:
        leaders = made.methods.astype(object).where(made.methods.notna(), None).to_dict("records")
        print(json.dumps({**made.about, "methods": leaders, "path": str(path)}))
        return
    out.print(made.about["verdict"], soft_wrap=True)
    for sentence in made.about["sentences"].values():
        out.print(sentence, soft_wrap=True)
    out.print(_leaders(made.methods))
    out.print(f"Written to {path} and the tables beside it, in {made.about['seconds']:.0f} s.", soft_wrap=True)


def _leaders(methods: pd.DataFrame) -> Table:
    from fer_core.explanation.badge import badge

    shown = Table("method", "verdict", "advantage over another image's map", "new head", "half new", "other class")
    for column in shown.columns[2:]:
        column.justify = "right"
    for _, row in methods.iterrows():
        if not row["n"]:
            shown.add_row(row["title"], f"left out: {row['suits']}")
            continue
        points = bounded(row["gain"], row["gain_low"], row["gain_high"])
        verdict = "control" if row["control"] else badge(row).level
        shown.add_row(
            row["title"], verdict, points, *(f"{row[k]:.2f}" for k in ("new_head", "half_new", "other_class"))
        )
    return shown
