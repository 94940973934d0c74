"""Robustness: accuracy against the severity of corruptions such as noise, blur, brightness and JPEG.

After Hendrycks and Dietterich 2019 (arXiv 1903.12261), five severities each, for registered faces: lengths are in pixels
of a face of 48 x 48, whatever the size of the image, and the bars over eyes and mouth follow a fixed template. An image
is corrupted at its own size and then resized for the network, so every network gets the same images. Random draws
depend only on the seed, the corruption, the severity and the image's id, not on the order, the limit or the batch.

Each condition's predictions are kept in the workspace's cache, under a key made from the weights, the images, their
labels and the seed, so an interrupted measurement continues. `keep` writes the figures beside the network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache as remembered
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from fer_core.checkpoint import Card, place_for, read_card, weights_path, written
from fer_core.datasets import Dataset
from fer_core.errors import DataError, UnknownName
from fer_core.evaluation.corruptions import CORRUPTIONS, Picture, corrupt
from fer_core.evaluation.intervals import SEED, paired_interval, wilson_bounds
from fer_core.workspace import cache, write_atomically

VERSION = 1  # raise when a corruption changes
CLEAN = "clean"
WHOSE = ("dataset", "split", "sample")
FIGURES = ("corruption", "severity", "value", "n", "accuracy", "low", "high", "drop", "drop_low", "drop_high")
CHUNK = 256  # images held in memory at once


@dataclass(frozen=True)
class Sample:
    """The sample to measure: rows of a data set's index, the same for every network.

    `key` is made from the images, their labels and the seed.
    """

    rows: tuple[int, ...]
    key: str
    seed: int


def sample(dataset: Dataset, split: str, limit: int | None = None, seed: int = SEED) -> Sample:
    """A split, or `limit` of its images drawn at random.

    Raises:
        DataError: no such split, or a limit below 1.
    """
    rows = dataset.rows(split)
    if limit is not None and limit < 1:
        raise DataError(f"The limit is a number of images, 1 or more; found {limit}.")
    if limit is not None and limit < len(rows):
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    digest = hashlib.sha256(f"{VERSION}|{seed}|{dataset.name}".encode())
    for row in rows:
        picture = dataset.picture(int(row))
        digest.update(f"{dataset.index['id'].iloc[row]}|{dataset.index['label'].iloc[row]}|{picture.shape}".encode())
        digest.update(picture.tobytes())
    return Sample(tuple(rows.tolist()), digest.hexdigest()[:20], seed)


def conditions(kinds: Iterable[str]) -> list[tuple[str, int]]:
    """The clean images, and each kind at each severity."""
    return [(CLEAN, 0), *((kind, s + 1) for kind in kinds for s in range(len(CORRUPTIONS[kind].values)))]


def measure(
    network: str,
    folder: Path,
    dataset: Dataset,
    split: str,
    chosen: Sample,
    kinds: Sequence[str] = (),
    on_condition: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Accuracy of a network under each condition. Earlier results are read from the cache.

    Args:
        network: its name, for whoever looks the result up.
        folder: the checkpoint's.
        kinds: names in `CORRUPTIONS`; none means all.
        on_condition: called with the numbers of conditions done and in all.

    Returns:
        What `summary` gives.

    Raises:
        UnknownName: there is no such kind.
        DataError: a label that the network does not know.
        CheckpointError: as `load_network`.
    """
    for kind in kinds:
        if kind not in CORRUPTIONS:
            raise UnknownName("corruption", kind, CORRUPTIONS)
    card = read_card(folder)
    rows = np.array(chosen.rows, dtype=np.int64)
    labels = dataset.label_index(card.vocabulary, rows)  # refuses before any time is spent
    place = _place(folder, chosen.key)
    meta = {"network": network, "dataset": dataset.name, "split": split, "n": len(rows), "seed": chosen.seed,
            "sample": chosen.key, "weights": _weights(folder), "labels": labels.tolist()}  # fmt: skip
    write_atomically(place / "meta.json", json.dumps(meta).encode())
    wanted = conditions(kinds or CORRUPTIONS)
    model = None
    for done, (kind, severity) in enumerate(wanted):
        on_condition(done, len(wanted))
        path = place / f"{kind}-{severity}.npy"
        if path.exists():
            continue
        if model is None:
            from fer_core.checkpoint import load_network

            model, card = load_network(folder)
        from fer_core.models.logits import predict_logits

        answers = []
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            pictures = np.stack([
                dataset.as_given(_damaged(dataset, int(row), kind, severity, chosen.seed), card.image) for row in part
            ])  # fmt: skip
            answers.append(predict_logits(model, pictures, card.image, tta=views(card)).argmax(axis=1))
        buffer = BytesIO()
        np.save(buffer, np.concatenate(answers).astype(np.int16))
        write_atomically(path, buffer.getvalue())
    on_condition(len(wanted), len(wanted))
    return summary(place)


def views(card: Card) -> str:
    """Test-time augmentation for corrupted images: at most the mirror image, because ten crops at 66 conditions would
    take hours.
    """
    return "none" if card.tta == "none" else "flip"


def _damaged(dataset: Dataset, row: int, kind: str, severity: int, seed: int) -> Picture:
    picture = dataset.picture(row)
    if kind == CLEAN:
        return picture
    return corrupt(picture, kind, severity, str(dataset.index["id"].iloc[row]), dataset.name, seed)


