"""Views of the Data page: what the augmentation of a recipe and what preparation do to an image."""

import numpy as np
import streamlit as st

from dashboard import markup
from dashboard.markup import Picture
from dashboard.parts.data_images import draw_again, name_in_commands
from dashboard.pickers import choose
from dashboard.text import verbatim
from fer_core.datasets import Dataset
from fer_core.datasets.heads import HEADS
from fer_core.datasets.titles import split_title
from fer_core.errors import FerError
from fer_core.faces import detectors_here
from fer_core.faces.illumination import LIGHT
from fer_core.images import ImageSpec, Preparation
from fer_core.recipe import Augment, load_recipe, recipes, setting_title
from fer_core.training.preview import augmented

ROWS, COPIES = 5, 7
LIGHTS = {
    "equalise": "histogram equalisation",
    "clahe": "adaptive equalisation (CLAHE)",
    "gamma": "gamma correction to middle grey",
    "dog": "difference of Gaussians",
    "dct": "DCT without low frequencies",
    "diffusion": "isotropic diffusion",
}
ALIGN = {"none": "none", "upright": "eyes horizontal", "eyes": "eyes at fixed positions"}


def _drawn(dataset: Dataset, split: str, seed: int, count: int) -> list[int]:
    """Positions of images drawn at random from a split, of as many expressions as there are."""
    rows = np.random.default_rng(seed).permutation(dataset.rows(split))
    labels = dataset.index["label"].iloc[rows].to_numpy()
    first = {label: int(row) for label, row in zip(labels[::-1], rows[::-1], strict=True)}
    return [first[name] for name in dataset.expressions.names if name in first][:count]


def augmentation(dataset: Dataset) -> None:
    first, second, third = st.columns([3, 2, 2], vertical_alignment="bottom")
    usual = "heads" if dataset.name == HEADS else "small-vgg"
    recipe = choose("Recipe", list(recipes()), "recipe", default=usual, place=first)
    split = choose("Split", list(dataset.splits), "split", split_title, place=second)
    seed = draw_again("Show other images", third)
    config = load_recipe(recipe)
    settings = config.augment
    changed = {name: value for name, value in settings.model_dump().items() if value and name in Augment.model_fields}
    said = ", ".join(
        f"{setting_title(f'augment.{name}').lower()} {value:g}"
        if isinstance(value, float)
        else setting_title(f"augment.{name}").lower()
        for name, value in changed.items()
    )
    st.markdown(
        f"Augmentation of the recipe **{recipe}**: {said}." if said else f"The recipe **{recipe}** has no augmentation."
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
        items = [Picture(picture, f"{label}, id {image}, original", (markup.expression(label), "original"))]
        items += [
            Picture(copy, f"{label}, id {image}, augmented, version {number}", (label, f"version {number}"))
            for number, copy in enumerate(copies, 1)
        ]
        galleries.append(markup.gallery(items))
    st.html("<br>".join(galleries))
    st.markdown("The expression must stay recognisable. If you cannot recognise it, reduce the augmentation.")
    st.caption("The images are made by the function that training uses, at the size of the network's input.")


def preparation(dataset: Dataset) -> None:
    first, second, third, fourth = st.columns([2, 2, 2, 2], vertical_alignment="bottom")
    split = choose("Split", list(dataset.splits), "split", split_title, place=first)
    known = detectors_here()
    detector = choose("Face detector", [*reversed(known)], "detector", known.__getitem__, place=second)
    align = choose("Alignment", list(ALIGN), "align", ALIGN.__getitem__, place=third)
    seed = draw_again("Show other images", fourth)
    plain = Preparation(detector=detector, align=align, size=96 if detector != "none" else 0)
    galleries, missed = [], 0
    for row in _drawn(dataset, split, seed, ROWS):
        picture, label = dataset.picture(row), str(dataset.index["label"].iloc[row])
        image = str(dataset.index["id"].iloc[row])
        items = [Picture(picture, f"{label}, id {image}, original", (markup.expression(label), f"original, {image}"))]
        try:
            faces = plain.find(picture)
        except FerError as error:
            st.error(verbatim(str(error)))
            return
        if not faces:
            missed += 1
            continue
        if detector != "none":
            items.append(Picture(plain.cut(picture, faces[0]), f"{label}, id {image}, cropped", (label, "cropped")))
        for step in LIGHT:
            after = plain.model_copy(update={"light": (step,)}).cut(picture, faces[0])
            items.append(Picture(after, f"{label}, id {image}, {LIGHTS[step]}", (label, LIGHTS[step])))
        galleries.append(markup.gallery(items))
    if missed:
        st.info(
            f"{detector} finds no face in {missed} of these images. If the images are already cropped faces, choose “none”."
        )
    if galleries:
        st.html("<br>".join(galleries))
    st.markdown(
        "To prepare the whole data set into a new folder, run "
        f"`ferscope data prepare {name_in_commands(dataset)} FOLDER --detector {detector} --align {align} --light dog`. "
        "To normalise illumination in training only, set `image.light` in a recipe. The network's card stores these steps, and "
        "they are applied to every image the network sees."
    )
