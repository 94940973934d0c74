"""`ferscope data`: the data sets that this workspace knows, and what can be done with them."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from trainers.console import AsJson, Bad, Detector, app, out, report_skipped

if TYPE_CHECKING:
    import pandas as pd

    from fer_core.datasets import Dataset

data_app = typer.Typer(no_args_is_help=True, help="Data sets of this workspace.")
app.add_typer(data_app, name="data")

Name = Annotated[str, typer.Option(help="Name of the new set. Default: derived from the path.")]
ROWS = 40  # of a long table, on the screen
Csv = Annotated[Path | None, typer.Option("--csv", dir_okay=False, help="Write the table to this file.")]


class How(StrEnum):
    parts = "parts"
    kfold = "kfold"
    carve = "carve"
    female_to_male = "female-to-male"


class Align(StrEnum):
    none = "none"
    upright = "upright"
    eyes = "eyes"


def _table(title: str, rows: pd.DataFrame, words: tuple[str, ...] = ()) -> Table:
    table = Table(title, *map(str, rows.columns[1:])) if title else Table(*map(str, rows.columns))
    for name, column in zip(rows.columns, table.columns, strict=True):
        column.justify = "left" if name == rows.columns[0] or name in words else "right"
    for row in rows.itertuples(index=False):
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    return table


def _write(table: pd.DataFrame, path: Path | None, quiet: bool) -> None:
    if path:
        from fer_core.workspace import write_atomically

        write_atomically(path, table.to_csv(index=False).encode())
        if not quiet:
            out.print(f"Table written to {path}", soft_wrap=True)


@data_app.command("add")
def data_add(
    path: Annotated[
        str, typer.Argument(help="A csv, a parquet file or a folder. PATH@MODE selects a mode of the layout.")
    ],
    name: Name = "",
    on_bad: Bad = None,
) -> None:
    """Add a data set under a name. The choice for unreadable images is kept with it."""
    from fer_core.datasets import known, open_dataset

    name = known.add(path, name, on_bad or "refuse")
    dataset = open_dataset(name)
    report_skipped(dataset)
    out.print(f"Added “{name}”: {dataset.title}, {_in_words(dataset)}. {dataset.protocol}".strip(), soft_wrap=True)
    modes = known.recognise(known.known()[name]).modes
    if modes and not known.parted(path)[1]:
        out.print(f"It can also be opened as {', '.join(f'{name}@{mode}' for mode in modes)}.", soft_wrap=True)


def _in_words(dataset: Dataset) -> str:
    """The number of images in each split, and of those left out."""
    parts = ", ".join(f"{split} {n:,}" for split, n in dataset.splits.items())
    return f"{parts}; {dataset.left_out:,} left out"


@data_app.command("get")
def data_get(name: str) -> None:
    """Download a data set where its owners allow it (fer2013), or say how to get it."""
    from fer_core.datasets import known
    from fer_core.datasets.download import get

    path = get(name)
    out.print(f"Added “{known.add(path, name)}”: {path}", soft_wrap=True)


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the known data sets."""
    from fer_core.datasets import known
    from fer_core.datasets.heads import HEADS

    places = {HEADS: "rendered, built in", **{name: str(path) for name, path in known.known().items()}}
    if as_json:
        print(json.dumps(places))
        return
    table = Table("name", "path")
    for name, place in places.items():
        table.add_row(name, escape(place))
    out.print(table)


