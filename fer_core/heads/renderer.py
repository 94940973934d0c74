"""Images of heads, and the truth about them: the region of each pixel, and what an action moves or shades."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_core.errors import ConfigError
from fer_core.heads import actions as facial
from fer_core.heads import areas, creases, light, mesh, paint
from fer_core.heads.camera import View, backdrop, photograph, view
from fer_core.heads.mesh import Surface, surface
from fer_core.heads.model import load
from fer_core.heads.paint import Samples
from fer_core.heads.raster import Seen, rasterise
from fer_core.heads.scene import Scene

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Images = NDArray[np.uint8]
Progress = Callable[[int, int], None]

SMALLEST, LARGEST = 16, 1024  # pixels
EACH = 96 * 96  # pixels of an image up to which each sample gets a colour of its own
VISIBLE = 4  # grey levels of 255 from which on a change counts as one
SHOWS = 0.001  # metres of the surface's motion from which on a pixel is said to show the expression
MOVED = 0.0004  # metres of the surface's own motion from which on it counts


def render(
    scenes: Sequence[Scene], size: int | tuple[int, int], colour: bool = False, progress: Progress | None = None
) -> Images:
    """Images of scenes.

    Args:
        scenes: one or more.
        size: pixels along both sides, or (height, width), 16 to 1024.
        colour: RGB instead of grey.
        progress: called with the number of images done and of all, after each.

    Returns:
        (n, H, W) uint8, or (n, H, W, 3) in colour.

    Raises:
        ConfigError: no scene, or a size that is out of range.
        DataError: the head model is missing or torn.
    """
    if not len(scenes):
        raise ConfigError("There is no scene to render; give at least one.")
    height, width = _checked(size)
    images = np.empty((len(scenes), height, width, *((3,) if colour else ())), np.uint8)
    for row, scene in enumerate(scenes):
        images[row] = photograph(
            _averaged(light_of(scene, height, width), scene.camera.samples), scene.camera, scene.seed, colour,
            scene.person.mirrored,
        )  # fmt: skip
        if progress is not None:
            progress(row + 1, len(scenes))
    return images


def render_with_masks(
    scenes: Sequence[Scene], size: int | tuple[int, int], progress: Progress | None = None
) -> tuple[Images, NDArray[np.bool_]]:
    """Grey images, (n, H, W) uint8, and the pixels in which the expression shows, (n, H, W) bool.

    It shows where the surface is at least 1 mm from its place at rest, and where an action folds the skin.

    Raises:
        ConfigError, DataError: as `render`.
    """
    height, width = _checked(size)
    images, masks = np.empty((len(scenes), height, width), np.uint8), np.zeros((len(scenes), height, width), bool)
    for row, scene in enumerate(scenes):
        k = scene.camera.samples
        shot = _shoot(scene, height, width)
        linear = _averaged(_lit(scene, shot, height, width), k)
        images[row] = photograph(linear, scene.camera, scene.seed, False, scene.person.mirrored)
        shown = np.zeros((height * k, width * k), bool)
        shot.put(shown, _shift(shot, scene.actions) > SHOWS)
        masks[row] = shown.reshape(height, k, width, k).mean((1, 3)) >= 0.5
        if progress is not None:
            progress(row + 1, len(scenes))
    return images, masks


def _shift(shot: Shot, actions: Mapping[str, float]) -> Floats:
    """(n,) metres that actions move the surface at a shot's samples."""
    shift = load().act(np.zeros_like(load().rest), facial.reached(actions))
    far = np.zeros((len(shot.surface.vertices), 1), np.float32)
    far[: len(shift), 0] = np.sqrt((shift * shift).sum(1))
    return _between(far, shot.surface.triangles, shot.seen)[:, 0]


