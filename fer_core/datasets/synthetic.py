"""Synthetic faces: drawn, not photographed, with an expression made of facial action units and its pixels known.

A face is a list of flat shapes in *face units*: x to the right and y downwards from the point between the eyes, half
the head's width being 1. The person (geometry, hair, colours), pose, light and the sensor's noise come from one random
stream, the strength of the expression from another, so that the expression shows in brows, eyes, nose root and mouth
and nowhere else. A new feature is a few shapes in `_head`, or in the one of `_brows`, `_eyes`, `_nose`, `_mouth` that
its action units move.

Action units: P. Ekman, W. V. Friesen, *Facial Action Coding System*, 1978; the units of each expression: W. V. Friesen,
P. Ekman, *EMFACS-7*, 1983.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import OnBad, Reading, reader
from fer_core.errors import DataError, UnknownName
from fer_core.labels import FER7

Floats = NDArray[np.float64]
Colour = Floats  # RGB or one grey level, 0..255; what is above is drawn as 255

# Expression -> action unit -> intensity at full strength (0 = at rest, 1 = as far as it goes).
ACTION_UNITS: dict[str, dict[int, float]] = {
    "angry": {4: 0.9, 5: 0.4, 7: 0.6, 23: 0.7, 24: 0.6},
    "disgust": {7: 0.5, 9: 0.9, 10: 0.8, 15: 0.3, 16: 0.4, 25: 0.5},
    "fear": {1: 0.8, 2: 0.4, 4: 0.6, 5: 0.9, 20: 0.9, 25: 0.7, 26: 0.25},
    "happy": {6: 0.7, 12: 0.9, 25: 0.6},
    "sad": {1: 0.9, 4: 0.5, 15: 0.9, 17: 0.5},
    "surprise": {1: 0.9, 2: 0.9, 5: 0.7, 25: 0.5, 26: 0.8},
    "neutral": {},
}

# The parts of the face that an action unit moves in these drawings.
PARTS: dict[int, tuple[str, ...]] = {
    1: ("brows",),  # inner brow raiser
    2: ("brows",),  # outer brow raiser
    4: ("brows",),  # brow lowerer
    5: ("eyes",),  # upper lid raiser
    6: ("eyes",),  # cheek raiser: lower lid up, crow's feet
    7: ("eyes",),  # lid tightener
    9: ("brows", "nose root"),  # nose wrinkler
    10: ("mouth",),  # upper lip raiser
    12: ("mouth",),  # lip corner puller
    15: ("mouth",),  # lip corner depressor
    16: ("mouth",),  # lower lip depressor
    17: ("mouth",),  # chin raiser
    20: ("mouth",),  # lip stretcher
    23: ("mouth",),  # lip tightener
    24: ("mouth",),  # lip pressor
    25: ("mouth",),  # lips part
    26: ("mouth",),  # jaw drop (the head's outline stays: the expression is in brows, eyes and mouth only)
}

# Where people differ: lowest and highest value, lengths in face units.
_PERSON: dict[str, tuple[float, float]] = {
    "taper": (0.10, 0.34),  # how much the head narrows towards the chin
    "chin": (0.46, 0.56),  # below the mouth
    "crown": (-1.36, -1.22),
    "eye_x": (0.37, 0.44),
    "eye_width": (0.18, 0.225),  # half
    "eye_up": (0.095, 0.13),  # how far the lids open above and below the eye's middle
    "eye_down": (0.06, 0.085),
    "eye_tilt": (-0.02, 0.04),
    "iris": (0.095, 0.115),
    "gaze": (-0.03, 0.03),
    "brow_y": (-0.37, -0.31),
    "brow_thick": (0.035, 0.06),  # half
    "brow_arch": (0.02, 0.08),
    "brow_length": (0.24, 0.30),  # half
    "nose_y": (0.42, 0.50),
    "nose_width": (0.13, 0.20),  # half
    "mouth_y": (0.33, 0.40),  # below the nose
    "mouth_width": (0.27, 0.35),  # half
    "lip_up": (0.05, 0.09),
    "lip_down": (0.07, 0.12),
    "ear": (0.8, 1.2),
    "hair_line": (-0.92, -0.74),
    "hair_part": (-0.6, 0.6),
    "hair_volume": (0.04, 0.22),
    "hair_wave": (0.0, 0.03),
    "hair_waves": (5.0, 12.0),
    "hair_length": (-1.0, 1.5),  # how far it falls below the eyes; below 0 it ends above the ears
    "stubble": (-0.5, 0.3),  # how much darker the beard makes the chin; none below 0
}
_SKIN = np.array([(240, 212, 188), (230, 190, 160), (203, 152, 116), (158, 108, 78), (112, 72, 52)], dtype=float)
_HAIR = np.array(
    [(28, 24, 24), (60, 40, 30), (98, 64, 40), (150, 104, 60), (212, 176, 112), (150, 72, 40), (170, 168, 166)],
    dtype=float,
)
_EYES = np.array([(72, 46, 30), (96, 70, 40), (80, 104, 70), (70, 104, 140), (100, 116, 126)], dtype=float)

_T = np.linspace(-1, 1, 25)  # along a lid or a lip, corner to corner
_ARCH = 1 - _T**2
_ALONG = np.linspace(0, 1, 11)[:, None]  # along a curve
_TURN = np.linspace(0, 2 * np.pi, 64, endpoint=False)  # from the chin to the right of the picture and round
_CIRCLE = np.stack([np.sin(_TURN), np.cos(_TURN)], axis=1)
_MIDDLE_Y = 0.12  # the face's y at the middle of the picture


@dataclass(frozen=True)
class SyntheticFaces:
    """Drawn faces with what is known of them.

    Attributes:
        images: (n, size, size) grey or (n, size, size, 3) RGB, uint8.
        labels: n expressions by name, of `fer7`.
        masks: (n, size, size) bool, true where the expression shows: the parts of the face (brows, eyes, nose root,
            mouth, each with the room it moves in) that the expression's action units move. Neutral is the absence of
            them all, so its mask is brows, eyes and mouth.
        points: (n, 5, 2) float32, x and y in pixels from the picture's upper left corner: the eye on the left of the
            picture, the eye on the right, tip of the nose, corner of the mouth on the left, corner on the right.
    """

    images: NDArray[np.uint8]
    labels: tuple[str, ...]
    masks: NDArray[np.bool_]
    points: NDArray[np.float32]


class SyntheticFace(NamedTuple):
    """One drawn face; shapes as in `SyntheticFaces` without the first axis."""

    image: NDArray[np.uint8]
    label: str
    mask: NDArray[np.bool_]
    points: NDArray[np.float32]


def draw_faces(n: int, *, seed: int = 0, size: int = 48, channels: int = 1) -> SyntheticFaces:
    """Draw n faces, the seven expressions in equal shares and shuffled.

    Face i depends on seed and i alone, so a longer set begins with the shorter one, and any n that seven divides is
    exactly balanced. Expressions run from weak to strong, unrelated action units stir a little.

    Args:
        n: 1 or more.
        seed: 0 or more.
        size: height and width in pixels, 16..1024.
        channels: 1 for grey, 3 for RGB.

    Raises:
        DataError: an argument is out of its range.
    """
    if n < 1:
        raise DataError(f"A synthetic set needs at least one face, found n = {n}; ask for 1 or more.")
    _check(seed, 0, size, channels)
    blocks = -(-n // len(FER7))
    shuffled = [np.random.default_rng((seed, block, 3)).permutation(FER7.names) for block in range(blocks)]
    labels = np.concatenate(shuffled)[:n].tolist()
    faces = [draw_face(label, seed=seed, index=i, size=size, channels=channels) for i, label in enumerate(labels)]
    images, names, masks, points = zip(*faces, strict=True)
    return SyntheticFaces(np.stack(images), names, np.stack(masks), np.stack(points))


def draw_face(
    expression: str,
    *,
    seed: int = 0,
    index: int = 0,
    size: int = 48,
    channels: int = 1,
    strength: float | None = None,
) -> SyntheticFace:
    """Draw the person `index` of a set with an expression; pose, light and noise are the same for every expression.

    Args:
        expression: a name of `fer7`.
        seed, size, channels: as in `draw_faces`.
        index: which person, 0 or more; `draw_faces(n, seed=s)` shows the persons 0..n-1.
        strength: 0 (at rest) to 1 (strong) sets how strongly it shows; without it, it is drawn at random, 0.45..1.

    Raises:
        UnknownName: the expression is none of the seven.
        DataError: another argument is out of its range.
    """
    _check(seed, index, size, channels)
    if expression not in ACTION_UNITS:
        raise UnknownName("synthetic expression", expression, FER7.names)
    if strength is not None and not 0 <= strength <= 1:
        raise DataError(f"The strength of an expression runs from 0 to 1, found {strength}; choose a value between.")
    identity = np.random.default_rng((seed, index, 1))
    person = _person(identity)
    pose = _pose(identity)
    units = _intensities(expression, strength, np.random.default_rng((seed, index, 2)))

    mouth, corners = _mouth(person, units)
    shapes = [*_head(person), *_brows(person, units), *_eyes(person, units), *_nose(person, units), *mouth]
    image = _photograph(shapes, person, pose, size, channels, identity)
    eyes = [(-person.eye_x, 0.0), (person.eye_x, 0.0)]
    points = pose.pixels(np.array([*eyes, (0.0, person.nose_y), *corners]), size)
    return SyntheticFace(image, expression, _mask(expression, person, pose, size), points.astype(np.float32))


def _check(seed: int, index: int, size: int, channels: int) -> None:
    if seed < 0 or index < 0:
        raise DataError(f"Seed and index of a synthetic face are 0 or more, found {seed} and {index}.")
    if not 16 <= size <= 1024:
        raise DataError(f"Synthetic faces are 16 to 1024 pixels wide, found size = {size}; choose a size between.")
    if channels not in (1, 3):
        raise DataError(f"Synthetic faces have 1 channel (grey) or 3 (RGB), found {channels}.")


def _intensities(expression: str, strength: float | None, rng: np.random.Generator) -> dict[int, float]:
    """Action unit -> intensity. Units outside the expression get the same small stir whatever the expression."""
    drawn = float(rng.uniform(0.45, 1.0))
    strength = drawn if strength is None else strength
    stir = dict(zip(PARTS, (rng.uniform(0, 1, len(PARTS)) ** 3 * 0.15).tolist(), strict=True))
    spread = dict(zip(PARTS, rng.uniform(0.7, 1.3, len(PARTS)).tolist(), strict=True))
    full = ACTION_UNITS[expression]
    return {au: min(1.0, full[au] * strength * spread[au]) if au in full else stir[au] for au in PARTS}


# ---------------------------------------------------------------------------------------------- the person


class Shape(NamedTuple):
    """A polygon (width 0) or a line, its width in face units."""

    points: Floats  # (k, 2) in face units
    colour: Colour
    width: float = 0.0


def _person(rng: np.random.Generator) -> SimpleNamespace:
    low, high = zip(*_PERSON.values(), strict=True)
    person = SimpleNamespace(**dict(zip(_PERSON, rng.uniform(low, high).tolist(), strict=True)))
    person.mouth_y += person.nose_y
    person.chin += person.mouth_y
    person.outline = _outline(person)
    tone = rng.uniform(0, len(_SKIN) - 1)
    darker = min(int(tone), len(_SKIN) - 2)
    person.skin = _SKIN[darker] + (tone - darker) * (_SKIN[darker + 1] - _SKIN[darker])
    person.hair = _HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.85, 1.1)
    person.iris_colour = _EYES[rng.integers(len(_EYES))]
    person.brow = np.minimum(person.hair * 0.8, person.skin * 0.45)
    person.lip = person.skin * (0.86, 0.58, 0.58) + (10, 0, 4)
    person.shirt = rng.uniform(40, 220, 3)
    person.light = float(rng.choice((-1, 1)))  # the side the light comes from
    person.backdrop = rng.uniform(30, 225, (3, 3, 1)) * 0.8 + rng.uniform(0, 50, (3, 3, 3))
    return person


def _head(p: SimpleNamespace) -> list[Shape]:
    """All that the expression leaves alone: hair, neck, clothes, ears, skin."""
    outline, shapes = p.outline, []
    if p.hair_length > 0:  # falls behind the head
        down = _ALONG[:, 0]
        x = 0.9 + (0.15 + p.hair_volume) * np.sqrt(down) - 0.3 * down**8 + p.hair_wave * np.sin(9 * down)
        fall = _xy(x, (p.hair_length + 0.5) * down - 0.5)
        shapes.append(Shape(np.concatenate([fall, fall[::-1] * (-1, 1)]), p.hair * 0.75))
    shapes.append(Shape(np.array([(-0.45, 0.6), (0.45, 0.6), (0.5, 1.9), (-0.5, 1.9)]), p.skin * 0.76))
    shirt = [(-2.2, 2.2), (-1.7, 1.8), (-0.55, 1.55), (0, 1.8), (0.55, 1.55), (1.7, 1.8), (2.2, 2.2)]
    shapes.append(Shape(np.array(shirt), p.shirt))
    for side in (-1, 1):
        shapes.append(Shape(_CIRCLE * (0.13 * p.ear, 0.24 * p.ear) + (side * 0.99, 0.12), p.skin * 0.92))
        shapes.append(Shape(_CIRCLE * (0.06 * p.ear, 0.14 * p.ear) + (side * 1.03, 0.12), p.skin * 0.76))
    shapes.append(Shape(outline, p.skin))

    crown = _outline(p, 1 + 0.5 * p.hair_volume, p.hair_wave, round(p.hair_waves))
    crown = _left_to_right(crown[crown[:, 1] < -0.1]) * (0.97, 1)
    rise = 0.12 * np.clip(1 - (_T - p.hair_part) ** 2, 0, 1) - 0.06  # the line is highest where the hair parts
    line = _xy(_T, p.hair_line - rise * (1 - _T**6) - (p.hair_line + 0.03) * _T**6)
    shapes.append(Shape(np.concatenate([crown, line[::-1]]), p.hair))
    for end in line[3:-3:3]:  # strands, combed from the parting
        x = 0.5 * (end[0] + p.hair_part)
        start = np.array((x, 0.1 - (0.1 - p.crown) * np.sqrt(1 - x * x)))
        bend = np.array((end[0], 0.6 * start[1] + 0.4 * end[1]))
        shapes.append(Shape(_curve(start, bend, end)[1:-2], p.hair * 1.12 + 6, 0.015))
    return shapes


def _xy(x: Floats, y: Floats) -> Floats:
    """(k,) and (k,) to (k, 2); `np.stack` takes ten times as long for so few points."""
    points = np.empty((len(x), 2))
    points[:, 0], points[:, 1] = x, y
    return points


def _left_to_right(points: Floats) -> Floats:
    return points[np.argsort(points[:, 0])]


def _curve(start: Floats, bend: Floats, end: Floats) -> Floats:
    """Quadratic Bezier curve, (11, 2)."""
    return start * (1 - _ALONG) ** 2 + bend * (2 * _ALONG * (1 - _ALONG)) + end * _ALONG**2


def _outline(p: SimpleNamespace, scale: float = 1.0, wave: float = 0.0, waves: int = 0) -> Floats:
    x, y = _CIRCLE.T
    radius = scale * (1 + wave * np.sin(waves * _TURN))
    below = np.maximum(y, 0)
    wide = np.sign(x) * np.abs(x) ** 0.9 * (1 - p.taper * below**1.5)
    return _xy(wide * radius, np.where(y > 0, y * (p.chin - 0.1), y * (0.1 - p.crown)) * radius + 0.1)


# ------------------------------------------------------------------------------- what the action units move


def _brows(p: SimpleNamespace, au: Mapping[int, float]) -> list[Shape]:
    # With the inner brow raised, AU 4 draws the brows together rather than down: 1+4 slants them (FACS, 1+4).
    lower = max(au[4], 0.9 * au[9]) * (1 - 0.9 * au[1])
    inner = p.brow_y - 0.17 * au[1] - 0.03 * au[2] + 0.16 * lower
    middle = p.brow_y - p.brow_arch - 0.04 * au[1] - 0.13 * au[2] + 0.09 * max(au[4], au[9])
    outer = p.brow_y + 0.02 - 0.12 * au[2] + 0.04 * au[1] * au[4] - 0.02 * lower
    start = p.eye_x - p.brow_length + 0.02 - 0.07 * au[4] - 0.02 * au[9]
    end = p.eye_x + p.brow_length
    bend = 2 * middle - (inner + outer) / 2  # so that the curve passes through `middle`
    spine = _curve(np.array((start, inner)), np.array(((start + end) / 2, bend)), np.array((end, outer)))
    thick = p.brow_thick * (1 - 0.75 * _ALONG**2) * (0, 1)
    edge = np.concatenate([spine - thick, (spine + thick)[::-1]])
    shapes = []
    for side in (-1, 1):
        shapes.append(Shape(edge * (side, 1), p.brow))
        furrow = np.array([(side * 0.07, -0.36), (side * 0.05, -0.27), (side * 0.065, -0.17)])
        shapes += _crease(furrow, p, max(au[4], 0.7 * au[9]))
    for y0 in (-0.62, -0.69):  # the forehead's lines
        shapes += _crease(_xy(_T * 0.5, y0 + 0.03 * _T**2), p, 0.6 * min(au[1], au[2]))
    return shapes


def _eyes(p: SimpleNamespace, au: Mapping[int, float]) -> list[Shape]:
    up = p.eye_up + 0.085 * au[5] - 0.035 * au[7] - 0.02 * au[6]
    down = p.eye_down + 0.02 * au[5] - 0.05 * au[7] - 0.085 * au[6]
    down = max(down, 0.045 - up)
    upper = -up * _ARCH**0.7 - p.eye_tilt * _T
    lower = down * _ARCH**0.8 - p.eye_tilt * _T
    white, black = np.array((244.0, 242, 238)), np.array((24.0, 18, 18))
    shapes = []
    for side in (-1, 1):
        x = side * (p.eye_x + p.eye_width * _T)
        top, bottom = _xy(x, upper), _xy(x, lower)
        shapes.append(Shape(np.concatenate([top, bottom[::-1]]), white))
        for radius, colour, offset in ((p.iris, p.iris_colour, 0.0), (p.iris * 0.5, black, 0.0), (0.028, white, -0.04)):
            disc = _CIRCLE * radius + (side * p.eye_x + p.gaze + offset, offset - 0.01)
            along = side * (disc[:, 0] - side * p.eye_x) / p.eye_width
            disc[:, 1] = np.clip(disc[:, 1], np.interp(along, _T, upper), np.interp(along, _T, lower))
            shapes.append(Shape(disc, colour))
        shapes.append(Shape(top, p.brow * 0.5, 0.035))
        shapes.append(Shape(bottom, p.skin * 0.62, 0.018))
        shapes += _crease(top - (0, 0.055), p, 0.7)
        shapes += _crease(bottom[4:-2] - (0, -0.07), p, max(au[6], 0.7 * au[7]))
        for y in (-0.04, 0.04):  # crow's feet
            ends = [(p.eye_x + p.eye_width + 0.05, 0.5 * y), (p.eye_x + p.eye_width + 0.15, 1.5 * y)]
            shapes += _crease(np.array(ends) * (side, 1), p, au[6] - 0.2)
    return shapes


def _nose(p: SimpleNamespace, au: Mapping[int, float]) -> list[Shape]:
    w, y = p.nose_width, p.nose_y
    side = np.array([(-0.07, 0.12), (-0.09, y - 0.18), (-w, y - 0.02), (-w * 0.9, y + 0.05), (-w * 0.55, y + 0.055)])
    shapes = [Shape(side * (p.light, 1), p.skin * 0.74, 0.03), Shape(side[2:] * (-p.light, 1), p.skin * 0.74, 0.025)]
    for s in (-1, 1):
        shapes.append(Shape(_CIRCLE * (w * 0.22, 0.022) + (s * w * 0.45, y + 0.045), p.skin * 0.42))
        for y0 in (0.05, 0.15):  # wrinkles at the root
            wrinkle = np.array([(s * 0.03, y0 - 0.03), (s * 0.09, y0 - 0.015), (s * 0.13, y0 + 0.05)])
            shapes += _crease(wrinkle, p, 0.9 * au[9])
    return shapes


def _mouth(p: SimpleNamespace, au: Mapping[int, float]) -> tuple[list[Shape], list[tuple[float, float]]]:
    """Shapes, and the mouth's two corners."""
    tight = max(au[23], au[24])
    half = p.mouth_width * (1 + 0.28 * au[12] + 0.30 * au[20] - 0.15 * tight - 0.32 * au[26] * (1 - au[20]))
    corner = p.mouth_y - 0.15 * au[12] + 0.14 * au[15] + 0.02 * au[20] + 0.03 * au[26]
    middle = p.mouth_y + 0.03 * au[12] - 0.05 * au[15] - 0.05 * au[17] - 0.04 * au[9] - 0.04 * au[10]
    part = au[25] * (1 - tight)
    upper = middle - 0.05 * part - 0.06 * au[10] * au[25] - 0.05 * au[26]
    lower = middle + 0.07 * part + 0.08 * au[16] * part + 0.24 * au[26] + 0.05 * au[12] * part
    square = 1 - 0.5 * max(au[26], au[20] * part, au[10] * part)  # how boxy the opening is

    x = half * _T
    inner_up = corner + (upper - corner) * _ARCH**square
    inner_down = np.maximum(corner + (lower - corner) * _ARCH**square, inner_up)
    thin = (1 - 0.8 * tight) * (1 - 0.3 * au[20]) * (1 - 0.25 * au[12])
    bow = p.lip_up * (1 - 0.35 * au[10]) * thin * (np.sqrt(_ARCH) - 0.35 * np.exp(-((_T / 0.14) ** 2)))
    full = p.lip_down * thin * _ARCH**0.6 * (1 + 0.3 * au[17])

    def band(top: Floats, bottom: Floats, colour: Colour, keep: slice = slice(None)) -> Shape:
        points = np.concatenate([_xy(x, top)[keep], _xy(x, bottom)[keep][::-1]])
        return Shape(points, colour)

    dark, teeth, tongue = np.array((62.0, 20, 24)), np.array((240.0, 236, 226)), np.array((178.0, 84, 84))
    shapes = [
        band(inner_up - bow, inner_up, p.lip * 0.92),
        band(inner_down, inner_down + full, p.lip),
        band(inner_up, inner_down, dark),
    ]
    opening = inner_down - inner_up
    if lower - upper > 0.08:
        show = 0.10 * (1 - 0.6 * au[26]) * np.sqrt(_ARCH)
        shapes.append(band(inner_up, inner_up + np.minimum(opening, show) * 0.95, teeth, slice(2, -2)))
        shapes.append(band(inner_down - np.maximum(0, opening - 0.14) * 0.6 * _ARCH, inner_down, tongue, slice(5, -5)))
    shapes.append(Shape(_xy(x, inner_up), p.lip * 0.42, 0.03))
    for side in (-1, 1):
        fold = _curve(
            np.array((0.23, p.nose_y + 0.06)), np.array((half + 0.09, corner - 0.12)), np.array((half + 0.1, corner))
        )
        shapes += _crease(fold * (side, 1), p, 0.8 * max(au[12], au[10], 0.5 * au[20]))
        shapes += _crease(np.array([(half + 0.02, corner), (half + 0.05, corner + 0.08)]) * (side, 1), p, au[15])
    chin = _xy(_T * 0.16, lower + p.lip_down + 0.08 + 0.03 * _T**2)
    return [*shapes, *_crease(chin, p, au[17])], [(-half, corner), (half, corner)]


