"""Decoding, preparation, grey conversion, resizing and normalisation of images, for the whole program.

Every path (csv, folder, upload, camera) goes `decode` -> `fit` -> `to_tensor`. The first two work on uint8 arrays, so
their result can be cached on disk; the last makes the network's float input from a whole batch. If a network was
trained on prepared faces, its spec has the `Preparation`, and `fit` applies it.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fer_core.errors import ConfigError, DataError, ImageError
from fer_core.faces import DETECTORS, Align, Face, FaceCrop
from fer_core.faces.illumination import LIGHT, Light

if TYPE_CHECKING:  # torch takes two seconds to import; decoding must not
    import torch
    from PIL import Image

# A 32-megapixel photo takes 100 MB when decoded; whoever shares a machine with twenty others needs a bound.
MAX_PIXELS = 32_000_000
UPLOAD = "the upload"  # what an error calls an image that comes without a name
# Each of Pillow's readers fails on a damaged file in its own way.
DAMAGED = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError,
    RuntimeError, struct.error, zlib.error,
)  # fmt: skip
# The endings of image files that `decode` reads: what it reads of a single file is read in folders and archives too.
PICTURE_SUFFIXES = frozenset(
    {
        ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm", ".pnm",
        ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jpx", ".tga",
    }
)  # fmt: skip
# The endings of image files that nothing here reads; a set that holds some counts and names them.
FOREIGN_SUFFIXES = frozenset(
    {
        ".jxl", ".svg", ".psd", ".xcf", ".eps", ".ai",
        ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2",
    }
)  # fmt: skip
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # how the text begins that Git LFS leaves in a file's place
LFS_ADVICE = "a Git LFS pointer, not the file itself; run `git lfs pull` in its folder, or download the file anew"


class Preparation(BaseModel):
    """The steps from a photo to a face, in this order. With the detector “none”, the photo already is a face."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    detector: str = Field("mtcnn", description="Name in the registry of detectors; “none” where images are faces.")
    faces: Literal["largest", "all"] = Field("largest", description="Of several faces in an image.")
    min_size: float = Field(32.0, ge=8, description="Longer side of the smallest face that is looked for, pixels.")
    margin: float | None = Field(None, ge=-0.5, le=2, description="Around the box; None frames as FER2013 does.")
    align: Align = Field("none", description="Eyes level, or at fixed places too.")
    grey: bool = False
    size: int = Field(0, ge=0, le=1024, description="Side of the result, pixels; 0 keeps the cut's.")
    light: tuple[Light, ...] = ()

    @field_validator("detector")
    @classmethod
    def _known(cls, name: str) -> str:
        DETECTORS.get(name)
        return name

    @classmethod
    def checked(cls, **settings: Any) -> Preparation:
        """The preparation with these settings.

        Raises:
            ConfigError: a setting is not valid; the message names each.
        """
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            wrong = "; ".join(f"{e['loc'][0]} = {e['input']!r}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"{wrong}.") from error

    @property
    def framing(self) -> FaceCrop:
        """The crop for serving a network that was trained on the result."""
        margin = DETECTORS.get(self.detector).margin if self.margin is None else self.margin
        return FaceCrop(detector=self.detector, margin=margin, align=self.align, side=self.size)

    def find(self, picture: NDArray[np.uint8]) -> list[Face]:
        """The faces that are wanted, the largest first."""
        found = self.framing.find(picture, self.min_size)
        return found[:1] if self.faces == "largest" else found

    def cut(self, picture: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
        """One prepared face: (side, side) grey or (side, side, 3) RGB uint8; not square with detector “none” and size 0."""
        return self.finish(self.framing.cut(picture, face))

    def largest(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The largest face cut out of a photo, not finished; the whole image where there is none."""
        found = self.find(picture)
        return self.framing.cut(picture, found[0]) if found else picture

    def finish(self, face: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A cropped face, converted to grey, resized and with normalised illumination."""
        channels = 1 if self.grey or self.light or face.ndim == 2 else 3
        height, width = (self.size, self.size) if self.size else face.shape[:2]
        face = _resized(face, channels, height, width)
        for step in self.light:
            face = LIGHT[step](np.ascontiguousarray(face))
        return face


class ImageSpec(BaseModel):
    """A network's input: size, channels and normalisation. It is stored in the card, so serving and training agree.
    `preparation` lists the steps applied to the training images before they were resized. `mean` and `std` are on the scale
    0..1, one value a channel. With `standardise="image"` each image is brought to mean 0 and deviation 1 by its own pixels
    instead, and `mean` and `std` are ignored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    channels: Literal[1, 3] = 1
    height: int = Field(48, ge=16, le=1024)
    width: int = Field(48, ge=16, le=1024)
    standardise: Literal["fixed", "image"] = "fixed"
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    preparation: Preparation | None = None

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

    def after(self, done: Preparation | None) -> ImageSpec:
        """The spec for images that are already prepared, so that no step is applied twice.

        Raises:
            DataError: they are lit or aligned otherwise than the network's own were, which cannot be undone.
        """
        own = self.preparation
        if own is None or done is None:
            return self
        if (own.align, own.grey, own.size, own.light) == (done.align, done.grey, done.size, done.light):
            return self.model_copy(update={"preparation": None})
        if done.light or own.align != done.align:
            raise DataError(
                f"The set was prepared with {_in_words(done)}, the network learned faces with {_in_words(own)}; prepare the "
                "source with the network's settings, or give the unprepared source, which is then prepared by itself."
            )
        return self


def _in_words(preparation: Preparation) -> str:
    light = " and ".join(preparation.light) or "no change of light"
    return f"{light}, align {preparation.align}, size {preparation.size or 'as cut'}"


def shown(name: str) -> str:
    """A file's name as text; bytes that are no UTF-8, as old archives leave them, as “\\xe9”."""
    return os.fsencode(name).decode(errors="backslashreplace")


def decode(source: bytes | str | Path) -> NDArray[np.uint8]:
    """One image as uint8: (H, W) if it is grey, else (H, W, 3) in RGB.

    The camera's rotation note (EXIF) is applied, transparency is laid on white, 16-bit images are scaled to 8 bits,
    of an animated image the first frame is taken.

    Raises:
        ImageError: empty, damaged, of an unknown format, above `MAX_PIXELS`, or of fractions that are not 0 to 1.
    """
    from PIL import Image, UnidentifiedImageError

    name = UPLOAD if isinstance(source, bytes) else shown(os.fspath(source))
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror}); check that the file exists.") from error
    if not data:
        raise ImageError(f"{name}: the file is empty (0 bytes); copy the image again or leave it out.")
    if data.startswith(LFS_POINTER):
        raise ImageError(f"{name}: this is {LFS_ADVICE}.")
    _know_heic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound comes first
            picture: Image.Image = Image.open(io.BytesIO(data))
        if picture.format == "EPS":  # a program, which Pillow would have Ghostscript run
            raise UnidentifiedImageError
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{name}: {width} x {height} pixels ({width * height / 1e6:.0f} megapixels), at most "
                f"{MAX_PIXELS / 1e6:.0f} are taken; scale the photo down first."
            )
        picture.load()
        picture = _upright(picture)
    except UnidentifiedImageError as error:
        boxed = data[4:8] == b"ftyp"  # how HEIC, AVIF and films begin
        what = "a damaged HEIC or AVIF image, or a video" if boxed else "no image in a known format"
        raise ImageError(f"{name}: this is {what}; save it as PNG or JPEG.") from error
    except Image.DecompressionBombError as error:  # Pillow's own bound, which lies above ours
        raise ImageError(
            f"{name}: the image is far too large, at most {MAX_PIXELS / 1e6:.0f} megapixels are taken; scale the photo "
            "down first."
        ) from error
    except DAMAGED as error:
        raise ImageError(f"{name}: the image is damaged ({error}); save or copy it again.") from error
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, dtype=np.float64)
        if picture.mode == "F" and not (np.abs(values - 0.5) <= 1).all():  # resizing may overshoot a little
            raise ImageError(
                f"{name}: an image of fractions from {values.min():g} to {values.max():g}, expected 0 to 1; save it with 8 "
                "or 16 bits."
            )
        top = 1.0 if picture.mode == "F" else 65535.0  # Pillow opens 16-bit grey as I;16 or I
        return np.clip(values * (255.0 / top), 0, 255).round().astype(np.uint8)
    if picture.mode in ("1", "L") and "transparency" not in picture.info:
        return np.asarray(picture.convert("L"))
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, rgba)
    return np.asarray(picture.convert("RGB"))


