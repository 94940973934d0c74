"""Start a session: draw its images, ask the network, and keep both."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from fer_core.classroom import growing, shortcut
from fer_core.classroom.images import answered, as_items, draw, looked_at
from fer_core.classroom.session import Session, choices_of
from fer_core.classroom.tasks import GROW, GUESS, LABEL, NETWORKS, SHORTCUT
from fer_core.datasets import Dataset
from fer_core.errors import ClassError
from fer_core.labels import FER7

if TYPE_CHECKING:
    from fer_core.runs.store import Checkpoint


def start(
    name: str,
    task: str,
    dataset: Dataset,
    split: str,
    number: int,
    network: Checkpoint | None = None,
    *,
    selection: str = "",
    expression: str = growing.EXPRESSIONS[0],
    together: bool = False,
    votes: int = 0,
    seed: int | None = None,
) -> Session:
    """A new session, running.

    Args:
        name: of the class.
        task: a key of `TASKS`. The shortcut has images and networks of its own, and what grows is rendered.
        number: of images, drawn at random with about as many of each label.
        network: that stands beside the class, evaluated on the split; needed for a guess.
        selection: of the gallery; only its images are drawn from.
        expression: that grows, one of `growing.EXPRESSIONS`.
        together: everybody has the same image until the teacher goes on.
        votes: people who label an image together; 0 and for other tasks: everybody answers every image.
        seed: of the draw; None: another one each time.

    Raises:
        FerError: too few images, a guess without a network, or a network that has not been evaluated there.
    """
    seed = secrets.randbelow(2**31) if seed is None else seed
    if task == SHORTCUT:
        return Session.create(name, task, shortcut.items(number, seed), NETWORKS, together=together)
    if task == GROW:
        shown = growing.items(expression, number, seed)
        return Session.create(name, task, shown, FER7.names, together=together)
    rows = draw(dataset, split, number, selection=selection, seed=seed)
    if task == GUESS:
        if network is None:
            raise ClassError("There is no network to guess. Choose one.")
        from fer_core.serving.predictor import LoadedNetwork

        loaded = LoadedNetwork.of(network.folder)
        items = as_items(dataset, rows, looked_at(dataset, rows, loaded, network.folder), guess=True)
        choices = tuple(loaded.card.expressions)
    else:
        facts = answered(dataset, rows, network, split) if network else {}
        items = as_items(dataset, rows, facts)
        choices = choices_of(task, dataset.expressions.names)
    return Session.create(
        name, task, items, choices,
        network=network.card.title if network else "", together=together, votes=votes if task == LABEL else 0,
    )  # fmt: skip
