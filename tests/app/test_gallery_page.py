"""The gallery page, run without a browser."""

import re
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from streamlit.elements.lib import policies
from streamlit.testing.v1 import AppTest

from fer_core.datasets import open_dataset, relabelling
from fer_core.datasets.known import add
from fer_core.evaluation import selections
from fer_core.evaluation.predictions import Predictions
from tests.app.conftest import texts
from tests.app.examples import make_network, make_pictures, predictions_elsewhere, predictions_on

OpenPage = Callable[..., AppTest]


@pytest.fixture
def table(tmp_path: Path) -> Predictions:
    """A network with 126 images on this machine, and a second one on the same."""
    place = make_pictures(tmp_path / "faces", each=18)
    add(place)
    table = predictions_on(open_dataset(place), "val")
    make_network("one", table, title="Network One")
    make_network("two", predictions_on(open_dataset(place), "val", seed=1), title="Network Two")
    return table


def shown(app: AppTest) -> list[str]:
    return [image for element in app.get("html") for image in re.findall(r"id (\S+) of ", element.proto.body)]


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()


def test_the_worst_answers_come_first_and_paging_shows_each_once(open_page: OpenPage, table: Predictions) -> None:
    wrong = table.table.assign(loss=table.loss)[~table.correct].sort_values("loss", ascending=False, kind="stable")
    assert 24 < len(wrong) <= 72
    pages = [shown(open_page("gallery", network="one", page=str(number))) for number in (1, 2, 3)]
    assert [*pages[0], *pages[1], *pages[2]][: len(wrong)] == wrong["id"].tolist()