def regions(scene: Scene, size: int | tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) the region that fills most of each pixel, a position in `areas.REGIONS`.

    Raises:
        ConfigError: the size is out of range.
    """
    height, width = _checked(size)
    k = scene.camera.samples
    shot = _shoot(scene, height, width)
    codes = np.zeros((height * k, width * k), np.uint8)
    shot.put(codes, areas.regions_of(shot.samples, shot.material))
    votes = codes.reshape(height, k, width, k).transpose(0, 2, 1, 3).reshape(height * width, k * k)
    counts = np.zeros((height * width, len(areas.REGIONS)), np.uint8)
    for column in votes.T:
        counts[np.arange(len(counts)), column] += 1
    return np.asarray(counts.argmax(1).astype(np.uint8).reshape(height, width))


def moved(scene: Scene, action: str | Iterable[str], size: int | tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) the pixels that an action, or several together, move or shade.

    The action is compared with its absence; where the scene does not have it, with the action at full intensity. A pixel
    counts where the surface moves by 0.4 mm or more, or where the image changes by four grey levels or more before the
    camera blurs it and adds noise.

    Args:
        action: by ARKit's name, or without a side for both.

    Raises:
        UnknownName: there is no such action; the nearest is named.
        ConfigError: the size is out of range.
    """
    height, width = _checked(size)
    names = list(facial.unpaired(dict.fromkeys([action] if isinstance(action, str) else action, 1.0)))
    without = {name: amount for name, amount in scene.actions.items() if name not in names}
    # At full intensity whatever else the face does: `settled` may lower it again.
    amounts = {name: scene.actions.get(name, 0.0) for name in names}
    full = amounts if any(amounts.values()) else dict.fromkeys(names, 1.0)
    with_it = facial.settled({**without, **full})[0]
    clean = scene.model_copy(
        update={"camera": scene.camera.model_copy(update={"blur": 0.0, "noise": 0.0, "jpeg": None})}
    )
    k = scene.camera.samples
    images, shifted = [], np.zeros((height * k, width * k), bool)
    for state in (without, with_it):
        one = clean.model_copy(update={"actions": state})
        shot = _shoot(one, height, width)
        here = np.zeros_like(shifted)
        shot.put(here, _shift(shot, _difference(without, with_it)) > MOVED)
        shifted |= here
        linear = _averaged(_lit(one, shot, height, width), k)
        images.append(photograph(linear, one.camera, 0, True, False).astype(np.int16))
    changed = np.abs(images[0] - images[1]).max(-1) >= VISIBLE
    return np.asarray(changed | shifted.reshape(height, k, width, k).any((1, 3)))


def _difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Action -> how much it changes, not below 0."""
    return {name: abs(after.get(name, 0.0) - before.get(name, 0.0)) for name in {**before, **after}}


def _checked(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    for side in (height, width):
        if not SMALLEST <= side <= LARGEST:
            raise ConfigError(
                f"Heads are rendered at {SMALLEST} to {LARGEST:,} pixels a side, found {side:,}; choose a size between."
            )
    return height, width


# --------------------------------------------------------------------------------------------- one image


@dataclass(frozen=True)
class Shot:
    """What the camera sees of a scene, before light.

    Attributes:
        seen, samples, material: of the samples that get a colour of their own.
        normals: (V, 3) of the surface.
        whole: (H, W) pixels of a large image whose samples all see one kind of surface; the first sample stands for all.
    """

    surface: Surface
    view: View
    seen: Seen
    samples: Samples
    material: NDArray[np.uint8]
    normals: Floats
    whole: NDArray[np.bool_] | None

    def put(self, image: NDArray[Any], values: NDArray[Any]) -> None:
        """Set the samples of an image, (H * k, W * k) or (H * k, W * k, 3), to values of this shot's samples."""
        image.reshape(-1, *image.shape[2:])[self.seen.sample] = values
        if self.whole is not None:
            k = len(image) // len(self.whole)
            first = image[::k, ::k][self.whole]
            for i, j in np.ndindex(k, k):
                if i or j:
                    image[i::k, j::k][self.whole] = first


def light_of(scene: Scene, height: int, width: int) -> Floats:
    """(H * k, W * k, 3) linear light, one value a sample."""
    return _lit(scene, _shoot(scene, height, width), height, width)


