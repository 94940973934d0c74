"""The built-in set “heads”: seven expressions of 300 rendered people, whose actions, light and view are known.

It is rendered on first use (2,100 images of 48 x 48 pixels) and then lies in the cache. “heads@shipped” is the part that
ships with the program, which needs no rendering.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from fer_core.datasets import OnBad, Reading, reader
from fer_core.labels import FER7

HEADS = "heads"

# Called with the number of images done and of all while the set is rendered; a page or the command line may set it.
progress: Callable[[int, int], None] | None = None


@reader(
    HEADS,
    title="Rendered heads",
    dataset=HEADS,
    recognises=lambda path: str(path) == HEADS,
    licence="CC0 (shapes from MakeHuman and the Face Units)",
    protocol="Each person is in one split; train on train, choose on val, report test.",
    modes=("shipped",),
)
def read(path: Path, on_bad: OnBad, mode: str = "") -> Reading:
    """All people, or those that ship.

    Raises:
        DataError: the head model or the shipped images are missing or torn.
    """
    from fer_core.heads.collection import generate
    from fer_core.heads.shipped import shipped

    # A worker process pays from a few hundred images on.
    done = shipped() if mode == "shipped" else generate(workers=max(1, min(4, os.cpu_count() or 1)), progress=progress)
    return Reading(pd.DataFrame(done.rows), FER7, done.images, done.masks)
