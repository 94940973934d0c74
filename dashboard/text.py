"""Numbers and names as people read them, the same on every page."""

import re

from fer_core.evaluation.intervals import Interval


def verbatim(text: str) -> str:
    """A text in which Streamlit's Markdown sees nothing to format, such as a path or an error's sentence."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!$|~<>:])", r"\\\1", text)


def percent(share: float) -> str:
    """0.66201 -> “66.2 %”, with a space that does not break."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def interval(bounds: Interval) -> str:
    """A 95 % interval of a share, in per cent: “64.7 to 67.7”."""
    return f"{100 * bounds.low:.1f} to {100 * bounds.high:.1f}"


def table_title(key: str) -> str:
    """The key of a predictions table, “fer2013-val”, as “fer2013, val”."""
    dataset, _, split = key.rpartition("-")
    return f"{dataset}, {split}"


def pictures(n: int) -> str:
    return f"{n:,} picture" + ("s" if n != 1 else "")
