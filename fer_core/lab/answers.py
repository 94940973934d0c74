"""What a network answers to scenes, as it is served, kept in the workspace by content.

A rendered head fills its image as a cut face does, so no detector looks for it. Each network gets the head rendered at the
size that it takes; an answer is the one that `Predictor.predict` gives for this image with the detector “none”.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core import heads, workspace
from fer_core.errors import ConfigError, UnknownName
from fer_core.heads import Scene, draw_person, render
from fer_core.heads.actions import settled, unpaired
from fer_core.heads.scene import Camera
from fer_core.images import ImageSpec, fit

if TYPE_CHECKING:
    from torch import nn

    from fer_core.serving.predictor import LoadedNetwork

Progress = Callable[[int, int], None]
Unit = Sequence[Scene]
LEAST = 8  # people; of fewer, Student's interval is wider than what it is to show
KEPT = 128  # units whose images stay in memory, for the next network


def person_scene(number: int, seed: int = 0) -> Scene:
    """A person of an experiment at rest, from the front, with one light for all; nobody of the set `heads`.

    The camera exposes darker skin longer, though not by all that it takes, as that of the set `heads` does.

    Args:
        number: of the person, 0 to 9,999.
        seed: of the experiment; another one has other people.
    """
    person = draw_person(10_000 * seed + number)
    return Scene(person=person, camera=Camera(exposure=min(1.6, -0.35 + 0.22 * max(0.0, person.skin.tone - 2.5))))


def acting(scene: Scene, actions: dict[str, float]) -> Scene:
    """The scene with the actions that a face can show together, without a warning where one has to give way."""
    return scene.acting(settled(unpaired(actions))[0])


def check(network: LoadedNetwork, expression: str, people: int) -> None:
    """
    Raises:
        UnknownName: the network does not know the expression.
        ConfigError: too few people for an interval.
    """
    if expression not in network.card.expressions:
        raise UnknownName(f"expression of {network.card.name}", expression, network.card.expressions)
    check_people(people)


def check_people(people: int) -> None:
    """
    Raises:
        ConfigError: too few people for an interval.
    """
    if people < LEAST:
        raise ConfigError(
            f"An experiment over {people} people is too small for an interval over people; use at least {LEAST}, better 60."
        )


def image_for(scene: Scene, spec: ImageSpec) -> NDArray[np.uint8]:
    """What a network with this image spec is given: (H, W) or (H, W, 3) uint8."""
    return fit(render([scene], (spec.height, spec.width), colour=spec.channels == 3)[0], spec)


def answer(network: LoadedNetwork, scene: Scene) -> tuple[NDArray[np.uint8], dict[str, float]]:
    """What a network is given of one scene, as `image_for`, and its probability of each expression; nothing is stored.

    Raises:
        CheckpointError: the network's output is not finite.
    """
    image = image_for(scene, network.card.image)
    return image, dict(zip(network.card.expressions, network.probs(image[None])[0].tolist(), strict=True))


def answers(network: LoadedNetwork, units: Sequence[Unit], progress: Progress | None = None) -> NDArray[np.float64]:
    """Probabilities of scenes.

    Each unit is stored in the workspace as soon as it is measured, so an experiment that was stopped continues, and one
    that was made before costs nothing. What was stored counts only for the same weights, card, renderer and scenes.

    Args:
        units: lists of equally many scenes, such as one list a person.
        progress: called with the number of units done and of all, after each.

    Returns:
        (units, scenes, K), in the order of the card's expressions.

    Raises:
        ConfigError: there is no unit.
        CheckpointError: the network's output is not finite.
    """
    if not units:
        raise ConfigError("There is no scene to ask about; give at least one.")
    found, spec, shape = [], network.card.image, (len(units[0]), len(network.card.expressions))
    for number, unit in enumerate(units, 1):
        texts = tuple(scene.model_dump_json() for scene in unit)

        def asked(texts: tuple[str, ...] = texts) -> NDArray[np.float64]:
            images = _rendered(texts, spec.height, spec.width, spec.channels == 3)
            return network.probs(np.stack([fit(image, spec) for image in images]))

        found.append(kept(network, texts, shape, asked))
        if progress is not None:
            progress(number, len(units))
    return np.stack(found)


def kept(
    network: LoadedNetwork, key: Sequence[str], shape: tuple[int, ...], make: Callable[[], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """An array that was measured on a network and these texts before, or is now.

    Args:
        key: all that it depends on besides the network and the renderer.
        shape: of the array; a file with another one is damaged, and measured anew.
    """
    if (known := before(network, key, shape)) is not None:
        return known
    made, file = make(), io.BytesIO()
    np.save(file, made)
    workspace.write_atomically(_place(network, key), file.getvalue())
    return made


def before(network: LoadedNetwork, key: Sequence[str], shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """What `kept` has kept; None where nothing was measured yet."""
    return _stored(_place(network, key), shape)


def _place(network: LoadedNetwork, key: Sequence[str]) -> Path:
    name = hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:32]
    return workspace.home() / "lab" / fingerprint(network)[:24] / f"{name}.npy"


@lru_cache(KEPT)
def _rendered(texts: tuple[str, ...], height: int, width: int, colour: bool) -> NDArray[np.uint8]:
    return render([Scene.model_validate_json(text) for text in texts], (height, width), colour)


def _stored(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """A stored array; None where there are none, or where the file is damaged and is to be measured anew."""
    try:
        known = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fine = isinstance(known, np.ndarray) and known.dtype == np.float64 and known.shape == shape
    return known if fine else None


def fingerprint(network: LoadedNetwork) -> str:
    """SHA-256 of all that an answer depends on: weights, architecture, what the card says of the output, the renderer."""
    card = network.card
    about = [repr(network.model), card.image.model_dump(mode="json"), card.tta, card.temperature, card.expressions]
    found = hashlib.sha256(json.dumps([renderer(), *about]).encode())
    _add_weights(found, network.model)
    return found.hexdigest()


def _add_weights(found: hashlib._Hash, model: nn.Module) -> None:
    import torch

    for name, tensor in model.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())


def renderer() -> str:
    """SHA-256 of the code and the model that render heads."""
    return code_of(Path(heads.__file__).parent)


@cache
def code_of(folder: Path) -> str:
    """SHA-256 of the code and the arrays of a package."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".npz"):
            found.update(path.read_bytes())
    return found.hexdigest()
