"""Several trained networks as one checkpoint: what it holds, and which networks fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from fer_core.checkpoint import Card, Cost, load_tensors, save_tensors, weights_path, write_card
from fer_core.errors import ConfigError
from fer_core.runs.folder import RunFolder
from fer_core.runs.store import find
from fer_core.training.config import About, TrainConfig


def combine(names: Sequence[str], name: str, data: str, title: str = "") -> RunFolder:
    """Write an ensemble of networks as a finished run; evaluate it to give its card figures.

    Args:
        names: of networks with the same expressions, images and faces; each counts alike.
        data: what the members were chosen on, as the run's data.

    Raises:
        ConfigError: fewer than two, or two that do not fit together; said with what differs.
        RunError: the name is taken.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError(f"An ensemble needs two or more different networks, found {', '.join(names) or 'none'}.")
    found = [find(one) for one in names]
    cards = [one.card for one in found]
    for card in cards[1:]:
        for what in ("expressions", "image", "face"):
            if getattr(card, what) != getattr(cards[0], what):
                raise ConfigError(
                    f"{card.name} and {cards[0].name} differ in their {what} ({getattr(card, what)} and "
                    f"{getattr(cards[0], what)}); an ensemble's members take and answer the same."
                )
    members: list[dict[str, object]] = [{"network": card.network, "arguments": card.arguments} for card in cards]
    tensors = {
        f"members.{number}.{key}": value
        for number, one in enumerate(found)
        for key, value in load_tensors(weights_path(one.folder))[0].items()
    }
    title = title or f"Ensemble of {len(names)} networks"
    config = TrainConfig(
        about=About(title=title, source=f"mean of the probabilities of {', '.join(names)}"),
        network="ensemble", arguments={"members": members}, expressions=cards[0].expressions_name, tta="flip",
    )  # fmt: skip
    run = RunFolder.create(name, config, data)
    save_tensors(run.path / "best.safetensors", tensors)
    write_card(run.path, _card(name, title, members, cards))
    run.write(replace(run.status(), state="finished", message=f"Made of {', '.join(names)}."))
    return run


def _card(name: str, title: str, members: list[dict[str, object]], cards: Sequence[Card]) -> Card:
    first = cards[0]
    cost = Cost(
        cpu_minutes=round(sum(card.cost.cpu_minutes for card in cards), 2),
        wall_minutes=round(sum(card.cost.wall_minutes for card in cards), 2),
        device=first.cost.device,
        images_per_second=min(card.cost.images_per_second for card in cards),
    )
    return first.model_copy(
        update={
            "name": name, "title": title, "network": "ensemble", "arguments": {"members": members}, "tta": "flip",
            "parameters": sum(card.parameters for card in cards), "temperature": None, "cost": cost, "results": {},
            "recipe": {"members": {card.name: card.recipe for card in cards}},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )  # fmt: skip
