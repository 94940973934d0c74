"""Images that ship: the set `heads`, and a few larger portraits in colour.

    python -m fer_core.heads.shipped

writes them anew. They ship because another processor may round a pixel otherwise, and an image is known by its bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_core.errors import DataError
from fer_core.heads.collection import Rendered, generate

FILE = Path(__file__).with_name("data") / "images.npz"
PORTRAITS = Path(__file__).with_name("data") / "portraits.npz"
SIZE = 176  # pixels of a portrait
FACES = 12
SHOWN = ("neutral", "happy", "surprise", "angry", "disgust", "fear", "sad", "contempt")


class Portraits(NamedTuple):
    """The larger images.

    Attributes:
        images: (people, expressions, H, W, 3) uint8.
        expressions: names, in the order of the second axis.
    """

    images: NDArray[np.uint8]
    expressions: tuple[str, ...]


def shipped() -> Rendered:
    """The images of the set that ship, 48 x 48, grey.

    Raises:
        DataError: the file is missing or torn.
    """
    with _opened(FILE) as stored:
        images, packed = stored["images"], stored["masks"]
        rows = json.loads(stored["rows"].tobytes())
    masks = np.unpackbits(packed, axis=1, count=images[0].size).reshape(images.shape).astype(bool)
    return Rendered(images, masks, rows)


def portraits() -> Portraits:
    """Twelve people with eight expressions, in colour.

    Raises:
        DataError: the file is missing or torn.
    """
    from PIL import Image

    with _opened(PORTRAITS) as stored:
        ends, data = stored["ends"].tolist(), stored["jpeg"].tobytes()
    images = [np.asarray(Image.open(io.BytesIO(data[a:b]))) for a, b in zip([0, *ends], ends, strict=False)]
    return Portraits(np.stack(images).reshape(FACES, len(SHOWN), SIZE, SIZE, 3), SHOWN)


class _opened:
    """An archive whose damage is told in a sentence."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> dict[str, NDArray[np.uint8]]:
        try:
            with np.load(self.path) as stored:
                return {name: stored[name] for name in stored.files}
        except FileNotFoundError as error:
            raise DataError(f"The rendered heads {self.path.name} are not there; install FERscope again.") from error
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"The rendered heads {self.path.name} are torn ({error}); install FERscope again."
            ) from error

    def __exit__(self, *_: object) -> None:
        return None


def write() -> None:
    """Render and store both files."""
    _write_images()
    _write_portraits()


def _write_images() -> None:
    done = generate(workers=2)
    np.savez_compressed(
        FILE,
        images=done.images,
        masks=np.packbits(done.masks.reshape(len(done.masks), -1), axis=1),
        rows=np.frombuffer(json.dumps(done.rows).encode(), np.uint8),
    )


def _write_portraits() -> None:
    from PIL import Image

    kept, ends = io.BytesIO(), []
    for image in _portraits():
        Image.fromarray(image).save(kept, "JPEG", quality=92)
        ends.append(kept.tell())
    np.savez(PORTRAITS, jpeg=np.frombuffer(kept.getvalue(), np.uint8), ends=np.array(ends))


def _portraits() -> NDArray[np.uint8]:
    """(people * expressions, H, W, 3), one pose and light for each person, so that only the expression differs."""
    from fer_core.heads import people
    from fer_core.heads.actions import express, settled, unpaired
    from fer_core.heads.renderer import render
    from fer_core.heads.scene import Camera, Light, Scene

    scenes = []
    for number in _CHOSEN:
        person = people.draw_person(number)
        rng = np.random.default_rng((number, 9))
        light = Light(
            azimuth=float(rng.choice([-1, 1]) * rng.uniform(25, 50)),
            elevation=float(rng.uniform(25, 45)),
            fill=0.5,
            softness=0.7,
            warmth=float(rng.uniform(-0.1, 0.3)),
        )
        camera = Camera(focal=178, exposure=0.13 * max(0.0, person.skin.tone - 2.5) - 0.25, samples=3)
        background = people.draw_background(rng)
        for name in SHOWN:
            actions = settled(unpaired(express(name, 0.92, seed=number)))[0]
            scenes.append(Scene(person=person, actions=actions, light=light, camera=camera, background=background))
    return render(scenes, SIZE, colour=True)


_CHOSEN = (0, 1, 3, 5, 6, 7, 11, 13, 17, 18, 21, 23)  # people who differ much

if __name__ == "__main__":
    write()
    print(f"{FILE.stat().st_size / 1e6:.2f} MB, {PORTRAITS.stat().st_size / 1e6:.2f} MB")