def _crease(points: Floats, p: SimpleNamespace, depth: float) -> list[Shape]:
    return [Shape(points, p.skin * (1 - 0.38 * min(depth, 1.0)), 0.025)] if depth > 0.12 else []


# ------------------------------------------------------------------------------- where the expression shows


def _parts(p: SimpleNamespace) -> dict[str, list[Floats]]:
    """Part of the face -> polygons that hold it at every intensity of its action units."""
    outer = p.eye_x + p.brow_length
    brow = [(0, -0.75), (0.55, -0.75), (outer + 0.06, -0.54), (outer + 0.06, -0.22), (0.3, -0.1), (0, -0.08)]
    root = [(-0.1, -0.12), (0.1, -0.12), (0.18, 0.12), (0.16, 0.3), (-0.16, 0.3), (-0.18, 0.12)]
    half, y = p.mouth_width, p.nose_y
    mouth = [(0.13, y + 0.1), (0.17, y), (0.32, y), (half * 1.35 + 0.16, p.mouth_y - 0.2)]
    mouth += [(half * 1.35 + 0.1, p.mouth_y + 0.2), (0.26, p.mouth_y + 0.44), (0, p.mouth_y + 0.46)]
    return {
        "brows": [_mirrored(brow)],
        "eyes": [_CIRCLE * (0.40, 0.25) + (side * (p.eye_x + 0.03), 0) for side in (-1, 1)],
        "nose root": [np.array(root)],
        "mouth": [_mirrored(mouth)],
    }


