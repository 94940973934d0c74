"""Facial regions: the share of the attribution in each, and the effect of covering each.

Faces of a registered set are aligned, so one fixed template serves them all; `template_fit` measures how well. With
five points of a face, the template is rotated, scaled and moved onto it. Networks are not trained on covered faces, so
a drop may come from the unusual cover rather than the lost region. Three kinds of cover bound this effect, and
`fer_core.experiments.roar` retrains networks on covered faces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.evaluation.comparison import holm
from fer_core.evaluation.intervals import PERCENT, SEED, bounded, paired_bounds
from fer_core.explanation.means import band
from fer_core.faces.template import REGIONS, template
from fer_core.images import ImageSpec
from fer_core.labels import Expressions

if TYPE_CHECKING:
    from torch import nn


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
    """(8,) part of the image that each of `REGIONS` covers, 0..1; they add up to 1."""
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
        Intervals are Student's 95 % intervals over the images.
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
    """The images with a region covered.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8.
        mask: (H, W), true where it is covered.
        how: “blur” (deviation of an eighth of the height), “mean” (the image's own mean) or “noise” (normal, with
            the image's own mean and deviation; the same seeded draw for each).
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
    *,
    tta: str = "none",
    on_pass: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Expression x region x cover: what covering the region costs, each image against itself uncovered.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8 at the network's size.
        labels: (N) positions in `expressions`: the given labels.
        tta: test-time augmentation; give the card's to measure the answers that are served.
        on_pass: called with the number of passes over the images that are done, and of all.

    Returns:
        One row a triple, “all” being all expressions together and `CORE` eyes, nose and mouth covered at once:
        `expression, region, cover, n, area, probability, accuracy` (uncovered, 0..1); `accuracy_cost` (how much is lost,
        -1..1) with `_low` and `_high`, Tango's 95 % interval for paired proportions; `probability_cost` with Student's;
        `accuracy_cost_density`, the cost per tenth of the image's area; `p` of the exact McNemar test and `p_adjusted`,
        Holm's correction over all regions and expressions of a cover.
    """
    from fer_core.models.logits import predict_logits

    def answers(pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        logits = predict_logits(model, pictures, spec, tta=tta).astype(np.float64)
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
            rows.append({"expression": name, "region": region, "cover": how, "area": float(masks[region].mean())})
            rows[-1] |= _cost(before[of_it], cost[of_it])
        on_pass(number, len(pairs))
    table = pd.DataFrame(rows)
    table["accuracy_cost_density"] = 0.1 * table["accuracy_cost"] / table["area"]
    adjusted = [
        pd.Series(holm(part["p"]), part.index) for _, part in table[table["n"] > 0].groupby("cover", sort=False)
    ]
    return table.assign(p_adjusted=pd.concat(adjusted))


def _cost(before: NDArray[np.float64], cost: NDArray[np.float64]) -> dict[str, float]:
    """The figures of a row of `covering_table`.

    Args:
        before, cost: (n, 2) probability of the label and whether it is predicted: uncovered, and how much of it is lost.
    """
    from scipy.stats import binom

    n, chance = len(cost), band(cost[:, 0])
    lost, gained = int((cost[:, 1] > 0).sum()), int((cost[:, 1] < 0).sum())
    low, high = paired_bounds(gained, lost, n)
    usual = before.mean(axis=0) if n else np.full(2, np.nan)
    return {
        "n": n,
        "probability": float(usual[0]),
        "accuracy": float(usual[1]),
        "probability_cost": float(chance.mean),
        "probability_cost_low": float(chance.low),
        "probability_cost_high": float(chance.high),
        "accuracy_cost": (lost - gained) / n if n else np.nan,
        "accuracy_cost_low": float(low),
        "accuracy_cost_high": float(high),
        "p": float(min(1.0, 2 * binom.cdf(min(lost, gained), lost + gained, 0.5))),
    }


def sentences(covering: pd.DataFrame, how: Cover = "blur") -> dict[str, str]:
    """A sentence or two for each expression: which regions cost most, which are significant, which costs least.

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
        sure = ordered.loc[ordered["p_adjusted"] <= ALPHA, "region"]
        kept = (
            f"significant after correction: {', '.join(sure)}" if len(sure) else "none is significant after correction"
        )
        found[str(name)] = (
            f"For {who}, covering the {first['region']} costs {_points(first)}, the {second['region']} "
            f"{_points(second, unit=False)}, the {last['region']} {_points(last, unit=False)}; {kept}. "
            f"Uncovered, {100 * first['accuracy']:.1f} % are right, n = {first['n']:,}."
        )
        if name == "all":
            dense = rows.sort_values("accuracy_cost_density", ascending=False, kind="stable").iloc[0]
            found[str(name)] += (
                f" For its area, the {dense['region']} costs most: {100 * dense['accuracy_cost_density']:.1f} points per "
                "tenth of the image."
            )
    return found


def costliest(covering: pd.DataFrame, how: Cover = "blur") -> pd.DataFrame:
    """The region that costs each expression most when it is covered.

    Args:
        covering: as `covering_table` gives it.

    Returns:
        One row an expression with images, “all” first: the row of its costliest region, and `significant`.
    """
    table = covering[(covering["cover"] == how) & covering["region"].isin(REGIONS) & (covering["n"] > 0)]
    first = table.loc[table.groupby("expression", sort=False)["accuracy_cost"].idxmax()]
    return first.assign(significant=[significant(row) for _, row in first.iterrows()]).reset_index(drop=True)


def significant(row: pd.Series) -> bool:
    """Whether covering a region changes the accuracy: after correction, in a table without one by its interval."""
    if "p_adjusted" in row.index:
        return bool(row["p_adjusted"] <= ALPHA)
    return not row["accuracy_cost_low"] <= 0 <= row["accuracy_cost_high"]


ALPHA = 0.05
NOTHING = 0.01  # a loss of accuracy whose interval stays below one point is called none


def verdict(covering: pd.DataFrame, how: Cover = "blur") -> str:
    """In one sentence with both figures: whether eyes, nose and mouth matter, and the background does not."""
    rows = covering[(covering["expression"] == "all") & (covering["cover"] == how)].set_index("region")
    core, rest = rows.loc[CORE], rows.loc["background"]
    said = (
        f"Covering eyes, nose and mouth ({100 * core['area']:.0f}{PERCENT} of the image) by {how} costs {_points(core)} of "
        f"accuracy, covering the background ({100 * rest['area']:.0f} %) {_points(rest, unit=False)}; n = {core['n']:,}. "
    )
    matters = core["accuracy_cost_low"] > NOTHING
    if not matters:
        return said + "Eyes, nose and mouth are not shown to matter."
    if rest["accuracy_cost_high"] < NOTHING:
        return said + "Eyes, nose and mouth matter, the background does not."
    if rest["accuracy_cost_low"] <= 0:
        return said + "Eyes, nose and mouth matter; for the background nothing is shown either way."
    less = "much less" if rest["accuracy_cost_high"] < core["accuracy_cost_low"] / 4 else "less"
    if rest["accuracy_cost_high"] < core["accuracy_cost_low"]:
        return said + f"Eyes, nose and mouth matter; the background matters {less}, but it does."
    return said + "Eyes, nose and mouth matter, and so does the background."


def _points(row: Any, unit: bool = True) -> str:
    ends = (row["accuracy_cost"], row["accuracy_cost_low"], row["accuracy_cost_high"])
    return bounded(*ends, " points" if unit else "")


def template_fit(images: NDArray[np.uint8], height: int, width: int, regions: NDArray[np.int64]) -> dict[str, float]:
    """How well the fixed template lies on real faces: its overlap with the template on each face's own five points.

    Args:
        images: (N, h, w) or (N, h, w, 3) uint8 faces; the points are found by mtcnn in an enlarged and padded copy.
        regions: (height, width), the fixed template.

    Returns:
        `faces` asked, `found` of them, and of those `core_overlap` and `core_overlap_quarter`: median and lower quartile of
        the intersection over union of eyes, nose and mouth, 0..1; NaN where no face was found.
    """
    import cv2

    from fer_core.faces import find_faces

    core = np.isin(regions, _CORE)
    overlaps = []
    for image in images:
        zoom = 144 / image.shape[0]
        large = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        edge = large.shape[0] // 4
        padded = cv2.copyMakeBorder(large, edge, edge, edge, edge, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
        faces = [face for face in find_faces(padded, "mtcnn") if face.points is not None]
        if not faces:
            continue
        points = (np.asarray(faces[0].points, dtype=np.float64) - edge) / large.shape[1::-1] * (width, height)
        own = np.isin(template(height, width, points), _CORE)
        overlaps.append((own & core).sum() / max(1, (own | core).sum()))
    middle, quarter = np.quantile(overlaps, [0.5, 0.25]) if overlaps else (np.nan, np.nan)
    return {
        "faces": len(images), "found": len(overlaps), "core_overlap": float(middle), "core_overlap_quarter": float(quarter),
    }  # fmt: skip


_CORE = [REGIONS.index(name) for name in ("eyes", "nose", "mouth")]


def _groups(labels: NDArray[np.int64], expressions: Expressions) -> list[tuple[str, NDArray[np.bool_]]]:
    """“all” and each expression, with the rows that belong to it."""
    everything = np.ones(len(labels), dtype=bool)
    return [("all", everything), *((name, labels == i) for i, name in enumerate(expressions.names))]
