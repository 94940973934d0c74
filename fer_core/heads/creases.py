"""Lines of the face: where the skin folds when an action works, and which of them age leaves behind.

The head's triangles are too large for a fold of a millimetre, so folds are grooves in a height map over the front of the
average head. Where each lies: the *FACS Manual*'s account of what each action unit does to the skin.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_core.heads.pattern import noise

Floats = NDArray[np.float32]

CELL = 0.0006  # metres
LEFT, TOP, ACROSS, DOWN = -0.078, 0.080, 260, 350  # the map's edges in metres, its size in cells


class Line(NamedTuple):
    """A groove: its course on the person's left half (x, y in metres), its half width, and what deepens it."""

    course: tuple[tuple[float, float], ...]
    width: float
    actions: Mapping[str, float]  # without sides -> depth at full intensity
    rest: float = 0.0  # depth with wrinkles at 1


_FOREHEAD = {"browInnerUp": 0.55, "browOuterUp": 0.6}
LINES: tuple[Line, ...] = (
    Line(((0.0, 0.0385), (0.02, 0.039), (0.042, 0.036)), 0.0013, _FOREHEAD, 0.35),
    Line(((0.0, 0.0475), (0.022, 0.0485), (0.043, 0.0455)), 0.0013, _FOREHEAD, 0.45),
    Line(((0.0, 0.0565), (0.02, 0.0575), (0.036, 0.0555)), 0.0013, _FOREHEAD, 0.3),
    Line(((0.0075, 0.010), (0.0095, 0.020), (0.0085, 0.031)), 0.0014, {"browDown": 1.0, "noseSneer": 0.4}, 0.4),
    Line(((0.003, 0.006), (0.008, 0.004), (0.014, 0.001)), 0.0011, {"noseSneer": 0.9, "browDown": 0.25}, 0.15),
    Line(((0.004, -0.004), (0.010, -0.008), (0.015, -0.013)), 0.0011, {"noseSneer": 0.9}, 0.0),
    Line(((0.0515, 0.002), (0.058, 0.006), (0.064, 0.011)), 0.0010, {"cheekSquint": 0.8, "mouthSmile": 0.2}, 0.5),
    Line(((0.052, -0.002), (0.059, -0.002), (0.066, -0.002)), 0.0010, {"cheekSquint": 0.8, "mouthSmile": 0.2}, 0.5),
    Line(((0.051, -0.006), (0.057, -0.011), (0.063, -0.016)), 0.0010, {"cheekSquint": 0.7, "mouthSmile": 0.2}, 0.4),
    Line(((0.016, -0.010), (0.024, -0.0175), (0.036, -0.0185), (0.048, -0.0125)), 0.0013,
         {"cheekSquint": 0.6, "eyeSquint": 0.5}, 0.45),
    Line(((0.014, -0.007), (0.020, -0.018), (0.031, -0.0255), (0.042, -0.026)), 0.0016, {}, 0.45),
    Line(((0.0185, -0.037), (0.0245, -0.046), (0.0325, -0.059), (0.0365, -0.074)), 0.0018,
         {"mouthSmile": 0.95, "noseSneer": 0.7, "mouthUpperUp": 0.5, "mouthStretch": 0.3}, 0.75),
    Line(((0.0275, -0.078), (0.0305, -0.086), (0.0315, -0.097)), 0.0014, {"mouthFrown": 0.8, "mouthStretch": 0.3}, 0.5),
    Line(((0.0, -0.0935), (0.008, -0.0945), (0.015, -0.0985)), 0.0018, {"mouthShrugLower": 0.9, "mouthFrown": 0.2}, 0.15),
    Line(((0.0325, -0.066), (0.0345, -0.073), (0.0325, -0.080)), 0.0012, {"mouthDimple": 1.0, "mouthSmile": 0.2}, 0.1),
    Line(((0.044, -0.045), (0.047, -0.06), (0.046, -0.075)), 0.0018, {"mouthSmile": 0.25}, 0.3),
)  # fmt: skip
FOLD = Line(((0.0185, 0.0035), (0.026, 0.0090), (0.036, 0.0102), (0.0455, 0.0065), (0.051, 0.0005)), 0.0009, {})
CHIN = (0.0, -0.106)  # AU 17 dimples the skin around here


@cache
def _grooves() -> tuple[tuple[tuple[slice, slice], Floats], ...]:
    """For every line, first on the person's left, then on the right: its place on the map, and its depth there (0..1)."""
    return tuple(_groove(line, side) for line in (*LINES, FOLD) for side in (1, -1))