def _mirrored(half: list[tuple[float, float]]) -> Floats:
    points = np.array(half)
    return np.concatenate([points, points[::-1] * (-1, 1)])


def _mask(expression: str, p: SimpleNamespace, pose: _Pose, size: int) -> NDArray[np.bool_]:
    import cv2

    moved = {part for au in ACTION_UNITS[expression] for part in PARTS[au]} or {"brows", "eyes", "mouth"}
    polygons = [polygon for part, shapes in _parts(p).items() if part in moved for polygon in shapes]
    fine = np.zeros((size * _oversampling(size),) * 2, np.uint8)
    _paint(fine, [Shape(polygon, np.array([255])) for polygon in polygons], pose)
    return np.asarray(cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA) > 0)


# ---------------------------------------------------------------------------------------------- the picture


class _Pose(NamedTuple):
    angle: float  # in the picture's plane, radians
    scale: float  # a face unit as a share of the picture's width
    shift: tuple[float, float]  # as a share of the picture's width
    yaw: float  # how far the middle of the face moves sideways against its edges, in face units

    def pixels(self, points: Floats, size: int) -> Floats:
        """(k, 2) face units to (k, 2) pixels, 0 being the picture's upper left corner."""
        x, y = points.T
        x = x + self.yaw * np.maximum(1 - x * x, 0)
        y = y - _MIDDLE_Y
        cos, sin = self.scale * np.cos(self.angle), self.scale * np.sin(self.angle)
        right, down = self.shift
        return _xy(cos * x - sin * y + (0.5 + right), sin * x + cos * y + (0.5 + down)) * size


