"""Maps of thousands of images, kept on disk, and their means: per expression, per cell of the confusion matrix, and
differences of two means.

Maps are kept in files of `CHUNK` images, each named after all that it depends on: the network's weights, the images, the
targets, method, layer, views and parameters. An interrupted computation continues, and nothing is computed twice.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_core.explanation import METHODS, explain, settings_of
from fer_core.explanation.means import Band, band, difference
from fer_core.images import ImageSpec
from fer_core.workspace import cache, write_atomically

if TYPE_CHECKING:
    from torch import nn

CHUNK = 256  # images in one file; also how often progress is told
KEEP = 2_000_000_000  # bytes of maps on disk; the least recently used go first
VERSION = 3  # raise when a method's result changes

Maps = NDArray[np.float32]


def maps_of(
    model: nn.Module,
    images: NDArray[np.uint8],
    spec: ImageSpec,
    targets: Sequence[int],
    method: str,
    layer: str | None = None,
    *,
    tta: str = "none",
    on_chunk: Callable[[int], None] = lambda done: None,
    **parameters: Any,
) -> Maps:
    """(N, H, W) float32 maps, as by `explain`; maps computed before are read from the disk.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8, memory-mapped or not.
        on_chunk: called with the number of images done so far; what it raises stops the work, and what is done stays.

    Raises:
        as `explain`.
    """
    how = METHODS.get(method)
    settings = settings_of(how, parameters).model_dump()
    card = repr((VERSION, spec.model_dump(), method, layer if how.needs_layer else None, tta, sorted(settings.items())))
    network = _fingerprint(model)
    folder = cache() / "maps"
    found = np.empty((len(images), spec.height, spec.width), np.float32)
    for start in range(0, len(images), CHUNK):
        rows = slice(start, start + CHUNK)
        chosen, asked = np.ascontiguousarray(images[rows]), np.asarray(targets[rows], dtype=np.int64)
        key = hashlib.sha256(network + card.encode() + asked.tobytes() + chosen.tobytes()).hexdigest()[:32]
        path = folder / f"{key}.npy"
        kept = _read(path, (len(chosen), spec.height, spec.width))
        if kept is None:
            kept = explain(model, chosen, spec, asked.tolist(), method, layer, tta=tta, **parameters).map
            data = io.BytesIO()
            np.save(data, kept)
            write_atomically(path, data.getvalue())
        found[rows] = kept
        on_chunk(min(start + CHUNK, len(images)))
    _forget_oldest(folder)
    return found


def relative(maps: Maps) -> Maps:
    """Each map divided by the mean of its absolute values: 1 is what a map that ignores the image has everywhere.

    Maps of different images, methods or networks have different units; their shapes can be averaged and compared this
    way. A map of zeros stays zero.
    """
    size = np.abs(maps).mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
    scaled: Maps = np.divide(maps, size, out=np.zeros_like(maps), where=size > 0)
    return scaled


def mean_map(maps: Maps, rows: NDArray[np.bool_]) -> Band:
    """Mean and 95 % interval, each (H, W), of some of the maps; the interval is that of each pixel by itself."""
    return band(maps[rows])


def mean_difference(maps: Maps, one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Band:
    """The mean map of some images less that of others, with its interval: fear taken for surprise less fear recognised."""
    return difference(maps[one], maps[other])


def network_difference(maps: Maps, other: Maps, rows: NDArray[np.bool_]) -> Band:
    """The mean map of one network less that of another on the same images, with the interval of the paired differences."""
    return band(maps[rows] - other[rows])


def _fingerprint(model: nn.Module) -> bytes:
    digest = hashlib.sha256(repr(model).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().float().numpy()).tobytes())
    return digest.digest()


def _read(path: Path, shape: tuple[int, ...]) -> Maps | None:
    """A kept file, marked as used; None where there is none, or a damaged one."""
    try:
        kept: Maps = np.load(path, allow_pickle=False)
        path.touch()
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == shape and kept.dtype == np.float32 else None


def _forget_oldest(folder: Path) -> None:
    files = [(path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob("*.npy")]
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= KEEP:
            break
        path.unlink(missing_ok=True)
        total -= size
