"""Photos of rendered heads: a head alone, and heads of several sizes in a larger image."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_core.heads.shipped import portraits


def scenes(count: int) -> list[NDArray[np.uint8]]:
    """`count` images (H, W, 3): every third one a scene of 320 x 240 with one or two heads, the others a head alone."""
    random = np.random.default_rng(24)
    heads = portraits().images.reshape(-1, 176, 176, 3)
    made = []
    for number in range(count):
        head = heads[number % len(heads)]
        if number % 3:
            side = int(random.integers(120, 260)) if number >= len(heads) else 176
            made.append(np.asarray(cv2.resize(head, (side, side), interpolation=cv2.INTER_CUBIC)))
            continue
        ground = random.integers(60, 200, (12, 16, 3), dtype=np.uint8)
        scene = np.asarray(cv2.resize(ground, (320, 240), interpolation=cv2.INTER_CUBIC))
        for left in (5, 165)[: 1 + number % 2]:
            side = int(random.integers(70, 150))
            top = int(random.integers(0, 240 - side))
            other = heads[int(random.integers(len(heads)))]
            scene[top : top + side, left : left + side] = cv2.resize(other, (side, side), interpolation=cv2.INTER_AREA)
        made.append(scene)
    return made
