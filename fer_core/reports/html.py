"""HTML by Jinja2: every text is escaped unless a template made it. Reports have their templates and macros in `templates/`;
other packages add templates of their own by `environment`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from fer_core.evaluation.comparison import p_value
from fer_core.evaluation.intervals import Interval, percent

Cell = str | tuple[str, str]  # of a table: a text, or a figure and its interval, in grey
OWN = Path(__file__).with_name("templates")


def share(value: float, ends: Interval | None = None) -> Cell:
    """A share in per cent, without the sign, beside its interval if there is one."""
    if isnan(value):
        return "–"
    return (f"{100 * value:.1f}", ends.text()) if ends and not isnan(ends.low) else f"{100 * value:.1f}"


def points(difference: float) -> str:
    """A difference of shares in points, with its sign."""
    return "" if isnan(difference) else f"{100 * difference:+.1f}"


def png(image: NDArray[np.uint8], side: int = 0, most: int = 0) -> str:
    """An image as a data URL for an `img`.

    Args:
        side: pixels to which both sides are resized; 0 keeps them.
        most: pixels to which the longer side is shrunk, if it is longer; 0 keeps it.
    """
    from PIL import Image

    picture = Image.fromarray(image)
    if side:
        picture = picture.resize((side, side))
    if most:
        picture.thumbnail((most, most))
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"


def csv_address(table: pd.DataFrame) -> str:
    """A table as a data URL, for a download link."""
    return f"data:text/csv;base64,{b64encode(table.to_csv(index=False).encode()).decode()}"


def as_text(table: pd.DataFrame) -> Sequence[Sequence[str]]:
    """The rows of a table with numbers to four digits."""
    return [
        [
            f"{cell:.4g}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else str(cell)
            for cell in row
        ]
        for row in table.itertuples(index=False, name=None)
    ]


def environment(*folders: Path) -> Environment:
    """Templates of these folders, which may use those of the reports, with the same filters and escaping."""
    made = Environment(
        loader=FileSystemLoader([*folders, OWN]),
        autoescape=lambda name: name is None or not name.endswith(".md"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": percent,
        "points": points,
        "p": p_value,
        "png": png,
        "csv": csv_address,
        "as_text": as_text,
        "thousands": "{:,}".format,
    }
    return made


REPORTS = environment()


def render(template: str, **values: object) -> str:
    """A whole document of a template of the reports."""
    return REPORTS.get_template(template).render(**values)


def part(template: str, macro: str, *values: object, within: Environment = REPORTS) -> Markup:
    """One macro of a template, for a page that has its own frame."""
    return Markup(getattr(within.get_template(template).module, macro)(*values)).strip()
