"""An image whose parts the pointer covers: beside the pointer it says what the network predicts then."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fer_core.explanation.cover import CELLS, SHARE
from fer_core.reports.html import png
from fer_core.serving.predictor import Prediction

# All answers are sent with the image, so that moving the pointer costs neither a request nor a rerun.
SCRIPT = """
export default function ({ parentElement, data }) {
  const root = parentElement.querySelector(".cover");
  root.innerHTML = "";
  root.style.cssText = "font-family: inherit; color: inherit";
  const frame = document.createElement("div");
  frame.style.cssText = `position: relative; width: ${data.side}px; max-width: 100%; aspect-ratio: 1; overflow: hidden;
    border-radius: 4px; touch-action: none; cursor: crosshair`;
  frame.tabIndex = 0;
  frame.setAttribute("role", "img");
  frame.setAttribute("aria-label", `${data.alt}. Move over it, or use the arrow keys, to cover a part.`);
  const image = document.createElement("img");
  image.src = data.image;
  image.alt = "";
  image.style.cssText = "width: 100%; height: 100%; display: block";
  const patch = document.createElement("div");
  patch.style.cssText = `position: absolute; display: none; background: #808080; outline: 1px solid #ffffffcc;
    width: ${100 * data.share}%; height: ${100 * data.share}%`;
  frame.append(image, patch);
  const words = document.createElement("p");
  words.setAttribute("aria-live", "polite");
  words.style.cssText = `min-height: 3em; margin: 0.35rem 0 0; font-size: 0.875rem; line-height: 1.5; max-width: ${data.side}px`;
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const whole = data.probs[0], best = whole.indexOf(Math.max(...whole));
  const still = `Uncovered: ${data.names[best]} ${percent(whole[best])}.`;
  let cell = [data.cells >> 1, data.cells >> 1];
  const show = (row, column) => {
    cell = [row, column];
    patch.style.display = "block";
    patch.style.left = `${100 * ((column + 0.5) / data.cells - data.share / 2)}%`;
    patch.style.top = `${100 * ((row + 0.5) / data.cells - data.share / 2)}%`;
    const now = data.probs[1 + row * data.cells + column], first = now.indexOf(Math.max(...now));
    words.textContent = `Covered here: ${data.names[best]} ${percent(whole[best])} → ${percent(now[best])}` +
      (first === best ? ", still the prediction." : `. The prediction becomes ${data.names[first]} (${percent(now[first])}).`);
  };
  const hide = () => { patch.style.display = "none"; words.textContent = still; };
  const at = (event) => {
    const box = frame.getBoundingClientRect();
    const place = (value, size) => Math.min(data.cells - 1, Math.max(0, Math.floor(data.cells * value / size)));
    show(place(event.clientY - box.top, box.height), place(event.clientX - box.left, box.width));
  };
  frame.addEventListener("pointermove", at);
  frame.addEventListener("pointerdown", at);
  frame.addEventListener("pointerleave", hide);
  frame.addEventListener("blur", hide);
  frame.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    show(...cell.map((value, axis) => Math.min(data.cells - 1, Math.max(0, value + step[axis]))));
  });
  root.append(frame, words);
  hide();
}
"""
_cover = st.components.v2.component("cover", html='<div class="cover"></div>', js=SCRIPT)


def image(prediction: Prediction, covered: NDArray[np.float64], side: int, alt: str) -> None:
    """Draw an image of `side` pixels whose parts can be covered.

    Args:
        covered: as `fer_core.explanation.cover.covered` gives them, in the order of the prediction's expressions.
    """
    import cv2

    large = cv2.resize(prediction.picture, (2 * side, 2 * side), interpolation=cv2.INTER_CUBIC).astype(
        np.uint8, copy=False
    )
    _cover(
        data={
            "image": png(large), "side": side, "alt": alt, "cells": CELLS, "share": SHARE,
            "names": list(prediction.probs), "probs": covered.round(4).tolist(),
        }
    )  # fmt: skip