def summary(place: Path) -> pd.DataFrame:
    """The accuracy under each condition that was measured.

    Returns:
        One row a condition, the clean one first: `corruption`, `severity` (0..5), `value` (in the corruption's unit),
        `n`, `accuracy` with `low`, `high` (Wilson 95 %), and `drop` (clean less this, on the same images) with
        `drop_low`, `drop_high` (Tango's interval).

    Raises:
        DataError: the clean images were not measured, or a file is damaged.
    """
    try:
        meta = json.loads((place / "meta.json").read_text(encoding="utf-8"))
        labels = np.array(meta["labels"], dtype=np.int64)
        right = {
            condition: np.load(path) == labels
            for condition in conditions(CORRUPTIONS)
            if (path := place / f"{condition[0]}-{condition[1]}.npy").exists()
        }
        clean = right[CLEAN, 0]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(
            f"{place}: this measurement is damaged ({error}); delete the folder and measure again."
        ) from error
    rows = []
    for (kind, severity), hits in right.items():
        value = CORRUPTIONS[kind].values[severity - 1] if severity else 0.0
        counts = np.bincount(2 * clean + hits, minlength=4)  # neither, only damaged, only clean, both
        low, high = paired_interval(int(counts[1]), int(counts[2]), len(labels)) if kind != CLEAN else (0.0, 0.0)
        rows.append(
            (kind, severity, value, len(labels), int(hits.sum()), (counts[2] - counts[1]) / len(labels), low, high)
        )
    table = pd.DataFrame(
        rows, columns=["corruption", "severity", "value", "n", "right", "drop", "drop_low", "drop_high"]
    )
    table["accuracy"] = table["right"] / table["n"]
    table["low"], table["high"] = wilson_bounds(table["right"], table["n"])
    return table[list(FIGURES)]


def keep(folder: Path, dataset: Dataset, split: str, chosen: Sample, table: pd.DataFrame) -> Path:
    """Write the result of `measure` beside the network (`checkpoint.place_for`), and return the file.

    The csv has the columns of `summary` after `dataset`, `split` and `sample`. One of other images is not replaced; the
    name of the new one then ends in its sample.
    """
    stem, others = f"robustness-{dataset.name}-{split}", written(folder, f"robustness-{dataset.name}-{split}.csv")
    if any(str(_kept(other)["sample"].iloc[0]) != chosen.key for other in others):
        stem += f"-{chosen.key[:6]}"
    path = place_for(folder) / f"{stem}.csv"
    whose = pd.DataFrame(dict(zip(WHOSE, (dataset.name, split, chosen.key), strict=True)), index=table.index)
    write_atomically(path, pd.concat([whose, table], axis=1).to_csv(index=False).encode())
    return path


@dataclass(frozen=True)
class Measured:
    """A measurement: its network, its sample, and the cache folder or csv that holds it."""

    network: str
    dataset: str
    split: str
    n: int
    sample: str
    place: Path

    def table(self) -> pd.DataFrame:
        """As `summary`.

        Raises:
            DataError: it is damaged.
        """
        if self.place.is_dir():
            return summary(self.place)
        return _kept(self.place)[list(FIGURES)]


def _kept(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"sample": "str"})
        if table.empty or not {*WHOSE, *FIGURES} <= set(table.columns):
            raise ValueError(f"expected rows with the columns {', '.join((*WHOSE, *FIGURES))}")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path} is damaged ({error}); measure again with `ferscope robustness --keep`.") from error
    return table


def measured(folder: Path) -> list[Measured]:
    """The measurements of a checkpoint's current weights, the largest sample first."""
    weights = _weights(folder)
    found = []
    for path in written(folder, "robustness-*.csv"):
        first = _kept(path).iloc[0]
        dataset, split, sample = (str(first[name]) for name in WHOSE)
        found.append(Measured(folder.name, dataset, split, int(first["n"]), sample, path))
    for path in (cache() / "robustness").glob("*/meta.json"):
        try:
            meta = json.loads(path.read_text(encoding="utf-8"))
            one = Measured(meta["network"], meta["dataset"], meta["split"], int(meta["n"]), meta["sample"], path.parent)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # damaged by hand: it is measured again when asked for
        if meta.get("weights") == weights and (path.parent / f"{CLEAN}-0.npy").exists():
            found = [other for other in found if other.sample != one.sample] + [one]
    return sorted(found, key=lambda one: (-one.n, one.sample))


def overall(table: pd.DataFrame) -> float:
    """Mean accuracy over all corrupted conditions, each counted once; NaN if there is none."""
    damaged = table[table["severity"] > 0]
    return float(damaged["accuracy"].mean())


def _weights(folder: Path) -> str:
    """A key of everything that determines the predictions: the weights, and the card's settings for the images."""
    path = weights_path(folder)
    card = read_card(folder)
    asked = card.model_copy(update={"tta": views(card)})
    how = asked.model_dump_json(include={"image", "tta", "expressions"}, exclude_none=True)
    return _digest(path, path.stat().st_mtime_ns, how)


@remembered
def _digest(path: Path, mtime: int, card: str) -> str:
    digest = hashlib.sha256(card.encode())
    digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def _place(folder: Path, key: str) -> Path:
    name = hashlib.sha256(f"{_weights(folder)}|{key}".encode()).hexdigest()[:20]
    return cache() / "robustness" / name