@data_app.command("show")
def data_show(data: str, on_bad: Bad = None, as_json: AsJson = False) -> None:
    """Count a data set's images by split and expression."""
    from fer_core.datasets import open_dataset
    from fer_core.datasets.summary import counts as count

    dataset = open_dataset(data, on_bad=on_bad)
    counts = count(dataset)
    counts = counts[counts.sum(axis=1) > 0]
    if as_json:
        nested = {split: counts[split].to_dict() for split in sorted(map(str, counts))}
        why = [{"id": entry.id, "reason": entry.reason, "n": entry.n} for entry in dataset.skipped]
        said = {"title": dataset.title, "counts": nested, "skipped": dataset.left_out, "left_out": why}
        print(json.dumps(said))
        return
    report_skipped(dataset)
    counts = counts.rename_axis(dataset.title).reset_index()
    counts.loc[len(counts)] = ["all", *counts.iloc[:, 1:].sum()]
    out.print(_table("", counts))
    if dataset.protocol:
        out.print(dataset.protocol, soft_wrap=True)


@data_app.command("check")
def data_check(data: str, on_bad: Bad = None, as_json: AsJson = False) -> None:
    """Find duplicates within and across splits, contradicting labels, and blank images."""
    from fer_core.datasets import cleaning, open_dataset
    from fer_core.datasets.duplicates import across, contradicting, duplicates_of, leaks
    from fer_core.datasets.titles import split_title
    from fer_core.images import ImageSpec

    dataset = open_dataset(data, on_bad=on_bad)
    found = duplicates_of(dataset)
    identical = found.of_kind("identical")
    others = [split for split in dataset.splits if split != "train" and "train" in dataset.splits]
    leaked = {split: leaks(dataset, found, split) for split in others}
    blank = cleaning.blank(dataset.images(ImageSpec()))
    figures: dict[str, Any] = {
        "pictures": len(dataset),
        "identical_groups": identical.groups,
        "groups": found.groups,
        "contradicting_groups": int(contradicting(dataset.index, identical)["group"].nunique()),
        "blank": int(blank.sum()),
        "leaks": {
            split: {"identical": int((table["kind"] == "identical").sum()), "all": len(table)}
            for split, table in leaked.items()
        },
    }
    if as_json:
        print(json.dumps(figures))
        return
    out.print(
        f"{dataset.title}: {figures['pictures']:,} images; {figures['identical_groups']:,} groups of identical images, "
        f"{figures['contradicting_groups']:,} of them with different labels; {figures['groups']:,} groups including near and "
        f"mirrored duplicates; {figures['blank']:,} blank images.",
        soft_wrap=True,
    )
    for split, count in figures["leaks"].items():
        share = count["all"] / dataset.splits[split]
        out.print(
            f"{count['all']:,} images of the {split_title(split)} ({share:.1%}) also occur in the training set, "
            f"{count['identical']:,} of them identical: figures on them are too good.",
            soft_wrap=True,
        )
    if found.groups:
        out.print(_table("groups that touch", across(dataset, found)))


@data_app.command("faceless")
def data_faceless(
    data: str,
    detector: Detector = "mtcnn",
    on_bad: Bad = None,
    csv: Csv = None,
    as_json: AsJson = False,
) -> None:
    """List the images that show no face, according to FER+'s votes if there are any, otherwise to a face detector."""
    from fer_core.datasets import open_dataset
    from fer_core.datasets.faceless import faceless_of

    dataset = open_dataset(data, on_bad=on_bad)
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task("Looking for faces", total=None)
        table = faceless_of(dataset, detector, lambda done, total: bar.update(task, completed=done, total=total))
    _write(table, csv, as_json)
    if as_json:
        print(table.to_json(orient="records"))
        return
    if csv is None and len(table):
        out.print(_table("", table.head(ROWS), tuple(table.columns)))
    more = f" The first {ROWS} are listed; --csv FILE writes all." if csv is None and len(table) > ROWS else ""
    out.print(
        f"{len(table):,} of {len(dataset):,} images show no face.{more} A detector also misses dark, turned and covered faces. "
        f"Check the images, then drop them with: ferscope data clean {data} --steps faceless",
        soft_wrap=True,
    )


