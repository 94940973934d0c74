"""The slices page, run without a browser."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from fer_core.datasets import open_dataset
from fer_core.datasets.known import add
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from tests.app.conftest import texts
from tests.app.examples import make_network, predictions_elsewhere

OpenPage = Callable[..., AppTest]


def dark_and_bright(root: Path) -> Path:
    """140 images of two expressions, a quarter of them dark."""
    random = np.random.default_rng(0)
    for label in ("happy", "sad"):
        folder = root / "val" / label
        folder.mkdir(parents=True)
        for number in range(70):
            light = random.integers(0, 40, (24, 24)) + (10 if number % 4 == 0 else 60 + 2 * number)
            Image.fromarray(light.astype(np.uint8)).save(folder / f"{number:02d}.png")
    return root


def test_dark_pictures_are_found_to_be_harder(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = dark_and_bright(tmp_path / "faces")
    add(place)
    dataset = open_dataset(place)
    index = dataset.index
    dark = index["id"].str.extract(r"(\d+)\.png")[0].astype(int) % 4 == 0
    said = [
        ("sad" if label == "happy" else "happy") if is_dark else label
        for label, is_dark in zip(index["label"], dark, strict=True)
    ]
    logits = 5 * np.eye(7)[[FER7.index(name) for name in said]]
    table = Predictions.from_logits(index["id"].tolist(), dataset.name, "val", index["label"].tolist(), logits, FER7)
    make_network("one", table, title="Network One")
    app = open_page("slices", network="one", support="20")
    assert not app.exception
    assert "The hardest images for Network One are **brightness up to" in app.markdown[0].value.replace("\\", "")
    assert " **0.0\N{NO-BREAK SPACE}%** (95\N{NO-BREAK SPACE}% CI 0.0 to" in app.markdown[0].value
    errors = [image for element in app.get("html") for image in re.findall(r"id (\S+) of ", element.proto.body)]
    assert len(errors) == 8
    assert set(errors) <= set(index["id"][dark])
    assert "the table contains all" not in texts(app)  # so has the chart
    known = pd.DataFrame({"person": np.arange(140) % 3})  # three more slices than fit the chart
    monkeypatch.setattr("fer_core.evaluation.slices.columns_of", lambda dataset, predictions, acted: known)
    assert "The chart shows the 12 hardest and the 3 easiest slices; the table contains all." in texts(app.run())


def test_without_the_pictures_the_page_says_what_to_do(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere())
    app = open_page("slices", network="one")
    assert not app.exception
    assert "Add the data set to see its slices." in texts(app)


def test_rendered_heads_are_sliced_in_words_and_a_saved_link_still_opens(open_page: OpenPage) -> None:
    heads = open_dataset("heads")
    rows = heads.rows("test")
    index = heads.index.iloc[rows]
    logits = np.random.default_rng(0).normal(size=(len(rows), 7))
    make_network(
        "one", Predictions.from_logits(index["id"].tolist(), "heads", "test", index["label"].tolist(), logits, FER7)
    )
    app = open_page("slices", network="one", table="heads-test")
    said = texts(app).replace("\\", "")
    assert "The hardest images for" in said
    assert (
        "**No difference is significant** after correction for all" in said
    )  # chance has no hard images, but a hardest
    options = app.selectbox(key="slice").options
    assert {"mouth open", "short hair", "men", "yaw above 8.2°"} <= set(options)
    assert not any("mouthSmile" in option or "AU " in option for option in options)
    saved = next(key for key in saved_keys(app) if key.startswith("yaw"))
    assert open_page("slices", network="one", slice=saved).query_params["slice"] == saved
    app = open_page(
        "slices", network="one", slice="jawOpen 0.153 to 0.751"
    )  # as addresses were before actions were left out
    assert app.toggle(key="acted").value
    assert any(option.startswith("AU 26, jaw drop above") for option in app.selectbox(key="slice").options)


def saved_keys(app: AppTest) -> list[str]:
    return [str(key) for key in app.main.dataframe[0].value["key"]]
