"""Light on the surface: a key light with its shadow, light from all around, and highlights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_core.heads import mesh, paint
from fer_core.heads.paint import Paint, Samples
from fer_core.heads.pattern import noise, step
from fer_core.heads.raster import rasterise
from fer_core.heads.scene import Light, Person

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

REACH = 0.20  # half the width of what casts shadows, metres
WRAP = np.array([0.26, 0.14, 0.10], np.float32)  # how far light wanders round an edge of skin, by colour


def direction(light: Light) -> Floats:
    """(3,) unit vector towards the key light."""
    around, up = np.radians([light.azimuth, light.elevation])
    return np.array([np.sin(around) * np.cos(up), np.sin(up), np.cos(around) * np.cos(up)], np.float32)


def shadow_map(space: Floats, triangles: Ints, towards: Floats, cells: int) -> Floats:
    """(cells, cells) distance along the light at which something stops it; far where nothing does."""
    at = space @ _frame(towards)
    points = np.empty_like(at)
    points[:, :2] = (at[:, :2] * np.array([1, -1], np.float32) / REACH + 1) * np.float32(cells / 2)
    points[:, 2] = 1 - at[:, 2]
    seen = rasterise(points, triangles, cells, cells, flat=True)
    depth = np.full(cells * cells, 1e3, np.float32)
    depth[seen.sample] = seen.depth
    return depth.reshape(cells, cells)


def _frame(towards: Floats) -> Floats:
    side = np.cross(np.array([0, 1, 0], np.float32), towards)
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(towards, side), towards], 1).astype(np.float32)


def _disc(count: int) -> NDArray[np.float64]:
    k = np.arange(count)
    radius, turn = np.sqrt((k + 0.5) / count), k * 2.399963
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1)


_TAPS = np.concatenate([_disc(5), _disc(5) * (-1, 1)])  # alike on both sides, for mirrored scenes


def unshadowed(depth: Floats, space: Floats, normals: Floats, towards: Floats, softness: float) -> Floats:
    """(n,) share of the key light that reaches each sample."""
    cells = len(depth)
    frame = _frame(towards)
    at = (space + np.float32(0.0022) * normals) @ frame
    x, y = ((at[:, i] * sign / REACH + 1) * np.float32(cells / 2) for i, sign in ((0, 1), (1, -1)))
    own = 1 - at[:, 2]
    reach = (0.0015 + 0.011 * softness) / REACH * cells / 2
    total = np.zeros(len(space), np.float32)
    flat = depth.ravel()
    for dx, dy in _TAPS:
        column = np.clip(x + np.float32(dx * reach), 0, cells - 1).astype(np.int32)
        row = np.clip(y + np.float32(dy * reach), 0, cells - 1).astype(np.int32)
        total += np.clip((flat[row * cells + column] - own) * np.float32(1 / 0.004) + 1.2, 0, 1)
    return np.asarray(total / len(_TAPS), np.float32)


def shade(
    s: Samples, p: Paint, material: NDArray[np.uint8], space: Floats, normals: Floats, reached: Floats, light: Light,
    person: Person, eye: Floats,
) -> Floats:  # fmt: skip
    """(n, 3) linear light that each sample sends to the camera.

    Args:
        space: (n, 3) places, metres.
        normals: (n, 3) unit normals.
        reached: (n,) share of the key light that is not in shadow.
        eye: (3,) where the camera is.
    """
    towards = direction(light)
    away = eye - space
    away /= np.sqrt((away * away).sum(1, keepdims=True))
    facing = (normals * away).sum(1)
    normals = np.where(facing[:, None] < 0, -normals, normals)
    key_colour, sky_colour = _colours(light.warmth)
    toward = normals @ towards
    # Light wanders farther in skin in red than in blue: an edge of shadow is warm.
    wrap = WRAP * p.scatter[:, None]
    spread = np.clip((toward[:, None] + wrap) / (1 + wrap), 0, 1)
    direct = spread * reached[:, None] * key_colour * np.float32(1.45 * light.key)
    open_sky = s.sky[:, None] ** (1 - 0.25 * p.scatter[:, None] * np.array([1, 0.2, 0], np.float32))
    upward = 0.72 + 0.28 * normals[:, 1]
    around = open_sky * upward[:, None] * sky_colour * np.float32(1.05 * light.fill)
    bounce = np.clip(normals @ (towards * np.array([-1, 0, 0.4], np.float32)), 0, 1) * s.sky
    around += bounce[:, None] * np.float32(0.22 * light.key) * key_colour
    result = p.colour * (direct + around)
    result += _highlight(p, normals, away, towards, reached, s.sky, light)[:, None] * key_colour
    hair = np.flatnonzero(np.isin(material, (paint.HAIR, paint.BEARD, mesh.FALL, mesh.UNDER)))
    if len(hair):
        result[hair] = _hair_light(s[hair], p.colour[hair], result[hair], normals[hair], away[hair], towards, reached[hair],
                                   facing[hair], person, light)  # fmt: skip
    eyes = np.flatnonzero(material == mesh.EYE)
    if len(eyes):
        result[eyes] = _eye_light(s[eyes], result[eyes], normals[eyes], away[eyes], towards, light)
    return np.asarray(result)


def _colours(warmth: float) -> tuple[Floats, Floats]:
    key = np.array([1 + 0.22 * warmth, 1 + 0.02 * warmth, 1 - 0.28 * warmth], np.float32)
    return key, np.array([1 - 0.06 * warmth, 1, 1 + 0.08 * warmth], np.float32)


def _highlight(
    p: Paint, normals: Floats, away: Floats, towards: Floats, reached: Floats, sky: Floats, light: Light
) -> Floats:
    half = away + towards
    half /= np.sqrt((half * half).sum(1, keepdims=True))
    across = np.clip((normals * half).sum(1), 0, 1)
    lobe = across**p.sharp * (p.sharp + 8) * np.float32(1 / 8 / np.pi)
    grazing = (1 - np.clip((normals * away).sum(1), 0, 1)) ** 5
    strength = p.gloss * (np.float32(0.035) + np.float32(0.5) * grazing)
    rim = grazing * p.gloss * sky * np.float32(0.10 * light.fill)
    return np.asarray(strength * lobe * reached * step(-0.05, 0.15, normals @ towards) * np.float32(light.key) + rim)


def _hair_light(
    s: Samples, colour: Floats, lit: Floats, normals: Floats, away: Floats, towards: Floats, reached: Floats, facing: Floats,
    person: Person, light: Light,
) -> Floats:  # fmt: skip
    """Hair shines in a band across its strands (J. Kajiya, T. Kay, 1989), and is dark inside."""
    strand = np.array([0, -1, 0], np.float32) - normals * (normals @ np.array([0, -1, 0], np.float32))[:, None]
    strand /= np.maximum(np.sqrt((strand * strand).sum(1, keepdims=True)), 1e-3)
    half = away + towards
    half /= np.sqrt((half * half).sum(1, keepdims=True))
    waver = 0.10 * noise(s.u, s.at[:, 1], 0.004, 0.05, person.pattern + 14)
    along = np.clip((strand * half).sum(1) + waver, -1, 1)
    across = np.sqrt(1 - along * along)
    rough = person.hair.cut in ("curly", "afro", "buzz")
    band = (across ** (10 if rough else 55)) * reached * step(-0.2, 0.3, normals @ towards)
    shine = band[:, None] * (colour * 1.2 + 0.02) * np.float32((0.35 if rough else 1.1) * light.key)
    inside = np.where((facing < 0) | (s.kind == mesh.UNDER), 0.25, 1.0).astype(np.float32)
    return np.asarray((lit * 0.95 + shine) * inside[:, None])


def _eye_light(s: Samples, lit: Floats, normals: Floats, away: Floats, towards: Floats, light: Light) -> Floats:
    """The upper lid's shade, and a window in each eye."""
    lid = 0.45 + 0.55 * step(0.0075, 0.0005, s.at[:, 1])
    lit = lit * lid[:, None]
    lamp = np.array([0.55 * towards[0], max(float(towards[1]) * 0.5, 0.25), 0.85], np.float32)
    lamp /= np.linalg.norm(lamp)
    half = away + lamp
    half /= np.sqrt((half * half).sum(1, keepdims=True))
    glint = step(0.9915, 0.9960, (normals * half).sum(1))
    return lit + glint[:, None] * np.float32(0.25 + 0.75 * min(1.0, light.key))
