"""Mean maps of the Regions page, and what draws them."""

from collections.abc import Iterable

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard.pickers import choose
from fer_core.explanation import METHODS, by_kind
from fer_core.explanation.overlay import colour, common_limit
from fer_core.explanation.region_report import RegionReport

SIDE = 132  # pixels of a mean map
BOX = 300


def mean_maps(report: RegionReport) -> None:
    st.subheader("Mean map of each expression")
    method = choose(
        "Method of the mean maps",
        sorted_by_kind(report.means["method"].unique()),
        "mean",
        title_and_kind,
        place=st.container(width=BOX),
    )
    table = report.means[report.means["method"] == method]
    maps = {
        (str(name), int(rows["n"].iloc[0])): rows.sort_values(["y", "x"])["mean"]
        .to_numpy(np.float32)
        .reshape(rows["y"].max() + 1, -1)
        for name, rows in table.groupby("expression", sort=False)
    }
    signed = METHODS.get(str(method)).signed
    limit = common_limit(maps.values())
    with st.container(horizontal=True, gap="small"):
        for (name, n), one in maps.items():
            st.image(
                enlarged(colour(one, signed=signed, limit=limit)), f"{name}, n = {n:,}", SIDE,
                alt=f"Mean map of {name}, {n} images",
            )  # fmt: skip
        scale(signed, limit)
    st.caption(
        "Each map is first divided by the mean of its absolute values, so an even map is "
        f"{'1 or −1' if signed else '1'} everywhere."
    )


def scale(signed: bool, limit: float) -> None:
    low = -limit if signed else 0.0
    ramp = np.linspace(low, limit, SIDE, dtype=np.float32)[None].repeat(14, axis=0)
    st.image(
        colour(ramp, signed=signed, limit=limit),
        f"{low:.2g} to {limit:.2g}",
        SIDE,
        alt=f"Scale, {low:.2g} to {limit:.2g}",
    )


def enlarged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    return cv2.resize(pixels, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)


def title_of(method: str) -> str:
    return METHODS.get(method).title


def title_and_kind(method: str) -> str:
    """“Grad-CAM, class activation”, as a picker names it."""
    return f"{title_of(method)}, {METHODS.get(method).kind}"


def sorted_by_kind(names: Iterable[str]) -> list[str]:
    """Methods as pickers and tables have them: those of a kind together."""
    asked = set(names)
    return [method.name for methods in by_kind().values() for method in methods if method.name in asked]
