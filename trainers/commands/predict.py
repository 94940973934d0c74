"""`ferscope predict`."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from trainers.console import AsJson, Detector, app, out


@app.command()
def predict(
    checkpoint: Annotated[
        str, typer.Argument(help="Name of a network or run; several, separated by commas, are averaged.")
    ],
    places: Annotated[list[str], typer.Argument(help="Images, folders of images, zips, or data sets.")],
    to: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="The csv to write. Default: print it.")
    ] = None,
    detector: Detector = "mtcnn",
    sure: Annotated[float, typer.Option(min=0, max=1, help="Print “not sure” below this confidence.")] = 0.0,
    tta: Annotated[
        str,
        typer.Option(
            help="Test-time augmentation: none, flip, ten-crop or ten-crop-if-close. Default: the network's own."
        ),
    ] = "",
    split: Annotated[str, typer.Option(help="Of a data set, the part to predict. Default: all of it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a csv of probabilities with one row per face: `file`, `face`, box, `verdict`, `prob_<expression>`, warnings."""
    import csv

    from fer_core.errors import DataError
    from fer_core.runs.store import find
    from fer_core.serving.predictor import Predictor
    from fer_core.serving.score_table import columns, entries, picture_rows, problem_row
    from fer_core.spreadsheet import inert
    from fer_core.workspace import write_atomically

    predictor = Predictor(*(find(name).folder for name in checkpoint.split(",")))
    found = list(entries(places, split))
    if not found:
        raise DataError(f"There is no image in {', '.join(places)}.")
    rows = []
    with Progress(console=out, transient=True, disable=as_json or to is None) as bar:
        for entry in bar.track(found, description="Predicting"):
            if entry.problem:
                rows.append(problem_row(entry.name, entry.problem))
                continue
            how = "none" if entry.is_face else detector
            rows += picture_rows(entry.name, entry.source, predictor, how, threshold=sure, tta=tta or None)
    faces = sum("face" in row for row in rows)
    text = io.StringIO()
    table = csv.DictWriter(text, columns(predictor.expressions))
    table.writeheader()
    table.writerows({key: inert(cell) for key, cell in row.items()} for row in rows)
    if to:
        write_atomically(to, text.getvalue().encode())
    if as_json:
        print(json.dumps(rows))
    elif to:
        out.print(f"{len(found):,} images, {faces:,} faces; written to {to}", soft_wrap=True)
    else:
        sys.stdout.write(text.getvalue())
    if rows and not faces:  # the rows stand written; a script is to notice all the same
        first = f"{rows[0]['file']}: {rows[0]['problem'].rstrip('.')}"
        raise DataError(f"No face was found in any of the images ({len(rows):,}); {first}.")
