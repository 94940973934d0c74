"""Results of experiments: a sentence and tables, as one file beside the weights of their network.

`lab-<experiment>-<settings>.json` is written when an experiment is finished (`checkpoint.place_for`), and what ships lies in
`checkpoints/`. A result counts only for the weights, and the settings of the card, that gave it. One that was measured here
counts only for the present renderer; one that ships was measured with the release's.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from fer_core import workspace
from fer_core.checkpoint import place_for, read_card, weights_digest, written
from fer_core.errors import CheckpointError, DataError
from fer_core.lab.answers import Progress, renderer
from fer_core.untrusted import read_json
from fer_core.workspace import write_atomically

if TYPE_CHECKING:
    from fer_core.serving.predictor import LoadedNetwork

FORMAT = 1
DECIMALS = 6


class Measured(Protocol):
    """What an experiment's `measure` gives."""

    def sentence(self) -> str:
        """The answer in words."""

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of the answer by name, the main one first."""


@dataclass(frozen=True, eq=False)
class Result:
    """A finished experiment on one network.

    Attributes:
        settings: of the experiment, by the names of the arguments of its `measure`.
        sentence: the answer in words.
        tables: by name, the main one first.
    """

    settings: dict[str, Any]
    sentence: str
    tables: dict[str, pd.DataFrame]

    @property
    def table(self) -> pd.DataFrame:
        """The main table."""
        return next(iter(self.tables.values()))


def measured(
    folder: Path,
    network: LoadedNetwork,
    measure: Callable[..., Measured],
    *settings: Any,
    progress: Progress | None = None,
) -> Result:
    """Make an experiment and keep its result; one that was kept before is read.

    Args:
        folder: the network's.
        measure: of an experiment, such as `curve.measure`; `settings`: its arguments after the network.
        progress: called with the number of units done and of all.

    Raises:
        as `measure`.
    """
    if (known := find(folder, measure, *settings)) is not None:
        return known
    found = measure(network, *settings, progress=progress)
    tables = {name: table.round(DECIMALS) for name, table in found.tables().items()}
    chosen = _settings(measure, settings)
    about = {"format": FORMAT, "network": _served(folder), "renderer": renderer(), "settings": chosen}
    kept = {name: json.loads(table.to_json(orient="split", index=False)) for name, table in tables.items()}
    answer = {"sentence": found.sentence(), "tables": kept}
    text = json.dumps(about | answer | {"digest": _digest(answer)}, ensure_ascii=False)
    write_atomically(place_for(folder) / _name(measure, chosen), (text + "\n").encode())
    return Result(chosen, found.sentence(), tables)


def find(folder: Path, measure: Callable[..., Measured], *settings: Any) -> Result | None:
    """The kept result of an experiment on a network as it is now; None where there is none, or only a damaged one."""
    name = _name(measure, _settings(measure, settings))
    return next((found for path in written(folder, name, here_first=True) if (found := _read(path, folder))), None)


def kept(folder: Path, measure: Callable[..., Measured]) -> list[Result]:
    """All kept results of an experiment on a network as it is now."""
    paths = written(folder, f"lab-{_experiment(measure)}-*.json", here_first=True)
    return [found for path in paths if (found := _read(path, folder))]


def _read(path: Path, folder: Path) -> Result | None:
    try:
        stored = read_json(path)
        shipped = path.resolve().is_relative_to(workspace.CHECKPOINTS.resolve())
        if (stored["format"], stored["network"]) != (FORMAT, _served(folder)):
            return None
        if not shipped and stored["renderer"] != renderer():
            return None
        if stored["digest"] != _digest({name: stored[name] for name in ("sentence", "tables")}):
            return None
        tables = {name: pd.DataFrame(one["data"], columns=one["columns"]) for name, one in stored["tables"].items()}
        return Result(dict(stored["settings"]), str(stored["sentence"]), tables) if tables else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError, CheckpointError):
        return None  # damaged by hand: it is measured anew, from the answers that are kept


def _digest(answer: Mapping[str, Any]) -> str:
    """SHA-256 of a sentence and its tables: a file that was changed by hand is no result."""
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()


def _served(folder: Path) -> str:
    """A key of all that a network's answers depend on."""
    card = read_card(folder)
    about = card.model_dump_json(include={"image", "tta", "temperature", "expressions"})
    return hashlib.sha256(f"{weights_digest(folder)}|{about}".encode()).hexdigest()[:24]


def _experiment(measure: Callable[..., Measured]) -> str:
    return measure.__module__.rpartition(".")[2]


def _settings(measure: Callable[..., Measured], settings: tuple[Any, ...]) -> dict[str, Any]:
    """The arguments by name, with their defaults, as JSON has them."""
    bound = inspect.signature(measure).bind(None, *settings)
    bound.apply_defaults()
    chosen = {name: value for name, value in bound.arguments.items() if name not in ("network", "progress")}
    return dict(json.loads(json.dumps(chosen)))


def _name(measure: Callable[..., Measured], settings: Mapping[str, Any]) -> str:
    """“lab-curve-happy-60-11-0.json”: the settings in their order, those that are None left out."""
    words = ["+".join(map(str, value)) if isinstance(value, list) else str(value) for value in settings.values()
             if value is not None]  # fmt: skip
    text = re.sub(r"[^a-z0-9+.-]", "", "-".join([_experiment(measure), *words]).lower())
    if len(text) > 100:
        text = f"{text[:80]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return f"lab-{text}.json"