def _groove(line: Line, side: int) -> tuple[tuple[slice, slice], Floats]:
    course = _smooth(np.array(line.course)) * (side, 1)
    reach = 3 * line.width
    low, high = course.min(0) - reach, course.max(0) + reach
    columns = slice(max(int((low[0] - LEFT) / CELL), 0), min(int((high[0] - LEFT) / CELL) + 2, ACROSS))
    rows = slice(max(int((TOP - high[1]) / CELL), 0), min(int((TOP - low[1]) / CELL) + 2, DOWN))
    x = LEFT + np.arange(columns.start, columns.stop)[None] * CELL
    y = TOP - np.arange(rows.start, rows.stop)[:, None] * CELL
    away = np.hypot(x[..., None] - course[:, 0], y[..., None] - course[:, 1])
    nearest = away.argmin(-1)
    fade = np.sin(np.pi * (0.12 + 0.76 * nearest / (len(course) - 1)))
    return (rows, columns), (fade * np.exp(-0.5 * (away.min(-1) / line.width) ** 2)).astype(np.float32)


def _smooth(course: NDArray[np.float64]) -> NDArray[np.float64]:
    """A course of 25 points through the given ones."""
    along = np.linspace(0, 1, len(course))
    fine = np.linspace(0, 1, 25)
    x = np.polynomial.Polynomial.fit(along, course[:, 0], min(3, len(course) - 1))(fine)
    y = np.polynomial.Polynomial.fit(along, course[:, 1], min(3, len(course) - 1))(fine)
    return np.stack([x, y], 1)


def depths(actions: Mapping[str, float], wrinkles: float, fold: float) -> list[float]:
    """Depth of each groove in the order of `_grooves`: 0 (none) to about 1."""
    found = []
    for line in LINES:
        for side in ("Left", "Right"):
            work = sum(depth * actions.get(name + side, actions.get(name, 0.0)) for name, depth in line.actions.items())
            found.append(min(work * (0.65 + 0.7 * wrinkles), 1.3) + line.rest * wrinkles)
    return [*found, fold, fold]


def relief(actions: Mapping[str, float], wrinkles: float, fold: float, seed: int, mirrored: bool) -> Floats:
    """(3, DOWN, ACROSS): depth of the grooves, and its slopes across and up.

    Args:
        actions: by ARKit's names.
        wrinkles: of the skin, 0 to 1.
        fold: depth of the upper lid's fold, 0 to 1.
        seed, mirrored: of the person's chance details; folds waver with them.
    """
    depth = np.zeros((DOWN, ACROSS), np.float32)
    for (place, groove), amount in zip(_grooves(), depths(actions, wrinkles, fold), strict=True):
        if amount > 0.01:
            depth[place] += np.float32(amount) * groove
    if (chin := actions.get("mouthShrugLower", 0.0)) > 0.05:
        depth += np.float32(0.35 * chin) * _dimples(seed, mirrored)
    up, across = np.gradient(depth)
    return np.stack([depth, across, -up])


@cache
def _chin_place() -> tuple[Floats, Floats, Floats]:
    x = (LEFT + np.arange(ACROSS, dtype=np.float32) * np.float32(CELL))[None].repeat(DOWN, 0)
    y = (TOP - np.arange(DOWN, dtype=np.float32) * np.float32(CELL))[:, None].repeat(ACROSS, 1)
    near = np.exp(-0.5 * (((x - CHIN[0]) / 0.011) ** 2 + ((y - CHIN[1]) / 0.007) ** 2))
    return x, y, near.astype(np.float32)


def _dimples(seed: int, mirrored: bool) -> Floats:
    x, y, near = _chin_place()
    return near * np.clip(noise(-x if mirrored else x, y, 0.004, 0.004, seed), 0, 2)


def sampled(relief: Floats, x: Floats, y: Floats) -> Floats:
    """(3, n) the relief at places on the front of the average head, between its cells."""
    column = np.clip((x - np.float32(LEFT)) * np.float32(1 / CELL), 0, ACROSS - 1.001)
    row = np.clip((np.float32(TOP) - y) * np.float32(1 / CELL), 0, DOWN - 1.001)
    left, top = column.astype(np.int32), row.astype(np.int32)
    right, low = column - left, row - top
    flat = relief.reshape(3, -1)
    at = top * ACROSS + left
    upper = flat[:, at] * (1 - right) + flat[:, at + 1] * right
    lower = flat[:, at + ACROSS] * (1 - right) + flat[:, at + ACROSS + 1] * right
    return np.asarray(upper * (1 - low) + lower * low)
