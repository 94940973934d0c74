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

data_app = typer.Typer(no_args_is_help=True, help="Data sets that this workspace knows.")
app.add_typer(data_app, name="data")

Name = Annotated[str, typer.Option(help="Name of the new set; made from the path when not given.")]
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
    path: Annotated[str, typer.Argument(help="A csv, a parquet file or a folder; PATH@MODE where a layout has modes.")],
    name: Name = "",
    on_bad: Bad = None,
) -> None:
    """Open a data set and remember it under a name, and what to do with images that cannot be read."""
    from fer_core.datasets import known, open_dataset

    name = known.add(path, name, on_bad or "refuse")
    dataset = open_dataset(name)
    report_skipped(dataset)
    out.print(f"Added “{name}”: {dataset.title}, {_in_words(dataset)}. {dataset.protocol}".strip(), soft_wrap=True)
    modes = known.recognise(known.known()[name]).modes
    if modes and not known.parted(path)[1]:
        out.print(f"It can also be read as {', '.join(f'{name}@{mode}' for mode in modes)}.", soft_wrap=True)


def _in_words(dataset: Dataset) -> str:
    """How many images each part of a set has, and how many were left out."""
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
    """Count a data set's pictures by split and expression."""
    from fer_core.datasets import open_dataset
    from fer_core.datasets.summary import counts as count

    dataset = open_dataset(data, on_bad=on_bad)
    counts = count(dataset)
    counts = counts[counts.sum(axis=1) > 0]
    if as_json:
        nested = {split: counts[split].to_dict() for split in sorted(counts)}
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
    """Look for pictures that occur twice, within and across splits, for contradicting labels and blank pictures."""
    from fer_core.datasets import cleaning, open_dataset
    from fer_core.datasets.duplicates import across, contradicting, duplicates_of, leaks
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
        f"{dataset.title}: {figures['pictures']:,} pictures; {figures['identical_groups']:,} groups of identical ones, "
        f"{figures['contradicting_groups']:,} of them with different labels; {figures['groups']:,} groups with near and "
        f"mirrored ones; {figures['blank']:,} blank pictures.",
        soft_wrap=True,
    )
    for split, count in figures["leaks"].items():
        share = count["all"] / dataset.splits[split]
        out.print(
            f"{count['all']:,} pictures of {split} ({share:.1%}) also occur in train, {count['identical']:,} of them "
            "identical: figures on them are too good.",
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
    """Name the pictures that show no face: by FER+'s voters where there are votes, else by a detector."""
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
        f"{len(table):,} of {len(dataset):,} pictures show no face.{more} A detector misses dark, turned and covered faces too: "
        f"look at them, then leave them out with: ferscope data clean {data} --steps faceless",
        soft_wrap=True,
    )


@data_app.command("leaks")
def data_leaks(
    data: str,
    split: Annotated[str, typer.Option(help="The split that is evaluated.")] = "val",
    into: Annotated[str, typer.Option(help="The split that is learned.")] = "train",
    turned: Annotated[
        bool, typer.Option("--turned", help="Also look for copies that were turned or shifted; takes minutes.")
    ] = False,
    near: Annotated[
        Path | None,
        typer.Option("--near", dir_okay=False, help="Write the images that are only much alike to this file."),
    ] = None,
    on_bad: Bad = None,
    csv: Csv = None,
    as_json: AsJson = False,
) -> None:
    """Name the images of a split that also occur in another, each with its twin.

    The table has what is the same as it lies or mirrored. Images that are only much alike, copies by their names and, if
    asked for, turned or shifted copies are counted apart.
    """
    import pandas as pd

    from fer_core.datasets import open_dataset
    from fer_core.datasets.copies import moved_copies, named_copies
    from fer_core.datasets.leaks import leaks_of, near_twins_of

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
        f"{len(table):,} of {dataset.splits[split]:,} images of {split} also occur in {into}: {counts}.", soft_wrap=True
    )
    if len(alike):
        out.print(
            f"{len(alike):,} more are much like an image of {into} (correlation 0.90 to 0.95): many are the same photograph, cut "
            "or compressed differently.",
            soft_wrap=True,
        )
    if len(named):
        first = named.iloc[0]
        out.print(
            f"{len(named):,} have the name of an image of {into} with a mark of augmentation, such as {escape(first['id'])} "
            f"beside {escape(first['twin'])}: split the set before it is augmented.",
            soft_wrap=True,
        )
    out.print(
        "Turned and shifted copies, by up to 15 degrees and some pixels, are among these; larger ones are not seen."
        if turned
        else "Copies that are turned, or shifted by more than a pixel or two, are not seen; --turned looks for them.",
        soft_wrap=True,
    )


