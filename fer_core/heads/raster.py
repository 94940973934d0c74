"""Which triangle is seen at each sample of an image, by a z-buffer in NumPy.

All triangles are spread over the samples of their bounding boxes at once, and each sample keeps the nearest. The heads'
triangles are as small as a few samples, so little of that is in vain; `docs/design/0015-rendered-heads.md` compares it with
ray casting by Embree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)
_AT_ONCE = 1_500_000  # candidate samples held at a time: some 100 MB


class Seen(NamedTuple):
    """What is seen, for the samples that see anything.

    Attributes:
        sample: (n,) place in the flattened image, ascending.
        triangle: (n,) row of the triangle.
        weights: (n, 3) barycentric coordinates on the triangle in space (not on the screen); they sum to 1.
        depth: (n,) metres from the camera along its axis.
    """

    sample: Ints
    triangle: Ints
    weights: Floats
    depth: Floats


def rasterise(
    points: Floats, triangles: Ints, height: int, width: int, *, both_sides: bool = False, flat: bool = False
) -> Seen:
    """What is seen of a mesh.

    Args:
        points: (V, 3) x and y in samples (0 being the image's upper left corner), and depth above 0.25 in metres.
        triangles: (T, 3) counterclockwise as seen from outside.
        both_sides: also show triangles from behind.
        flat: without perspective (depth below 2 metres), as a far light sees it.
    """
    x, y = points[:, 0], points[:, 1]
    inverse = 2 - points[:, 2] if flat else 1 / points[:, 2]  # what is linear on the screen
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    area = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a])
    front = np.abs(area) > 1e-9 if both_sides else area < -1e-9
    kept = np.flatnonzero(front & (points[:, 2][triangles].min(1) > 0.25))
    corners = points[triangles[kept]]
    low = np.maximum(np.ceil(corners[:, :, :2].min(1) - 0.5), 0).astype(np.int64)
    high = np.minimum(np.floor(corners[:, :, :2].max(1) - 0.5), (width - 1, height - 1)).astype(np.int64)
    span = high - low + 1
    some = (span > 0).all(1)
    kept, low, span = kept[some], low[some], span[some]
    nearest = np.full(height * width, NOTHING)
    planes = _planes(x, y, inverse, triangles[kept], area[kept])
    counts = span[:, 0] * span[:, 1]
    for part in _parts(counts):
        _keep_nearest(nearest, planes[part], low[part], span[part], counts[part], part.start, width)
    sample = np.flatnonzero(nearest != NOTHING)
    winner = (nearest[sample] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    if flat:
        inverse = np.ones_like(inverse)
    seen = _place(sample, winner, kept, planes, inverse, triangles, width)
    return seen._replace(depth=np.einsum("nk,nk->n", points[:, 2][triangles[seen.triangle]], seen.weights)) if flat else seen


def _planes(x: Floats, y: Floats, inverse: Floats, triangles: Ints, area: Floats) -> Floats:
    """(T, 9): the weight of the second and third corner and the inverse depth, each as slope across, down, and offset."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    bx, by = (y[c] - y[a]) / area, -(x[c] - x[a]) / area
    cx, cy = -(y[b] - y[a]) / area, (x[b] - x[a]) / area
    b0, c0 = -bx * x[a] - by * y[a], -cx * x[a] - cy * y[a]
    db, dc = inverse[b] - inverse[a], inverse[c] - inverse[a]
    depth = db * bx + dc * cx, db * by + dc * cy, inverse[a] + db * b0 + dc * c0
    return np.stack([bx, by, b0, cx, cy, c0, *depth], 1)


def _parts(counts: Ints) -> list[slice]:
    ends = np.cumsum(counts)
    if not len(ends):
        return []
    cuts = np.searchsorted(ends, np.arange(_AT_ONCE, int(ends[-1]), _AT_ONCE))
    edges = [0, *np.unique(cuts).tolist(), len(counts)]
    return [slice(start, stop) for start, stop in zip(edges, edges[1:], strict=False) if stop > start]


def _keep_nearest(
    nearest: NDArray[np.uint64], planes: Floats, low: Ints, span: Ints, counts: Ints, first: int, width: int
) -> None:
    owner = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    down, across = np.divmod(within, span[owner, 0])
    column, row = low[owner, 0] + across, low[owner, 1] + down
    sx, sy = column + np.float32(0.5), row + np.float32(0.5)
    plane = planes.T
    second = plane[0][owner] * sx + plane[1][owner] * sy + plane[2][owner]
    third = plane[3][owner] * sx + plane[4][owner] * sy + plane[5][owner]
    inside = np.flatnonzero((second >= 0) & (third >= 0) & (second + third <= 1))
    owner, sx, sy = owner[inside], sx[inside], sy[inside]
    inverse = plane[6][owner] * sx + plane[7][owner] * sy + plane[8][owner]
    # A far point has a small inverse depth; the upper half of the key grows with depth, the lower one names the triangle.
    far = (np.clip(1 - inverse / 4, 0, 1) * 0x7FFFFFFF).astype(np.uint64)
    np.minimum.at(nearest, row[inside] * width + column[inside], (far << np.uint64(32)) | (owner + first).astype(np.uint64))


def _place(
    sample: Ints, winner: Ints, kept: Ints, planes: Floats, inverse: Floats, triangles: Ints, width: int
) -> Seen:
    down, across = np.divmod(sample, width)
    sx, sy = across + np.float32(0.5), down + np.float32(0.5)
    plane = planes[winner].T
    second = plane[0] * sx + plane[1] * sy + plane[2]
    third = plane[3] * sx + plane[4] * sy + plane[5]
    triangle = kept[winner]
    weights = np.stack([1 - second - third, second, third], 1) * inverse[triangles[triangle]]
    total = weights.sum(1)
    return Seen(sample, triangle, (weights / total[:, None]).astype(np.float32), (1 / total).astype(np.float32))