def _shoot(scene: Scene, height: int, width: int) -> Shot:
    k = scene.camera.samples
    body = surface(scene.person)
    vertices = _acted(body, scene.actions)
    seen_by = view(vertices, body.fixed[:, 1], scene.pose, scene.camera, height * k, width * k)
    normals = body.normals(seen_by.space)
    fine = scene.camera.focal / 36 * max(height, width) * k / scene.camera.distance
    seen = _visible(scene, body, seen_by, height * k, width * k, fine)
    whole = None
    if k > 1 and height * width > EACH:
        seen, whole = _one_a_pixel(seen, body.kind, height, width, k)
        fine /= k
    fixed = _between(body.fixed, body.triangles, seen)
    samples = paint.samples(fixed, body.kind[seen.triangle], scene.person, fine)
    return Shot(body, seen_by, seen, samples, paint.materials(samples, scene.person), normals, whole)


def _one_a_pixel(seen: Seen, kind: Ints, height: int, width: int, k: int) -> tuple[Seen, NDArray[np.bool_]]:
    """Samples without those of whole pixels but the first, and the whole pixels; see `Shot`."""
    kinds = np.full((height * k, width * k), 255, np.uint8)
    kinds.ravel()[seen.sample] = kind[seen.triangle]
    first = kinds[::k, ::k]
    whole = first != 255
    for i, j in np.ndindex(k, k):
        whole &= kinds[i::k, j::k] == first
    kept = np.ones((height * k, width * k), bool)
    for i, j in np.ndindex(k, k):
        kept[i::k, j::k] = ~whole if i or j else True
    rows = np.flatnonzero(kept.ravel()[seen.sample])
    return seen.at(rows), whole


def _acted(body: Surface, actions: Mapping[str, float]) -> Floats:
    """(V, 3) the surface with its actions; glasses and long hair stay."""
    head = load()
    count = len(head.rest)
    return np.concatenate([head.act(body.vertices[:count], facial.reached(actions)), body.vertices[count:]])


def _visible(scene: Scene, body: Surface, seen_by: View, height: int, width: int, fine: float) -> Seen:
    """The nearest surface at each sample, seeing through the gaps between lashes and hanging hairs."""
    loose = (body.kind == mesh.LASH) | (body.kind == mesh.FALL)
    solid = np.flatnonzero(~loose)
    first = rasterise(seen_by.screen, body.triangles[solid], height, width)
    first = first._replace(triangle=solid[first.triangle])
    veil = np.flatnonzero(loose)
    second = rasterise(seen_by.screen, body.triangles[veil], height, width, both_sides=True)
    second = second._replace(triangle=veil[second.triangle])
    depth = np.full(height * width, np.inf, np.float32)
    depth[first.sample] = first.depth
    ahead = np.flatnonzero(second.depth < depth[second.sample])
    second = second.at(ahead)
    fixed = _between(body.fixed, body.triangles, second)
    shown = paint.shows(paint.samples(fixed, body.kind[second.triangle], scene.person, fine), scene.person)
    second = second.at(shown)
    return _over(first, second, height * width)


def _over(behind: Seen, front: Seen, count: int) -> Seen:
    """Two layers as one: where the front one shows something, that."""
    hidden = np.zeros(count, bool)
    hidden[front.sample] = True
    behind = behind.at(~hidden[behind.sample])
    both = Seen(
        np.concatenate([behind.sample, front.sample]),
        np.concatenate([behind.triangle, front.triangle]),
        np.concatenate([behind.weights, front.weights]),
        np.concatenate([behind.depth, front.depth]),
    )
    return both.at(np.argsort(both.sample, kind="stable"))


def _between(values: Floats, triangles: Ints, seen: Seen) -> Floats:
    """(n, k) values of vertices, interpolated at the samples."""
    corners = triangles[seen.triangle]
    result = values[corners[:, 0]] * seen.weights[:, :1]
    result += values[corners[:, 1]] * seen.weights[:, 1:2]
    result += values[corners[:, 2]] * seen.weights[:, 2:]
    return result


