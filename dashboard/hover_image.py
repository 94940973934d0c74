"""The image under the pointer: Plotly's own labels hold words only, so a box beside the pointer shows it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from io import BytesIO
from math import ceil

import numpy as np
import streamlit as st
from numpy.typing import NDArray

SIDE = 48  # pixels of an image on the sheet
COLUMNS = 64  # images in a row of the sheet
SHOWN = 96  # pixels of an image on the screen

# All images are one image, of which the box shows a part: a point under the pointer costs neither a request nor a rerun.
# The chart is looked for when the pointer enters it, because Streamlit may draw it after this.
SCRIPT = """
export default function ({ parentElement, data }) {
  const box = parentElement.querySelector("div");
  box.style.cssText = `position: fixed; z-index: 1000; pointer-events: none; display: none; border-radius: 3px;
    box-shadow: 0 1px 6px #0006; width: ${data.shown}px; height: ${data.shown}px;
    background: url(data:image/jpeg;base64,${data.sheet}) 0 0 / ${data.columns * data.shown}px auto`;
  let plot = null;
  const show = ({ points, event }) => {
    const row = points[0].customdata[0];
    const below = event.clientY + 24;
    const top = below + data.shown > window.innerHeight ? event.clientY - 24 - data.shown : below;
    box.style.backgroundPosition =
      `-${(row % data.columns) * data.shown}px -${Math.floor(row / data.columns) * data.shown}px`;
    box.style.left = `${event.clientX - data.shown / 2}px`;
    box.style.top = `${top}px`;
    box.style.display = "block";
  };
  const hide = () => { box.style.display = "none"; };
  const leave = () => {
    plot?.removeListener?.("plotly_hover", show);
    plot?.removeListener?.("plotly_unhover", hide);
    hide();
  };
  const enter = ({ target }) => {
    const found = target.closest?.(".js-plotly-plot");
    if (!found?.on || found === plot) return;
    leave();
    plot = found;
    plot.on("plotly_hover", show);
    plot.on("plotly_unhover", hide);
  };
  document.addEventListener("pointerover", enter);
  return () => { document.removeEventListener("pointerover", enter); leave(); };
}
"""
_box = st.components.v2.component("peek", html="<div></div>", js=SCRIPT)


def sheet(pictures: Iterable[NDArray[np.uint8]]) -> str:
    """Images (H, W) or (H, W, 3) uint8 side by side as one JPEG, in base64."""
    import cv2
    from PIL import Image

    small = np.stack([cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in pictures])
    rows = ceil(len(small) / COLUMNS)
    filled = np.concatenate([small, np.zeros((rows * COLUMNS - len(small), *small.shape[1:]), np.uint8)])
    tiles = filled.reshape(rows, COLUMNS, SIDE, SIDE, -1).swapaxes(1, 2).reshape(rows * SIDE, COLUMNS * SIDE, -1)
    buffer = BytesIO()
    Image.fromarray(tiles.squeeze(axis=2) if tiles.shape[2] == 1 else tiles).save(buffer, "JPEG", quality=70)
    return b64encode(buffer.getvalue()).decode()


def over_charts(pictures: str) -> None:
    """Show the image of the point under the pointer, over the page's Plotly charts.

    Args:
        pictures: a `sheet`; the first entry of a point's `customdata` is the picture's place in it.
    """
    _box(data={"sheet": pictures, "shown": SHOWN, "columns": COLUMNS})
