"""What each sample of the surface is made of, and its colour in even light.

Colours are linear light, (n, 3) float32, as shares of the light that is sent back. Everything is looked up on the average
head, in metres; `turn` is the angle around the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_core.heads import mesh
from fer_core.heads.camera import linear
from fer_core.heads.growth import AROUND, azimuth, beard_cover, beard_edge, hair_edge
from fer_core.heads.pattern import noise, spot, step
from fer_core.heads.scene import Hair, Person

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

MATERIALS = (*mesh.KINDS, "hair", "beard", "cloth")
HAIR, BEARD, CLOTH = (MATERIALS.index(name) for name in ("hair", "beard", "cloth"))

# Monk Skin Tone scale, 1 to 10, sRGB (E. Monk, 2019; skintone.google), a little warmer: the swatches are of skin in print.
_TONES = linear(
    np.array(
        [
            (244, 218, 203), (240, 210, 191), (235, 202, 178), (226, 188, 158), (208, 163, 127), (165, 118, 84), (131, 88, 62),
            (100, 64, 47), (72, 46, 37), (52, 36, 31),
        ],
        np.float32,
    )
    / 255
) * np.float32(0.82)  # fmt: skip
_HAIR: dict[str, tuple[int, int, int]] = {
    "black": (22, 19, 18), "dark brown": (48, 34, 26), "brown": (84, 58, 40), "auburn": (96, 48, 28), "red": (150, 78, 40),
    "dark blond": (136, 104, 68), "blond": (196, 164, 112), "grey": (140, 138, 136), "white": (216, 214, 210),
}  # fmt: skip
_IRIS: dict[str, tuple[int, int, int]] = {
    "dark brown": (46, 26, 16), "brown": (84, 50, 26), "hazel": (112, 84, 44), "green": (96, 110, 70), "blue": (104, 126, 146),
    "grey": (118, 128, 134),
}  # fmt: skip
IRIS_RADIUS = 0.0066  # metres on the average head, whose eyes are large: 12 mm across times 1.1
EYES = ((0.03129, 0.0), (-0.03129, 0.0))  # centres on the average head
EYE_RADIUS = 0.0152
TEETH = np.array([0.0, 0.0088, 0.0158, 0.0226, 0.0286, 0.034], np.float32)  # gaps between the teeth from the middle


@dataclass(frozen=True)
class Samples:
    """The surface at the samples of an image.

    Attributes:
        at: (n, 3) places on the average head, metres.
        kind: (n,) positions in `mesh.KINDS`.
        sky, lip, ear, lid: (n,) shares, see `Surface.fixed`.
        turn: (n,) angle around the head, radians.
        u: (n,) metres around the head; swapped side by side for people who are mirrored.
        fine: samples a metre of the face; chance details smaller than a sample are left out.
    """

    at: Floats
    kind: NDArray[np.int64]
    sky: Floats
    lip: Floats
    ear: Floats
    lid: Floats
    turn: Floats
    u: Floats
    fine: float

    def __getitem__(self, rows: NDArray[np.int64]) -> Samples:
        return Samples(
            self.at[rows],
            self.kind[rows],
            self.sky[rows],
            self.lip[rows],
            self.ear[rows],
            self.lid[rows],
            self.turn[rows],
            self.u[rows],
            self.fine,
        )


def samples(attributes: Floats, kind: NDArray[np.int64], person: Person, fine: float) -> Samples:
    """Samples from interpolated `Surface.fixed` rows, (n, 8)."""
    at = attributes[:, :3]
    turn = azimuth(at)
    u = turn * np.float32(-AROUND if person.mirrored else AROUND)
    sky, lip, ear, lid = np.maximum(attributes[:, 3:7].T, 0)
    sky = np.where((kind >= mesh.UPPER) & (kind <= mesh.TONGUE), np.float32(0.9), sky)
    return Samples(at, kind, sky, lip, ear, lid, turn, u, fine)


class Paint(NamedTuple):
    """Colour and finish of the samples.

    Attributes:
        colour: (n, 3) share of the light sent back in even directions.
        gloss: (n,) strength of the highlight, 1 for wet skin.
        sharp: (n,) exponent of the highlight.
        scatter: (n,) 1 where light wanders under the surface (skin), 0 where it does not.
    """

    colour: Floats
    gloss: Floats
    sharp: Floats
    scatter: Floats


def detail(size: float, fine: float) -> float:
    """How much of a pattern with hills `size` metres apart can be seen, 0 to 1."""
    return float(np.clip(size * fine / 3 - 0.2, 0, 1))


# ------------------------------------------------------------------------------------------ what is where


def materials(s: Samples, person: Person) -> Bytes:
    """(n,) position in `MATERIALS`: the mesh's kind, or hair, beard or cloth that lies on the skin."""
    found = s.kind.astype(np.uint8)
    skin = np.flatnonzero(s.kind == mesh.SKIN)
    q = s[skin]
    at = q.at
    strand = noise(q.u, at[:, 1], 0.0012, 0.010, person.pattern + 5)
    fuzz = noise(q.u, at[:, 1], 0.0008, 0.004, person.pattern + 15) * detail(0.0008, s.fine)
    if person.hair.cut != "bald":
        found[skin[(_hair_cover(q, person) > 0.5) & (q.ear < 0.25)]] = HAIR
    if person.beard not in ("none", "stubble"):
        edge = beard_cover(at, person, q.turn) + np.float32(0.0007) * strand + np.float32(0.0008) * fuzz
        thin = step(-0.001, 0.006, edge) * np.float32(0.55 + 0.75 * person.beard_density)
        grows = (thin + np.float32(0.22) * noise(q.u, at[:, 1], 0.0011, 0.003, person.pattern + 9) > 0.42) & (
            q.lip < 0.2
        )
        found[skin[grows & (edge > 0) & (found[skin] != HAIR)]] = BEARD
    collar = -0.198 + 0.30 * np.abs(at[:, 0]) - 0.10 * np.clip(at[:, 2] + 0.06, -0.1, 0.1)
    found[skin[at[:, 1] < collar]] = CLOTH
    return found


