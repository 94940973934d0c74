"""The surface of a person: the head with hair and beard raised from it, and, where worn, long hair and glasses.

Each point of the surface knows its place on the *average head*, which is where paint looks it up: a freckle stays where it
is, whatever the face does and whoever it belongs to.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fer_core.heads.growth import AXIS, FALLING, azimuth, beard_depth, hair_depth
from fer_core.heads.model import Head, load
from fer_core.heads.scene import Person

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

KINDS = (
    "skin", "mouth cavity", "eye socket", "eye", "lash", "upper teeth", "lower teeth", "tongue", "fall", "under", "glasses",
)  # fmt: skip
SKIN, CAVITY, SOCKET, EYE, LASH, UPPER, LOWER, TONGUE, FALL, UNDER, GLASSES = range(len(KINDS))
FALL_START = 0.80  # radians from the front where long hair begins
_REMEMBERED = 24


@dataclass(frozen=True)
class Surface:
    """A person's surface at rest.

    Attributes:
        vertices: (V, 3) metres.
        triangles: (T, 3).
        kind: (T,) position in `KINDS`.
        fixed: (V, 8) float32: place on the average head (3), share of open sky, red of the lips, ear, edge of a lid, and 1 on
            the person's left, -1 on the right.
        corners: order and starts that gather the triangles' corners by vertex, for normals.
    """

    vertices: Floats
    triangles: Ints
    kind: Ints
    fixed: Floats
    corners: tuple[Ints, Ints, Ints]

    def normals(self, vertices: Floats) -> Floats:
        """(V, 3) unit normals of the surface in another pose."""
        a, b, c = (vertices[self.triangles[:, i]] for i in range(3))
        face = _cross(b - a, c - a)
        order, starts, rows = self.corners
        normals = np.zeros_like(vertices)
        normals[rows] = np.add.reduceat(face[order], starts, axis=0)
        return np.asarray(normals / np.maximum(np.sqrt((normals * normals).sum(1, keepdims=True)), np.float32(1e-12)))


def _cross(a: Floats, b: Floats) -> Floats:
    """`np.cross` of (n, 3) in a third of its time."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)


@cache
def average() -> Floats:
    """(V, 3) the head of average sex, ancestry and weight at 25."""
    return load().person()


@cache
def _head_parts() -> tuple[Ints, Ints, Floats]:
    """Triangles, kinds and fixed attributes of the head alone."""
    head = load()
    at = average()
    side = np.where(at[:, 0] < 0, -1, 1).astype(np.float32)
    fixed = np.column_stack([at, head.open_sky, head.lip, head.ear, head.lid, side]).astype(np.float32)
    return head.triangles, head.kind, fixed


_surfaces: OrderedDict[str, Surface] = OrderedDict()


def surface(person: Person) -> Surface:
    """The surface of a person; the last few people are remembered."""
    key = person.model_dump_json()
    if key in _surfaces:
        _surfaces.move_to_end(key)
        return _surfaces[key]
    made = _build(person)
    _surfaces[key] = made
    while len(_surfaces) > _REMEMBERED:
        _surfaces.popitem(last=False)
    return made


def _build(person: Person) -> Surface:
    head = load()
    triangles, kind, fixed = _head_parts()
    shape = head.person(
        sex=person.sex,
        age=person.age,
        weight=person.weight,
        ancestry={"african": person.african, "asian": person.asian, "caucasian": person.caucasian},
        local=person.shape,
    )
    extras = [_fall(person, FALL), _fall(person, UNDER)] if person.hair.cut in FALLING else []
    if person.glasses != "none":
        extras.append(_glasses(person))
    vertices = shape + _raised(person, head, shape, triangles, kind)
    if person.hair.cut in FALLING:  # no ear pierces the hair
        vertices[:, 0] -= (
            np.sign(vertices[:, 0]) * np.clip(head.ear * 2, 0, 1) * np.maximum(np.abs(vertices[:, 0]) - 0.068, 0)
        )
    for at, faces, number in extras:
        triangles = np.concatenate([triangles, faces + len(vertices)])
        kind = np.concatenate([kind, np.full(len(faces), number)])
        vertices = np.concatenate([vertices, _carried(at, shape, _anchors(number))])
        rest = np.tile(np.array([[0.8, 0, 0, 0, 0]], np.float32), (len(at), 1))
        fixed = np.concatenate([fixed, np.concatenate([at, rest], 1)])
    return Surface(vertices, triangles, kind, fixed, _corners(triangles))


def _corners(triangles: Ints) -> tuple[Ints, Ints, Ints]:
    flat = triangles.ravel()
    order = np.argsort(flat, kind="stable")
    rows, starts = np.unique(flat[order], return_index=True)
    return order // 3, starts, rows


def _raised(person: Person, head: Head, shape: Floats, triangles: Ints, kind: Ints) -> Floats:
    """(V, 3) how far hair and beard stand off the skin."""
    at = average()
    turn = azimuth(at)
    depth = hair_depth(at, person, turn) * np.clip(1 - 3 * head.ear, 0, 1)
    depth += beard_depth(at, person, turn) * np.clip(1 - 3 * head.lip, 0, 1)
    skin = np.zeros(len(at), bool)
    skin[triangles[kind == SKIN]] = True
    depth *= skin & (at[:, 1] > -0.16)
    out = Surface(shape, triangles, kind, shape, _corners(triangles)).normals(shape)
    if person.hair.cut in ("quiff", "afro", "curly"):  # stands up rather than off
        out = out + np.float32(0.35) * np.clip((at[:, 1:2] - 0.05) / 0.03, 0, 1) * np.array([0, 1, 0], np.float32)
        out /= np.linalg.norm(out, axis=1, keepdims=True)
    return (out * depth[:, None]).astype(np.float32)


