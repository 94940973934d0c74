"""The table behind a chart, one click away, with its download."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from fer_core.spreadsheet import as_csv


def table_behind(what: str, table: pd.DataFrame, name: str, *, index: bool = False) -> None:
    """
    Args:
        what: “chart”, “charts”, “matrix”, “images”.
        name: of the csv file, without its end; each on a page has its own.
        index: whether the table's index is part of it.
    """
    with st.expander(f"Table behind the {what}"):
        st.dataframe(table, hide_index=not index)
        st.download_button("Download as csv", as_csv(table, index=index), f"{name}.csv", "text/csv", key=f"{name}.csv")
