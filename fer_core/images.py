"""Decoding, grey conversion, resizing and normalisation: the only ones in the product.

Every path (csv, folder, upload, camera) goes `decode` -> `fit` -> `to_tensor`. The first two work on uint8 arrays, so
their result can be cached on disk; the last makes the network's float input from a whole batch.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fer_core.errors import ImageError

if TYPE_CHECKING:  # torch takes two seconds to import; decoding must not
    import torch

# A 32-megapixel photo takes 100 MB when decoded; whoever shares a machine with twenty others needs a bound.
MAX_PIXELS = 32_000_000
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm"})


class ImageSpec(BaseModel):
    """What a network takes: size, channels and normalisation. It is stored in the card and served as trained.

    `mean` and `std` are on the scale 0..1, one value a channel. With `standardise="image"` each picture is brought to
    mean 0 and deviation 1 by its own pixels instead, and `mean` and `std` are ignored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Literal[1, 3] = 1
    height: int = Field(48, ge=16, le=1024)
    width: int = Field(48, ge=16, le=1024)
    standardise: Literal["fixed", "image"] = "fixed"
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> ImageSpec:
        if len(self.mean) not in (1, self.channels) or len(self.std) not in (1, self.channels):
            raise ValueError(
                f"mean and std need 1 or {self.channels} values, found {len(self.mean)} and {len(self.std)}"
            )
        if min(self.std) <= 0:
            raise ValueError("std must be positive")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width


def decode(source: bytes | str | Path) -> NDArray[np.uint8]:
    """One picture as uint8: (H, W) if it is grey, else (H, W, 3) in RGB.

    The camera's rotation note (EXIF) is applied, transparency is laid on white, 16-bit pictures are scaled to 8 bits,
    of an animated picture the first frame is taken.

    Raises:
        ImageError: empty, damaged, of an unknown format or above `MAX_PIXELS`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = "the upload" if isinstance(source, bytes) else os.fspath(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror}); check that the file exists.") from error
    if not data:
        raise ImageError(f"{name}: the file is empty (0 bytes); copy the picture again or leave it out.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound comes first
            picture: Image.Image = Image.open(io.BytesIO(data))
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{name}: {width} x {height} pixels ({width * height / 1e6:.0f} megapixels), at most "
                f"{MAX_PIXELS / 1e6:.0f} are taken; scale the photo down first."
            )
        picture.load()
        picture = ImageOps.exif_transpose(picture)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: this is no picture in a known format; save it as PNG or JPEG.") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: the picture is damaged ({error}); save or copy it again.") from error
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, dtype=np.float64)
        top = 1.0 if picture.mode == "F" else 65535.0  # Pillow opens 16-bit grey as I;16 or I
        return np.clip(values * (255.0 / top), 0, 255).round().astype(np.uint8)
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"))
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, rgba)
    return np.asarray(picture.convert("RGB"))


def fit(image: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.uint8]:
    """Bring one picture to a network's channels and size; still uint8.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3) RGB.
        spec: what the network takes.

    Returns:
        (height, width) for one channel, (height, width, 3) for three. Shrinking averages over area (antialiased),
        growing is bilinear; a picture of the right size is not touched.
    """
    import cv2

    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if spec.channels == 1 and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    elif spec.channels == 3 and image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    height, width = image.shape[:2]
    if (height, width) == (spec.height, spec.width):
        return image
    shrinks = height > spec.height or width > spec.width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (spec.width, spec.height), interpolation=how).astype(np.uint8, copy=False)


def to_tensor(batch: NDArray[np.uint8] | torch.Tensor, device: torch.device | str = "cpu") -> torch.Tensor:
    """Pictures of one size as (N, C, H, W) uint8 on a device.

    Args:
        batch: (N, H, W) or (N, H, W, C) uint8.
    """
    import torch

    tensor = batch if isinstance(batch, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(batch))
    tensor = tensor.to(device, non_blocking=True)
    return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()


def normalise(batch: torch.Tensor, spec: ImageSpec) -> torch.Tensor:
    """A network's input from pictures: (N, C, H, W) uint8, or float on the scale 0..255, to float32.

    `standardise="image"` divides by the deviation plus 1/255, so that a constant picture gives zeros, not NaN.
    """
    import torch

    scaled = batch.float() / 255.0
    if spec.standardise == "image":
        mean = scaled.mean(dim=(1, 2, 3), keepdim=True)
        deviation = scaled.std(dim=(1, 2, 3), keepdim=True, correction=0)
        return (scaled - mean) / (deviation + 1.0 / 255.0)
    mean = torch.tensor(spec.mean, device=batch.device).view(1, -1, 1, 1)
    return (scaled - mean) / torch.tensor(spec.std, device=batch.device).view(1, -1, 1, 1)