def _hair_cover(s: Samples, person: Person) -> Floats:
    """(n,) share of the skin that the hair of the head hides; its edge is ragged and thins out over some millimetres."""
    y, hair = s.at[:, 1], person.hair
    strand = noise(s.u, y, 0.0012, 0.010, person.pattern + 5)
    fuzz = noise(s.u, y, 0.0008, 0.004, person.pattern + 15) * detail(0.0008, s.fine)
    ragged = np.float32(0.0010 + 0.0025 * hair.fringe) * strand + np.float32(0.0008) * fuzz
    soft = 0.0045 - 0.003 * min(1.0, 2 * hair.fringe)
    return step(-soft, soft, hair_edge(s.at, hair, s.turn) + ragged)


def shows(s: Samples, person: Person) -> NDArray[np.bool_]:
    """(n,) whether a sample of lashes or hanging hair hides what is behind it, or falls between two hairs."""
    seen = np.ones(len(s.at), bool)
    lash = s.kind == mesh.LASH
    if lash.any():
        q = s[np.flatnonzero(lash)]
        x = np.abs(q.at[:, 0]) - np.float32(EYES[0][0])
        upper = q.at[:, 1] > -0.001 + 0.1 * x
        out = q.at[:, 2] + np.float32(1.9) * (np.abs(x) - 0.004) ** 2 / 0.02  # the strip's root lies on the eye's curve
        length = np.where(upper, 0.0045 + 0.0045 * person.lashes, 0.0015 + 0.002 * person.lashes)
        tip = np.clip((out - 0.0135) / length, 0, 2)
        strand = noise(x + 0.3 * q.at[:, 1], q.at[:, 2], 0.0010, 0.02, 11)
        seen[lash] = (strand > np.where(upper, -0.9, 0.35) + 1.9 * tip) & (tip < 1)
    fall = s.kind == mesh.FALL
    if fall.any():
        q = s[np.flatnonzero(fall)]
        strand = noise(q.u, q.at[:, 1], 0.003, 0.06, person.pattern + 3)
        angle = np.abs(q.turn)
        bottom = -0.110 if person.hair.cut == "bob" else -0.28
        seen[fall] = (angle > mesh.FALL_START + 0.03 * strand) & (q.at[:, 1] > bottom + 0.006 * strand)
    return seen


# ----------------------------------------------------------------------------------------------- colours


