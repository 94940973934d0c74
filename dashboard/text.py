"""Numbers and names as people read them, the same on every page. How sentences are written: docs/style.md."""

import re

from fer_core.evaluation.intervals import Interval, percent


def verbatim(text: str) -> str:
    """A text in which Streamlit's Markdown sees nothing to format, such as a path or an error's sentence."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!$|~<>:])", r"\\\1", text)


def interval(bounds: Interval) -> str:
    """A 95 % interval of a share, in per cent: “64.7 to 67.7”."""
    return bounds.text()


def estimate(share: float, bounds: Interval, n: int | None = None) -> str:
    """A share with its interval, in bold: “**72.1 %** (95 % CI 70.6 to 73.6, n = 3,589)”; n the first time on a page."""
    size = "" if n is None else f", n = {n:,}"
    return f"**{percent(share)}** (95\N{NO-BREAK SPACE}% CI {interval(bounds)}{size})"


def images(n: int) -> str:
    return f"{n:,} image" + ("s" if n != 1 else "")
