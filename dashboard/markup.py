"""Small tables and galleries as HTML: figures right-aligned, intervals in grey, a text for every image."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from math import isnan

import numpy as np
from numpy.typing import NDArray

from dashboard.text import interval
from fer_core.evaluation.intervals import Interval
from fer_core.labels import COLOURS

THUMBNAIL = 192  # pixels


@dataclass(frozen=True)
class Html:
    """Markup that is ready; any other text is escaped."""

    text: str


def table(
    header: Sequence[str], rows: Iterable[Sequence[str | Html]], *, words: Sequence[int] = (0,), picked: int = -1
) -> str:
    """A table whose columns `words` are text and whose others are figures; row number `picked` is emphasised."""

    def kind(column: int) -> str:
        return ' class="word"' if column in words else ""

    head = "".join(f'<th scope="col"{kind(i)}>{escape(name)}</th>' for i, name in enumerate(header))
    body = []
    for number, row in enumerate(rows):
        cells = [cell.text if isinstance(cell, Html) else escape(cell) for cell in row]
        first = f'<th scope="row"{kind(0)}>{cells[0]}</th>'
        rest = "".join(f"<td{kind(i)}>{cell}</td>" for i, cell in enumerate(cells[1:], 1))
        body.append(f"<tr{' class=picked' if number == picked else ''}>{first}{rest}</tr>")
    return (
        f'<div class="fer-scroll"><table class="fer-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def figure(share: float, bounds: Interval) -> Html:
    """A share in per cent with its 95 % interval, if it has one, beside it in grey."""
    if isnan(bounds.low):
        return Html(f"{100 * share:.1f}")
    return Html(f'{100 * share:.1f} <span class="fer-light">{interval(bounds)}</span>')


def expression(name: str) -> Html:
    """An expression's name behind a dot of its colour."""
    colour = COLOURS.get(name, "#888888")
    return Html(f'<span class="fer-dot" style="background:{colour}"></span>{escape(name)}')


def stack(title: str, shares: Mapping[str, float]) -> Html:
    """One bar of shares (0..1, in any order), the largest first, each in its expression's colour and with its name."""
    parts = sorted((name for name in shares if shares[name] > 0), key=shares.__getitem__, reverse=True)
    words = f"{title}: " + ", ".join(f"{name} {100 * shares[name]:.0f} %" for name in parts)
    bar = "".join(
        f'<span style="width:{100 * shares[name]:.1f}%;background:{COLOURS.get(name, "#bbbbbb")}"></span>'
        for name in parts
    )
    first = ", ".join(f"{name} {100 * shares[name]:.0f}" for name in parts[:2])
    return Html(
        f'<span class="fer-light">{escape(title)}</span> {escape(first)}'
        f'<span class="fer-stack" role="img" aria-label="{escape(words)}" title="{escape(words)}">{bar}</span>'
    )


def sparkline(shares: Sequence[float]) -> Html:
    """A curve of shares the size of a word, from its first value to its last; its words are for screen readers."""
    if len(shares) < 2:
        return Html("–")
    low, high = min(shares), max(shares)
    scale = 18 / (high - low) if high > low else 0.0
    points = " ".join(f"{96 * i / (len(shares) - 1):.1f},{20 - scale * (v - low):.1f}" for i, v in enumerate(shares))
    words = f"from {100 * shares[0]:.0f} to {100 * shares[-1]:.0f} %"
    return Html(
        f'<svg class="fer-spark" viewBox="0 0 96 22" width="96" height="22" role="img" aria-label="{words}">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )


@dataclass(frozen=True)
class Picture:
    """One image of a gallery: (H, W) or (H, W, 3) uint8, its text for screen readers, its caption, and a link."""

    pixels: NDArray[np.uint8]
    alt: str
    caption: Sequence[str | Html]
    href: str = ""


def gallery(pictures: Iterable[Picture]) -> str:
    return f'<div class="fer-gallery">{"".join(map(_figure, pictures))}</div>'


def _figure(picture: Picture) -> str:
    image = f'<img src="{data_uri(picture.pixels)}" alt="{escape(picture.alt)}">'
    if picture.href:
        image = f'<a href="{escape(picture.href)}">{image}</a>'
    caption = "<br>".join(line.text if isinstance(line, Html) else escape(line) for line in picture.caption)
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def data_uri(pixels: NDArray[np.uint8], most: int = THUMBNAIL) -> str:
    """An image as an address that holds it, reduced to at most that many pixels a side."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((most, most))
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"
