"""Small tables and galleries as HTML: figures right-aligned, intervals in grey, a text for every image.

All of it is drawn by macros of `templates/`, which escape every text that is not `Markup` already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from fer_core.labels import COLOURS
from fer_core.reports.html import Cell, environment, part

THUMBNAIL = 192  # pixels
TEMPLATES = environment(Path(__file__).with_name("templates"))


def _part(macro: str, *values: object) -> Markup:
    return part("parts.html", macro, *values, within=TEMPLATES)


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    words: Sequence[int] = (0,),
    picked: int = -1,
    grey: Sequence[bool] = (),
) -> Markup:
    """A table whose columns `words` are text and whose others are figures.

    Args:
        picked: number of the row to emphasise.
        grey: the rows that are not significant.
    """
    return part("macros.html", "table", header, list(rows), grey, words, picked, within=TEMPLATES)


def light(text: str) -> Markup:
    """A text in grey."""
    return _part("light", text)


def expression(name: str) -> Markup:
    """An expression's name behind a dot of its colour."""
    return _part("expression", name, COLOURS.get(name, "#888888"))


def bars(rows: Iterable[tuple[str, float, str]], predicted: str) -> Markup:
    """The probability of each expression as a bar.

    Args:
        rows: name, probability in 0..1, and colour of the bar (“” for the page's own).
        predicted: the name to emphasise.
    """
    return _part("bars", list(rows), predicted)


def stack(title: str, shares: Mapping[str, float]) -> Markup:
    """One bar of shares (0..1, in any order), the largest first, each in its expression's colour and with its name."""
    parts = sorted((name for name in shares if shares[name] > 0), key=shares.__getitem__, reverse=True)
    words = f"{title}: " + ", ".join(f"{name} {100 * shares[name]:.0f} %" for name in parts)
    first = ", ".join(f"{name} {100 * shares[name]:.0f}" for name in parts[:2])
    return _part("stack", title, first, words, [(COLOURS.get(name, "#bbbbbb"), 100 * shares[name]) for name in parts])


def sparkline(shares: Sequence[float]) -> Markup:
    """A curve of shares the size of a word, from its first value to its last; its words are for screen readers."""
    if len(shares) < 2:
        return Markup("–")
    low, high = min(shares), max(shares)
    scale = 18 / (high - low) if high > low else 0.0
    points = " ".join(f"{96 * i / (len(shares) - 1):.1f},{20 - scale * (v - low):.1f}" for i, v in enumerate(shares))
    return _part("sparkline", points, f"from {100 * shares[0]:.0f} to {100 * shares[-1]:.0f} %")


def small_matrix(confusion: NDArray[np.int64], names: Sequence[str]) -> Markup:
    """A confusion matrix as coloured squares: rows are labels, columns predictions, colour the share of the label."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    rows = [
        [
            (f"{label} predicted as {given}: {100 * share:.0f} %", float(share))
            for given, share in zip(names, row, strict=True)
        ]
        for label, row in zip(names, shares, strict=True)
    ]
    right = ", ".join(f"{name} {100 * shares[i, i]:.0f} %" for i, name in enumerate(names))
    return _part("small_matrix", rows, f"Confusion matrix. Recall: {right}")


@dataclass(frozen=True)
class Picture:
    """One image of a gallery: (H, W) or (H, W, 3) uint8, its text for screen readers, its caption, and a link."""

    pixels: NDArray[np.uint8]
    alt: str
    caption: Sequence[str]
    href: str = ""


def gallery(pictures: Iterable[Picture], *, pairs: bool = False) -> Markup:
    """Images with their captions; `pairs`: each of them is two images side by side."""
    return _part("gallery", list(pictures), THUMBNAIL, pairs)


def headed(heading: str, n: int, images: Markup) -> Markup:
    """A gallery below its heading and number of images."""
    return _part("headed", heading, n, images)
