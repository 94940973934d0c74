"""How fragile is it? Accuracy against the severity of what happens to pictures: noise, blur, light, jpeg, and so on.

After Hendrycks and Dietterich 2019 (arXiv 1903.12261), five severities each, for registered faces: lengths are in pixels
of a face of 48 x 48, whatever the size of the picture, and the bars over eyes and mouth follow a fixed template. A
picture is changed at its own size and then brought to the network's, so every network meets the same pictures. What is
drawn by lot depends on the seed, the kind, the severity and the picture's id alone: not on the order, the limit or the
batch.

Each condition's answers are kept in the workspace's cache, under a key made from the weights, the pictures, their labels
and the seed; an interrupted measurement goes on where it was. `keep` writes the figures beside the weights, as the shipped
networks have them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache as remembered
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.checkpoint import Card, read_card, weights_path
from fer_core.datasets import Dataset
from fer_core.errors import DataError, UnknownName
from fer_core.evaluation.intervals import SEED, paired_interval, wilson_bounds
from fer_core.faces.template import REGIONS, points_of, template
from fer_core.workspace import cache, write_atomically

VERSION = 1  # raise when a corruption changes
SIDE = 48  # the face whose pixels are the unit of lengths
CLEAN = "clean"
WHOSE = ("dataset", "split", "sample")
FIGURES = ("corruption", "severity", "value", "n", "accuracy", "low", "high", "drop", "drop_low", "drop_high")
CHUNK = 256  # pictures held in memory at once
Picture = NDArray[np.uint8]
Change = Callable[[Picture, float, np.random.Generator, str], Picture]


@dataclass(frozen=True)
class Corruption:
    """A kind of damage: `values` are its five severities, in `unit`; `change` takes picture, value, random stream and the
    data set's name, and gives a picture of the same shape."""

    name: str
    title: str
    values: tuple[float, ...]
    unit: str
    change: Change


CORRUPTIONS: dict[str, Corruption] = {}


def corruption(name: str, title: str, values: Sequence[float], unit: str) -> Callable[[Change], Change]:
    """Decorator that adds a kind of damage."""

    def add(change: Change) -> Change:
        CORRUPTIONS[name] = Corruption(name, title, tuple(values), unit, change)
        return change

    return add


def _clipped(values: NDArray[np.floating[Any]]) -> Picture:
    rounded: Picture = np.rint(values.clip(0, 255)).astype(np.uint8)
    return rounded