def paint(s: Samples, material: Bytes, person: Person, grooves: Floats, gape: float) -> Paint:
    """Colour and finish of the samples.

    Args:
        grooves: (n,) depth of the creases, 0 where there are none.
        gape: how far the lips are apart, metres; it lights the mouth.
    """
    n = len(s.at)
    colour = np.zeros((n, 3), np.float32)
    gloss, sharp, scatter = np.zeros(n, np.float32), np.full(n, 20, np.float32), np.zeros(n, np.float32)
    for number in np.unique(material).tolist():
        rows = np.flatnonzero(material == number)
        part = s[rows]
        if number == mesh.SKIN or number == mesh.SOCKET:
            colour[rows], gloss[rows] = _skin(part, person, grooves[rows])
            sharp[rows], scatter[rows] = 14 + 26 * part.lip, 1
        elif number in (HAIR, mesh.FALL, mesh.UNDER):
            colour[rows], gloss[rows], sharp[rows] = _hair(part, person), 0.0, 12
        elif number == BEARD:
            colour[rows] = _beard(part, person)
        elif number == mesh.EYE:
            colour[rows], gloss[rows], sharp[rows] = _eye(part, person), 1.0, 220
        elif number in (mesh.UPPER, mesh.LOWER):
            colour[rows], gloss[rows], sharp[rows] = _teeth(part, number == mesh.UPPER, gape), 0.5, 60
        else:
            colour[rows], gloss[rows], sharp[rows] = _plain(number, part, person, gape)
    return Paint(colour, gloss, sharp, scatter)


def _skin(s: Samples, person: Person, grooves: Floats) -> tuple[Floats, Floats]:
    skin, at = person.skin, s.at
    x, y = np.abs(at[:, 0]), at[:, 1]
    signed = -at[:, 0] if person.mirrored else at[:, 0]
    tone = _tone(skin.tone)
    seed = person.pattern
    uneven = noise(s.u, y, 0.028, 0.028, seed) * 0.6 + noise(s.u, y, 0.007, 0.007, seed + 1) * 0.4 * detail(
        0.007, s.fine
    )
    colour = tone * (1 + np.float32(0.02 + 0.05 * skin.blemishes) * uneven)[:, None]
    front = step(-0.05, 0.0, at[:, 2])
    blood = 0.75 * spot(x, y, (0.043, -0.036), 0.017, 0.014) + 0.9 * spot(x, y, (0.0, -0.040), 0.011, 0.009)
    blood += 0.35 * spot(x, y, (0.0, -0.108), 0.02, 0.012) + 0.3 * spot(x, y, (0.03, -0.012), 0.017, 0.006)
    blood = (blood * front + 0.5 * s.ear) * np.float32(0.3 + 0.8 * skin.redness)
    colour *= 1 - blood[:, None] * np.array([0.05, 0.24, 0.22], np.float32)
    under = spot(x, y, (0.030, -0.0165), 0.012, 0.004) * front * np.float32(0.10 + 0.16 * skin.wrinkles)
    socket = spot(x, y, (0.031, 0.004), 0.019, 0.009) * front * np.float32(0.10)
    colour *= 1 - (under + socket)[:, None] * np.array([0.75, 0.95, 0.85], np.float32)
    if skin.freckles:
        colour *= _freckles(s, signed, skin.freckles, seed)[:, None] ** np.array([0.6, 1.0, 1.25], np.float32)
    colour *= _moles(signed, y, at[:, 2], skin.blemishes, seed)[:, None]
    pores = noise(s.u, y, 0.0014, 0.0014, seed + 2) * detail(0.0014, s.fine)
    colour *= (1 + np.float32(0.03) * pores)[:, None]
    colour *= np.exp(-0.30 * np.clip(grooves, 0, 1.5))[:, None] ** np.array([0.8, 1.0, 1.0], np.float32)
    colour = _stubble(colour, s, person)
    colour = _lips(colour, s, person, tone)
    colour *= (1 - np.float32(0.5 + 0.2 * person.lashes) * step(0.45, 1.0, s.lid) * step(-0.004, 0.0015, y))[:, None]
    colour = _brows(colour, s, person, signed)
    if person.hair.cut != "bald":
        thin = np.flatnonzero((y > -0.03) & (s.ear < 0.25))
        cover = _hair_cover(s[thin], person)[:, None]
        colour[thin] += cover * (hair_colour(person.hair) - colour[thin])
    oil = 0.55 + 0.45 * np.maximum(spot(x, y, (0.0, 0.045), 0.03, 0.02), spot(x, y, (0.0, -0.025), 0.01, 0.03))
    wet = step(0.3, 0.8, s.lip)
    return colour, (oil * np.float32(0.25 + 0.75 * skin.shine) * (1 + 0.12 * pores) * (1 - wet) + np.float32(0.9) * wet)


