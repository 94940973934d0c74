"""`ferscope import`: predictions and networks of other programs, as networks of this workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fer_core.errors import ConfigError
from trainers.console import AsJson, app, out

import_app = typer.Typer(no_args_is_help=True, help="Predictions and networks of other programs.")
app.add_typer(import_app, name="import")

Name = Annotated[str, typer.Option(help="Name in this workspace; made from the file's name if not given.")]
Title = Annotated[str, typer.Option(help="What pages call it; the name if not given.")]


@import_app.command("predictions")
def import_predictions(
    file: Annotated[Path, typer.Argument(help="A csv or parquet file with a row an image.")],
    name: Name = "",
    data: Annotated[str, typer.Option(help="Data set that the images belong to; labels are then taken from it.")] = "",
    split: Annotated[
        str,
        typer.Option(help="train, val or test. Default: as the file says, or of any split, or test without --data."),
    ] = "",
    title: Title = "",
    image: Annotated[str, typer.Option(help="Column with the image's file or id.")] = "",
    label: Annotated[str, typer.Option(help="Column with the label.")] = "",
    predicted: Annotated[str, typer.Option(help="Column with the predicted class.")] = "",
    scores: Annotated[
        list[str] | None,
        typer.Option(help="EXPRESSION=COLUMN, for values of an expression; may be given several times."),
    ] = None,
    order: Annotated[
        str,
        typer.Option(help="Order of the expressions where numbers stand for them: angry,disgust,... or a numbering."),
    ] = "",
    kind: Annotated[
        str, typer.Option(help="What the values are: logits, probabilities, per cent, log-probabilities or scores.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how the columns are understood, and keep nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import predictions that any program made, so that every page and command that reads tables takes them.

    How the columns are understood is printed; correct it with the options. What does not fit is counted and named.
    """
    from dataclasses import replace

    from fer_core.datasets import open_dataset
    from fer_core.foreign import suggested_name
    from fer_core.foreign.predictions import KINDS, convert, guess, ordered, read_table
    from fer_core.foreign.predictions import import_predictions as keep

    if kind and kind not in KINDS:
        raise ConfigError(f"--kind {kind}: expected {', '.join(KINDS)}.")
    pairs = [text.partition("=") for text in scores or []]
    if wrong := [text for text, (_, sign, column) in zip(scores or [], pairs, strict=True) if not sign or not column]:
        raise ConfigError(f"--scores {wrong[0]}: expected EXPRESSION=COLUMN, as in happy=p3.")
    table, name = read_table(file), name or suggested_name(file)
    columns = guess(table, ordered(order))
    given: dict[str, Any] = {"image": image, "label": label, "predicted": predicted, "kind": kind}
    columns = replace(columns, **{key: value for key, value in given.items() if value})
    if pairs:
        columns = replace(columns, scores={expression: column for expression, _, column in pairs})
    dataset = open_dataset(data) if data else None
    found = convert(
        table, columns, dataset=dataset, split=split or ("" if dataset else "test"), name=suggested_name(file)
    )
    folder = None if dry_run else keep(found, name, file.name, file.read_bytes(), title=title)
    if as_json:
        left = [{"id": one.id, "reason": one.reason, "n": one.n} for one in found.left_out]
        keys = [f"{table.table['dataset'].iloc[0]}-{part}" for part, table in found.tables.items()]
        made = {"network": None if dry_run else name, "tables": keys, "rows": found.rows, "notes": found.notes}
        print(json.dumps({**made, "left_out": left, "columns": columns.sentence}))
        return
    out.print(f"Understood: {columns.sentence}.", soft_wrap=True, markup=False)
    for sentence in found.notes:
        Console(stderr=True).print(sentence, soft_wrap=True, markup=False)
    for one in found.left_out:
        Console(stderr=True).print(f"{one.n:,} left out: {one.id}: {one.reason}", soft_wrap=True, markup=False)
    for part, made_of_it in found.tables.items():
        key = f"{made_of_it.table['dataset'].iloc[0]}-{part}"
        share = float(made_of_it.correct.mean())
        out.print(f"{key}: {len(made_of_it):,} images, accuracy {share:.2%}.", soft_wrap=True)
    if folder:
        out.print(
            f"Imported as “{name}”, in {folder}. See it: ferscope report {name}, or the workbench.", soft_wrap=True
        )


