"""Mean maps compared: errors with correct predictions, and two networks."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from dashboard import cache
from dashboard.parts.region_maps import BOX, SIDE, enlarged, scale, title_of
from dashboard.pickers import Picked, choose, titles
from dashboard.text import images, verbatim
from fer_core.evaluation.intervals import percent
from fer_core.explanation.means import Band
from fer_core.explanation.overlay import colour, common_limit
from fer_core.models import attribution_layer
from fer_core.runs import store

MOST = 400  # images on which the maps of two networks are compared


def attention_on_errors(choice: Picked) -> None:
    """Mean maps of one cell of the confusion matrix compared with the correct predictions."""
    table = None if choice.table is None else cache.predictions(choice.checkpoint.tables[choice.table])
    dataset = None if table is None else cache.dataset_of(table)
    if table is None or dataset is None:
        st.info(
            "The images are not on this machine. Add the data set on the Data page to compare errors with correct predictions."
        )
        return
    names = list(table.expressions.names)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    given = choose("Label", names, "given", default="fear", place=row.container(width=BOX))
    others = [name for name in names if name != given]
    taken = choose("Prediction", others, "taken", default="surprise", place=row.container(width=BOX))
    wrong = (table.table["label"].to_numpy() == given) & (table.predicted == taken)
    right = (table.table["label"].to_numpy() == given) & table.correct
    if min(wrong.sum(), right.sum()) < 2:
        st.info(
            f"There are too few images for a mean map: {wrong.sum():,} of {given} predicted as {taken}, {right.sum():,} "
            "predicted correctly."
        )
        return
    method = "grad-cam"
    st.markdown(
        f"Mean maps for **{given}**, the label, with {title_of(method)}: {images(int(wrong.sum()))} predicted as {taken}, "
        f"compared with {int(right.sum()):,} predicted correctly."
    )
    if not row.toggle(
        "Compute", key="compute", bind="query-params", help="The maps are stored, so the second time is fast."
    ):
        st.markdown("Switch on “Compute” to make the maps. A few hundred images take some seconds.")
        return
    layer = attribution_layer(choice.checkpoint.card.network, cache.predictor(choice.checkpoint.folder).model)
    found = cache.cell_maps(choice.checkpoint, choice.table or "", given, taken, method, layer)
    pair(found, f"predicted as {taken}, n = {wrong.sum():,}", f"correct, n = {right.sum():,}", "on errors")


def attention_of_two_networks(choice: Picked) -> None:
    """Mean maps of two networks on the same images, and their difference."""
    table = None if choice.table is None else cache.predictions(choice.checkpoint.tables[choice.table])
    others = {name: one for name, one in store.checkpoints().items() if name != choice.checkpoint.name}
    if table is None or cache.dataset_of(table) is None or not others:
        st.info(
            "This comparison needs a second network, and the images on this machine. Add the data set on the Data page."
        )
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    title = titles().__getitem__
    beside = choose("Compare with", list(others), "beside", title, place=row.container(width=2 * BOX))
    known = set(others[beside].card.expressions)
    both = [name for name in table.expressions.names if name in known]
    if not both:
        st.info(f"The two networks have no expression in common, so {verbatim(title(beside))} cannot be compared.")
        return
    given = choose("Expression", both, "shown", default="fear", place=row.container(width=BOX))
    kept = "The maps are stored, so the second time is fast."
    if not row.toggle("Compute", key="compute-networks", bind="query-params", help=kept):
        st.markdown(
            f"Switch on “Compute” to make the maps of up to {MOST} images with both networks. This takes some seconds."
        )
        return
    n, *found = cache.network_maps(choice.checkpoint, others[beside], choice.table or "", given, "grad-cam", MOST)
    if n < 2:
        st.info(f"There are too few images of {given} for a mean map ({n}).")
        return
    own = title(choice.checkpoint.name)
    st.markdown(f"Mean maps for **{given}**, the label, with {title_of('grad-cam')}, on the same {images(n)}.")
    pair(found, own, title(beside), f"in {own}")


def pair(found: Sequence[Band], one: str, other: str, more: str) -> None:
    """Two mean maps on one scale, and their difference where it is more than chance.

    Args:
        found: the band of the first, of the second, and of the first less the second.
        more: where red means more.
    """
    limit = common_limit([found[0].mean.astype(np.float32), found[1].mean.astype(np.float32)])
    differs = (found[2].low > 0) | (found[2].high < 0)
    difference = np.where(differs, found[2].mean, 0).astype(np.float32)
    with st.container(horizontal=True, gap="small"):
        for words, band in ((one, found[0]), (other, found[1])):
            pixels = colour(band.mean.astype(np.float32), signed=False, limit=limit)
            st.image(enlarged(pixels), verbatim(words), SIDE, alt=f"Mean map, {words}")
        scale(False, limit)
        bound = common_limit([found[2].mean.astype(np.float32)])
        st.image(
            enlarged(colour(difference, signed=True, limit=bound)), "difference", SIDE,
            alt="Difference of the two mean maps; white where it is not significant",
        )  # fmt: skip
        scale(True, bound)
    st.markdown(
        f"Red: more attention {verbatim(more)}. White: not significant for this pixel alone. {percent(float(differs.mean()))} of "
        "the pixels are coloured; chance alone would colour about 5 %, or more with few images."
    )