def _tone(tone: float) -> Floats:
    lower = min(int(tone), 9)
    return np.asarray(_TONES[lower - 1] + np.float32(tone - lower) * (_TONES[lower] - _TONES[lower - 1]))


def _freckles(s: Samples, signed: Floats, amount: float, seed: int) -> Floats:
    x, y = np.abs(s.at[:, 0]), s.at[:, 1]
    where = np.maximum(spot(x, y, (0.03, -0.03), 0.024, 0.018), 0.7 * spot(x, y, (0.0, -0.02), 0.02, 0.02))
    where = np.maximum(where, 0.35 * spot(x, y, (0.0, 0.04), 0.05, 0.02)) * step(-0.05, 0.0, s.at[:, 2])
    dots = step(1.1, 2.2, noise(s.u, y, 0.0023, 0.0023, seed + 4) + 0.6 * where)
    return np.asarray(1 - np.float32(0.42 * amount) * dots * where * (0.25 + 0.75 * detail(0.0023, s.fine)))


def _moles(x: Floats, y: Floats, z: Floats, amount: float, seed: int) -> Floats:
    rng = np.random.default_rng((seed, 3))
    shade = np.ones(len(x), np.float32)
    for _ in range(rng.poisson(4 * amount)):
        place = (float(rng.uniform(-0.06, 0.06)), float(rng.uniform(-0.10, 0.06)))
        size = float(rng.uniform(0.0006, 0.0012))
        near = (np.abs(x - place[0]) < 3 * size) & (np.abs(y - place[1]) < 3 * size) & (z > -0.05)
        if near.any():
            shade[near] *= 1 - np.float32(0.6) * spot(x[near], y[near], place, size, size)
    return shade


def _stubble(colour: Floats, s: Samples, person: Person) -> Floats:
    """The shadow of a shaved beard, or stubble, or skin seen through a beard."""
    strength = {"none": 0.16 * (1 - person.sex), "stubble": 0.55}.get(person.beard, 0.5) * person.beard_density
    if person.sex > 0.6 or strength < 0.02:
        return colour
    edge = (
        beard_edge(s.at, person, s.turn) if person.beard in ("none", "stubble") else beard_cover(s.at, person, s.turn)
    )
    dots = noise(s.u, s.at[:, 1], 0.0009, 0.0013, person.pattern + 6) * detail(0.0011, s.fine)
    shade = step(-0.004, 0.012, edge) * np.float32(strength) * np.clip(1 + 0.55 * dots, 0, 1.6) * (s.lip < 0.3)
    return np.asarray(
        colour + np.clip(shade, 0, 1)[:, None] * (hair_colour(person.hair) * 0.8 + colour * 0.12 - colour)
    )


def _lips(colour: Floats, s: Samples, person: Person, tone: Floats) -> Floats:
    red = step(0.25, 0.65, s.lip)
    lines = noise(s.u, s.at[:, 1], 0.0013, 0.02, person.pattern + 7) * detail(0.0013, s.fine)
    natural = tone * np.array([0.80, 0.46, 0.47], np.float32) + np.array([0.012, 0.0, 0.003], np.float32)
    painted = np.array([0.36, 0.045, 0.06], np.float32) * np.float32(0.4 + 0.6 * tone.mean())
    mixed = natural + np.float32(max(0.0, person.lips - 0.35) / 0.65) * (painted - natural)
    share = red * np.float32(0.55 + 0.45 * min(1.0, person.lips * 2))
    return np.asarray(colour + share[:, None] * (mixed * (1 + 0.06 * lines)[:, None] - colour))