@corruption("noise", "Noise", (8, 16, 24, 36, 48), "grey levels of deviation")
def noise(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Normal noise with a grain of one pixel of 48, the same in all channels."""
    import cv2

    grain: NDArray[Any] = random.standard_normal((SIDE, SIDE)).astype(np.float32)
    height, width = picture.shape[:2]
    if (height, width) != (SIDE, SIDE):
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_NEAREST)
    return _clipped(picture + value * (grain if picture.ndim == 2 else grain[..., None]))


@corruption("blur", "Blur", (0.5, 1.0, 1.5, 2.0, 3.0), "pixels of 48, deviation")
def blur(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """A Gaussian blur."""
    import cv2

    sigma = value * picture.shape[0] / SIDE
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


@corruption("darker", "Darker", (0.7, 0.5, 0.3, 0.2, 0.1), "part of the light")
def darker(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Every pixel times a factor, rounded to whole grey levels, as an underexposed picture is."""
    return _clipped(picture * value)


@corruption("brighter", "Brighter", (25, 50, 75, 100, 130), "grey levels added")
def brighter(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Grey levels added and clipped at white, as an overexposed picture is."""
    return _clipped(picture + np.float32(value))


@corruption("contrast", "Less contrast", (0.7, 0.5, 0.3, 0.2, 0.1), "part of the contrast")
def contrast(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Every pixel drawn towards the picture's mean."""
    mean = picture.mean(axis=(0, 1))
    return _clipped((picture - mean) * value + mean)


@corruption("jpeg", "Jpeg", (50, 25, 15, 10, 5), "quality")
def jpeg(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Written and read as jpeg by Pillow."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(value))
    return np.array(Image.open(buffer))


@corruption("down-sampling", "Down-sampling", (32, 24, 18, 14, 10), "pixels of height left")
def down_sampling(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Shrunk by averaging and enlarged again, as a face far away is; a picture that is smaller already stays."""
    import cv2

    height, width = picture.shape[:2]
    if height <= value:
        return picture
    small = (max(1, round(width * value / height)), int(value))
    shrunk = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


@corruption("rotation", "Rotation", (5, 10, 20, 30, 45), "degrees, either way")
def rotation(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """Turned about the middle, to the left or right by lot; the edge is continued."""
    import cv2

    height, width = picture.shape[:2]
    angle = value if random.random() < 0.5 else -value
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    turned = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return turned.astype(np.uint8, copy=False)


@corruption("eyes", "Bar over the eyes", (0.2, 0.4, 0.6, 0.8, 1.0), "part covered")
def eyes(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """A bar over eyes and brows in the picture's mean grey, from the middle outwards."""
    return _barred(picture, value, dataset, ("eyes", "brows"))


@corruption("mouth", "Bar over the mouth", (0.2, 0.4, 0.6, 0.8, 1.0), "part covered")
def mouth(picture: Picture, value: float, random: np.random.Generator, dataset: str) -> Picture:
    """A bar over the mouth in the picture's mean grey, from the middle outwards."""
    return _barred(picture, value, dataset, ("mouth",))


def _barred(picture: Picture, value: float, dataset: str, regions: tuple[str, ...]) -> Picture:
    top, bottom, left, right = _box(*picture.shape[:2], dataset, regions)
    middle, half = (left + right) / 2, value * (right - left) / 2
    barred = picture.copy()
    columns = slice(round(middle - half), round(middle + half))
    barred[top:bottom, columns] = np.rint(picture.mean(axis=(0, 1))).astype(np.uint8)
    return barred


@remembered
def _box(height: int, width: int, dataset: str, regions: tuple[str, ...]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of regions of the fixed template."""
    found = template(height, width, np.array(points_of(dataset)) * (width, height))
    rows, columns = np.nonzero(np.isin(found, [REGIONS.index(name) for name in regions]))
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


def corrupt(picture: Picture, kind: str, severity: int, image: str, dataset: str = "", seed: int = SEED) -> Picture:
    """One picture, damaged.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
        kind: a name in `CORRUPTIONS`.
        severity: 1 to 5; 0 leaves the picture as it is.
        image: the picture's id, which the random stream depends on.
        dataset: whose template the bars follow.

    Raises:
        UnknownName: there is no such kind.
        DataError: the severity is not 0 to 5.
    """
    if kind not in CORRUPTIONS:
        raise UnknownName("corruption", kind, CORRUPTIONS)
    how = CORRUPTIONS[kind]
    if not 0 <= severity <= len(how.values):
        raise DataError(f"A severity is 0 to {len(how.values)}, found {severity}.")
    if severity == 0:
        return picture
    stream = hashlib.sha256(f"{seed}|{kind}|{severity}|{image}".encode()).digest()
    return how.change(
        picture, how.values[severity - 1], np.random.default_rng(np.frombuffer(stream, np.uint32)), dataset
    )


@dataclass(frozen=True)
class Sample:
    """The pictures that are measured: rows of a data set's index, the same for every network.

    `key` is made from the pictures, their labels and the seed.
    """

    rows: tuple[int, ...]
    key: str
    seed: int


def sample(dataset: Dataset, split: str, limit: int | None = None, seed: int = SEED) -> Sample:
    """A split, or `limit` of its pictures drawn by lot.

    Raises:
        DataError: no such split, or a limit below 1.
    """
    rows = dataset.rows(split)
    if limit is not None and limit < 1:
        raise DataError(f"The limit is a number of pictures, 1 or more; found {limit}.")
    if limit is not None and limit < len(rows):
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    digest = hashlib.sha256(f"{VERSION}|{seed}|{dataset.name}".encode())
    for row in rows:
        picture = dataset.picture(int(row))
        digest.update(f"{dataset.index['id'].iloc[row]}|{dataset.index['label'].iloc[row]}|{picture.shape}".encode())
        digest.update(picture.tobytes())
    return Sample(tuple(rows.tolist()), digest.hexdigest()[:20], seed)


def conditions(kinds: Iterable[str]) -> list[tuple[str, int]]:
    """The clean pictures, and each kind at each severity."""
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
    """Accuracy of a network under each condition; what was measured before is read from the cache.

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
    """Test-time augmentation while damage is measured: the mirror image where the card asks for more views than one.

    Ten crops at 51 conditions would take hours; what damage costs is the same question with two views.
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
        `n`, `accuracy` with `low`, `high` (Wilson 95 %), and `drop` (clean less this, on the same pictures) with
        `drop_low`, `drop_high` (Tango's interval).

    Raises:
        DataError: the clean pictures were not measured, or a file is damaged.
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
    """Write what `measure` gave beside the weights, where it goes with them, and return its place.

    The csv has the columns of `summary` after `dataset`, `split` and `sample`.
    """
    path = folder / f"robustness-{dataset.name}-{split}.csv"
    whose = pd.DataFrame(dict(zip(WHOSE, (dataset.name, split, chosen.key), strict=True)), index=table.index)
    write_atomically(path, pd.concat([whose, table], axis=1).to_csv(index=False).encode())
    return path


@dataclass(frozen=True)
class Measured:
    """A measurement: whose, of which pictures, and the folder in the cache or the csv beside the weights that holds it."""

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
    """What was measured of the weights that a checkpoint has now, the largest sample first."""
    weights = _weights(folder)
    found = []
    for path in sorted(folder.glob("robustness-*.csv")):
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
    """Mean accuracy over all damaged conditions, each counted once; NaN if there is none."""
    damaged = table[table["severity"] > 0]
    return float(damaged["accuracy"].mean())


def _weights(folder: Path) -> str:
    """Whatever makes the answers: the weights and how the card says pictures are given to them."""
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
