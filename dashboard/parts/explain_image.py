"""The image that the Explain page explains: from the data set, uploaded, or from the camera."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import cache, gallery
from dashboard.pickers import Picked, choose, linked, to_address
from dashboard.text import verbatim
from fer_core.checkpoint import Card
from fer_core.datasets.heads import HEADS
from fer_core.datasets.identity import HASH
from fer_core.datasets.titles import dataset_title, table_in_words, table_title
from fer_core.errors import FerError
from fer_core.evaluation.gallery import positions
from fer_core.images import decode
from fer_core.serving.predictor import Prediction, Predictor

SIDE = 192  # pixels of an image on the page
WIDE = 250  # of the box with the longest words
BOX = 180  # pixels of a select box in a row that wraps on a narrow page


@dataclass(frozen=True, eq=False)
class ExplainedImage:
    """How a network predicts the image, what it is called, its label and data set, if there are any."""

    predict: Callable[[Predictor], Prediction]
    name: str
    label: str | None
    dataset: str = ""


def choose_image(choice: Picked) -> ExplainedImage | None:
    """Where the image comes from, and which one."""
    sources = {"heads": table_title(f"{HEADS}-val"), "upload": "Upload an image", "camera": "Use the camera"}
    row = st.container(horizontal=True, vertical_alignment="bottom")
    dataset = None
    if choice.table is not None:
        table = cache.predictions(choice.checkpoint.tables[choice.table])
        dataset = cache.dataset_of(table)
        sources = {"table": table_title(choice.table), **sources}
        if dataset is not None and dataset.name == HEADS:
            del sources["heads"]
    source = choose("Image from", list(sources), "source", sources.__getitem__, place=row.container(width=WIDE))
    if source in ("upload", "camera"):
        return own_photo(choice.checkpoint.card, source == "camera")
    if source == "table" and dataset is None:
        st.info(
            f"The images of {verbatim(table_in_words(choice.table or ''))} are not on this machine, or this workspace does not "
            "know their path. Add the data set, or choose another source in the box above."
        )
        gallery.ways_on()
        return None
    if source == "table":
        known = table.table.filter(["id", "split", "label", HASH])
        frame = known.assign(correct=table.correct, predicted=table.predicted)
    else:
        dataset = cache.dataset(HEADS)
        frame = dataset.index.loc[dataset.index["split"] == "val", ["id", "split", "label", HASH]]
    chosen = browse(frame, row)
    if chosen is None or dataset is None:
        return None
    place = int(positions(dataset, chosen.to_frame().T)[0])
    if place < 0:
        st.info(
            verbatim(
                f"{dataset_title(dataset.name)} does not contain image {chosen.id} of the table. Evaluate the network again."
            )
        )
        return None
    opened = dataset
    name = f"{dataset_title(dataset.name)}, image {chosen.id}"
    return ExplainedImage(lambda network: network.predict_row(opened, place), name, str(chosen.label), dataset.name)


def browse(frame: pd.DataFrame, row: DeltaGenerator) -> pd.Series | None:
    """One row of a table of images, chosen by filters, neighbours and the address; drawn into `row`."""
    names = ["all", *sorted(frame["label"].unique())]
    expression = choose("Label", names, "label", place=row.container(width=BOX))
    if expression != "all":
        frame = frame[frame["label"] == expression]
    if "correct" in frame:
        kind = choose("Show", ["all", "wrong", "right"], "only", place=row.container(width=BOX))
        if kind != "all":
            frame = frame[frame["correct"] == (kind == "right")]
    ids = frame["id"].astype(str).tolist()
    if not ids:
        st.info("No image matches these filters. Choose “all” in one of them.")
        return None
    position = ids.index(linked("image", ids, ids[0], "image"))
    for name, key, step in (("Previous", "Left", -1), ("Next", "Right", 1)):
        neighbour = position + step
        inside = 0 <= neighbour < len(ids)
        to = (ids[neighbour if inside else position],)
        row.button(name, disabled=not inside, on_click=go_to, args=to, shortcut=key)
    to_address("image", ids[position])
    row.caption(f"{position + 1:,} of {len(ids):,}")
    return frame.iloc[position]


def go_to(image: str) -> None:
    st.query_params["image"] = image


def own_photo(card: Card, camera: bool) -> ExplainedImage | None:
    """A photo of the user, whole or cropped to the face in it."""
    row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom")
    file = (
        row.camera_input("Photo of your face", width=2 * SIDE)
        if camera
        else row.file_uploader("PNG or JPEG file", ["png", "jpg", "jpeg"], width=2 * SIDE)
    )
    label = row.selectbox("Your label (optional)", ["none", *card.expressions], width=BOX)
    given = None if label == "none" else label
    find = row.toggle("Crop to the face", card.face.detector != "none", help=f"Face detector: {card.face.detector}.")
    if file is None:
        st.markdown("Your images are not stored.")
        return None
    try:
        photo = decode(file.getvalue())
        faces = cache.faces(file.getvalue(), card.face) if find else []
    except FerError as error:
        st.error(verbatim(str(error)))
        return None
    if find and not faces:
        st.warning(
            "No face was found, so there is nothing to explain. A sharp photo from the front works best. To explain "
            "the whole image nevertheless, turn off “Crop to the face”."
        )
        return None
    if not faces:
        return ExplainedImage(lambda network: network.predict(photo, "none")[0], f"{file.name}, whole image", given)
    number = 1
    if len(faces) > 1:
        number = row.number_input(f"Face (1 to {len(faces)}, largest first)", 1, len(faces), width=BOX)
    one = [faces[number - 1]]
    return ExplainedImage(
        lambda network: network.predict_faces(photo, one, card.face.detector)[0], f"face {number} of {file.name}", given
    )
