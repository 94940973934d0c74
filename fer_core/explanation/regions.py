"""Facial regions: where on a face a map's attribution lies, and what covering a region does to the network.

Faces of a registered set lie alike, so one fixed template serves them all; with five points of a face the template is
turned, scaled and moved onto it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fer_core.errors import DataError
from fer_core.evaluation.intervals import SEED
from fer_core.explanation.bootstrap import band
from fer_core.images import ImageSpec
from fer_core.labels import Expressions

if TYPE_CHECKING:
    from torch import nn

REGIONS = ("forehead and hair", "brows", "eyes", "nose", "cheeks", "mouth", "jaw", "background")
Cover = Literal["blur", "mean", "noise"]

# Left and right eye, tip of the nose, left and right corner of the mouth, as parts of the picture's side. FER2013:
# the medians of what mtcnn found in 433 of 479 Training pictures (every 60th), padded and enlarged three times; half
# of the faces lie within 1.8 pixels of 48 of them. Synthetic: the medians of the known points of 350 faces.
FER2013_POINTS = ((0.3125, 0.382), (0.6875, 0.382), (0.5, 0.597), (0.344, 0.781), (0.656, 0.781))
SYNTHETIC_POINTS = ((0.361, 0.463), (0.631, 0.463), (0.497, 0.616), (0.397, 0.741), (0.606, 0.741))

# Shapes in units of half the distance between the eyes, from the point between them, x to the right, y downwards; the
# right half of each, mirrored. Later ones lie over earlier ones.
_POINTS = ((-1.0, 0.0), (1.0, 0.0), (0.0, 1.15), (-0.83, 2.13), (0.83, 2.13))
_SHAPES: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = (
    ("forehead and hair", ((0, -3.2), (1.3, -3.0), (2.2, -2.0), (2.5, -0.9), (2.45, -0.35), (0, -0.35))),
    ("cheeks", ((0, -0.35), (2.1, -0.35), (2.15, 0.5), (2.0, 1.4), (1.8, 2.1), (0, 2.1))),
    ("jaw", ((0, 1.75), (1.9, 1.75), (1.7, 2.45), (1.25, 3.05), (0.65, 3.4), (0, 3.5))),
    ("brows", ((0, -1.0), (0.5, -1.1), (1.2, -1.15), (1.8, -0.95), (1.9, -0.4), (0, -0.4))),
    ("eyes", ((0.42, -0.4), (1.8, -0.4), (1.8, 0.42), (0.42, 0.42))),
    ("nose", ((0, -0.4), (0.42, -0.4), (0.42, 0.6), (0.72, 1.0), (0.72, 1.45), (0, 1.55))),
    ("mouth", ((0, 1.55), (0.75, 1.5), (1.25, 1.85), (1.25, 2.35), (0.8, 2.75), (0, 2.8))),
)


def points_of(dataset: str) -> tuple[tuple[float, float], ...]:
    """Where the five points of a registered set lie; FER2013's framing for any set but the synthetic faces."""
    return SYNTHETIC_POINTS if dataset == "synthetic" else FER2013_POINTS