@data_app.command("leaks")
def data_leaks(
    data: str,
    split: Annotated[str, typer.Option(help="Split to evaluate on.")] = "val",
    into: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    turned: Annotated[
        bool, typer.Option("--turned", help="Also find rotated or shifted copies. This takes minutes.")
    ] = False,
    near: Annotated[
        Path | None,
        typer.Option("--near", dir_okay=False, help="Write the images that are only similar to this file."),
    ] = None,
    on_bad: Bad = None,
    csv: Csv = None,
    as_json: AsJson = False,
) -> None:
    """List the images of a split that also occur in another split, each with its duplicate.

    The table has identical and mirrored images. Similar images, copies recognised by their file names and, with --turned,
    rotated or shifted copies are counted separately.
    """
    import pandas as pd

    from fer_core.datasets import open_dataset
    from fer_core.datasets.copies import moved_copies, named_copies
    from fer_core.datasets.leaks import leaks_of, near_twins_of
    from fer_core.datasets.titles import split_title

    dataset = open_dataset(data, on_bad=on_bad)
    table = leaks_of(dataset, split, into)
    if turned:
        moved = moved_copies(dataset, split, into)
        table = pd.concat([table, moved[~moved["id"].isin(set(table["id"]))]], ignore_index=True)
    _write(table, csv, as_json)
    if as_json and near is None:
        print(table.to_json(orient="records"))
        return
    alike, named = near_twins_of(dataset, split, into), named_copies(dataset, split, into)
    _write(alike, near, as_json)
    if as_json:
        print(table.to_json(orient="records"))
        return
    counts = ", ".join(f"{n:,} {kind}" for kind, n in table["kind"].value_counts().items()) or "none"
    out.print(
        f"{len(table):,} of {dataset.splits[split]:,} images of the {split_title(split)} also occur in the "
        f"{split_title(into)}: {counts}.",
        soft_wrap=True,
    )
    if len(alike):
        out.print(
            f"{len(alike):,} more resemble an image of the {split_title(into)} (correlation 0.90 to 0.95): many are the same "
            "photograph, cropped or compressed differently.",
            soft_wrap=True,
        )
    if len(named):
        first = named.iloc[0]
        out.print(
            f"{len(named):,} are named like an augmented copy of an image of the {split_title(into)}, such as "
            f"{escape(first['id'])} and {escape(first['twin'])}: split the set before you augment it.",
            soft_wrap=True,
        )
    out.print(
        "These include copies rotated by up to 15 degrees or shifted by some pixels. Larger changes are not found."
        if turned
        else "Copies that are rotated, or shifted by more than a pixel or two, are not found; --turned finds them.",
        soft_wrap=True,
    )


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
    from fer_core.datasets import known, open_dataset, splits
    from fer_core.workspace import home

    dataset = open_dataset(data, on_bad=on_bad)
    index = dataset.index if twins_apart else splits.with_twins(dataset)
    table = splits.split_table(index, how.value, k=k, fold=fold, seed=seed, group=group)
    name = name or f"{dataset.name}-{how.value}" + (f"-{fold}" if how is How.kfold else "")
    known.refuse_name(name)
    splits.save(table, home() / "sets" / f"{name}-split.csv")
    clean = "" if keep_leaks else '[clean]\nsteps = ["leaks"]\n\n'
    _make(name, f'{_part(data)}\n{clean}[split]\nfile = "{name}-split.csv"')
    kept = splits.kept_together(index, group)
    out.print(
        f"Kept together: {kept}."
        if kept
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
    from fer_core.datasets.known import resolve

    _, layout = resolve(data)
    name = name or f"{layout.dataset or Path(data).name.lower().partition('.')[0]}-clean"
    chosen = json.dumps([step.strip() for step in steps.split(",") if step.strip()])
    extra = f"corrections = {json.dumps(str(corrections.resolve()))}\n" if corrections else ""
    _make(name, f"{_part(data)}{extra}\n[clean]\nsteps = {chosen}")


@data_app.command("merge")
def data_merge(
    recipe: Annotated[str, typer.Argument(help="lmu, kaist or a TOML file; with --expressions, a data set.")],
    expressions: Annotated[
        str, typer.Option(help="Keep only images with these expressions: fer7, ferplus8 or rafdb6. Needs a data set.")
    ] = "",
    name: Name = "",
) -> None:
    """Merge data sets (lmu or kaist as in the reports, or your TOML file), or reduce one to fewer expressions."""
    from fer_core.datasets import open_dataset
    from fer_core.datasets.derived import SHIPPED, anywhere
    from fer_core.errors import UnknownName

    if expressions:
        name = name or f"{open_dataset(recipe).name}-{expressions}"
        _make(name, f"expressions = {json.dumps(expressions)}\n{_part(recipe)}")
        return
    path = SHIPPED / f"{recipe}.toml" if "." not in recipe else Path(recipe).expanduser()
    if not path.is_file():
        raise UnknownName("merge", recipe, sorted(file.stem for file in SHIPPED.glob("*.toml")))
    _make(name or path.stem, anywhere(path))


def _part(data: str) -> str:
    """The `[[part]]` for a data set given by name or path. Paths become absolute, because the file lies elsewhere."""
    path, at, mode = data.rpartition("@")
    path, mode = (path, at + mode) if path else (data, "")
    place = Path(path).expanduser()
    return f"[[part]]\ndata = {json.dumps((str(place.resolve()) if place.exists() else path) + mode)}\n"


def _make(name: str, text: str) -> None:
    """Write a derived set into the workspace, open it once to find problems now, and add it."""
    from fer_core.datasets import known, open_dataset
    from fer_core.errors import DataError, FerError
    from fer_core.workspace import home, write_atomically

    known.refuse_name(name)
    path = home() / "sets" / f"{name}.toml"
    if known.known().get(name, path.resolve()) != path.resolve():
        raise DataError(f"The name “{name}” already stands for {known.known()[name]}; choose another with --name.")
    before = path.read_bytes() if path.exists() else None
    write_atomically(path, f"{text.strip()}\n".encode())
    try:
        dataset = open_dataset(path)
    except FerError:  # the set of the name, if there was one, is none the worse for it
        path.unlink() if before is None else write_atomically(path, before)
        raise
    known.add(path, name)
    out.print(f"Added “{name}”: {_in_words(dataset)}. It is written in {path}.", soft_wrap=True)


@data_app.command("audit")
def data_audit(data: str, csv: Csv = None, as_json: AsJson = False) -> None:
    """List every change to a data set: which images were left out or relabelled, and why."""
    from fer_core.datasets import cleaning, open_dataset

    table = cleaning.audit(open_dataset(data))
    _write(table, csv, as_json)
    if as_json:
        print(table.to_json(orient="records"))
        return
    if csv is None and len(table):
        out.print(_table("", table.head(ROWS), tuple(table.columns)))
    counts = ", ".join(f"{change} {n:,}" for change, n in table.groupby("change")["n"].sum().items()) or "none"
    more = f" The first {ROWS} are shown; --csv FILE writes all." if csv is None and len(table) > ROWS else ""
    out.print(f"Changes of {data}: {counts}.{more}", soft_wrap=True)


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
    from pydantic import ValidationError

    from fer_core.datasets import open_dataset
    from fer_core.datasets.known import resolve
    from fer_core.datasets.preparation import prepare
    from fer_core.errors import ConfigError
    from fer_core.images import Preparation

    try:
        settings = Preparation.model_validate(
            {
                "detector": detector, "faces": faces, "min_size": min_size, "margin": margin, "align": align.value,
                "size": size, "grey": grey, "light": [step.strip() for step in light.split(",") if step.strip()],
            }
        )  # fmt: skip
    except ValidationError as error:
        wrong = "; ".join(f"{e['loc'][0]} = {e['input']!r}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{wrong}.") from error
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
