"""Tools of the field as networks: one file each, which finds its package at run time and asks it about faces.

A tool is a function from images to values, so it is judged and explained as any network without gradients. Where a tool
downloads its weights at the first call, its sentence says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_core.errors import CheckpointError
from fer_core.registry import Registry

Ask = Callable[[NDArray[np.uint8]], Any]


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes:
        package: to install.
        expressions: in the order of its values; `answers` says what they are.
        size, channels: of the faces it takes.
        trained_on: as its authors say.
        sentence: where its weights come from.
        make: a function (n, H, W[, 3]) uint8 -> (n, K); raises ImportError without the package.
    """

    package: str
    title: str
    expressions: tuple[str, ...]
    size: int
    channels: int
    answers: str
    trained_on: str
    sentence: str
    make: Callable[[], Ask]

    @property
    def reference(self) -> str:
        """As `fer_core.models.foreign.function` calls it."""
        return f"{self.make.__module__}:network"


TOOLS: Registry[Tool] = Registry("tool", __name__)


def called(tool: Tool) -> Ask:
    """The tool, ready to be asked.

    Raises:
        CheckpointError: its package is not installed.
    """
    try:
        return tool.make()
    except ImportError as error:
        raise CheckpointError(
            f"{tool.title} needs its package ({error.name} is missing): pip install {tool.package}. {tool.sentence}"
        ) from error
