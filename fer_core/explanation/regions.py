"""Facial regions: where on a face a map's attribution lies, and what covering a region does to the network.

Faces of a registered set lie alike, so one fixed template serves them all; with five points of a face the template is
turned, scaled and moved onto it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.evaluation.intervals import SEED
from fer_core.explanation.bootstrap import band
from fer_core.images import ImageSpec
from fer_core.labels import Expressions

if TYPE_CHECKING:
    from torch import nn
from fer_core.faces.template import REGIONS

Cover = Literal["blur", "mean", "noise"]


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
    from fer_core.models.logits import predict_logits

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