@import_app.command("network")
def import_network(
    source: Annotated[
        str,
        typer.Argument(
            help="A file (ONNX, .pt2 of torch.export, TorchScript, .safetensors or .pt with weights), or MODULE:FACTORY, a "
            "Python function of your own code, which is called: import only code that you trust."
        ),
    ],
    name: Name = "",
    expressions: Annotated[
        str,
        typer.Option(
            help="In the order of the outputs: angry,disgust,... or the name of a numbering, such as fer2013."
        ),
    ] = "",
    size: Annotated[str, typer.Option(help="Of its images, in pixels: 48, or height x width as 64x48.")] = "",
    channels: Annotated[int, typer.Option(help="1 for grey images, 3 for colour.")] = 0,
    mean: Annotated[
        str, typer.Option(help="Of each channel, subtracted from the pixels: 0.5 or 0.485,0.456,0.406.")
    ] = "",
    std: Annotated[str, typer.Option(help="Of each channel, by which the pixels are then divided.")] = "",
    scale: Annotated[float, typer.Option(help="1 for pixels from 0 to 1, 255 for pixels from 0 to 255.")] = 1.0,
    standardise: Annotated[str, typer.Option(help="image: each image is brought to mean 0 and deviation 1.")] = "fixed",
    bgr: Annotated[bool, typer.Option("--bgr", help="It takes blue before green before red, as OpenCV does.")] = False,
    crop: Annotated[str, typer.Option(help="How faces are cut out of photos: detector and margin, as mtcnn:0.2.")] = "",
    answers: Annotated[str, typer.Option(help="logits or probabilities. Default: told by its values.")] = "",
    output: Annotated[int, typer.Option(min=0, help="Which of several outputs, from 0.")] = 0,
    network: Annotated[
        str, typer.Option(help="Architecture, for a file of weights: small-vgg, torchvision:resnet18, ...")
    ] = "",
    weights: Annotated[
        Path | None, typer.Option(help="Weights for the torch module that MODULE:FACTORY makes.")
    ] = None,
    trained_on: Annotated[str, typer.Option(help="What it was trained on, for the card, such as “FER2013”.")] = "",
    title: Title = "",
    data: Annotated[str, typer.Option("--check-on", help="Labelled data set for the check.")] = "heads",
    split: Annotated[str, typer.Option("--check-split", help="Default: val.")] = "",
    as_given: Annotated[
        bool, typer.Option("--as-given", help="Keep it also where the check says that order or scale are other ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import a network that was trained elsewhere, so that it is evaluated, explained and compared as any other.

    Order of the classes, scale, normalisation, colours and size are checked on labelled images, and what is better
    otherwise is named. Pickles are never opened.
    """
    import sys

    from fer_core.foreign import suggested_name
    from fer_core.foreign.network import Asked, bring, checked, keep
    from fer_core.foreign.predictions import ordered

    if ":" in source and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    height, width = _size(size)
    asked = Asked(
        ordered(expressions), height, width, channels, _numbers("--mean", mean), _numbers("--std", std), scale, standardise, bgr,
        crop, answers, output, network, weights,
    )  # fmt: skip
    brought = bring(source, asked)
    found = checked(brought, data, split)
    if found.wrong and not as_given:
        raise ConfigError(f"{' '.join(found.wrong)} Nothing was kept; --as-given keeps it as you said.")
    name = name or suggested_name(source.replace(":", "-"))
    folder = keep(brought, name, title=title, trained_on=trained_on)
    if as_json:
        said = {"network": name, "notes": brought.notes, "accuracy": found.accuracy, "n": found.n, "wrong": found.wrong}
        print(json.dumps(said))
        return
    for sentence in (*brought.notes, *found.wrong):
        Console(stderr=True).print(sentence, soft_wrap=True, markup=False)
    if found.n:
        colours = (
            " These images are grey, so the order of the colours was not checked."
            if found.grey and channels == 3
            else ""
        )
        out.print(
            f"Checked on {found.n:,} images of {data}: {found.accuracy:.1%} are correct; no other order, scale or "
            f"normalisation is significantly better.{colours}"
            if not found.wrong
            else f"Checked on {found.n:,} images of {data}.",
            soft_wrap=True,
        )
    out.print(f"Imported as “{name}”, in {folder}. Next: ferscope evaluate {name} --data DATA.", soft_wrap=True)


@import_app.command("tool")
def import_tool(
    tool: Annotated[str, typer.Argument(help="fer, deepface or emotiefflib; its package has to be installed.")],
    name: Name = "",
) -> None:
    """Import a tool of the field as a network, so that it is evaluated and compared on the same images as any other."""
    from fer_core.foreign.network import Asked, bring, keep
    from fer_core.foreign.tools import TOOLS

    one = TOOLS.get(tool)
    asked = Asked(one.expressions, one.size, one.size, one.channels, answers=one.answers)
    folder = keep(bring(one.reference, asked), name or tool, title=one.title, trained_on=one.trained_on)
    out.print(f"Imported as “{name or tool}”, in {folder}. {one.sentence}", soft_wrap=True)


def _size(text: str) -> tuple[int, int]:
    """“48” or “64x48” as (height, width); (0, 0) for nothing."""
    sides = text.lower().split("x") if text else ["0"]
    if not all(side.strip().isdecimal() for side in sides) or len(sides) > 2:
        raise ConfigError(f"--size {text}: expected pixels, as 48, or height x width, as 64x48.")
    return int(sides[0]), int(sides[-1])


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ConfigError(f"{option} {text}: expected a number, or one for each channel between commas.") from error


@app.command()
def table(
    network: Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")],
    to: Annotated[Path, typer.Option("--out", dir_okay=False, help="The csv file to write; .parquet writes parquet.")],
    key: Annotated[str, typer.Option("--table", help="“<data set>-<split>”. Default: the network's first table.")] = "",
) -> None:
    """Write a predictions table as a csv that other tools read: id, label, predicted, confidence, probabilities, logits."""
    from fer_core.runs.store import find
    from fer_core.workspace import write_atomically

    found = find(network)
    if not found.tables:
        raise ConfigError(
            f"{found.name} has no predictions table; ferscope evaluate {found.name} --data DATA writes one."
        )
    frame = found.predictions(key or next(iter(found.tables))).to_frame()
    parquet = to.suffix == ".parquet"
    write_atomically(to, frame.to_parquet(index=False) if parquet else frame.to_csv(index=False).encode())
    out.print(f"{len(frame):,} rows written to {to}", soft_wrap=True)
