"""The Lab page, run in this process: the address holds the scene, and experiments are measured, kept and shown."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts import lab_saved
from dashboard.parts.lab_scene import Chosen
from fer_core.datasets import open_dataset
from fer_core.lab.answers import person_scene
from tests.app.conftest import texts
from tests.fer_core.classroom.test_growing import grown
from tests.untrained import untrained

Open = Callable[..., AppTest]


def urls(app: AppTest) -> list[str]:
    """Where the images of a page lie, by content."""
    return [one.url for element in app.main.get("image") for one in element.proto.imgs]


def test_without_a_network_the_page_leads_to_training(open_page: Open) -> None:
    app = open_page("lab")
    assert not app.exception
    assert "no trained network yet" in texts(app)


def test_a_head_has_an_answer_and_the_address_holds_its_scene(open_page: Open) -> None:
    untrained("small")
    app = open_page("lab", shows="sad", intensity="40", person="9", browInnerUp="30", yaw="15")
    assert not app.exception
    said = texts(app)
    assert "small predicts" in said
    assert app.selectbox(key="shows").value == "sad"
    assert app.slider(key="browInnerUp").value == 30
    assert app.slider(key="yaw").value == 15
    before = urls(app)
    app.slider(key="intensity").set_value(0).run()
    assert not app.exception
    assert urls(app)[0] != before[0]
    next(button for button in app.button if button.label == "Keep this person").click().run()
    next(button for button in app.button if button.label == "Another person").click().run()
    assert app.number_input(key="person").value == 10
    next(button for button in app.button if button.label == "Person 9").click().run()
    assert app.number_input(key="person").value == 9
    assert not app.exception


def test_hair_and_camera_are_in_the_address_and_reach_the_head(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Chosen] = []
    monkeypatch.setattr(lab_saved, "form", lambda chosen, networks: seen.append(chosen))
    untrained("small")
    asked = {"hair": "bald", "hair-colour": "red", "blur": "2.0", "noise": "20", "jpeg": "10", "margin": "45"}
    app = open_page("lab", **asked)
    assert not app.exception
    scene, plain = seen[-1].scene, person_scene(6)
    assert (scene.person.hair.cut, scene.person.hair.colour) == ("bald", "red")
    assert (scene.camera.blur, scene.camera.noise, scene.camera.jpeg) == (0.02, 20, 10)
    assert scene.camera.focal == pytest.approx(plain.camera.focal * 1.1 / 1.45)
    app.selectbox(key="hair").set_value("side").run()
    assert "hair parted at the side" in app.selectbox(key="hair").options
    assert seen[-1].scene.person.hair == plain.person.hair.model_copy(update={"cut": "side", "colour": "red"})


def test_a_scene_is_saved_as_a_data_set_and_the_next_step_is_offered(open_page: Open) -> None:
    untrained("small")
    app = open_page("lab", shows="sad", yaw="20")
    app.selectbox(key="save-which").set_value("one")
    app.number_input(key="save-people").set_value(3)
    name = app.text_input(key="save-name-my-heads")
    assert name.value == "my-heads"
    name.set_value("Turned Heads")
    next(button for button in app.button if button.label == "Save").click().run()
    assert "cannot name a data set" in app.error[0].value
    app.text_input(key="save-name-my-heads").set_value("turned")
    next(button for button in app.button if button.label == "Save").click().run()
    assert not app.exception
    assert "Saved 3 images as the data set “turned”" in app.success[0].value
    index = open_dataset("turned").index
    assert index["label"].tolist() == ["sad"] * 3
    assert index["yaw"].tolist() == [20] * 3
    links = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    assert links["Open turned"] == "data=turned"
    assert "data=turned" in links["Evaluate small on it"]


def test_a_curve_is_measured_and_then_found(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.parts import lab_experiments
    from fer_core.lab import curve

    monkeypatch.setattr(lab_experiments, "PEOPLE", (8,))
    monkeypatch.setattr(curve, "STEPS", 5)
    untrained("small")
    app = open_page("lab", experiment="Response curve")
    assert "Not measured yet: small." in texts(app)
    app.button(key="measure").click().run()
    assert not app.exception
    assert "8 people" in texts(app)
    assert "Not measured yet" not in texts(app)
    assert "of a class" not in texts(app)
    grown()
    app = open_page("lab", experiment="Response curve")
    assert not app.exception
    assert "from there on half of its people answer happy" in texts(app)
    assert "The people of a class saw each strength on another face" in texts(app)


def test_an_expression_that_an_experiment_does_not_take_is_replaced(open_page: Open) -> None:
    untrained("small")
    app = open_page("lab", experiment="Muscles", shows="neutral")
    assert not app.exception
    assert app.selectbox(key="shows").value == "happy"
    app = open_page("lab", experiment="Who is in the image")
    assert app.selectbox(key="shows").value == "neutral"
    app.segmented_control(key="experiment").set_value("muscles").run()
    assert not app.exception


def test_accuracy_against_the_margin_is_measured_and_drawn(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.parts import lab_experiments
    from fer_core.lab import view

    monkeypatch.setattr(lab_experiments, "PEOPLE", (8,))
    monkeypatch.setitem(view.VIEWS, "margin", view.VIEWS["margin"]._replace(values=(0.0, view.DEFAULT_MARGIN)))
    untrained("small")
    app = open_page("lab", experiment="View and framing")
    app.button(key="measure").click().run()
    assert not app.exception
    assert "on 8 heads with all expressions" in texts(app)
    assert "Not measured yet" not in texts(app)


def test_a_smallest_change_is_searched_on_demand_and_then_found(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fer_core.lab import smallest

    monkeypatch.setattr(smallest, "ROUNDS", 1)
    untrained("small")
    app = open_page("lab", experiment="Smallest change")
    assert "Which movement of this face" in texts(app)
    app.button(key="search").click().run()
    assert not app.exception
    assert "turns" in texts(app) or "nothing has to move" in texts(app)
    assert not [button for button in app.button if button.key == "search"]
