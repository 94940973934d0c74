"""Figures of a report as SVG text: no script, no font to load, the same in print, and light or dark as the page is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from fer_core.evaluation.metrics import Counts, support

ACCENT, QUIET = "#3b7fb8", "#8a9099"
CIVIDIS = ("#00224e", "#2a3f6d", "#575d6d", "#7d7c78", "#a69d75", "#d3c064", "#fee838")


def _drawing(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(title)}" '
        f'font-family="sans-serif" font-size="12" fill="currentColor"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", fill: str = "currentColor") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {more}/>'


def matrix(counts: Counts, expressions: Sequence[str]) -> str:
    """A confusion matrix: rows the label, columns the prediction, coloured by the share of the label."""
    cell, left, top, k = 62, 130, 34, len(expressions)
    given = support(counts)
    parts = []
    for i, label in enumerate(expressions):
        parts.append(_text(left - 8, top + cell * (i + 0.5) + 4, f"{label}, {given[i]:,}", "end"))
        parts.append(_text(left + cell * (i + 0.5), top - 10, label, "middle"))
        for j in range(k):
            share = float(counts[i, j] / given[i]) if given[i] else 0.0
            x, y = left + cell * j, top + cell * i
            ink = "#ffffff" if share < 0.55 else "#000000"
            colour = CIVIDIS[round(share * (len(CIVIDIS) - 1))]
            parts.append(f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill="{colour}"/>')
            parts.append(_text(x + cell / 2, y + 28, f"{counts[i, j]:,}", "middle", ink))
            parts.append(_text(x + cell / 2, y + 44, f"{100 * share:.0f} %", "middle", ink))
    title = "Confusion matrix: rows are labels with their number of pictures, columns predictions"
    return _drawing(left + cell * k + 10, top + cell * k + 10, title, parts)


def _scale(low: float, high: float, start: float, end: float) -> tuple[float, float]:
    """Slope and offset that take low..high to start..end."""
    slope = (end - start) / ((high - low) or 1.0)
    return slope, start - slope * low


def intervals(table: pd.DataFrame, figure: str, title: str) -> str:
    """One figure of several networks with its intervals, in per cent.

    Args:
        table: `title`, `n`, and the figure with `_low` and `_high`, as shares.
    """
    left, width, row = 260, 640, 26
    low, high = 100 * float(table[f"{figure}_low"].min()), 100 * float(table[f"{figure}_high"].max())
    slope, offset = _scale(low, high, left + 10, width - 20)
    parts, bottom = [], 14 + row * len(table)
    for place, values in enumerate(table.to_dict("records")):
        y = 20 + row * place
        a, b, c = (slope * 100 * values[figure + end] + offset for end in ("_low", "", "_high"))
        parts.append(_text(left - 10, y + 4, f"{_fitting(values['title'])}, n = {values['n']:,}", "end"))
        parts.append(_line(a, y, c, y, ACCENT, 'stroke-width="2"'))
        parts.append(f'<circle cx="{b:.1f}" cy="{y}" r="4.5" fill="{ACCENT}"/>')
    parts.append(_text(left + 10, bottom + 16, f"{low:.1f}", "middle"))
    parts.append(_text(width - 20, bottom + 16, f"{high:.1f}", "middle"))
    parts.append(_text((left + width) / 2, bottom + 16, f"{title} (%), 95 % intervals", "middle"))
    return _drawing(width, bottom + 26, f"{title} of {len(table)} networks", parts)


def _fitting(title: str) -> str:
    """Both ends of a long title: networks of one title are told apart by what stands last."""
    return title if len(title) <= 34 else f"{title[:15]}…{title[-18:]}"


def curves(
    tables: Mapping[str, pd.DataFrame], x: str, y: str, names: tuple[str, str], diagonal: bool = False, low: float = 0.0
) -> str:
    """Curves of shares with the intervals of the first, in per cent.

    Args:
        tables: a name to a table with the columns `x`, `y`, and `y` with `_low` and `_high`.
        names: what the axes are called.
        diagonal: whether to draw the line where both are equal.
        low: where the y axis begins, 0..1.
    """
    side, left, top = 300, 52, 28
    right, bottom = left + side, top + side
    down, shift = _scale(low, 1, bottom, top)
    parts = [f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="none" stroke="{QUIET}"/>']
    for tick in (0, 25, 50, 75, 100):
        parts.append(_text(left + side * tick / 100, bottom + 16, str(tick), "middle"))
        value = 100 * low + (100 - 100 * low) * tick / 100
        parts.append(_text(left - 6, bottom - side * tick / 100 + 4, f"{value:.0f}", "end"))
    if diagonal:
        parts.append(_line(left, bottom, right, top, QUIET, 'stroke-dasharray="3 3"'))
    for place, (name, table) in enumerate(tables.items()):
        colour, dash = (ACCENT, "") if place == 0 else ("#D55E00", 'stroke-dasharray="6 4"')
        across, ups = left + side * table[x], down * table[y] + shift
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, ups, strict=True))
        if place == 0:
            for a, one, two in zip(across, table[f"{y}_low"], table[f"{y}_high"], strict=True):
                ends = (down * max(low, one) + shift, down * two + shift)
                parts.append(_line(a, ends[0], a, ends[1], colour, 'stroke-opacity="0.35"'))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" {dash}/>')
        parts.append(_text(left + 4 + 150 * place, top - 10, name, fill=colour))
    parts.append(_text(left + side / 2, bottom + 34, f"{names[0]} (%)", "middle"))
    middle = top + side / 2
    parts.append(f'<g transform="rotate(-90 14 {middle})">{_text(14, middle, f"{names[1]} (%)", "middle")}</g>')
    return _drawing(right + 20, bottom + 44, f"{names[1]} against {names[0]}: {', '.join(tables)}", parts)
