"""The set `heads`: seven expressions of 300 rendered people, and the scenes behind its images.

A person belongs to one split. Pose, light, camera and background are drawn anew for each image, so that nothing but the face
tells the expression. Every scene follows from the numbers of person and expression alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_core.heads import people
from fer_core.heads.actions import ACTIONS, OPEN, Mouth, express, settled, unpaired
from fer_core.heads.renderer import render_with_masks
from fer_core.heads.scene import Scene

PEOPLE = 300
SIZE = 48
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SPLITS = {"train": 210, "val": 45, "test": 45}  # people
FIRST_SEED = 20_260_000  # of the people
_BATCH = 5  # people that a worker renders at a time


class Item(NamedTuple):
    """An image of the set before it is rendered."""

    person: int
    expression: str
    mouth: Mouth
    scene: Scene


def item(person: int, expression: str) -> Item:
    """The scene of a person's expression; the same at every call.

    Args:
        person: 0 or more; the set has the first 300.
        expression: a key of `actions.EXPRESSIONS`.

    Raises:
        UnknownName: there is no such expression.
    """
    who = people.draw_person(FIRST_SEED + person)
    number = sorted(OPEN).index(expression) if expression in OPEN else 0
    rng = np.random.default_rng((FIRST_SEED, person, number))
    mouth: Mouth = "open" if rng.random() < OPEN.get(expression, 0.5) else "closed"
    strength = float(rng.uniform(0.8, 1.0))
    acted = unpaired(express(expression, strength, mouth=mouth, seed=int(rng.integers(2**31))))
    scene = Scene(
        person=who,
        actions=settled(_stirred(acted, rng))[0],
        pose=people.draw_pose(rng),
        light=people.draw_light(rng),
        camera=people.draw_camera(rng, who.skin.tone),
        background=people.draw_background(rng),
        seed=int(rng.integers(2**31)),
    )
    return Item(person, expression, mouth, scene)


def _stirred(actions: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
    """No face is wholly still: weak unrelated actions and a gaze that wanders, whatever the expression."""
    stirred = dict(actions)
    for name in rng.choice(ACTIONS, 4, replace=False).tolist():
        if name not in ("tongueOut", "cheekPuff", "jawOpen") and not name.startswith("eyeBlink"):
            stirred[name] = max(stirred.get(name, 0.0), float(rng.uniform(0, 0.08)))
    lids = float(rng.uniform(0, 0.15))
    across, up = rng.normal(0, 0.18, 2).tolist()
    stirred |= {"eyeBlinkLeft": lids, "eyeBlinkRight": lids}
    towards, away = ("Left", "Right") if across > 0 else ("Right", "Left")
    gaze = {f"eyeLookOut{towards}": abs(across), f"eyeLookIn{away}": abs(across)}
    gaze |= {f"eyeLook{'Up' if up > 0 else 'Down'}{side}": abs(up) for side in ("Left", "Right")}
    for name, amount in gaze.items():
        stirred[name] = max(stirred.get(name, 0.0), min(amount, 0.5))
    return {name: round(amount, 4) for name, amount in stirred.items() if amount > 0.001}


def split_of(person: int) -> str:
    """train, val or test."""
    bound = 0
    for split, count in SPLITS.items():
        bound += count
        if person < bound:
            return split
    return "test"


def row(item: Item) -> dict[str, Any]:
    """What the set's index says of an image."""
    person, scene = item.scene.person, item.scene
    ancestry = {name: getattr(person, name) for name in ("african", "asian", "caucasian")}
    return {
        "id": f"{item.person:04d}-{item.expression}",
        "split": split_of(item.person),
        "label": item.expression,
        "person": f"head-{item.person:04d}",
        "mouth": item.mouth,
        "age": round(person.age),
        "sex": "female" if person.sex > 0.5 else "male",
        "ancestry": max(ancestry, key=lambda name: ancestry[name]),
        "skin": round(person.skin.tone, 1),
        "yaw": round(scene.pose.yaw, 1),
        "pitch": round(scene.pose.pitch, 1),
        "light": round(scene.light.azimuth, 1),
        "glasses": person.glasses,
        "beard": person.beard,
        "hair": person.hair.cut,
        **{name: scene.actions.get(name, 0.0) for name in ACTIONS},
    }


class Rendered(NamedTuple):
    """Images of people with all expressions, in the order of people and then of `EXPRESSIONS`.

    Attributes:
        images: (n, H, W) uint8, grey.
        masks: (n, H, W) bool, the pixels in which the expression shows.
        rows: of the index, one an image.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    rows: list[dict[str, Any]]


def generate(
    numbers: Sequence[int] = range(PEOPLE),
    *,
    size: int = SIZE,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Rendered:
    """Render people with all seven expressions; the same bytes with any number of workers.

    Args:
        numbers: which people.
        size: pixels along both sides.
        workers: processes; 1 renders in this one.
        progress: called with the number of images done and of all.

    Raises:
        ConfigError: nobody to render, or a size out of range.
        DataError: the head model is missing or torn.
    """
    from fer_core.errors import ConfigError

    if not len(numbers):
        raise ConfigError("A set of rendered heads needs at least one person, found none; ask for one or more.")
    batches = [list(numbers[start : start + _BATCH]) for start in range(0, len(numbers), _BATCH)]
    total, done, parts = len(numbers) * len(EXPRESSIONS), 0, []
    sizes = [size] * len(batches)
    if workers > 1:
        import multiprocessing

        # A forked child may inherit a lock that is held by a thread of the parent.
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            for part in pool.map(_batch, batches, sizes):
                parts.append(part)
                done += len(part.rows)
                if progress is not None:
                    progress(done, total)
    else:
        for part in map(_batch, batches, sizes):
            parts.append(part)
            done += len(part.rows)
            if progress is not None:
                progress(done, total)
    images, masks, rows = zip(*parts, strict=True)
    return Rendered(np.concatenate(images), np.concatenate(masks), [one for part in rows for one in part])


def _batch(numbers: list[int], size: int) -> Rendered:
    items = [item(number, expression) for number in numbers for expression in EXPRESSIONS]
    images, masks = render_with_masks([one.scene for one in items], size)
    for place, one in enumerate(items):
        if one.expression == "neutral":  # what would carry an expression
            masks[place] = _usual(one.scene, size)
    return Rendered(images, masks, [row(one) for one in items])


def _usual(scene: Scene, size: int) -> NDArray[np.bool_]:
    from fer_core.heads.areas import CODE
    from fer_core.heads.renderer import regions

    names = ("left brow", "right brow", "left eye", "right eye", "mouth")
    return np.isin(regions(scene, size), [CODE[name] for name in names])