def _pose(rng: np.random.Generator) -> _Pose:
    dx, dy = rng.uniform(-0.035, 0.035, 2)
    return _Pose(np.deg2rad(rng.uniform(-10, 10)), rng.uniform(0.31, 0.36), (dx, dy), rng.uniform(-0.12, 0.12))


def _oversampling(size: int) -> int:
    return max(2, -(-144 // size))


def _paint(canvas: NDArray[np.uint8], shapes: list[Shape], pose: _Pose) -> None:
    """Draw the shapes, the later over the earlier, on a square (size, size) or (size, size, 3) canvas."""
    import cv2

    size = len(canvas)
    points = pose.pixels(np.concatenate([s.points for s in shapes]), size)  # all at once: numpy's calls add up
    # OpenCV takes sixteenths of a pixel (its `shift` of 4) and counts from the middle of the first pixel.
    fixed = np.rint((points - 0.5) * 16).astype(np.int32)
    start = 0
    for shape in shapes:
        polygon = fixed[start : (start := start + len(shape.points))]
        colour = np.minimum(shape.colour, 255).tolist()
        if shape.width:
            width = max(1, round(shape.width * pose.scale * size))
            cv2.polylines(canvas, [polygon], False, colour, width, cv2.LINE_AA, 4)
        else:
            cv2.fillPoly(canvas, [polygon], colour, cv2.LINE_AA, 4)


def _photograph(
    shapes: list[Shape], p: SimpleNamespace, pose: _Pose, size: int, channels: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Shapes on their backdrop, shaded, lit and with the sensor's noise: (size, size) or (size, size, 3) uint8."""
    import cv2

    fine = size * _oversampling(size)
    canvas = cv2.resize(p.backdrop.astype(np.uint8), (fine, fine), interpolation=cv2.INTER_CUBIC)
    _paint(canvas, shapes, pose)
    picture = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    picture *= _light(p, pose, size, rng)[..., None]
    if channels == 1:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    picture += rng.uniform(1, 7) * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def _light(p: SimpleNamespace, pose: _Pose, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Factor for each pixel: the head's roundness, soft shadows, and a light that falls in from one side."""
    import cv2

    soft = [(p.outline, 208)]
    if p.stubble > 0:
        cheeks = [(0.55, 0.5), (0.26, p.nose_y + 0.14), (-0.26, p.nose_y + 0.14), (-0.55, 0.5)]
        beard = np.concatenate([_left_to_right(p.outline[p.outline[:, 1] > 0.3]), cheeks])
        soft.append((beard, 208 * (1 - p.stubble)))
    for side in (-1, 1):
        soft.append((_CIRCLE * (0.26, 0.17) + (side * p.eye_x, -0.1), 192))  # socket
        soft.append((_CIRCLE * (0.22, 0.2) + (side * 0.5, 0.42), 222))  # cheek
    soft.append((_CIRCLE * (0.45, 0.2) + (0, -0.68), 220))  # forehead
    soft.append((_CIRCLE * (p.nose_width, 0.05) + (0, p.nose_y + 0.1), 180))  # below the nose
    soft.append((_CIRCLE * (0.06, 0.2) + (0, 0.2), 228))  # bridge
    relief = np.full((64, 64), 168, np.uint8)
    _paint(relief, [Shape(points, np.array([level])) for points, level in soft], pose)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    across = p.light * rng.uniform(0.0, 0.35) * ramp
    down = -rng.uniform(-0.1, 0.25) * ramp
    exposure = rng.uniform(0.85, 1.12)
    blurred = cv2.GaussianBlur(relief.astype(np.float32), (0, 0), 2.2)
    shade = cv2.resize(blurred, (size, size), interpolation=cv2.INTER_LINEAR) / 208
    return np.asarray(shade * exposure * (1 + across[None] + down[:, None]), dtype=np.float32)


COUNTS = {"train": 2100, "val": 350, "test": 350}  # as many of each expression in each split


@reader(
    "synthetic",
    title="Synthetic faces",
    dataset="synthetic",
    recognises=lambda path: False,  # it is asked for by name
    licence="drawn by this program; free to use and to show",
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Draw the built-in set: faces of 48 x 48 grey, the same on every machine, with their masks."""
    faces = draw_faces(sum(COUNTS.values()))
    index = pd.DataFrame(
        {
            "id": [f"face-{number:04d}" for number in range(len(faces.labels))],
            "split": np.repeat(list(COUNTS), list(COUNTS.values())),
            "label": faces.labels,
        }
    )
    return Reading(index, FER7, faces.images, faces.masks)
