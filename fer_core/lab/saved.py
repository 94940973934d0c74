"""A setting as a data set: many people with one or more expressions, rendered into a folder and known to the workspace."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fer_core.datasets import known
from fer_core.datasets.scenes import LIST
from fer_core.errors import ConfigError, DataError
from fer_core.heads import render
from fer_core.heads.actions import usual_mouth
from fer_core.heads.collection import Item, row
from fer_core.lab.answers import Progress
from fer_core.lab.setting import Setting
from fer_core.workspace import home

MOST = 1000  # people


def free_name(stem: str) -> str:
    """The first name of stem, stem-2, stem-3, ... that stands for no data set."""
    number = 1
    while (name := stem if number == 1 else f"{stem}-{number}") in known.known() or _folder(name).exists():
        number += 1
    return name


def save(
    name: str, setting: Setting, expressions: Sequence[str], people: Sequence[int], size: int = 48,
    progress: Progress | None = None,
) -> str:  # fmt: skip
    """Render people in a setting and add the images to the workspace as a data set. A stopped one leaves nothing.

    Args:
        name: of the data set.
        people: their numbers, as `person_scene` takes them.
        size: pixels along both sides.
        progress: called with the number of people done and of all.

    Returns:
        The name.

    Raises:
        DataError: it is no name for a data set, or stands for one.
        UnknownName: there is no such expression.
        ConfigError: nobody, too many people, no expression, or a value of the setting that is out of its range.
    """
    from PIL import Image

    known.refuse_name(name)
    if free_name(name) != name:
        raise DataError(f"There is a data set “{name}” already; choose another name, such as {free_name(name)}.")
    if not 1 <= len(people) <= MOST or not expressions:
        raise ConfigError(
            f"A set of rendered heads has 1 to {MOST:,} people and at least one expression, found {len(people):,} and "
            f"{len(expressions)}."
        )
    (home() / "sets").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home() / "sets", prefix=".") as unfinished:
        rows: list[dict[str, Any]] = []
        place = Path(unfinished) / name
        place.mkdir()
        for done, number in enumerate(people, 1):
            scenes = [setting.show(expression, number).scene for expression in expressions]
            scenes = [scene.model_copy(update={"seed": len(rows) + i}) for i, scene in enumerate(scenes)]
            for expression, scene, image in zip(expressions, scenes, render(scenes, size, colour=True), strict=True):
                one = row(Item(number, expression, setting.mouth or usual_mouth(expression), scene))
                file = io.BytesIO()
                Image.fromarray(image).save(file, "PNG")
                (place / f"{one['id']}.png").write_bytes(file.getvalue())
                rows.append(one | {"split": "test", "person": f"person-{number:04d}", "file": f"{one['id']}.png"})
            if progress is not None:
                progress(done, len(people))
        pd.DataFrame(rows).to_csv(place / LIST, index=False)
        place.rename(_folder(name))
    return known.add(_folder(name), name)


def _folder(name: str) -> Path:
    return home() / "sets" / name
