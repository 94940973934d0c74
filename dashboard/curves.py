"""The learning curves that several pages show: accuracy and loss beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.charts.networks import curves
from fer_core.runs.folder import EpochResult


def show(histories: Mapping[str, Sequence[EpochResult]], key: str = "curves", *, epochs: int = 0) -> None:
    """Draw the histories of networks by their titles; `epochs` as in `charts.networks.curves`."""
    for place, name, chart in zip(st.columns(2), ("accuracy", "loss"), curves(histories, epochs), strict=True):
        place.container(key=f"{key}-{name}").altair_chart(chart)
