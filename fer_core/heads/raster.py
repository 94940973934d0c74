"""Which triangle is seen at each sample of an image, by a z-buffer in NumPy.

All triangles are spread over the samples of their bounding boxes at once, and each sample keeps the nearest. The heads'
triangles are as small as a few samples, so little of that is in vain; `docs/design/0015-rendered-heads.md` compares it with
ray casting by Embree.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)
NEAREST = 0.25  # metres; what is closer is left out
_OVER = np.float32(2e-4)  # of a triangle's side
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

    def at(self, rows: NDArray[Any]) -> Seen:
        """Some of the samples, by their rows or a mask of them."""
        return Seen(self.sample[rows], self.triangle[rows], self.weights[rows], self.depth[rows])


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
    # What is linear on the screen.
    inverse: Floats = np.asarray(2 - points[:, 2] if flat else 1 / points[:, 2], np.float32)
    a, b, c = np.ascontiguousarray(triangles.T)
    x, y = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    (xa, xb, xc), (ya, yb, yc) = (x[a], x[b], x[c]), (y[a], y[b], y[c])
    area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
    left = np.maximum(np.ceil(np.minimum(np.minimum(xa, xb), xc) - 0.5), 0)
    right = np.minimum(np.floor(np.maximum(np.maximum(xa, xb), xc) - 0.5), width - 1)
    top = np.maximum(np.ceil(np.minimum(np.minimum(ya, yb), yc) - 0.5), 0)
    bottom = np.minimum(np.floor(np.maximum(np.maximum(ya, yb), yc) - 0.5), height - 1)
    shown = (np.abs(area) > 1e-9 if both_sides else area < -1e-9) & (right >= left) & (bottom >= top)
    z = points[:, 2]
    kept = np.flatnonzero(shown & (z[a] > NEAREST) & (z[b] > NEAREST) & (z[c] > NEAREST))
    low = np.stack([left[kept], top[kept]]).astype(np.int32)
    span = np.stack([right[kept], bottom[kept]]).astype(np.int32) - low + 1
    nearest = np.full(height * width, NOTHING)
    planes = _planes(x, y, inverse, triangles[kept], area[kept])
    for part in _parts(span[0] * span[1]):
        _keep_nearest(nearest, planes[:, part], low[:, part], span[:, part], part.start, width)
    sample = np.flatnonzero(nearest != NOTHING)
    winner = (nearest[sample] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    if flat:
        inverse = np.ones_like(inverse)
    seen = _place(sample, winner, kept, planes, inverse, triangles, width)
    return (
        seen._replace(depth=np.einsum("nk,nk->n", points[:, 2][triangles[seen.triangle]], seen.weights))
        if flat
        else seen
    )


def _planes(x: Floats, y: Floats, inverse: Floats, triangles: Ints, area: Floats) -> Floats:
    """(9, T): the weight of the second and third corner and the inverse depth, each as slope across, down, and offset."""
    a, b, c = triangles.T
    bx, by = (y[c] - y[a]) / area, -(x[c] - x[a]) / area
    cx, cy = -(y[b] - y[a]) / area, (x[b] - x[a]) / area
    b0, c0 = -bx * x[a] - by * y[a], -cx * x[a] - cy * y[a]
    db, dc = inverse[b] - inverse[a], inverse[c] - inverse[a]
    depth = db * bx + dc * cx, db * by + dc * cy, inverse[a] + db * b0 + dc * c0
    return np.stack([bx, by, b0, cx, cy, c0, *depth])


def _parts(counts: Ints) -> list[slice]:
    ends = np.cumsum(counts)
    if not len(ends):
        return []
    cuts = np.searchsorted(ends, np.arange(_AT_ONCE, int(ends[-1]), _AT_ONCE))
    edges = [0, *np.unique(cuts).tolist(), len(counts)]
    return [slice(start, stop) for start, stop in pairwise(edges) if stop > start]


def _keep_nearest(
    nearest: NDArray[np.uint64], planes: Floats, low: NDArray[np.int32], span: NDArray[np.int32], first: int, width: int
) -> None:
    """Triangles to rows of samples, rows to samples; each sample keeps the smallest key."""
    owner, within = _spread(span[1])
    row = low[1][owner] + within
    plane = planes[:, owner]
    sy = row.astype(np.float32) + np.float32(0.5)
    left, right = low[0][owner].astype(np.float32), (low[0] + span[0] - 1)[owner].astype(np.float32)
    second, third = plane[1] * sy + plane[2], plane[4] * sy + plane[5]
    for slope, start in ((plane[0], second), (plane[3], third), (-plane[0] - plane[3], 1 - second - third)):
        # Rounding may leave a slit between two triangles that share an edge; each reaches a hair's breadth over it.
        slope = np.where(np.abs(slope) < 1e-9, np.float32(1e-9), slope)
        edge = -(start + _OVER) / slope - np.float32(0.5)
        left = np.where(slope > 0, np.maximum(left, edge), left)
        right = np.where(slope > 0, right, np.minimum(right, edge))
    from_column = np.ceil(np.minimum(left, width)).astype(np.int32)
    counts = np.maximum(np.floor(np.maximum(right, -1)).astype(np.int32) - from_column + 1, 0)
    line, step = _spread(counts)
    column = from_column[line] + step
    inverse = (plane[7] * sy + plane[8] + plane[6] * np.float32(0.5))[line] + plane[6][line] * column.astype(np.float32)
    # A far point has a small inverse depth; the upper half of the key grows with depth, the lower one names the triangle.
    far = (np.clip(1 - inverse / 4, 0, 1) * np.float32(0x7FFFFF00)).astype(np.uint64)
    place = (row * np.int32(width))[line] + column
    np.minimum.at(nearest, place, (far << np.uint64(32)) | (owner + np.int32(first)).astype(np.uint64)[line])


def _spread(counts: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Each row's number as often as it counts, and which of its times it is: [2, 1] to [0, 0, 1], [0, 1, 0]."""
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    starts = (np.cumsum(counts) - counts).astype(np.int32)
    return owner, np.arange(len(owner), dtype=np.int32) - starts[owner]


def _place(
    sample: Ints, winner: Ints, kept: Ints, planes: Floats, inverse: Floats, triangles: Ints, width: int
) -> Seen:
    down = sample // width
    sx, sy = (sample - down * width + 0.5).astype(np.float32), (down + 0.5).astype(np.float32)
    plane = planes[:, winner]
    second = plane[0] * sx + plane[1] * sy + plane[2]
    third = plane[3] * sx + plane[4] * sy + plane[5]
    triangle = kept[winner]
    corners = triangles[triangle]
    weights = np.empty((len(sample), 3), np.float32)
    weights[:, 0] = (1 - second - third) * inverse[corners[:, 0]]
    weights[:, 1] = second * inverse[corners[:, 1]]
    weights[:, 2] = third * inverse[corners[:, 2]]
    total = weights[:, 0] + weights[:, 1] + weights[:, 2]
    weights /= total[:, None]
    return Seen(sample, triangle, weights, np.asarray(1 / total, np.float32))
