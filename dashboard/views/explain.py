"""Explain: what does the network look at? Maps of the pixels that speak for an expression, on one image."""

import io

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from dashboard import cache
from dashboard.charts import networks as charts
from dashboard.parts import explain_maps
from dashboard.parts.explain_image import SIDE, ExplainedImage, choose_image
from dashboard.pickers import Picked, picked, titles
from dashboard.text import percent, verbatim
from fer_core.errors import FerError
from fer_core.explanation.regions import shares as attributed
from fer_core.faces.template import REGIONS, points_of, template
from fer_core.glossary import explained


def main() -> None:
    st.title(
        "Explain: what does the network look at?",
        help=explained("Attribution map", "Saliency", "Grad-CAM", "Integrated gradients", "Deletion and insertion"),
    )
    choice = picked()
    if choice is None:
        st.info("There is no trained network yet. Train one on the synthetic faces; this takes about a minute.")
        st.page_link("views/train.py", label="Train a network")
        return
    image = choose_image(choice)
    if image is not None:
        prediction_and_maps(choice, image)


def prediction_and_maps(choice: Picked, image: ExplainedImage) -> None:
    """The prediction for the image, and the maps of this network and others."""
    folder = choice.checkpoint.folder
    prediction = image.predict(cache.predictor(folder))
    probs, predicted = prediction.probs, prediction.predicted
    given = image.label if image.label in probs else None
    label = "" if given is None else f" The label is **{given}** ({percent(probs[given])})."
    if given == predicted:
        label = " The label is the same."
    st.markdown(f"The network predicts **{predicted}** with a confidence of {percent(prediction.confidence)}.{label}")
    if temperature := choice.checkpoint.card.temperature:
        st.caption(
            f"Probabilities are calibrated (temperature {temperature:.3f}), as on the Live page. Evaluate and Gallery show "
            "uncalibrated confidence, so their figures differ."
        )

    halves = st.container(horizontal=True, gap="medium")  # in a narrow window the maps go below the image
    with halves.container(width=SIDE + 40, horizontal=True, key="asked-picture"):
        label = f"label {given}" if given else "no label"
        st.image(
            explain_maps.enlarged(prediction.picture),
            verbatim(image.name),
            SIDE,
            alt=f"The image as the network sees it: {image.name}, {label}",
        )
        st.plotly_chart(
            charts.probabilities(probs, given), key="probabilities", alt=f"Probabilities: {in_words(probs)}"
        )
    with halves.container(width="stretch", key="asked-maps"):
        asked = explain_maps.question(choice, predicted, given, probs)
        methods, layer, strength, parameters = explain_maps.controls(choice)
        seen = [
            explain_maps.Seen(network, found.picture, found.probs)
            for network in asked.networks
            for found in [image.predict(cache.predictor(network.folder))]
        ]
        arrays: dict[str, NDArray[np.float32]] = {}
        shares: list[dict[str, object]] = []
        for method in methods:
            made = []
            for one in seen:
                where = layer if one.network.name == choice.checkpoint.name else explain_maps.usual_layer(one.network)
                try:
                    maps = cache.maps(
                        one.network.folder, one.picture, tuple(asked.targets), method.name, where,
                        against=asked.against, **parameters.get(method.name, {}),
                    )  # fmt: skip
                except FerError as error:
                    st.info(verbatim(f"{titles()[one.network.name]}: {error}" if len(seen) > 1 else str(error)))
                    continue
                made.append((one, where, maps))
            if not made:
                continue
            explain_maps.draw_method(method, made, asked, choice, strength)
            for one, _, maps in made:
                points = np.array(points_of(image.dataset)) * one.picture.shape[1::-1]
                regions = template(*one.picture.shape[:2], points)
                for target, values in zip(asked.targets, maps.map, strict=True):
                    arrays[f"{one.network.name}/{method.name}/{target}"] = values
                    parts = attributed(values[None], regions)[0]
                    named = {"method": method.title, "explained": target, "network": titles()[one.network.name]}
                    shares.append(
                        named | {r: None if np.isnan(v) else 100 * v for r, v in zip(REGIONS, parts, strict=True)}
                    )
        if arrays:
            shares_and_download(arrays, shares, image)
    figure_of_cases(choice)


def shares_and_download(
    arrays: dict[str, NDArray[np.float32]], shares: list[dict[str, object]], image: ExplainedImage
) -> None:
    """The share of each map in each region of the face, and the maps as arrays."""
    with st.expander("Share of each map in each region of the face (%)"):
        st.dataframe(
            pd.DataFrame(shares),
            hide_index=True,
            column_config={name: st.column_config.NumberColumn(format="%.1f") for name in REGIONS},
        )
        st.caption(
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
