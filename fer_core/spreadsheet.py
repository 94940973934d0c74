"""Tables for spreadsheet programs, which run a cell that begins with = as a formula.

Names of files, networks and labels may come from others, so such cells are made harmless. Files that FERscope itself
reads keep every name unchanged.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # OWASP, “CSV injection”


def inert(cell: Any) -> Any:
    """A cell; a text that a spreadsheet would run gets an apostrophe in front, which shows it as it is. Its line breaks,
    behind which a reader may see a new row, become spaces."""
    if not isinstance(cell, str):
        return cell
    text = f"'{cell}" if cell.startswith(FORMULA) else cell
    return text.replace("\r", " ").replace("\n", " ")


def as_csv(table: pd.DataFrame, *, index: bool = False) -> str:
    """A table as csv whose texts are inert; numbers, also negative ones, stay numbers."""
    texts = [at for at, kind in enumerate(table.dtypes) if not pd.api.types.is_numeric_dtype(kind)]
    made = table.rename(columns=inert, index=inert if index else None)
    for at in texts:
        made.isetitem(at, [inert(cell) for cell in table.iloc[:, at]])
    return made.to_csv(index=index)
