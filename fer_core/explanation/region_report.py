"""The region report of a network on a split, as tables beside its weights: regions, covering, methods, mean maps.

Files: `explanation-<data>-<split>.json` (how they were made, and what they say in words) and one parquet file a table,
`explanation-<data>-<split>-<table>.parquet`. The json is written last, so a half-written report is none.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.checkpoint import Card, place_for, weights_path, written
from fer_core.datasets import Dataset
from fer_core.errors import DataError
from fer_core.evaluation.intervals import SEED
from fer_core.explanation.aggregate import maps_of, mean_map, relative
from fer_core.explanation.faithfulness import Explained
from fer_core.explanation.leaderboard import leaderboard
from fer_core.explanation.regions import attribution_table, covering_table, sentences, template_fit, verdict
from fer_core.faces.template import points_of, template
from fer_core.untrusted import read_json
from fer_core.workspace import write_atomically

if TYPE_CHECKING:
    from torch import nn

FORMAT = 2  # 1 compared methods with random pixels on one view; it is still read, and `outdated` says so
TABLES = ("regions", "covering", "methods", "agreement", "means")
REGION_METHODS = ("grad-cam", "integrated-gradients")  # one of the upper layers, one of the pixels
FACES = 64  # images on which the fixed template is compared with the faces' own points
NAME = re.compile(r"explanation-(?P<key>.+)\.json")


@dataclass(frozen=True, eq=False)
class RegionReport:
    """The tables of a network on a split.

    Attributes:
        about: how they were made: `n` and `n_of_split` images, `methods_n`, `layer`, `tta` (views of regions and covering;
            methods are compared on one view), `template` (`regions.template_fit`), `seed`, `weights` (sha256 of the weights
            file), `versions`, `seconds`; and in words: `verdict` and `sentences` by expression.
        regions: `regions.attribution_table` of several methods, with a column `method`.
        covering: `regions.covering_table`.
        methods, agreement: `leaderboard.leaderboard`.
        means: `method, expression, n, y, x, mean, low, high`: mean maps of the given expression, 1 being even.
    """

    about: dict[str, Any]
    regions: pd.DataFrame
    covering: pd.DataFrame
    methods: pd.DataFrame
    agreement: pd.DataFrame
    means: pd.DataFrame


def make(
    model: nn.Module,
    card: Card,
    folder: Path,
    dataset: Dataset,
    split: str,
    *,
    layer: str,
    limit: int = 0,
    methods_on: int = 128,
    methods: Sequence[str] | None = None,
    tta: str | None = None,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> RegionReport:
    """Compute all tables. Maps computed before are read from the disk, so an interrupted report continues.

    Args:
        folder: the checkpoint's, whose weights are fingerprinted.
        layer: for methods that look at one.
        limit: how many of the split's images, drawn by a fixed seed; 0: all.
        methods_on: how many of these serve for the comparison of methods, which takes long.
        methods: names of those compared; None: all.
        tta: views over which maps and answers of the regions are averaged; None: the card's, as served.
        on_progress: called with what is done, how much of it is, and of how much.

    Raises:
        DataError: no such split, or labels that the network does not know.
    """
    started = perf_counter()
    split_rows = dataset.without(card.leave_out).rows(split)
    order = np.random.default_rng(SEED).permutation(len(split_rows))
    rows = np.sort(split_rows[order[:limit]]) if limit else split_rows
    spec, expressions, tta = card.image, card.vocabulary, card.tta if tta is None else tta
    labels = dataset.label_index(expressions, rows)
    images = np.asarray(dataset.images(spec)[rows])
    points = np.array(points_of(dataset.name)) * (spec.width, spec.height)
    regions = template(spec.height, spec.width, points)

    tables, means = [], []
    for name in REGION_METHODS:
        tell = partial(_tell, on_progress, f"Maps by {name}", len(rows))
        maps = maps_of(model, images, spec, labels.tolist(), name, layer, tta=tta, on_chunk=tell)
        tables.append(attribution_table(maps, labels, expressions, regions).assign(method=name))
        means.append(_means(relative(maps), labels, expressions.names, name))
    covering = covering_table(
        model, images, spec, labels, expressions, regions, tta=tta,
        on_pass=lambda done, total: on_progress("Covering regions", done, total),
    )  # fmt: skip

    on_progress("Comparing the template with the faces", 0, 1)
    fit = template_fit(
        np.stack([dataset.picture(row) for row in rows[:: max(1, len(rows) // FACES)][:FACES]]),
        spec.height,
        spec.width,
        regions,
    )
    few = np.sort(np.random.default_rng(SEED).permutation(len(rows))[:methods_on])
    from fer_core.models.logits import predict_logits

    targets = predict_logits(model, images[few], spec).argmax(axis=1).tolist()
    compared, agreement = leaderboard(
        Explained(model, images[few], spec, targets), layer, methods,
        on_method=lambda name, done, total: on_progress(f"Measuring {name}", done, total),
    )  # fmt: skip
    about = {
        "format": FORMAT,
        "network": card.name,
        "data": dataset.name,
        "split": split,
        "n": len(rows),
        "n_of_split": len(split_rows),
        "methods_n": len(few),
        "layer": layer,
        "tta": tta,
        "template": fit,
        "seed": SEED,
        "weights": _weights(folder),
        "versions": {name: version(name) for name in ("captum", "torch", "numpy")},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(perf_counter() - started, 1),
        "verdict": verdict(covering),
        "sentences": sentences(covering),
    }
    return RegionReport(about, pd.concat(tables, ignore_index=True), covering, compared, agreement, pd.concat(means))


def write(folder: Path, report: RegionReport) -> Path:
    """Write a report where what is computed of the network is kept (`checkpoint.place_for`), replacing an older one there,
    and return the path of its json."""
    folder = place_for(folder)
    key = f"{report.about['data']}-{report.about['split']}"
    path = folder / f"explanation-{key}.json"
    path.unlink(missing_ok=True)
    for name in TABLES:
        data = io.BytesIO()
        getattr(report, name).to_parquet(data, index=False)
        write_atomically(folder / f"explanation-{key}-{name}.parquet", data.getvalue())
    write_atomically(path, (json.dumps(report.about, indent=2) + "\n").encode())
    return path


def find(folder: Path) -> dict[str, Path]:
    """The reports of a network by “<data set>-<split>”."""
    found = ((NAME.fullmatch(path.name), path) for path in written(folder, "explanation-*.json", here_first=True))
    return {match["key"]: path for match, path in found if match}


def read(path: Path) -> RegionReport:
    """A report by the path of its json.

    Raises:
        DataError: a file is missing, damaged or of another version of the program.
    """
    try:
        about = read_json(path)
        if about.get("format") not in (1, FORMAT):
            raise ValueError(f"format {about.get('format')!r}, expected {FORMAT}")
        tables = {name: pd.read_parquet(path.with_name(f"{path.stem}-{name}.parquet")) for name in TABLES}
    except (OSError, ValueError, AttributeError) as error:  # pyarrow's errors are ValueErrors
        raise DataError(
            f"{path}: the report is incomplete or damaged ({error}); make it again with `ferscope explain-report`."
        ) from error
    return RegionReport(about, **tables)


def outdated(report: RegionReport, folder: Path) -> str:
    """Why a report is outdated, in a sentence; empty if it is up to date."""
    if report.about["weights"] != _weights(folder):
        return "The weights have changed since this report was made."
    if report.about["format"] != FORMAT:
        return (
            "An earlier version made this report: it compared methods with random pixels, on one view of each image, and "
            "without a correction."
        )
    return ""


def _tell(on_progress: Callable[[str, int, int], None], what: str, total: int, done: int) -> None:
    on_progress(what, done, total)


def _weights(folder: Path) -> str:
    return hashlib.sha256(weights_path(folder).read_bytes()).hexdigest()


def _means(maps: NDArray[np.float32], labels: NDArray[np.int64], names: Sequence[str], method: str) -> pd.DataFrame:
    y, x = np.indices(maps.shape[1:])
    parts = []
    for position, name in enumerate(names):
        of_it = labels == position
        if not of_it.any():
            continue
        found = mean_map(maps, of_it)
        values = {
            end: part.ravel().astype(np.float32) for end, part in zip(("mean", "low", "high"), found, strict=True)
        }
        places = {"y": y.ravel().astype(np.int16), "x": x.ravel().astype(np.int16)}
        parts.append(pd.DataFrame({"method": method, "expression": name, "n": int(of_it.sum()), **places, **values}))
    return pd.concat(parts, ignore_index=True)