@data_app.command("split")
def data_split(
    data: str,
    how: Annotated[How, typer.Option(help="parts is 80:10:10; carve takes a tenth of train as val.")] = How.parts,
    name: Name = "",
    k: Annotated[int, typer.Option(help="Folds of kfold.")] = 5,
    fold: Annotated[int, typer.Option(help="The fold that is tested.")] = 0,
    seed: int = 0,
    group: Annotated[
        str | None, typer.Option(help="Column to keep together; “” for none. Person or film by itself.")
    ] = None,
    twins_apart: Annotated[
        bool, typer.Option("--twins-apart", help="Deal out pictures that occur twice one by one, not as one.")
    ] = False,
    keep_leaks: Annotated[bool, typer.Option(help="Keep pictures of train that are also in val or test.")] = False,
    on_bad: Bad = None,
) -> None:
    """Split a set anew and remember the result as a set of its own; the split is saved by image id."""
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
        f"Kept together: {kept}." if kept else "Picture by picture: the set knows no persons or films.", soft_wrap=True
    )


@data_app.command("clean")
def data_clean(
    data: str,
    steps: Annotated[
        str, typer.Option(help="Any of blank, faceless, contradicting, duplicates, leaks, with commas.")
    ] = "blank,contradicting,leaks",
    corrections: Annotated[
        Path | None, typer.Option(help="A csv with id and label; “unclear” drops a picture.")
    ] = None,
    name: Name = "",
) -> None:
    """Leave out what is wrong and relabel what was corrected, as a set of its own; the source stays as it is."""
    from fer_core.datasets.known import resolve

    _, layout = resolve(data)
    name = name or f"{layout.dataset or Path(data).name.lower().partition('.')[0]}-clean"
    chosen = json.dumps([step.strip() for step in steps.split(",") if step.strip()])
    extra = f"corrections = {json.dumps(str(corrections.resolve()))}\n" if corrections else ""
    _make(name, f"{_part(data)}{extra}\n[clean]\nsteps = {chosen}")


@data_app.command("merge")
def data_merge(
    recipe: Annotated[str, typer.Argument(help="lmu or kaist, a TOML file, or a data set for --expressions.")],
    expressions: Annotated[
        str, typer.Option(help="Keep only the images of these: fer7, ferplus8 or rafdb6; given with a data set.")
    ] = "",
    name: Name = "",
) -> None:
    """Make a set of several: lmu or kaist as in the reports, or a TOML file of yours; or of one, with fewer expressions."""
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
    """The `[[part]]` of a set given by name or path; a path is written out, as the file lies elsewhere."""
    path, at, mode = data.rpartition("@")
    path, mode = (path, at + mode) if path else (data, "")
    place = Path(path).expanduser()
    return f"[[part]]\ndata = {json.dumps((str(place.resolve()) if place.exists() else path) + mode)}\n"


def _make(name: str, text: str) -> None:
    """Write a made set into the workspace, open it once so that what is wrong is said now, and remember it."""
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
    """List every change that made a set what it is: what was left out or relabelled, and why."""
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
    faces: Annotated[str, typer.Option(help="largest or all.")] = "largest",
    min_size: Annotated[float, typer.Option(help="Longer side of the smallest face, pixels.")] = 32,
    margin: Annotated[
        float | None, typer.Option(help="Around the box, as a share; not given: as FER2013 is cut.")
    ] = None,
    align: Align = Align.none,
    size: Annotated[int, typer.Option(help="Side of the result, pixels; 0 as cut.")] = 0,
    grey: bool = False,
    light: Annotated[str, typer.Option(help="Any of equalise, clahe, gamma, dog, dct, diffusion, with commas.")] = "",
    workers: Annotated[int, typer.Option(help="Processes; 0 takes one for each processor.")] = 0,
    on_bad: Bad = "skip",
    as_json: AsJson = False,
) -> None:
    """Cut the faces out of a set's pictures into a folder beside it; started again it goes on where it was stopped."""
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
        f"{written:,} faces of {len(dataset):,} pictures in {target}. Add it: ferscope data add {target}",
        soft_wrap=True,
    )
    if missed:
        first = "; ".join(f"{image}: {problem}" for image, problem in missed[:5])
        out.print(f"{len(missed):,} pictures gave none, all listed in {target / 'done.csv'}: {first}", soft_wrap=True)
