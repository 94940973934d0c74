"""Where hair and beard grow on the head, and how thick they are, as functions of a point on the average head.

Points are those of the *average head* (`Mesh.average`), so the answers hold for every person. A signed distance in metres
is positive where hair grows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_core.heads.pattern import noise, step
from fer_core.heads.scene import Hair, Person

Floats = NDArray[np.float32]

AXIS = -0.085  # z of the vertical axis through the head
AROUND = 0.085  # metres of skin per radian around it

# Azimuth (0 front, pi behind) -> height of the hair's edge, metres above the eyes' centres.
_TURN = np.array(
    [0.0, 0.25, 0.45, 0.62, 0.72, 0.85, 1.0, 1.18, 1.30, 1.42, 1.52, 1.66, 1.85, 2.05, 2.3, 3.2], np.float32
)
_EDGE = np.array(
    [
        0.070,
        0.069,
        0.066,
        0.059,
        0.050,
        0.038,
        0.026,
        0.010,
        -0.004,
        -0.016,
        -0.006,
        0.006,
        0.004,
        -0.030,
        -0.052,
        -0.062,
    ],
    np.float32,
)
_TEMPLE = np.exp(-(((_TURN - 0.5) / 0.22) ** 2)).astype(np.float32)
_FRONT = np.exp(-((_TURN / 0.62) ** 4)).astype(np.float32)

# Cut -> thickness in metres above the forehead, on top, at the sides and behind.
_THICK: dict[str, tuple[float, float, float, float]] = {
    "bald": (0, 0, 0, 0),
    "buzz": (0.002, 0.003, 0.002, 0.003),
    "short": (0.007, 0.012, 0.005, 0.007),
    "side": (0.012, 0.019, 0.008, 0.010),
    "quiff": (0.024, 0.022, 0.005, 0.006),
    "curly": (0.018, 0.026, 0.016, 0.020),
    "afro": (0.034, 0.046, 0.040, 0.040),
    "bob": (0.010, 0.017, 0.018, 0.018),
    "long": (0.009, 0.015, 0.014, 0.014),
    "tied": (0.005, 0.010, 0.005, 0.010),
}
FALLING = ("bob", "long")  # cuts that hang over the ears


def azimuth(at: Floats) -> Floats:
    """(n,) angle around the head, radians: 0 in front, positive to the person's left."""
    return np.asarray(np.arctan2(at[:, 0], at[:, 2] - np.float32(AXIS)))


def hair_edge(at: Floats, hair: Hair, turn: Floats) -> Floats:
    """(n,) signed distance to the hair's edge, metres."""
    edge = _EDGE + np.float32(0.010 * hair.hairline) * _FRONT
    edge = edge + np.float32(hair.recession) * (0.022 * _TEMPLE + 0.010 * _FRONT)
    edge = edge - np.float32(hair.fringe * 0.038) * _FRONT
    return np.asarray(at[:, 1] - np.interp(np.abs(turn), _TURN, edge), np.float32)


def hair_depth(at: Floats, person: Person, turn: Floats) -> Floats:
    """(n,) thickness of the hair above the skin, metres."""
    hair = person.hair
    front, top, side, back = _THICK[hair.cut]
    if top == 0:
        return np.zeros(len(at), np.float32)
    angle = np.abs(turn)
    around = np.interp(angle, [0, 0.5, 1.2, 2.0, 3.2], [front, front, side, side, back]).astype(np.float32)
    crown = step(0.062, 0.105, at[:, 1])
    depth = around * (1 - crown) + np.float32(top) * crown
    parting = _toward_parting(at, hair) if hair.cut in ("side", "bob", "long") else np.float32(0)
    depth = depth * (1 - 0.45 * parting) * np.float32(0.65 + 0.7 * hair.volume)
    if hair.cut in ("curly", "afro"):
        size = 0.016 if hair.cut == "curly" else 0.024
        depth = depth * (
            1
            + 0.16
            * noise(
                turn * np.float32(-AROUND if person.mirrored else AROUND), at[:, 1], size, size, person.pattern % 977
            )
        )
    ramp = 0.03 if hair.cut in ("quiff", "afro", "curly") else 0.02
    inside = hair_edge(at, hair, turn)
    return np.asarray(depth * np.sqrt(np.clip(inside / ramp, 0, 1)), np.float32)


def _toward_parting(at: Floats, hair: Hair) -> Floats:
    line = np.float32(0.045 * hair.parting)
    return np.asarray(np.exp(-(((at[:, 0] - line) / 0.006) ** 2)) * step(0.05, 0.075, at[:, 1]))


def beard_edge(at: Floats, person: Person, turn: Floats) -> Floats:
    """(n,) signed distance to the beard's edge, metres; where a man's beard would grow, whatever its cut."""
    x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
    angle = np.abs(turn)
    # From the sideburns along the cheek to the corner of the mouth, and under the nose.
    upper = np.interp(angle, [0, 0.10, 0.16, 0.26, 0.36, 0.5, 0.8, 1.15, 1.4, 1.6], [
        -0.0535, -0.054, -0.056, -0.062, -0.068, -0.067, -0.060, -0.035, 0.0, 0.0]).astype(np.float32)  # fmt: skip
    below = upper - y
    throat = y + np.float32(0.138) + 0.25 * np.clip(-0.02 - z, 0, 0.06)
    lobe = (np.float32(1.45) - angle) * np.float32(AROUND)
    inside = np.minimum(np.minimum(below, throat), lobe)
    # Two bare patches under the corners of the lower lip.
    bare = np.hypot((x - 0.016) / 1.3, y + 0.0885) - np.float32(0.001)
    return np.asarray(np.minimum(inside, bare))


def beard_cover(at: Floats, person: Person, turn: Floats) -> Floats:
    """(n,) signed distance to the edge of the beard as it is cut, metres."""
    full = beard_edge(at, person, turn)
    x, y = np.abs(at[:, 0]), at[:, 1]
    moustache = np.minimum(full, np.minimum(0.033 - x, y + 0.080))
    if person.beard == "moustache":
        return np.asarray(np.minimum(moustache, y + 0.076))
    if person.beard == "goatee":
        chin = np.minimum(full, 0.031 - x)
        return np.asarray(np.maximum(moustache, chin))
    return full


def beard_depth(at: Floats, person: Person, turn: Floats) -> Floats:
    """(n,) thickness of the beard above the skin, metres."""
    thick = {"full": 0.010, "goatee": 0.006, "moustache": 0.003}.get(person.beard, 0.0)
    if not thick:
        return np.zeros(len(at), np.float32)
    chin = 0.55 + 0.75 * step(-0.085, -0.115, at[:, 1])
    return np.float32(thick) * chin * step(0.001, 0.012, beard_cover(at, person, turn))
