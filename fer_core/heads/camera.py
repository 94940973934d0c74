"""From the head to the image: pose, perspective, and what a camera does to the light."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_core.heads.pattern import step
from fer_core.heads.scene import Background, Camera, Pose

Floats = NDArray[np.float32]

NECK = np.array([0.0, -0.095, -0.075], np.float32)  # the head turns about it
CENTRE = np.array([0.0, -0.028, 0.0], np.float32)  # the camera looks at it: between the eyes and the mouth
SENSOR = 36.0  # millimetres


class View(NamedTuple):
    """Vertices as the camera has them.

    Attributes:
        space: (V, 3) metres; x to the image's right, y up, z to the camera, the origin in the image's centre.
        screen: (V, 3) x and y in samples, and the depth in metres.
        turn: (3, 3) the head's rotation.
        eye: (3,) where the camera is.
    """

    space: Floats
    screen: Floats
    turn: Floats
    eye: Floats


def view(vertices: Floats, heights: Floats, pose: Pose, camera: Camera, height: int, width: int) -> View:
    """Turn the head on its neck and look at it.

    Args:
        vertices: (V, 3) of the person.
        heights: (V,) y of each on the average head; what is below the throat stays where it is.
        height, width: of the image in samples.
    """
    turn = rotation(pose)
    moved = np.einsum("nd,kd->nk", vertices - NECK, turn) + NECK
    share = step(-0.27, -0.13, heights)[:, None]
    space = vertices + share * (moved - vertices)
    space -= turn.astype(np.float32) @ (CENTRE - NECK) + NECK
    depth = np.float32(camera.distance) - space[:, 2]
    scale = np.float32(camera.focal / SENSOR * max(height, width)) / np.maximum(depth, np.float32(0.02))
    x = width * (0.5 + camera.x) + space[:, 0] * scale
    y = height * (0.5 + camera.y) - space[:, 1] * scale
    screen = np.column_stack([x, y, depth]).astype(np.float32)
    return View(space.astype(np.float32), screen, turn, np.array([0, 0, camera.distance], np.float32))


def rotation(pose: Pose) -> Floats:
    """(3, 3) rotation: roll first, then pitch, then yaw."""
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z, np.float32)


def backdrop(background: Background, height: int, width: int, mirrored: bool) -> Floats:
    """(H, W, 3) linear light behind the head."""
    first, second = (linear(np.array(colour, np.float32)) for colour in background.colours)
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (across + 0.5) / width, (down + 0.5) / height
    if mirrored:
        x = 1 - x
    if background.kind == "plain":
        share = np.zeros((height, width), np.float32)
    elif background.kind == "gradient":
        turn = np.random.default_rng(background.pattern).uniform(0, 2 * np.pi)
        share = step(-0.75, 0.75, (x - 0.5) * np.float32(np.cos(turn)) + (y - 0.5) * np.float32(np.sin(turn)))
    else:
        share = _blobs(x, y, background.pattern)
    return np.asarray(first + share[..., None] * (second - first), np.float32)


def _blobs(x: Floats, y: Floats, seed: int) -> Floats:
    """(H, W) 0 to 1: shelves, windows and plants far out of focus."""
    rng = np.random.default_rng((seed, 7))
    share = np.full(x.shape, 0.35, np.float32)
    for _ in range(7):
        left, top, wide, high = (
            rng.uniform(-0.1, 0.9),
            rng.uniform(-0.1, 0.9),
            rng.uniform(0.08, 0.4),
            rng.uniform(0.08, 0.7),
        )
        soft, level = rng.uniform(0.03, 0.09), rng.uniform(0, 1)
        inside = step(left - soft, left + soft, x) * step(left + wide + soft, left + wide - soft, x)
        inside *= step(top - soft, top + soft, y) * step(top + high + soft, top + high - soft, y)
        share += inside * np.float32(level - 0.35) * np.float32(0.8)
    return np.clip(share, 0, 1)


def linear(colour: NDArray[np.floating]) -> Floats:
    """sRGB 0..1 to linear light."""
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4).astype(np.float32)


def photograph(light: Floats, camera: Camera, seed: int, colour: bool, mirrored: bool) -> NDArray[np.uint8]:
    """Linear light to the image that the camera stores.

    Args:
        light: (H, W, 3), one value a pixel, 1 being white.
        seed: of the noise.
        mirrored: whether the noise is swapped side by side too.

    Returns:
        (H, W) or (H, W, 3) uint8.
    """
    light = np.maximum(light, 0) * np.float32(2.0**camera.exposure)
    light = (
        light * (1 + light * np.float32(1 / 9)) / (1 + light * np.float32(0.28))
    )  # film's shoulder: keeps highlights
    bright = 1.055 * np.power(np.clip(light, 1e-6, 1), 1 / 2.4) - 0.055
    image: Floats = (np.where(light <= 0.0031308, 12.92 * light, bright) * 255).astype(np.float32)
    if not colour:
        red, green, blue = image[..., 0:1], image[..., 1:2], image[..., 2:3]
        image = np.asarray(red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114))
    if camera.blur:
        image = _blurred(image, camera.blur * image.shape[1])
    if camera.noise:
        grain = np.random.default_rng((seed, 0xCA)).standard_normal(image.shape, dtype=np.float32)
        image = image + np.float32(camera.noise) * (grain[:, ::-1] if mirrored else grain)
    stored = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    if camera.jpeg is not None:
        stored = _jpeg(stored, camera.jpeg)
    return stored if colour else stored[..., 0]


def _blurred(image: Floats, deviation: float) -> Floats:
    """A Gaussian blur along both sides, the edges repeated; `deviation` in pixels."""
    reach = max(1, int(np.ceil(3 * deviation)))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-3)) ** 2).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (reach, reach)
        wide = np.pad(image, pad, mode="edge")
        length = image.shape[axis]
        parts = [np.take(wide, range(i, i + length), axis) * weight for i, weight in enumerate(weights)]
        image = np.sum(parts, axis=0, dtype=np.float32)
    return image


def _jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    import io

    from PIL import Image

    kept = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(kept, "JPEG", quality=quality)
    return np.asarray(Image.open(kept)).reshape(image.shape)
