"""The robustness page, run without a browser."""

from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from fer_core.datasets import open_dataset
from fer_core.datasets.known import add
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.evaluation.robustness import measure, sample
from tests.app.conftest import texts
from tests.app.examples import make_network, make_pictures, predictions_elsewhere
from tests.untrained import untrained

OpenPage = Callable[..., AppTest]


def test_what_was_measured_is_shown_and_what_was_not_is_offered(open_page: OpenPage, tmp_path: Path) -> None:
    place = make_pictures(tmp_path / "faces", each=2)
    add(place)
    dataset, folder = open_dataset(place), untrained("one", title="Network One")
    predict_checkpoint(folder, dataset, "val")
    app = open_page("robustness", network="one")
    assert not app.exception
    assert "`ferscope robustness one --data faces --split val`" in texts(app)
    assert [button.label for button in app.button] == ["Measure 100 images now"]
    measure("one", folder, dataset, "val", sample(dataset, "val"), ["darker", "jpeg"])
    app = open_page("robustness", network="one", damage="jpeg")
    assert not app.exception
    said = texts(app)
    assert "n = 14) on clean images of" in said
    assert "on average over 2 corruptions at 5 severities" in said
    assert "Not measured on Network One: Noise, Blur, Brighter" in said
    assert "Tighter cut, Wider cut with its edge continued, Shift." in said
    assert said.count("jpeg: ") == 6  # the image, and five severities of it
    predictions_elsewhere().write(folder / "predictions-elsewhere-val.parquet")
    app = open_page("robustness", network="one", table="elsewhere-val")
    assert "The figures below are of" in app.info[0].value.replace("\\", "")
    assert "n = 14) on clean images of the faces validation set" in texts(app).replace("\\", "")


def test_without_the_pictures_the_page_says_what_to_do(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere())
    app = open_page("robustness", network="one")
    assert not app.exception
    assert "has not been measured" in app.info[0].value
    assert "are not on this machine" in texts(app)