def _brows(colour: Floats, s: Samples, person: Person, signed: Floats) -> Floats:
    x, y = np.abs(s.at[:, 0]), s.at[:, 1]
    near = np.flatnonzero((x > 0.005) & (x < 0.060) & (y > 0.002) & (y < 0.036) & (s.at[:, 2] > -0.03))
    if not len(near):
        return colour
    brows, x, y, signed = person.brows, x[near], y[near], signed[near]
    along = np.clip((x - 0.0095) / 0.0440, 0, 1)
    middle = 0.0150 + 0.003 * brows.height + (0.0025 + 0.0055 * brows.arch) * np.sin(np.pi * (0.04 + 0.80 * along))
    middle = middle - 0.0030 * along**2
    half = np.float32(0.0018 + 0.0030 * brows.thickness) * step(-0.1, 0.22, along) * (1 - 0.72 * along**1.8)
    lean = np.where(along < 0.25, 1.2, 0.35) * (y - middle)
    hairs = noise(signed - np.sign(signed) * lean, y + 0.25 * x, 0.0011, 0.004, person.pattern + 8)
    away = np.abs(y - middle) / np.maximum(half, 1e-5)
    ends = step(0.0068, 0.0125, x + 0.0006 * hairs) * step(0.0555, 0.0505, x)
    cover = step(1.35, 0.55, away + 0.22 * hairs) * ends * np.float32(0.45 + 0.55 * brows.density)
    cover *= np.clip(1 + 0.16 * hairs * detail(0.0011, s.fine), 0, 1.2)
    dark = np.minimum(hair_colour(person.hair) * 0.55 + 0.004, colour[near] * 0.5)
    colour[near] += np.clip(cover, 0, 1)[:, None] * (dark - colour[near])
    return colour


def hair_colour(hair: Hair) -> Floats:
    """(3,) linear light."""
    plain = linear(np.array(_HAIR[hair.colour], np.float32) / 255)
    grey = linear(np.array((176, 174, 172), np.float32) / 255)
    return np.asarray(plain + np.float32(hair.greying * 0.85) * (grey - plain), np.float32)


def _hair(s: Samples, person: Person) -> Floats:
    """Strands that run down from the crown, or curls."""
    y, seed = s.at[:, 1], person.pattern
    if person.hair.cut in ("curly", "afro"):
        coarse, small = noise(s.u, y, 0.007, 0.007, seed + 3), noise(s.u, y, 0.0028, 0.0028, seed + 5)
        strands = 0.30 * coarse + 0.22 * small * detail(0.0028, s.fine)
    elif person.hair.cut == "buzz":
        strands = 0.18 * noise(s.u, y, 0.0016, 0.0022, seed + 3) * detail(0.0018, s.fine)
    else:
        across = s.u * (1 + np.float32(1.1) * (y - 0.07))
        strands = 0.20 * noise(across, y, 0.0055, 0.09, seed + 3) + 0.15 * noise(
            across, y, 0.0016, 0.05, seed + 5
        ) * detail(0.0016, s.fine)
    colour = hair_colour(person.hair) * np.exp(strands)[:, None]
    skin = 1 - np.where(s.kind == mesh.SKIN, _hair_cover(s, person), 1) * np.float32(
        0.82 if person.hair.cut == "buzz" else 1
    )
    colour = colour + skin[:, None] * (_tone(person.skin.tone) * 0.8 - colour)
    if person.hair.greying > 0.05:
        silver = noise(s.u, y, 0.0022, 0.06, seed + 12)
        colour = colour + (np.float32(0.25 * person.hair.greying) * np.clip(silver, 0, 1))[:, None] * (0.6 - colour)
    return np.asarray(colour, np.float32)


def _beard(s: Samples, person: Person) -> Floats:
    strands = noise(s.u, s.at[:, 1], 0.0016, 0.005, person.pattern + 10) * (0.4 + 0.6 * detail(0.0016, s.fine))
    return np.asarray(hair_colour(person.hair) * 0.9 * np.exp(0.28 * strands)[:, None], np.float32)


