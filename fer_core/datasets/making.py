"""Make a data set of others and add it to the workspace: split differently, cleaned, merged or reduced.

Each function writes the small TOML file of `derived.py` for what was asked, opens it once, and adds it under a name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fer_core.datasets import Dataset, known, open_dataset, relabelling, splits
from fer_core.datasets.derived import SHIPPED, anywhere
from fer_core.datasets.titles import RELABELLED
from fer_core.errors import DataError, FerError, UnknownName
from fer_core.workspace import home, write_atomically


@dataclass(frozen=True)
class Made:
    """A new data set: its name, its file and its content; `together`: what a split kept in one part, in words."""

    name: str
    path: Path
    dataset: Dataset
    together: str = ""


def split(
    dataset: Dataset,
    data: str,
    how: str,
    name: str = "",
    *,
    k: int = 5,
    fold: int = 0,
    seed: int = 0,
    group: str | None = None,
    twins_apart: bool = False,
    keep_leaks: bool = False,
) -> Made:
    """A set with another split of the same images, which is saved by image.

    Args:
        dataset: the open set; `data`: its name or path.
        how, k, fold, seed, group: as `splits.split_table`.
        twins_apart: allow duplicates of an image in different splits.
        keep_leaks: keep training images that are also in the validation or test set.

    Raises:
        DataError: as `splits.split_table` and `make`.
    """
    index = dataset.index if twins_apart else splits.with_twins(dataset)
    table = splits.split_table(index, how, k=k, fold=fold, seed=seed, group=group)
    name = name or f"{dataset.name}-{how}" + (f"-{fold}" if how == "kfold" else "")
    known.refuse_name(name)
    splits.save(table, home() / "sets" / f"{name}-split.csv")
    clean_up = "" if keep_leaks else '[clean]\nsteps = ["leaks"]\n\n'
    made = make(name, f'{_part(data)}\n{clean_up}[split]\nfile = "{name}-split.csv"')
    return replace(made, together=splits.kept_together(index, group))


def clean(data: str, steps: Sequence[str], corrections: Path | None = None, name: str = "") -> Made:
    """A set without what the steps of `cleaning` drop, and with corrected labels.

    Args:
        data: name or path of the source.
        corrections: a csv with the columns id and label.

    Raises:
        DataError: as `make`.
    """
    _, layout = known.resolve(data)
    name = name or f"{layout.dataset or Path(data).name.lower().partition('.')[0]}-clean"
    extra = f"corrections = {json.dumps(str(corrections.resolve()))}\n" if corrections else ""
    return make(name, f"{_part(data)}{extra}\n[clean]\nsteps = {json.dumps(list(steps))}")


def relabelled_name(dataset: str) -> str:
    """What the set that `relabel` makes is called."""
    return f"{dataset}{RELABELLED}"


def relabel(data: str, dataset: str) -> Made:
    """A set with the labels that were corrected by hand, without the unclear images. It follows later corrections.

    Args:
        data: name or path of the source; `dataset`: its name in predictions tables, which the corrections are kept by.

    Raises:
        DataError: as `make`; nothing was corrected yet.
    """
    return clean(data, (), relabelling.path_of(dataset), relabelled_name(dataset))


def reduce(data: str, expressions: str, name: str = "") -> Made:
    """A set with only the images of a smaller vocabulary.

    Raises:
        DataError: as `make`.
    """
    name = name or f"{open_dataset(data).name}-{expressions}"
    return make(name, f"expressions = {json.dumps(expressions)}\n{_part(data)}")


def merge(recipe: str, name: str = "") -> Made:
    """A set merged from others, as a shipped recipe (“lmu”) or a TOML file says.

    Raises:
        UnknownName: it is neither.
        DataError: as `make`.
    """
    path = SHIPPED / f"{recipe}.toml" if "." not in recipe else Path(recipe).expanduser()
    if not path.is_file():
        raise UnknownName("merge", recipe, sorted(file.stem for file in SHIPPED.glob("*.toml")))
    return make(name or path.stem, anywhere(path))


def file_of(name: str) -> Path:
    """The file of a made set in the workspace."""
    return home() / "sets" / f"{name}.toml"


def make(name: str, text: str) -> Made:
    """Write a derived set into the workspace, open it once to find problems now, and add it.

    Raises:
        DataError: the name stands for another set, or the set cannot be opened; then a former set of the name stays.
    """
    known.refuse_name(name)
    path = file_of(name)
    if known.known().get(name, path.resolve()) != path.resolve():
        raise DataError(f"The name “{name}” is already used for {known.known()[name]}; choose another with --name.")
    before = path.read_bytes() if path.exists() else None
    write_atomically(path, f"{text.strip()}\n".encode())
    try:
        dataset = open_dataset(path)
    except FerError:
        path.unlink() if before is None else write_atomically(path, before)
        raise
    known.add(path, name)
    return Made(name, path, dataset)


def _part(data: str) -> str:
    """The `[[part]]` for a data set given by name or path. Paths become absolute, because the file lies elsewhere."""
    path, at, mode = data.rpartition("@")
    path, mode = (path, at + mode) if path else (data, "")
    place = Path(path).expanduser()
    return f"[[part]]\ndata = {json.dumps((str(place.resolve()) if place.exists() else path) + mode)}\n"