def template(height: int, width: int, points: ArrayLike | None = None) -> NDArray[np.int64]:
    """The region of each pixel.

    Args:
        points: (5, 2) x and y in pixels from the picture's corner: eye on the picture's left, eye on the right, tip of
            the nose, corner of the mouth on the left, on the right; without them FER2013's.

    Returns:
        (height, width) positions in `REGIONS`.

    Raises:
        DataError: the points are not (5, 2) finite numbers, or fall together.
    """
    import cv2

    given = np.asarray(np.array(FER2013_POINTS) * (width, height) if points is None else points, dtype=np.float64)
    if given.shape != (5, 2) or not np.isfinite(given).all() or np.ptp(given, axis=0).max() < 1:
        raise DataError(
            f"Five points of a face have the shape (5, 2), finite and apart, found {given.tolist()}; give eyes, nose tip "
            "and corners of the mouth in pixels, or none for the fixed template."
        )
    # The similarity nearest to the points (Umeyama 1991), as complex numbers: z -> a z + b.
    source, target = np.array(_POINTS) @ (1, 1j), given @ (1, 1j)
    centred = source - source.mean()
    a = (centred.conj() @ (target - target.mean())) / (centred.conj() @ centred)
    b = target.mean() - a * source.mean()
    fine = 5  # so that a thin region keeps its share of a small picture
    canvas = np.full((height * fine, width * fine), REGIONS.index("background"), np.uint8)
    for name, half in _SHAPES:
        outline = np.array([*half, *((-x, y) for x, y in reversed(half))]) @ (1, 1j)
        parts = (
            [outline] if half[0][0] == 0 else [np.array(half) @ (1, 1j), np.array([(-x, y) for x, y in half]) @ (1, 1j)]
        )
        for part in parts:
            placed = (a * part + b) * fine
            polygon = np.rint(np.stack([placed.real, placed.imag], axis=1) - 0.5).astype(np.int32)
            cv2.fillPoly(canvas, [polygon], REGIONS.index(name))
    found: NDArray[np.int64] = canvas[fine // 2 :: fine, fine // 2 :: fine].astype(np.int64)
    return found


def shares(maps: NDArray[np.float32], regions: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, 8) part of each map's absolute attribution that lies in each of `REGIONS`, 0..1; NaN for a map of zeros.

    Args:
        maps: (N, H, W).
        regions: (H, W), as `template` gives them.
    """
    size = np.abs(maps.reshape(len(maps), -1).astype(np.float64))
    inside = np.eye(len(REGIONS))[regions.ravel()]  # (pixels, regions)
    total = size.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(size @ inside, total, out=np.full((len(maps), len(REGIONS)), np.nan), where=total > 0))


def areas(regions: NDArray[np.int64]) -> NDArray[np.float64]:
    """(8,) part of the picture that each of `REGIONS` covers, 0..1; they add up to 1."""
    return np.bincount(regions.ravel(), minlength=len(REGIONS)) / regions.size


def attribution_table(
    maps: NDArray[np.float32], labels: NDArray[np.int64], expressions: Expressions, regions: NDArray[np.int64]
) -> pd.DataFrame:
    """Expression x region: how much of the attribution lies there, and how densely against the region's area.

    Args:
        maps: (N, H, W); maps of zeros are left out.
        labels: (N) positions in `expressions`.

    Returns:
        One row a pair, “all” being all expressions together: `expression, region, n, area, share, share_low,
        share_high, density, density_low, density_high`. A density of 1 is what a map that ignores the face has.
        Intervals are 95 % bootstrap intervals over the pictures.
    """
    parts, area = shares(maps, regions), areas(regions)
    known = ~np.isnan(parts).any(axis=1)
    rows = []
    for name, of_it in _groups(labels, expressions):
        values = parts[of_it & known]
        found = band(values)
        for i, region in enumerate(REGIONS):
            centre, low, high = (float(part[i]) for part in found)
            row = {"expression": name, "region": region, "n": len(values), "area": area[i]}
            row |= {"share": centre, "share_low": low, "share_high": high}
            for end, value in (("", centre), ("_low", low), ("_high", high)):
                row[f"density{end}"] = value / area[i] if area[i] else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


CORE = "eyes, nose and mouth"  # what the sources say a network looks at


def cover(images: NDArray[np.uint8], mask: NDArray[np.bool_], how: Cover, seed: int = SEED) -> NDArray[np.uint8]:
    """The pictures with a region covered.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8.
        mask: (H, W), true where it is covered.
        how: “blur” (deviation of an eighth of the height), “mean” (the picture's own mean) or “noise” (normal, with
            the picture's own mean and deviation; the same seeded draw for each).
    """
    import cv2

    covered = np.array(images)
    height, width = images.shape[1:3]
    if how == "noise":
        drawn = np.random.default_rng(seed).standard_normal((height, width))
    for picture in covered:
        if how == "blur":
            picture[mask] = cv2.GaussianBlur(picture, (0, 0), height / 8, borderType=cv2.BORDER_REPLICATE)[mask]
            continue
        mean, deviation = picture.mean(axis=(0, 1)), picture.std(axis=(0, 1))
        if how == "mean":
            picture[mask] = np.rint(mean).astype(np.uint8)
        else:
            values = np.multiply.outer(drawn, deviation) + mean
            picture[mask] = np.rint(values.clip(0, 255)).astype(np.uint8)[mask]
    return covered


def covering_table(
    model: nn.Module,
    images: NDArray[np.uint8],
    spec: ImageSpec,
    labels: NDArray[np.int64],
    expressions: Expressions,
    regions: NDArray[np.int64],
    hows: Sequence[Cover] = ("blur", "mean", "noise"),
    on_pass: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Expression x region x cover: what covering the region costs, each picture against itself uncovered.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8 at the network's size.
        labels: (N) positions in `expressions`: the given labels.
        on_pass: called with the number of passes over the pictures that are done, and of all.

    Returns:
        One row a triple, “all” being all expressions together and `CORE` eyes, nose and mouth covered at once:
        `expression, region, cover, n, area, probability, accuracy` (uncovered, 0..1), `probability_cost, accuracy_cost`
        (how much is lost, -1..1) each with `_low` and `_high`, 95 % bootstrap intervals of the paired differences.
    """
    from fer_core.inference import predict_logits

    def answers(pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        logits = predict_logits(model, pictures, spec).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds[np.arange(len(odds)), labels] / odds.sum(axis=1), (logits.argmax(axis=1) == labels).astype(float)

    masks = {name: regions == i for i, name in enumerate(REGIONS)}
    masks[CORE] = masks["eyes"] | masks["nose"] | masks["mouth"]
    pairs = [(how, name) for how in hows for name in masks]
    before = np.stack(answers(images), axis=1)
    rows = []
    for number, (how, region) in enumerate(pairs, 1):
        cost = before - np.stack(answers(cover(images, masks[region], how)), axis=1)
        for name, of_it in _groups(labels, expressions):
            found, usual = band(cost[of_it]), before[of_it].mean(axis=0) if of_it.any() else np.full(2, np.nan)
            row: dict[str, object] = {"expression": name, "region": region, "cover": how, "n": int(of_it.sum())}
            row |= {"area": float(masks[region].mean()), "probability": usual[0], "accuracy": usual[1]}
            for i, figure in enumerate(("probability", "accuracy")):
                for end, part in zip(("", "_low", "_high"), found, strict=True):
                    row[f"{figure}_cost{end}"] = float(part[i])
            rows.append(row)
        on_pass(number, len(pairs))
    return pd.DataFrame(rows)


def sentences(covering: pd.DataFrame, how: Cover = "blur") -> dict[str, str]:
    """A sentence for each expression: what covering the dearest regions costs, and the cheapest one.

    Args:
        covering: as `covering_table` gives it.
    """
    found = {}
    table = covering[(covering["cover"] == how) & covering["region"].isin(REGIONS)]
    for name, rows in table.groupby("expression", sort=False):
        if not rows["n"].iloc[0]:
            continue
        ordered = rows.sort_values("accuracy_cost", ascending=False, kind="stable")
        first, second, last = (ordered.iloc[i] for i in (0, 1, -1))
        who = "all expressions together" if name == "all" else str(name)
        found[str(name)] = (
            f"For {who}, covering the {first['region']} costs {_points(first)}, the {second['region']} "
            f"{_points(second, unit=False)}, the {last['region']} {_points(last, unit=False)}; "
            f"{100 * first['accuracy']:.1f} % are right uncovered, n = {first['n']:,}."
        )
    return found


NOTHING = 0.01  # a loss of accuracy whose interval stays below one point is called none
ENOUGH = 300  # of fewer pictures none may change although one in a hundred does (rule of three, 95 %)


def verdict(covering: pd.DataFrame, how: Cover = "blur") -> str:
    """Whether eyes, nose and mouth matter and the background does not, in a sentence with both figures."""
    rows = covering[(covering["expression"] == "all") & (covering["cover"] == how)].set_index("region")
    core, rest = rows.loc[CORE], rows.loc["background"]
    said = (
        f"Covering eyes, nose and mouth ({100 * core['area']:.0f} % of the picture) by {how} costs {_points(core)} of "
        f"accuracy, covering the background ({100 * rest['area']:.0f} %) {_points(rest, unit=False)}; n = {core['n']:,}. "
    )
    matters = core["accuracy_cost_low"] > NOTHING
    if not matters:
        return said + "Eyes, nose and mouth are not shown to matter."
    if rest["accuracy_cost_high"] < NOTHING and rest["n"] >= ENOUGH:
        return said + "Eyes, nose and mouth matter, the background does not."
    if rest["accuracy_cost_low"] <= 0:
        return said + "Eyes, nose and mouth matter; for the background nothing is shown either way."
    less = "much less" if rest["accuracy_cost_high"] < core["accuracy_cost_low"] / 4 else "less"
    if rest["accuracy_cost_high"] < core["accuracy_cost_low"]:
        return said + f"Eyes, nose and mouth matter; the background matters {less}, but it does."
    return said + "Eyes, nose and mouth matter, and so does the background."


def _points(row: Any, unit: bool = True) -> str:
    low, high = 100 * row["accuracy_cost_low"], 100 * row["accuracy_cost_high"]
    return f"{100 * row['accuracy_cost']:.1f}{' points' if unit else ''} ({low:.1f} to {high:.1f})"


def _groups(labels: NDArray[np.int64], expressions: Expressions) -> list[tuple[str, NDArray[np.bool_]]]:
    """“all” and each expression, with the rows that belong to it."""
    everything = np.ones(len(labels), dtype=bool)
    return [("all", everything), *((name, labels == i) for i, name in enumerate(expressions.names))]
