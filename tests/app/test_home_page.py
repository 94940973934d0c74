"""Home and its tour, run without a browser."""

from collections.abc import Callable
from urllib.parse import parse_qs

from streamlit.testing.v1 import AppTest

from dashboard.tour import STEPS
from fer_core.evaluation.intervals import percent
from tests.app.conftest import texts
from tests.app.examples import make_network, predictions_elsewhere

Open = Callable[..., AppTest]


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def follow(app: AppTest, label: str) -> None:
    """Follow a link of the tour, as a click on it does."""
    link = next(link.proto for link in app.get("page_link") if link.proto.label == label)
    app.switch_page(f"views/{link.page}.py")
    app.query_params["tour"] = parse_qs(link.query_string)["tour"][0]
    app.run()
    assert not app.exception


def test_the_tour_leads_through_five_pages_and_is_offered_once(open_page: Open) -> None:
    table = predictions_elsewhere()
    make_network("one", table, title="Network One")
    app = open_page("home")
    assert not app.exception
    app.button_group(key="shown-face").set_value("sad").run()  # whoever does what the step says
    for number, step in enumerate(STEPS, 1):
        assert not app.exception
        assert f"Tour, step {number} of 5: {step.word}." in texts(app)
        assert step.page == "home" or app.title[0].value.startswith(step.word)
        if number < len(STEPS):
            follow(app, f"Next: {STEPS[number].word}")
    press(app, "End the tour")
    assert "Tour, step" not in texts(app)
    assert "Tour, step" not in texts(open_page("home"))  # somebody else, in another session
    app = open_page("home")
    press(app, "Take the tour")
    assert "Tour, step 1 of 5" in texts(app)
    press(app, "Skip the tour")
    assert "Tour, step" not in texts(app)


def test_whoever_has_chosen_a_face_gets_on_from_home(open_page: Open) -> None:
    make_network("one", predictions_elsewhere(), title="Network One")
    for label, word in (("Judge it: evaluate the network", "Evaluate"), ("Make one: train a network", "Train")):
        app = open_page("home", face="sad")
        app.button_group(key="shown-face").set_value("fear").run()
        assert app.query_params["face"] == "fear"
        press(app, label)
        assert app.title[0].value.startswith(word)


def test_each_network_has_a_card_with_its_accuracy_and_where_it_is_weakest(open_page: Open) -> None:
    for number in range(2):
        make_network(
            f"net{number}", predictions_elsewhere(seed=number, skill=0.4 + 0.3 * number), title=f"Net {number}"
        )
    make_network("raw", None, title="Raw")
    app = open_page("home")
    assert not app.exception
    said = texts(app).replace("\\", "")
    for number in range(2):
        table = predictions_elsewhere(seed=number, skill=0.4 + 0.3 * number)
        assert f"**{percent(table.correct.mean())}**" in said
        recalls = {
            name: table.correct[(table.table["label"] == name).to_numpy()].mean() for name in table.expressions.names
        }
        worst = min(recalls.values())
        assert f"(recall {percent(worst)})" in said
    assert said.count('class="fer-stamp"') == 2
    assert said.index("**Net 1**") < said.index("**Net 0**")  # the better one first
    assert "**Raw**" not in said
