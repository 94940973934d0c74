"""The task “See it grow”: one expression from rest to its full strength, each step on another rendered face, and the response
curve of a class.

The lab asks a network how much of an expression it needs (`fer_core.lab.curve`); this asks people the same. No face is shown
twice: whoever has seen one at full strength would recognise it at rest.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fer_core.classroom.images import png
from fer_core.classroom.session import Item, Session, sessions
from fer_core.classroom.tasks import GROW
from fer_core.datasets.heads import HEADS
from fer_core.datasets.identity import image_hash
from fer_core.errors import ClassError
from fer_core.evaluation.intervals import percent
from fer_core.heads import express
from fer_core.images import ImageSpec
from fer_core.lab.answers import acting, image_for, person_scene
from fer_core.lab.curve import Curve
from fer_core.labels import FER7

EXPRESSIONS = tuple(name for name in FER7.names if name != "neutral")
FEWEST = 5  # images: fewer show no shape
LEAST = 3  # people: of fewer no interval can be resampled


def items(expression: str, number: int, seed: int) -> list[Item]:
    """The images of a session, in random order: intensities in equal steps from 0 to 1, each on another person.

    Args:
        expression: one of `EXPRESSIONS`.
        number: of images.
        seed: of the people and of the order.

    Returns:
        The images, grey and 48 x 48 as FER2013's; `facts` has the `intensity` and the `expression`. At rest the right answer is
        neutral.

    Raises:
        ClassError: too few images.
    """
    if number < FEWEST:
        raise ClassError(f"A curve of {number} images shows no shape; use at least {FEWEST}.")
    people = 1 + seed % 100_000  # none of those that the lab shows to networks
    made = []
    order = np.random.default_rng(seed).permutation(number)
    for position, step in enumerate(order.tolist()):
        intensity = step / (number - 1)
        image = image_for(acting(person_scene(step, people), express(expression, intensity)), ImageSpec())
        shown = expression if intensity else "neutral"
        facts = {"intensity": intensity, "expression": expression}
        name = f"{expression}-{100 * intensity:.0f}"
        made.append(Item(position, name, HEADS, "", shown, image_hash(image), shown, png(image), None, facts))
    return made


def curve(session: Session) -> Curve:
    """The response curve of the people who answered every image.

    Raises:
        ClassError: the session asked something else, or too few people answered everything.
    """
    about = session.about
    if about.task != GROW:
        raise ClassError(f"“{about.kind.title}” shows no expression that grows, so it has no response curve.")
    facts = session.facts()["facts"]
    steps = np.argsort([one["intensity"] for one in facts])
    given = session.answers().pivot(index="nickname", columns="position", values="choice")
    given = given.reindex(columns=steps).dropna()
    if len(given) < LEAST:
        raise ClassError(
            f"{len(given)} {'person has' if len(given) == 1 else 'people have'} answered all {about.size} images. The curve of a "
            f"class needs at least {LEAST}."
        )
    choices = np.array(about.choices)
    chosen = (given.to_numpy()[:, :, None] == choices).astype(np.float64)
    intensities = np.array([facts[step]["intensity"] for step in steps])
    return Curve(about.name, facts[0]["expression"], None, about.choices, intensities, chosen)


def sentence(found: Curve) -> str:
    """How much of the expression the class needs; where there is no threshold, none is given."""
    fitted, shown = found.psychometric, found.expression
    people = f"{found.people} people"
    if fitted.threshold is None:
        last = percent(float(found.recognised[:, -1].mean()))
        return (
            f"{found.network} answers {shown} for {last} of its {people} at full intensity. The share does not rise through one "
            "half, so there is no threshold."
        )
    return (
        f"{found.network} needs {100 * fitted.threshold:.0f} % of a full {shown} expression (95 % CI "
        f"{fitted.ends}, {people}): from there on half of its people answer {shown}."
    )


def curves(expression: str) -> Iterator[Curve]:
    """The curves of all classes in the workspace that saw this expression grow, the newest first."""
    for session in sessions():
        try:
            found = curve(session)
        except ClassError:  # another task, too few answers, or a file that cannot be read
            continue
        if found.expression == expression:
            yield found
