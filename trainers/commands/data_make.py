"""`ferscope data split`, `clean`, `merge` and `prepare`: data sets made of others."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from trainers.commands.data import Name, data_app, in_words
from trainers.console import AsJson, Bad, Detector, out

if TYPE_CHECKING:
    from fer_core.datasets.making import Made


class How(StrEnum):
    parts = "parts"
    kfold = "kfold"
    carve = "carve"
    female_to_male = "female-to-male"


class Align(StrEnum):
    none = "none"
    upright = "upright"
    eyes = "eyes"


@data_app.command("split")
def data_split(
    data: str,
    how: Annotated[
        How, typer.Option(help="parts: 80:10:10; carve: a tenth of the training set becomes the validation set.")
    ] = How.parts,
    name: Name = "",
    k: Annotated[int, typer.Option(help="Number of folds for kfold.")] = 5,
    fold: Annotated[int, typer.Option(help="Fold that becomes the test set.")] = 0,
    seed: int = 0,
    group: Annotated[
        str | None, typer.Option(help="Column whose values stay in one split; “” for none. Default: person or film.")
    ] = None,
    twins_apart: Annotated[
        bool, typer.Option("--twins-apart", help="Allow duplicates of an image in different splits.")
    ] = False,
    keep_leaks: Annotated[
        bool, typer.Option(help="Keep training images that are also in the validation or test set.")
    ] = False,
    on_bad: Bad = None,
) -> None:
    """Make a new data set with another split of the same images. The split is saved by image id."""
    from fer_core.datasets import making, open_dataset

    made = making.split(
        open_dataset(data, on_bad=on_bad), data, how.value, name, k=k, fold=fold, seed=seed, group=group,
        twins_apart=twins_apart, keep_leaks=keep_leaks,
    )  # fmt: skip
    _said(made)
    out.print(
        f"Kept together: {made.together}."
        if made.together
        else "Each image is assigned by itself: the set does not know persons or films.",
        soft_wrap=True,
    )


@data_app.command("clean")
def data_clean(
    data: str,
    steps: Annotated[
        str, typer.Option(help="Any of blank, faceless, contradicting, duplicates, leaks, separated by commas.")
    ] = "blank,contradicting,leaks",
    corrections: Annotated[
        Path | None, typer.Option(help="A csv with the columns id and label. The label “unclear” drops an image.")
    ] = None,
    name: Name = "",
) -> None:
    """Make a new data set without bad images and with corrected labels. The source does not change."""
    from fer_core.datasets import making

    _said(making.clean(data, [step.strip() for step in steps.split(",") if step.strip()], corrections, name))


@data_app.command("merge")
def data_merge(
    recipe: Annotated[str, typer.Argument(help="lmu, kaist or a TOML file; with --expressions, a data set.")],
    expressions: Annotated[
        str, typer.Option(help="Keep only images with these expressions: fer7, ferplus8 or rafdb6. Needs a data set.")
    ] = "",
    name: Name = "",
) -> None:
    """Merge data sets (lmu or kaist as in the reports, or your TOML file), or reduce one to fewer expressions."""
    from fer_core.datasets import making

    _said(making.reduce(recipe, expressions, name) if expressions else making.merge(recipe, name))


def _said(made: Made) -> None:
    out.print(f"Added “{made.name}”: {in_words(made.dataset)}. It is written in {made.path}.", soft_wrap=True)


@data_app.command("prepare")
def data_prepare(
    source: str,
    target: Path,
    detector: Detector = "mtcnn",
    faces: Annotated[str, typer.Option(help="Which faces to crop: largest or all.")] = "largest",
    min_size: Annotated[float, typer.Option(help="Minimum size of a face: its longer side in pixels.")] = 32,
    margin: Annotated[
        float | None, typer.Option(help="Margin around the box, as a share of its side. Default: as in FER2013.")
    ] = None,
    align: Align = Align.none,
    size: Annotated[int, typer.Option(help="Side of the crops in pixels; 0 keeps their size.")] = 0,
    grey: bool = False,
    light: Annotated[
        str, typer.Option(help="Any of equalise, clahe, gamma, dog, dct, diffusion, separated by commas.")
    ] = "",
    workers: Annotated[int, typer.Option(help="Number of processes; 0 means one per processor.")] = 0,
    on_bad: Bad = "skip",
    as_json: AsJson = False,
) -> None:
    """Crop the faces of a data set into a new folder. Run the command again to continue an interrupted one."""
    from fer_core.datasets import open_dataset
    from fer_core.datasets.known import resolve
    from fer_core.datasets.preparation import prepare
    from fer_core.images import Preparation

    settings = Preparation.checked(
        detector=detector, faces=faces, min_size=min_size, margin=margin, align=align.value, size=size, grey=grey,
        light=[step.strip() for step in light.split(",") if step.strip()],
    )  # fmt: skip
    dataset = open_dataset(source, on_bad=on_bad)
    written, missed = 0, []
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task("Preparing", total=len(dataset))
        for done in prepare(dataset, target, settings, resolve(source)[0], workers or None):
            bar.advance(task)
            written += len(done.files)
            if done.problem:
                missed.append((str(dataset.index["id"].iloc[done.row]), done.problem))
    if as_json:
        print(json.dumps({"pictures": len(dataset), "faces": written, "missed": dict(missed), "target": str(target)}))
        return
    out.print(
        f"{written:,} faces of {len(dataset):,} images in {target}. Add it: ferscope data add {target}",
        soft_wrap=True,
    )
    if missed:
        first = "; ".join(f"{image}: {problem}" for image, problem in missed[:5])
        out.print(f"{len(missed):,} images gave none, all listed in {target / 'done.csv'}: {first}", soft_wrap=True)
