"""What was made elsewhere: predictions, networks and tools of other programs, brought into this workspace.

Whatever is imported becomes an ordinary network of the workspace, a folder with a card, so that every page and command
takes it as it takes any other. One file a kind of thing; nothing here unpickles.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fer_core.checkpoint import UNKNOWN, Card, Cost, write_card
from fer_core.faces import FaceCrop
from fer_core.images import ImageSpec
from fer_core.labels import VOCABULARIES, Expressions, canonical
from fer_core.recipe import About, TrainConfig
from fer_core.runs.folder import RunFolder


def named_order(names: tuple[str, ...]) -> Expressions:
    """Names as somebody typed them, each by its standard word where it has one, as a vocabulary: a known one, or “custom”.

    Raises:
        DataError: one occurs twice.
    """
    words = tuple(canonical(name) or name.strip().lower() for name in names)
    known = next((one for one in VOCABULARIES.values() if one.names == words), None)
    return known or Expressions("custom", words)


@contextmanager
def imported(name: str, title: str, source: str, content: bytes, network: str) -> Iterator[RunFolder]:
    """A finished run's folder for something that is imported, into which weights or tables and the card are then written;
    gone again where that fails.

    Args:
        source: the name of its file, or what it is.
        content: of the file; its digest tells two versions apart.
        network: by which the card will be built.

    Raises:
        RunError: the name is taken, or cannot be a folder's.
    """
    digest = hashlib.sha256(content).hexdigest()
    about = About(title=title, source=f"imported from {source} (SHA-256 {digest[:12]})")
    run = RunFolder.create(name, TrainConfig(about=about, network=network), UNKNOWN)
    try:
        yield run
        run.write(replace(run.status(), state="finished", message=f"Imported from {source}."))
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise


def card_of(run: RunFolder, title: str, expressions: Expressions, network: str, **known: Any) -> Card:
    """Write the card of an imported network, with what is known of it; what is not known is empty or 0.

    Args:
        known: further fields of the card.
    """
    fields: dict[str, Any] = {
        "name": run.name, "title": title, "network": network, "parameters": 0,
        "expressions_name": expressions.name, "expressions": expressions.names,
        "image": ImageSpec(), "face": FaceCrop(), "data": UNKNOWN, "train_images": 0, "chosen_on": UNKNOWN,
        "best_epoch": 0, "epochs": 0, "seed": 0, "recipe": {"imported": run.config().about.source},
        "versions": {"ferscope": version("ferscope"), "python": platform.python_version()},
        "cost": Cost(cpu_minutes=0, wall_minutes=0, device="", images_per_second=0),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    card = Card.model_validate(fields | known)
    write_card(run.path, card)
    return card


def suggested_name(path: str | Path) -> str:
    """A run's name from a file's: letters, digits and hyphens."""
    stem = Path(path).name.partition(".")[0]
    return "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in stem).strip("-").lower() or "imported"
