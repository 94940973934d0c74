"""Explain: what does the network look at? Maps of the pixels that speak for an expression, on one image."""

import io
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from dashboard import cache, cover
from dashboard.charts import networks as charts
from dashboard.parts import explain_maps
from dashboard.parts.explain_image import ExplainedImage, choose_image
from dashboard.pickers import Picked, picked, titles
from dashboard.text import verbatim
from fer_core.evaluation.intervals import percent
from fer_core.explanation.overlay import common_limit
from fer_core.explanation.regions import shares as attributed
from fer_core.faces.template import REGIONS, points_of, template
from fer_core.glossary import explained
from fer_core.serving.predictor import Prediction

LARGE = 320  # pixels of the image and of its first map


def main() -> None:
    st.title(
        "Explain: what does the network look at?",
        help=explained("Attribution map", "Saliency", "Grad-CAM", "Integrated gradients", "Deletion and insertion"),
    )
    choice = picked()
    if choice is None:
        st.info("There is no trained network yet. Train one on the rendered heads; this takes a few minutes.")
        st.page_link("views/train.py", label="Train a network")
        return
    image = choose_image(choice)
    if image is not None:
        prediction_and_maps(choice, image)


def prediction_and_maps(choice: Picked, image: ExplainedImage) -> None:
    """The image, one map of it and the prediction; below them a drawer with what else can be asked, and the other maps."""
    prediction = image.predict(cache.predictor(choice.checkpoint.folder))
    given = image.label if image.label in prediction.probs else None
    first = st.container(horizontal=True, gap="medium", key="first-map")
    rest = st.container()
    with st.expander("Other expressions, methods, networks and parameters"):
        asked = explain_maps.question(choice, prediction.predicted, given, prediction.probs)
        how = explain_maps.controls(choice)
    seen = [
        explain_maps.Seen(network, found.picture, found.probs)
        for network in asked.networks
        for found in [prediction if network is choice.checkpoint else image.predict(cache.predictor(network.folder))]
    ]
    maps = explain_maps.made(choice, seen, asked, how)
    limits = {
        name: common_limit([one.values for one in maps if one.method.name == name])
        for name in {m.method.name for m in maps}
    }

    def draw(one: explain_maps.Map, side: int) -> None:
        limit = limits[one.method.name] if how.shared else common_limit([one.values])
        explain_maps.draw(one, asked, how, limit, side, named=len(seen) > 1)

    with first:
        with st.container(width=LARGE):
            the_image(choice, image, prediction, given)
        if maps:
            draw(maps[0], LARGE)
        with st.container(width="stretch", key="asked-answer"):
            answer(prediction, given)
    for method in how.methods:
        others = [one for one in maps[1:] if one.method is method]
        if others:
            with rest:
                explain_maps.heading(others[0])
                with st.container(horizontal=True, gap="medium"):
                    for one in others:
                        draw(one, LARGE)
    if maps:
        shares_and_download(maps, image)
    figure_of_cases(choice)


def the_image(choice: Picked, image: ExplainedImage, prediction: Prediction, given: str | None) -> None:
    """The image as the network sees it; on demand the pointer covers its parts."""
    what = f"{image.name}, {f'label {given}' if given else 'no label'}"
    if st.session_state.get("cover"):
        cover.image(prediction, cache.covered(choice.checkpoint.folder, prediction.picture), LARGE, what)
    else:
        alt = f"The image as the network sees it: {what}"
        st.image(explain_maps.enlarged(prediction.picture), verbatim(image.name), LARGE, alt=alt)
    st.toggle(
        "Cover parts with the pointer", key="cover",
        help="Move over the image, touch it or use the arrow keys: a part is covered with grey, and the prediction without it is "
        "shown. The network predicts 37 images for this, which may take some seconds.",
    )  # fmt: skip


def answer(prediction: Prediction, given: str | None) -> None:
    """What the network predicts, with the probability of each expression."""
    probs, predicted = prediction.probs, prediction.predicted
    label = "" if given is None else f" The label is **{given}** ({percent(probs[given])})."
    if given == predicted:
        label = " The label is the same."
    st.markdown(f"The network predicts **{predicted}** with a confidence of {percent(prediction.confidence)}.{label}")
    st.plotly_chart(charts.probabilities(probs, given), key="probabilities", alt=f"Probabilities: {in_words(probs)}")
    if prediction.warnings:
        st.warning(verbatim(" ".join(prediction.warnings)))


def shares_and_download(maps: list[explain_maps.Map], image: ExplainedImage) -> None:
    """The share of each map in each region of the face, and the maps as arrays."""
    arrays: dict[str, Any] = {}
    shares = []
    for one in maps:
        arrays[f"{one.seen.network.name}/{one.method.name}/{one.target}"] = one.values
        height, width = one.seen.picture.shape[:2]
        regions = template(height, width, np.array(points_of(image.dataset)) * (width, height))
        parts = attributed(one.values[None], regions)[0]
        named = {"method": one.method.title, "explained": one.target, "network": titles()[one.seen.network.name]}
        shares.append(named | {r: None if np.isnan(v) else 100 * v for r, v in zip(REGIONS, parts, strict=True)})
    with st.expander("Share of each map in each region of the face (%)"):
        st.dataframe(
            pd.DataFrame(shares),
            hide_index=True,
            column_config={name: st.column_config.NumberColumn(format="%.1f") for name in REGIONS},
        )
        st.markdown(
            "The regions come from a fixed template. They are right for faces positioned as in FER2013, and a guess for others."
        )
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    stem = "".join(sign if sign.isalnum() else "-" for sign in image.name)
    st.download_button("Download maps (npz)", file.getvalue(), f"maps-{stem}.npz", help="One float32 array per map.")


def figure_of_cases(choice: Picked) -> None:
    """For each expression a right and a wrong case with their maps, as papers show them."""
    table = None if choice.table is None else cache.predictions(choice.checkpoint.tables[choice.table])
    if table is None or cache.dataset_of(table) is None:
        return
    if not st.button("Show a correct and a wrong example of each expression"):
        return
    sheet = cache.figure_of_cases(choice.checkpoint, choice.table or "", explain_maps.usual_layer(choice.checkpoint))
    st.image(sheet, alt="For each expression a correct and a wrong example: image, maps of both classes, saliency")
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG")
    st.download_button("Download figure (png)", file.getvalue(), f"{choice.checkpoint.name}-{choice.table}.png")


def in_words(probs: dict[str, float]) -> str:
    return ", ".join(f"{name} {percent(share)}" for name, share in probs.items())


main()