def _lit(scene: Scene, shot: Shot, height: int, width: int) -> Floats:
    k = scene.camera.samples
    whole = _behind(scene, height, width)
    if not len(shot.seen.sample):
        return whole
    body, seen, s = shot.surface, shot.seen, shot.samples
    both = _between(np.concatenate([shot.view.space, shot.normals], 1), body.triangles, seen)
    space, normals = both[:, :3], both[:, 3:]
    normals /= np.maximum(np.sqrt((normals * normals).sum(1, keepdims=True)), 1e-6)
    normals, grooves = _creased(scene, s, shot.material, normals, shot.view.turn)
    colours = paint.paint(s, shot.material, scene.person, grooves, paint.actions_gape(scene.actions))
    towards = light.direction(scene.light)
    casts = body.triangles[(body.kind != mesh.LASH) & (body.kind != mesh.GLASSES)]  # too thin for the map's cells
    cells = int(np.clip(max(height, width) * k, 96, 256))
    depth = light.shadow_map(shot.view.space, casts, towards, cells)
    reached = light.unshadowed(depth, space, normals, towards, scene.light.softness)
    # Teeth are lit by how far the lips are apart (see `paint`) and curve too sharply for their few triangles.
    within = np.flatnonzero(np.isin(s.kind, (mesh.UPPER, mesh.LOWER, mesh.TONGUE)))
    reached[within] = 0.5 + 0.5 * reached[within]
    normals[within] = _arch(s.at[within]) @ shot.view.turn.T
    shaded = light.shade(s, colours, shot.material, space, normals, reached, scene.light, scene.person, shot.view.eye)
    shot.put(whole, shaded)
    return whole


def _arch(at: Floats) -> Floats:
    """(n, 3) normals of a row of teeth at places on the average head."""
    out = np.stack([at[:, 0] / np.float32(0.036), np.full(len(at), 0.05, np.float32), np.ones(len(at), np.float32)], 1)
    return np.asarray(out / np.sqrt((out * out).sum(1, keepdims=True)))


def _behind(scene: Scene, height: int, width: int) -> Floats:
    """(H * k, W * k, 3) the backdrop, each pixel's value k times along both sides."""
    k = scene.camera.samples
    light_behind = backdrop(scene.background, height, width, scene.person.mirrored)
    return np.ascontiguousarray(light_behind.repeat(k, 0).repeat(k, 1))


def _creased(
    scene: Scene, s: Samples, material: NDArray[np.uint8], normals: Floats, turn: Floats
) -> tuple[Floats, Floats]:
    """Normals and depths of the skin with its folds."""
    grooves = np.zeros(len(normals), np.float32)
    person = scene.person
    rows = np.flatnonzero((material == mesh.SKIN) & (s.at[:, 2] > -0.055) & (s.at[:, 1] < 0.08) & (s.at[:, 1] > -0.13))
    if not len(rows):
        return normals, grooves
    fold = 0.75 - 0.5 * person.asian / max(person.asian + person.african + person.caucasian, 1e-6)
    relief = creases.relief(scene.actions, person.skin.wrinkles, fold, person.pattern, person.mirrored)
    depth, across, up = creases.sampled(relief, s.at[rows, 0], s.at[rows, 1])
    grooves[rows] = depth
    # A groove is a valley: its normals lean out of it.
    lean = across[:, None] * turn[:, 0] + up[:, None] * turn[:, 1]
    bent = normals[rows] + np.float32(1.1) * lean
    normals = normals.copy()
    normals[rows] = bent / np.sqrt((bent * bent).sum(1, keepdims=True))
    return normals, grooves


def _averaged(samples: Floats, k: int) -> Floats:
    """(H, W, 3) the mean of each pixel's k x k samples; highlights count no more than a bright white."""
    if k == 1:
        return samples
    samples = np.minimum(samples, np.float32(1.6))
    rows = samples[0::k]
    for i in range(1, k):
        rows = rows + samples[i::k]
    total = rows[:, 0::k]
    for i in range(1, k):
        total = total + rows[:, i::k]
    return total * np.float32(1 / (k * k))
