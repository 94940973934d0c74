"""The learning curves that several pages show: accuracy and loss beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.charts.networks import OVER, Over, curves
from dashboard.pickers import switch
from fer_core.runs.folder import EpochResult


def show(histories: Mapping[str, Sequence[EpochResult]], key: str = "curves", *, epochs: int = 0) -> None:
    """Draw the histories of networks by their titles; `epochs` as in `charts.networks.curves`. Of trainings that have
    ended, over what to draw them can be chosen."""
    over: Over = "epoch"
    if not epochs:
        over = switch("Horizontal axis", OVER, f"{key}-over", "epoch", label_visibility="collapsed")
    for place, name, chart in zip(st.columns(2), ("accuracy", "loss"), curves(histories, epochs, over), strict=True):
        place.container(key=f"{key}-{name}").altair_chart(chart)
