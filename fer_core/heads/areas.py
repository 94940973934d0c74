"""Regions of the face, by place on the average head. Sides are the person's own, as in the names of actions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_core.heads import mesh, paint
from fer_core.heads.paint import Samples

REGIONS: tuple[str, ...] = (
    "background", "hair", "forehead", "left brow", "right brow", "left eye", "right eye", "nose", "left cheek", "right cheek",
    "mouth", "chin", "left ear", "right ear", "neck", "clothes", "glasses",
)  # fmt: skip
CODE = {name: code for code, name in enumerate(REGIONS)}
FACE: tuple[str, ...] = REGIONS[2:12]


def regions_of(s: Samples, material: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n,) code of the region, a position in `REGIONS`. A beard belongs to the part of the face that it covers."""
    x, y, z = np.abs(s.at[:, 0]), s.at[:, 1], s.at[:, 2]
    right = s.at[:, 0] < 0
    angle = np.abs(s.turn)

    def sided(name: str) -> NDArray[np.uint8]:
        return np.where(right, CODE[f"right {name}"], CODE[f"left {name}"]).astype(np.uint8)

    found = sided("cheek")
    jaw = np.interp(angle, [0, 0.35, 0.8, 1.3, 1.6, 3.2], [-0.123, -0.121, -0.108, -0.078, -0.05, -0.05])
    found[y > np.where(angle > 0.65, 0.018, 0.012)] = CODE["forehead"]
    found[(x < 0.026) & (y < -0.0915)] = CODE["chin"]
    found[(y < jaw) | ((y < -0.11) & (z < -0.012))] = CODE["neck"]
    half = np.interp(y, [-0.055, -0.05, -0.038, -0.02, 0.0, 0.008], [0.010, 0.017, 0.0205, 0.0155, 0.0115, 0.010])
    found[(x < half) & (y < 0.008) & (y > -0.0545)] = CODE["nose"]
    mouth = np.hypot(x / 0.0345, (y + 0.0745) / 0.0185) < 1
    found[mouth | (s.lip > 0.3)] = CODE["mouth"]
    eye = np.hypot((x - 0.0325) / 0.0240, (y + 0.0015) / 0.0130) < 1
    brow = (x < 0.060) & (y > 0.008) & (y < 0.030) & ~eye & (angle < 0.9)
    found = np.where(brow & (z > -0.03), sided("brow"), found)
    found = np.where(eye & (z > -0.03), sided("eye"), found)
    found = np.where(s.ear > 0.4, sided("ear"), found)
    found = np.where(np.isin(material, [mesh.EYE, mesh.SOCKET, mesh.LASH]), sided("eye"), found)
    found[np.isin(material, [mesh.CAVITY, mesh.UPPER, mesh.LOWER, mesh.TONGUE])] = CODE["mouth"]
    found[(material == paint.HAIR) | (material == mesh.FALL) | (material == mesh.UNDER)] = CODE["hair"]
    found[material == paint.CLOTH] = CODE["clothes"]
    found[material == mesh.GLASSES] = CODE["glasses"]
    return found.astype(np.uint8)