def test_the_page_is_turned_without_streamlits_warning_of_two_values(
    open_page: OpenPage, table: Predictions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(policies, "_shown_default_value_warning", False)  # it is said once a process
    app = open_page("gallery", network="one", outcome="all", page="2")
    second = shown(app)
    press(app, "Next")
    third = shown(app)
    press(app, "Previous")
    assert shown(app) == second
    assert third
    assert not set(second) & set(third)
    app.multiselect(key="labels").set_value(["happy", "sad", "fear"]).run()
    assert "page" not in app.query_params  # another list begins at its first page
    assert "default value" not in caplog.text


def test_filters_in_the_address_keep_exactly_their_pictures(open_page: OpenPage, table: Predictions) -> None:
    app = open_page("gallery", network="one", labels="happy", outcome="all", sort="confidence", page="1")
    assert not app.exception
    happy = table.table.assign(c=table.confidence)[table.table["label"] == "happy"]
    assert shown(app) == happy.sort_values("c", ascending=False, kind="stable")["id"].tolist()
    assert f"**{len(happy)} matching images**" in texts(app)


def test_filters_that_leave_nothing_say_so(open_page: OpenPage, table: Predictions) -> None:
    app = open_page("gallery", network="one", text="no-such-id")
    assert not app.exception
    assert "No image matches these filters" in app.info[0].value


def test_selected_pictures_are_kept_and_marked(open_page: OpenPage, table: Predictions) -> None:
    app = open_page("gallery", network="one")
    app.toggle(key="ticks-on").set_value(True).run()
    first = shown(app)[:2]
    for image in first:
        app.checkbox(key=f"tick-faces-val-{image}").check().run()
    assert not app.exception
    assert "Actions for the 2 images you selected" in texts(app)
    next(box for box in app.text_input if box.label == "Save as a selection").input("hard")
    press(app, "Save")
    assert sorted(selections.read("hard")["id"]) == sorted(first)
    assert "“hard” contains 2 images" in app.success[0].value
    assert "hard" in app.selectbox(key="selection").options  # at once, not after the next click
    next(box for box in app.selectbox if box.label == "Correct the label to").select("unclear")
    press(app, "Correct the selected images")
    assert sorted(relabelling.corrections("faces")["id"]) == sorted(first)
    again = open_page("gallery", network="one", selection="hard")
    assert sorted(shown(again)) == sorted(first)
    assert "corrected: unclear" in texts(again)


def test_corrected_labels_become_a_data_set_in_three_clicks(open_page: OpenPage, table: Predictions) -> None:
    app = open_page("gallery", network="one")
    app.toggle(key="ticks-on").set_value(True).run()
    image, other = shown(app)[:2]
    assert not any(button.label == "Make a corrected data set" for button in app.button)
    app.checkbox(key=f"tick-faces-val-{image}").check().run()
    box = next(box for box in app.selectbox if box.label == "Correct the label to")
    given = table.table.set_index("id")["label"]
    label = next(name for name in table.expressions.names if name not in (given[image], given[other]))
    box.select(label)
    press(app, "Correct the selected images")
    press(app, "Make a corrected data set")
    assert not app.exception
    link = next(one.proto for one in app.get("page_link") if one.proto.label == r"Open faces \(corrected labels\)")
    assert "data=faces-relabelled" in link.query_string
    made = open_dataset("faces-relabelled").index.set_index("id")
    assert made.loc[image, "label"] == label
    assert made.loc[image, "label_given"] == given[image]
    assert made.loc[other, "label"] == given[other]
    relabelling.correct("faces", table.table[table.table["id"] == other], label, "a later look")
    assert open_dataset("faces-relabelled").index.set_index("id").loc[other, "label"] == label
    data = open_page("data", data="faces")
    assert any(one.proto.label == r"Open faces \(corrected labels\)" for one in data.get("page_link"))


def test_the_ticked_pictures_are_in_the_address(open_page: OpenPage, table: Predictions) -> None:
    app = open_page("gallery", network="one")
    app.toggle(key="ticks-on").set_value(True).run()
    first, second, third = shown(app)[:3]
    for image in (first, second):
        app.checkbox(key=f"tick-faces-val-{image}").check().run()
    app.checkbox(key=f"tick-faces-val-{second}").uncheck().run()
    assert app.query_params["ticked"] in (first, [first])
    back = open_page("gallery", network="one", ticked=first, **{"ticks-on": "true"})
    assert not back.exception
    assert back.checkbox(key=f"tick-faces-val-{first}").value
    assert not back.checkbox(key=f"tick-faces-val-{third}").value
    press(back, "Clear selection")
    assert not back.checkbox(key=f"tick-faces-val-{first}").value
    assert "ticked" not in back.query_params
    unknown = open_page("gallery", network="one", ticked="no-such-id")
    assert not unknown.exception


def test_a_name_that_cannot_be_kept_is_said_in_the_page(open_page: OpenPage, table: Predictions) -> None:
    app = open_page("gallery", network="one")
    next(box for box in app.text_input if box.label == "Save as a selection").input("../out")
    press(app, "Save")
    assert "cannot name a selection" in app.error[0].value.replace("\\", "")


def test_other_networks_stand_beside_each_picture(open_page: OpenPage, table: Predictions) -> None:
    app = open_page("gallery", network="one", beside="Network Two", outcome="only this wrong")
    assert not app.exception
    said = texts(app)
    assert "1 of 2 networks wrong" in said
    assert "2 of 2 networks wrong" not in said


def test_without_the_pictures_ids_and_figures_remain(open_page: OpenPage) -> None:
    make_network("far", predictions_elsewhere(), title="Far")
    app = open_page("gallery", network="far")
    assert not app.exception
    assert "is not on this machine" in app.info[0].value


def test_answers_stay_with_their_faces_when_rows_are_moved_or_gone(
    open_page: OpenPage, tmp_path: Path, pictures: NDArray[np.uint8], csv_of: Callable[..., str]
) -> None:
    """A csv whose rows have moved once showed other people's faces with a network's answers."""
    rows = [(i % 7, picture, "PublicTest") for i, picture in enumerate(pictures)]
    for name, these in (("whole", rows), ("moved", rows[:10:-1] + rows[1:11])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "faces.csv").write_text(csv_of(these))
    whole = open_dataset(tmp_path / "whole" / "faces.csv")
    make_network("one", predictions_on(whole, "val"))
    add(tmp_path / "moved" / "faces.csv")
    app = open_page("gallery", network="one", outcome="all")
    assert not app.exception
    assert "Of the 20 images of the table, 1 is not in" in texts(app)
    html = "".join(element.proto.body for element in app.get("html"))
    faces = dict(re.findall(r'src="data:image/png;base64,([^"]+)"[^>]*id (\d+) of ', html))
    assert set(faces.values()) == {f"{row:05d}" for row in range(1, 20)} & set(shown(app))
    assert len(faces) > 10
    for source, image in faces.items():
        np.testing.assert_array_equal(np.array(Image.open(BytesIO(b64decode(source)))), pictures[int(image)])
    explained = open_page("explain", network="one", image="00003")
    assert not explained.exception


def test_a_table_of_another_set_of_the_name_shows_no_faces(
    open_page: OpenPage, tmp_path: Path, pictures: NDArray[np.uint8], csv_of: Callable[..., str]
) -> None:
    for name, images in (("mine", pictures), ("others", 255 - pictures)):
        (tmp_path / name).mkdir()
        rows = [(i % 7, picture, "PublicTest") for i, picture in enumerate(images)]
        (tmp_path / name / "faces.csv").write_text(csv_of(rows))
    make_network("one", predictions_on(open_dataset(tmp_path / "mine" / "faces.csv"), "val"))
    add(tmp_path / "others" / "faces.csv")
    app = open_page("gallery", network="one", outcome="all")
    assert not shown(app)
    assert "are not on this machine" in texts(app)
