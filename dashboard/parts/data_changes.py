"""Views of the Data page: what a recipe's augmentation and what preparation make of a picture."""

import numpy as np
import streamlit as st

from dashboard import markup
from dashboard.markup import Picture
from dashboard.parts.data_images import draw_again
from dashboard.pickers import choose
from dashboard.text import verbatim
from fer_core.datasets import Dataset
from fer_core.datasets.known import SYNTHETIC
from fer_core.errors import FerError
from fer_core.faces.illumination import LIGHT
from fer_core.images import ImageSpec, Preparation
from fer_core.recipe import Augment, load_recipe, recipes
from fer_core.training.preview import augmented

ROWS, COPIES = 5, 7
LIGHTS = {
    "equalise": "histogram equalisation",
    "clahe": "adaptive equalisation (CLAHE)",
    "gamma": "gamma to middle grey",
    "dog": "difference of Gaussians",
    "dct": "DCT, low frequencies off",
    "diffusion": "isotropic diffusion",
}
ALIGN = {"none": "as found", "upright": "eyes level", "eyes": "eyes at fixed places"}


def _drawn(dataset: Dataset, split: str, seed: int, count: int) -> list[int]:
    """Positions of pictures drawn at random from a split, of as many expressions as there are."""
    rows = np.random.default_rng(seed).permutation(dataset.rows(split))
    labels = dataset.index["label"].iloc[rows].to_numpy()
    first = {label: int(row) for label, row in zip(labels[::-1], rows[::-1], strict=True)}
    return [first[name] for name in dataset.expressions.names if name in first][:count]


def augmentation(dataset: Dataset) -> None:
    first, second, third = st.columns([3, 2, 2], vertical_alignment="bottom")
    usual = "synthetic" if dataset.name == SYNTHETIC else "small-vgg"
    recipe = choose("Recipe", list(recipes()), "recipe", default=usual, place=first)
    split = choose("Split", list(dataset.splits), "split", place=second)
    seed = draw_again("Draw again", third)
    config = load_recipe(recipe)
    settings = config.augment
    changed = {name: value for name, value in settings.model_dump().items() if value and name in Augment.model_fields}
    said = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in changed.items()
    )
    st.markdown(
        f"The recipe **{recipe}** augments by {said}." if said else f"The recipe **{recipe}** does not augment."
    )
    size = config.image
    spec = ImageSpec(channels=1, height=size.height or 48, width=size.width or 48)
    if size.light:
        lit = Preparation(detector="none", light=size.light, size=max(spec.height, spec.width))
        spec = spec.model_copy(update={"preparation": lit})
    rows = _drawn(dataset, split, seed, ROWS)
    pictures = np.stack([dataset.as_given(dataset.picture(row), spec) for row in rows])
    galleries = []
    for row, picture, copies in zip(rows, pictures, augmented(pictures, settings, COPIES, seed), strict=True):
        label, image = dataset.index["label"].iloc[row], dataset.index["id"].iloc[row]
        items = [Picture(picture, f"{label}, id {image}, as it is", (markup.expression(label), "as it is"))]
        items += [
            Picture(copy, f"{label}, id {image}, augmented, draw {number}", (label, f"draw {number}"))
            for number, copy in enumerate(copies, 1)
        ]
        galleries.append(markup.gallery(items))
    st.html("<br>".join(galleries))
    st.caption(
        "By the training's own function, at the network's size. A label must survive what is drawn: if you cannot read the "
        "expression any more, no network should learn it."
    )


def preparation(dataset: Dataset) -> None:
    first, second, third, fourth = st.columns([2, 2, 2, 2], vertical_alignment="bottom")
    split = choose("Split", list(dataset.splits), "split", place=first)
    detector = choose("Detector", ["none", "mtcnn", "haar"], "detector", place=second)
    align = choose("Alignment", list(ALIGN), "align", ALIGN.__getitem__, place=third)
    seed = draw_again("Draw again", fourth)
    plain = Preparation(detector=detector, align=align, size=96 if detector != "none" else 0)
    galleries, missed = [], 0
    for row in _drawn(dataset, split, seed, ROWS):
        picture, label = dataset.picture(row), str(dataset.index["label"].iloc[row])
        image = str(dataset.index["id"].iloc[row])
        items = [Picture(picture, f"{label}, id {image}, before", (markup.expression(label), f"before, {image}"))]
        try:
            faces = plain.find(picture)
        except FerError as error:
            st.error(verbatim(str(error)))
            return
        if not faces:
            missed += 1
            continue
        if detector != "none":
            items.append(Picture(plain.cut(picture, faces[0]), f"{label}, id {image}, cut", (label, "cut")))
        for step in LIGHT:
            after = plain.model_copy(update={"light": (step,)}).cut(picture, faces[0])
            items.append(Picture(after, f"{label}, id {image}, {LIGHTS[step]}", (label, LIGHTS[step])))
        galleries.append(markup.gallery(items))
    if missed:
        st.info(f"In {missed} of these pictures {detector} finds no face; in a set of crops take “none”.")
    if galleries:
        st.html("<br>".join(galleries))
    st.caption(
        f"`ferscope data prepare {dataset.name} FOLDER --detector {detector} --align {align} --light dog` does it for the whole "
        "set, into a folder beside it; a recipe's `image.light` evens out light without one. Whether it helps is for a "
        "training to show. The network's card keeps the steps, and every picture it is asked about goes through them."
    )
