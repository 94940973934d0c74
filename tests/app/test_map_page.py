"""The map of faces, run without a browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from fer_core.datasets import open_dataset
from fer_core.datasets.known import add
from fer_core.evaluation import embedding
from fer_core.evaluation.embedding import features_of, features_path, neighbours
from fer_core.evaluation.predict import predict_checkpoint
from tests.app.conftest import texts
from tests.app.examples import make_network, make_pictures, predictions_elsewhere
from tests.untrained import untrained

OpenPage = Callable[..., AppTest]


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label.startswith(label)).click().run()


def test_features_are_read_on_demand_and_neighbours_are_the_nearest(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make_pictures(tmp_path / "faces", each=2)
    add(place)
    dataset, folder = open_dataset(place), untrained("one", title="Network One")
    predictions, _ = predict_checkpoint(folder, dataset, "val")
    image = predictions.table["id"].iloc[3]
    monkeypatch.setattr(embedding, "AT_ONCE", 13)
    app = open_page("map", network="one", among="val", picture=image)
    assert not app.exception
    assert "have not been computed yet" in texts(app)
    press(app, "Compute features of 14 images")
    assert not app.exception
    said = texts(app)
    assert "have the same label; by chance" in said
    values = features_of(folder, dataset, "val")
    near, _ = neighbours(values[3], values, 13)
    ids = dataset.index["id"].iloc[dataset.rows("val")].to_numpy()
    assert near[0] == 3  # the image itself, which is shown first
    places = [said.index(f"Image {ids[row]} of the validation set, labelled") for row in near[1:]]
    assert places == sorted(places)


def test_the_features_of_few_images_are_computed_without_a_click(open_page: OpenPage, tmp_path: Path) -> None:
    place = make_pictures(tmp_path / "faces", each=1)
    add(place)
    folder = untrained("one")
    predict_checkpoint(folder, open_dataset(place), "val")
    app = open_page("map", network="one")
    assert not app.exception
    assert "have the same label; by chance" in texts(app)
    assert features_path(folder, open_dataset(place), "val").exists()


def test_without_the_pictures_the_page_says_what_to_do(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere())
    app = open_page("map", network="one")
    assert not app.exception
    assert "are not on this machine" in app.info[0].value