def _carried(points: Floats, shape: Floats, anchors: Ints) -> Floats:
    """(n, 3) points of the average head on a person's: by the linear map that carries the anchors best."""
    at = np.concatenate([average()[anchors], np.ones((len(anchors), 1), np.float32)], 1).astype(np.float64)
    squares, products = np.einsum("ni,nj->ij", at, at), np.einsum("ni,nj->ij", at, shape[anchors].astype(np.float64))
    fitted = np.linalg.solve(squares, products)
    return np.asarray((np.einsum("ni,ij->nj", points.astype(np.float64), fitted[:3]) + fitted[3]).astype(np.float32))


@cache
def _anchors(kind: int) -> Ints:
    """Vertices that glasses (brows, nose, temples) and long hair (the skull) are fitted to."""
    at, head = average(), load()
    skin = head.of_kind("skin")
    x, y, z = np.abs(at[skin, 0]), at[skin, 1], at[skin, 2]
    if kind == GLASSES:
        return np.asarray(skin[(y > -0.02) & (y < 0.03) & (z > -0.09) & ((x > 0.05) | (x < 0.012) | (y > 0.013))])
    return np.asarray(skin[(y > -0.06) & (z < 0.01) & (x > 0.03)])


# ---------------------------------------------------------------------------------------- long hair, glasses


def _grid(rows: int, columns: int) -> Ints:
    place = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = place[:-1, :-1].ravel(), place[:-1, 1:].ravel(), place[1:, :-1].ravel(), place[1:, 1:].ravel()
    return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


def _fall(person: Person, kind: int) -> tuple[Floats, Ints, int]:
    """Hair that hangs down beside and behind the face: a curtain around the head, open in front, and its inner side."""
    hair = person.hair
    bottom = -0.118 if hair.cut == "bob" else -0.30
    down = np.linspace(0, 1, 14)[:, None]
    turn = np.linspace(FALL_START - 0.1, 2 * np.pi - FALL_START + 0.1, 81)[None]
    y = 0.066 + (bottom - 0.066) * down + 0 * turn
    wide = np.interp(y, [-0.3, -0.1, -0.05, 0.0, 0.03, 0.066], [0.112, 0.108, 0.107, 0.104, 0.098, 0.083])
    wide = wide + 0.016 * (hair.volume - 0.5) * np.clip((0.06 - y) / 0.06, 0, 1)
    wave = 0.0025 * np.sin(9 * np.abs(turn - np.pi) + 3) * np.clip((0.03 - y) / 0.05, 0, 1)
    if hair.cut == "bob":
        wave = wave - 0.012 * np.clip((y + 0.118) / -0.05 + 1, 0, 1)  # the ends turn in
    depth = np.where(np.cos(turn) > 0, 0.098, 0.135) + 0 * y
    x, z = np.sin(turn) * (wide + wave), AXIS + np.cos(turn) * (depth + wave)
    grid = _grid(14, 81)
    if kind == UNDER:
        x, z, grid = x * 0.97, AXIS + (z - AXIS) * 0.97, grid[:, ::-1]
        y = np.maximum(y, bottom + 0.02)
    return np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32), grid, kind


_RIMS: dict[str, tuple[float, float, float, float]] = {
    # half width, half height, power of the outline (2 an ellipse), radius of the rim, metres
    "round": (0.0235, 0.0215, 2.0, 0.0010),
    "square": (0.0265, 0.0180, 4.5, 0.0018),
    "thin": (0.0260, 0.0150, 3.0, 0.0007),
}


def _glasses(person: Person) -> tuple[Floats, Ints, int]:
    """Two rims, a bridge and two temples, as tubes."""
    wide, high, power, radius = _RIMS[person.glasses]
    turn = np.linspace(0, 2 * np.pi, 33)
    outline = (np.abs(np.cos(turn)) ** power + np.abs(np.sin(turn)) ** power) ** (-1 / power)
    tubes = []
    for side in (1, -1):
        x = 0.0335 + wide * outline * np.cos(turn)
        y = -0.004 + high * outline * np.sin(turn)
        tubes.append((np.stack([side * x, y, 0.037 - 3.2 * x * x], 1), radius))
        along = np.linspace(0, 1, 9)
        x = np.interp(along, [0, 0.1, 1], [0.0325 + wide, 0.0700, 0.0835])
        z = np.interp(along, [0, 0.1, 1], [0.037 - 3.2 * (0.033 + wide) ** 2, 0.018, -0.072])
        tubes.append((np.stack([side * x, 0.004 + 0.002 * along, z], 1), radius * 1.1))
    x = np.linspace(-(0.034 - wide), 0.034 - wide, 9)
    tubes.append((np.stack([x, 0.002 + 0.003 * (1 - (x / 0.011) ** 2), 0.038 - 3.2 * x * x], 1), radius))
    points, faces, start = [], [], 0
    for course, thick in tubes:
        ring, grid = _tube(course, thick)
        points.append(ring)
        faces.append(grid + start)
        start += len(ring)
    return np.concatenate(points).astype(np.float32), np.concatenate(faces), GLASSES


def _tube(course: NDArray[np.float64], radius: float, around: int = 7) -> tuple[NDArray[np.float64], Ints]:
    ahead = np.gradient(course, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    helper = np.array([0.0, 0.0, 1.0]) if np.abs(ahead[:, 2]).max() < 0.9 else np.array([0.0, 1.0, 0.0])
    side = np.cross(ahead, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, ahead)
    turn = np.linspace(0, 2 * np.pi, around)[None, :, None]
    ring = course[:, None] + radius * (np.cos(turn) * side[:, None] + np.sin(turn) * up[:, None])
    return ring.reshape(-1, 3), _grid(len(course), around)