def _eye(s: Samples, person: Person) -> Floats:
    side = np.where(s.at[:, 0] > 0, 1, -1)
    dx = (np.abs(s.at[:, 0]) - np.float32(EYES[0][0])) * side
    dy = s.at[:, 1]
    away = np.hypot(dx, dy)
    angle = np.arctan2(dy, -dx if person.mirrored else dx)
    white = np.array([0.66, 0.63, 0.60], np.float32)
    rim = step(0.008, 0.0145, away)[:, None]
    colour = white * (1 - rim * np.array([0.10, 0.30, 0.30], np.float32))
    iris = linear(np.array(_IRIS[person.iris], np.float32) / 255) * np.float32(1.25)
    rays = noise(angle * np.float32(0.01), away, 0.0011, 0.012, person.pattern + 13) * detail(0.0011, s.fine)
    share = away / np.float32(IRIS_RADIUS)
    pattern = (1 + 0.22 * rays) * (0.75 + 0.55 * step(0.95, 0.4, share)) * (1 - 0.65 * step(0.78, 1.0, share))
    colour += step(1.05, 0.93, share)[:, None] * (iris * pattern[:, None] - colour)
    pupil = step(0.46, 0.38, share)[:, None]
    return np.asarray(colour * (1 - 0.97 * pupil), np.float32)


def _teeth(s: Samples, upper: bool, gape: float) -> Floats:
    x, y, z = np.abs(s.at[:, 0]), s.at[:, 1], s.at[:, 2]
    enamel = np.array([0.80, 0.76, 0.66], np.float32)
    gap = np.abs(x[:, None] - TEETH).min(1)
    shade = 1 - 0.45 * np.exp(-0.5 * (gap / 0.00045) ** 2) * (0.25 + 0.75 * detail(0.0012, s.fine))
    shade *= (0.35 + 0.65 * step(-0.016, 0.010, z)) * (1.0 if upper else 0.5)  # the lower ones lie in the lip's shade
    gum = step(-0.0615, -0.0590, y) if upper else step(-0.0805, -0.0835, y)
    colour = enamel + gum[:, None] * (np.array([0.45, 0.17, 0.16], np.float32) - enamel)
    return np.asarray(colour * (shade * _lit(gape))[:, None], np.float32)


def _lit(gape: float) -> float:
    """Share of the light that enters a mouth that is open by `gape` metres."""
    return 0.15 + 0.85 * float(np.clip(gape / 0.005, 0, 1) ** 0.8)


def _plain(number: int, s: Samples, person: Person, gape: float) -> tuple[Floats, float, float]:
    """Colour, gloss and its exponent of what has no pattern."""
    n = len(s.at)
    if number == mesh.TONGUE:
        shade = _lit(gape) * (0.12 + 0.88 * step(-0.022, 0.016, s.at[:, 2]))
        return np.array([0.19, 0.062, 0.058], np.float32) * shade[:, None], 0.35, 30
    if number == mesh.CAVITY:
        shade = _lit(gape) * (0.10 + 0.9 * step(-0.03, 0.026, s.at[:, 2]))
        return np.array([0.26, 0.075, 0.07], np.float32) * shade[:, None], 0.15, 30
    if number == mesh.LASH:
        return np.tile(np.minimum(hair_colour(person.hair) * 0.5, 0.03), (n, 1)).astype(np.float32), 0.0, 10
    if number == CLOTH:
        weave = noise(s.u * 2, s.at[:, 1], 0.004, 0.004, 21) * 0.04
        return linear(np.array(person.clothes, np.float32)) * (1 + weave)[:, None], 0.0, 10
    frame = (0.02, 0.018, 0.017) if person.glasses != "thin" else (0.25, 0.22, 0.18)
    return np.tile(np.array(frame, np.float32), (n, 1)), 0.8, 50


def actions_gape(actions: Mapping[str, float]) -> float:
    """How far the lips are apart, metres, roughly; 0 for closed lips."""
    jaw = actions.get("jawOpen", 0.0) - actions.get("mouthClose", 0.0)
    lips = sum(
        actions.get(f"{name}{side}", 0.0) for name in ("mouthUpperUp", "mouthLowerDown") for side in ("Left", "Right")
    )
    smile = sum(actions.get(f"mouthSmile{side}", 0.0) for side in ("Left", "Right"))
    return max(0.0, 0.03 * jaw + 0.0022 * lips + 0.001 * smile + 0.006 * actions.get("mouthFunnel", 0.0))