@cache
def _know_heic() -> None:
    """Let Pillow open HEIC, the format of iPhones. Pillow reads AVIF and JPEG 2000 by itself."""
    from pi_heif import register_heif_opener

    register_heif_opener()


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as the camera's note says. `ImageOps.exif_transpose` also writes all notes anew, and fails on odd ones."""
    from PIL import ExifTags, Image

    turn = Image.Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    how = turns.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    return picture if how is None else picture.transpose(how)


def fit(image: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.uint8]:
    """Prepare and resize one face for a network; the result is still uint8.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3) RGB; cut out already, not yet lit.
        spec: what the network takes; of its preparation what follows the cut is done here.

    Returns:
        (height, width) for one channel, (height, width, 3) for three. Shrinking averages over area (antialiased),
        growing is bilinear; an image of the right size is not touched.
    """
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if spec.preparation is not None:
        image = spec.preparation.finish(image)
    return _resized(image, spec.channels, spec.height, spec.width)


def _resized(image: NDArray[np.uint8], channels: int, height: int, width: int) -> NDArray[np.uint8]:
    import cv2

    if channels == 1 and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    elif channels == 3 and image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] > height or image.shape[1] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=how).astype(np.uint8, copy=False)


def to_tensor(batch: NDArray[np.uint8] | torch.Tensor, device: torch.device | str = "cpu") -> torch.Tensor:
    """Images of one size as (N, C, H, W) uint8 on a device.

    Args:
        batch: (N, H, W) or (N, H, W, C) uint8.
    """
    import torch

    tensor = batch if isinstance(batch, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(batch))
    tensor = tensor.to(device, non_blocking=True)
    return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()


def normalise(batch: torch.Tensor, spec: ImageSpec) -> torch.Tensor:
    """A network's input from images: (N, C, H, W) uint8, or float on the scale 0..255, to float32.

    `standardise="image"` divides by the deviation plus 1/255, so that a constant image gives zeros, not NaN.
    """
    import torch

    scaled = batch.float() / 255.0
    if spec.standardise == "image":
        centred = scaled - scaled.mean(dim=(1, 2, 3), keepdim=True)
        deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()  # `std` takes ten times as long
        return centred / (deviation + 1.0 / 255.0)
    mean, std = (
        torch.tensor(values).to(batch.device, non_blocking=True).view(1, -1, 1, 1) for values in (spec.mean, spec.std)
    )
    return (scaled - mean) / std
