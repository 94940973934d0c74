"""The runs and networks of the workspace, read from their folders at each call, so nothing can be outdated."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fer_core import workspace
from fer_core.checkpoint import WEIGHTS, Card, load_tensors, read_card, save_tensors, weights_path, write_card, written
from fer_core.errors import CheckpointError, FerError, RunError, UnknownName
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import evaluate
from fer_core.runs.folder import NAME, OWN_SPLIT, TRIAL, RunFolder
from fer_core.untrusted import is_file, is_folder

# What people try to open as a network, by the ending of its name.
FOREIGN = {
    ".onnx": "an ONNX network",
    ".pth.tar": "a PyTorch checkpoint of another program",
    ".pt": "a PyTorch file of another program",
    ".pth": "a PyTorch file of another program",
    ".ckpt": "a checkpoint of another program",
    ".t7": "a checkpoint of another program (PyTorch or Torch7)",
    ".h5": "a Keras network",
    ".hdf5": "a Keras network",
    ".keras": "a Keras network",
    ".tflite": "a TensorFlow Lite network",
    ".safetensors": "weights without the card that says what they are for",
    ".csv": "a table, perhaps of another program's predictions",
    ".parquet": "a table, perhaps of predictions",
    ".zip": "an archive",
}
TABLE = re.compile(r"predictions-(?P<key>.+)\.parquet")


@dataclass(frozen=True)
class Checkpoint:
    """A network with weights: shipped under `checkpoints/`, or the best epoch of a run."""

    name: str
    folder: Path
    card: Card
    shipped: bool

    @property
    def run(self) -> RunFolder:
        """The same folder seen as a run: a shipped network keeps its history too."""
        return RunFolder(self.folder)

    @property
    def tables(self) -> dict[str, Path]:
        """Predictions tables by “<data set>-<split>”: those beside the weights, and those computed in this workspace.

        Of one key a shipped table is taken: its figures are those of the card.
        """
        found = ((TABLE.fullmatch(path.name), path) for path in written(self.folder, "predictions-*.parquet"))
        return {match["key"]: path for match, path in found if match}

    def predictions(self, key: str) -> Predictions:
        """The predictions on one data set and split.

        Raises:
            UnknownName: it has not been evaluated there.
        """
        tables = self.tables
        if key not in tables:
            raise UnknownName(f"predictions table of {self.name}", key, tables)
        return Predictions.read(tables[key])


def runs() -> list[RunFolder]:
    """All runs, the newest first; a folder that was emptied or half written is among them."""
    root = workspace.runs()
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:
        folders = [Path(entry.path) for entry in entries if entry.is_dir() and NAME.fullmatch(entry.name)]
    return [RunFolder(folder) for folder in sorted(folders, key=_created, reverse=True)]


def _created(folder: Path) -> float:
    """When the run was made: its recipe is written once."""
    for path in (folder / "config.toml", folder):
        try:
            return path.stat().st_mtime
        except FileNotFoundError:  # damaged, or deleted in this moment
            continue
    return 0.0


def free_name(stem: str) -> str:
    """The first unused name of stem, stem-2, stem-3, ..."""
    number = 1
    while (run := RunFolder.named(name := stem if number == 1 else f"{stem}-{number}")).path.exists() or run.shipped:
        number += 1
    return name


@contextmanager
def taken_back(made: Sequence[RunFolder], *with_them: Path) -> Iterator[None]:
    """If a start fails, remove its new runs again, unless one has begun.

    Args:
        with_them: folders that were made for these runs.
    """
    try:
        yield
    except FerError:
        if not any((run.path / "last.safetensors").exists() or run.log.exists() for run in made):
            for folder in (*(run.path for run in made), *with_them):
                shutil.rmtree(folder)
        raise


def clone(name: str, new: str) -> RunFolder:
    """A new run with the recipe and data of another, not started yet.

    Raises:
        RunError: there is no such run, or the new name is taken or would leave the runs folder.
    """
    run = RunFolder.named(name)
    copy = RunFolder.create(new, run.config(), run.status().data)
    if (run.path / OWN_SPLIT).exists():
        shutil.copy(run.path / OWN_SPLIT, copy.path)
    return copy


def rename(name: str, new: str) -> RunFolder:
    """Give a run another name; its card is changed with it.

    Raises:
        RunError: a process works on it, or the new name is taken or would leave the runs folder.
    """
    run, target = _at_rest(name, "renamed"), RunFolder.named(new)
    target.refuse_taken()
    os.rename(run.path, target.path)
    if (target.path / "card.json").exists():
        write_card(target.path, read_card(target.path).model_copy(update={"name": new}))
    return target


def trash(name: str) -> Path:
    """Delete a run: its folder is moved to the workspace's `trash/`, from where `restore` brings it back.

    Raises:
        RunError: there is no such run, or a process works on it.
    """
    run = _at_rest(name, "deleted")
    place = workspace.home() / "trash" / f"{name}~{datetime.now():%Y%m%d-%H%M%S-%f}"
    place.parent.mkdir(parents=True, exist_ok=True)
    os.rename(run.path, place)
    return place


def restore(name: str) -> RunFolder:
    """Bring back the run that was deleted last under a name.

    Raises:
        RunError: none was, or another run has the name by now.
    """
    run = RunFolder.named(name)
    deleted = sorted((workspace.home() / "trash").glob(f"{name}~*"))
    if not deleted:
        raise RunError(f"There is no run “{name}” in {workspace.home() / 'trash'}.")
    if run.path.exists():
        raise RunError(f"There is a run called “{name}” again; rename that one first.")
    os.rename(deleted[-1], run.path)
    return run


def _at_rest(name: str, what: str) -> RunFolder:
    run = RunFolder.named(name)
    if not run.path.is_dir():
        run.status()  # says that there is none
    status = run.look()
    if status.active and status.pid:
        raise RunError(f"The run “{name}” is {status.state} and cannot be {what}; stop it first.")
    return run


def checkpoints() -> dict[str, Checkpoint]:
    """Networks that have a readable card, by name: the shipped ones, then runs, the newest first.

    A folder whose card is damaged is left out here; `damaged` says what is wrong with it.
    """
    return _looked_through()[0]


def damaged() -> dict[str, list[str]]:
    """The problems of networks and runs whose files cannot be read, as sentences by name."""
    found = {name: [problem] for name, problem in _looked_through()[1].items()}
    for run in runs():
        if problems := run.problems():
            found[run.name] = [*problems, *found.get(run.name, [])]
    return found


def _looked_through() -> tuple[dict[str, Checkpoint], dict[str, str]]:
    """The networks by name, and the reasons why other folders with a card are not listed."""
    shipped = [path.parent for root in workspace.read_only() for path in sorted(root.glob("*/card.json"))]
    found: dict[str, Checkpoint] = {}
    bad: dict[str, str] = {}
    for folder, is_shipped in [*((f, True) for f in shipped), *((run.path, False) for run in runs())]:
        if folder.name in found or not (folder / "card.json").exists():
            continue
        if not is_shipped and (folder / TRIAL).exists() and RunFolder(folder).status().state != "finished":
            continue  # a trial that its sweep has stopped is no network to choose
        try:
            found[folder.name] = Checkpoint(folder.name, folder, read_card(folder), is_shipped)
        except CheckpointError as error:
            bad[folder.name] = str(error)
    return found, bad


def find(name: str | Path) -> Checkpoint:
    """A network by name, or by the path of its folder.

    Raises:
        UnknownName: no network of that name and no such folder.
        CheckpointError: the folder's card cannot be read.
    """
    folder = Path(name)
    read_only = workspace.read_only()
    roots = (*read_only, workspace.runs()) if folder.name == str(name) else ()
    named = [root / name for root in roots if is_folder(root / name)]
    if is_folder(folder) and ((folder / "card.json").exists() or not named):  # images may lie in a folder of the name
        folder = folder.resolve()
        if workspace.may_open(folder, *read_only):
            return Checkpoint(folder.name, folder, read_card(folder), folder.parent in read_only)
    for place in named:
        return Checkpoint(str(name), place, read_card(place), place.parent in read_only)
    if is_file(folder):
        what = next((what for ending, what in FOREIGN.items() if folder.name.lower().endswith(ending)), "a file")
        kind = "predictions" if folder.suffix.lower() in (".csv", ".parquet") else "network"
        raise CheckpointError(
            f"{name} is {what}; expected the name of a network or the folder of one (card.json and weights.safetensors). "
            f"Import it first: ferscope import {kind} {name}."
        )
    raise UnknownName("network or checkpoint folder", str(name), checkpoints())


def promote(name: str, shipped_name: str = "", *, half: bool = False) -> Path:
    """Copy a finished run to `checkpoints/`, with its card, weights, history, recipe and predictions tables.

    The card's figures are computed anew from the tables, so that both always agree.

    Args:
        half: round the weights to 16 bits, half the size. The tables and figures of the full weights are then left
            behind: evaluate what is shipped.

    Raises:
        RunError: the run has not finished, a shipped network has that name already, or this is no checkout.
    """
    if not workspace.CHECKOUT:
        raise RunError(
            f"A network is shipped from a checkout, and {workspace.ROOT} is none. Use the run “{name}” as it is."
        )
    run = RunFolder.named(name)
    if (state := run.status().state) != "finished":
        raise RunError(f"The run “{name}” is {state}; only a finished one can be promoted.")
    target = workspace.CHECKPOINTS / RunFolder.named(shipped_name or name).name
    if target.exists():
        raise RunError(f"There is already a shipped network “{target.name}”; give another name or move it away.")
    source = find(run.path)
    tables = {} if half else source.tables
    results = {key: source.card.results.get(key, {}) | evaluate(source.predictions(key)).to_json() for key in tables}
    target.parent.mkdir(exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".promoting-"))
    try:
        if half:
            tensors, _ = load_tensors(weights_path(run.path))
            rounded = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
            save_tensors(temporary / WEIGHTS[0], rounded)
        else:
            shutil.copy(weights_path(run.path), temporary / WEIGHTS[0])
        for path in (run.path / "metrics.jsonl", run.path / "config.toml", *tables.values()):
            if path.exists():  # an ensemble has no history
                shutil.copy(path, temporary)
        write_card(temporary, source.card.model_copy(update={"name": target.name, "results": results}))
        temporary.chmod(0o755)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target
