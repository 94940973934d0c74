"""The Class page, run in this process: start a session, follow it, keep it as a network, delete it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from fer_core import workspace as places
from fer_core.classroom.session import Session, sessions
from fer_core.classroom.workbench import door, enter
from fer_core.runs import queue, store
from fer_core.untrusted import read_json
from tests.app.conftest import texts
from tests.fer_core.classroom.test_growing import grown
from tests.fer_core.classroom.test_people import TRUTH, answered

Open = Callable[..., AppTest]


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_a_class_on_rendered_heads_is_started_without_any_network(open_page: Open) -> None:
    app = open_page("class")
    assert not app.exception
    app.number_input(key="number").set_value(5).run()
    press(app, "Start the class")
    assert not app.exception
    (session,) = sessions()
    assert (session.about.size, session.about.task, session.about.network) == (5, "read", "")
    assert session.code in texts(app)
    assert "The students' app is not open" in texts(app)


def test_the_shortcut_needs_no_network_of_the_workspace(open_page: Open) -> None:
    app = open_page("class")
    app.segmented_control(key="task").set_value("shortcut").run()
    press(app, "Start the class")
    assert not app.exception
    (session,) = sessions()
    items = session.items()
    same = [item.facts["square"] == item.label for item in items]
    assert same == [True] * 4 + [False] * 8
    assert [item.map is not None for item in items] == [False] * 8 + [True] * 4
    assert {item.truth for item in items} < {"Network A", "Network B"}
    assert "Which one it is stands here" in texts(app)


def test_an_expression_grows_and_the_class_gets_its_curve(open_page: Open) -> None:
    app = open_page("class")
    app.segmented_control(key="task").set_value("grow").run()
    app.number_input(key="grow-number").set_value(11).run()
    press(app, "Start the class")
    assert not app.exception
    (session,) = sessions()
    assert (session.about.size, session.about.network) == (11, "")
    seen = grown()
    app = open_page("class", view="Results", **{"class": seen.code})
    assert not app.exception
    assert "7b needs" in texts(app)
    assert "consensus" not in texts(app).lower()


def test_pause_continue_end_and_reveal(open_page: Open) -> None:
    session = answered()
    app = open_page("class", **{"class": session.code})
    assert not app.exception
    for name in ("Ada", "Ben", "Cem"):
        assert name in texts(app)
    for label, state in (
        ("Pause", "paused"),
        ("Continue", "running"),
        ("End", "ended"),
        ("Show the answers to all", "revealed"),
    ):
        press(app, label)
        assert session.state()[0] == state
    assert not app.exception


def test_images_are_shown_only_when_everybody_has_answered_them(open_page: Open) -> None:
    session = answered()  # Cem has not answered the last one
    app = open_page("class", **{"class": session.code})
    assert "Image 4" in texts(app)  # its bar
    assert 'alt="Image 4"' not in texts(app)
    session.turn("ended")
    app.run()
    assert 'alt="Image 4"' in texts(app)


def test_results_keep_the_class_as_a_network_and_delete_it(open_page: Open, workspace: Path) -> None:
    session = answered()
    app = open_page("class", **{"class": session.code}, view="Results")
    assert not app.exception
    said = texts(app)
    assert "72.2\N{NO-BREAK SPACE}%" in said  # (3/4 + 3/4 + 2/3) / 3
    assert "Net has an accuracy of **50.0\N{NO-BREAK SPACE}%**" in said
    assert "Error consistency is 0\\.50" in said
    press(app, "Keep the class as a network")
    assert not app.exception
    (network,) = store.checkpoints().values()
    assert len(network.predictions("heads-test")) == len(TRUTH)
    press(app, "Delete for good")
    assert not app.exception
    assert sessions() == []


def test_a_class_is_a_network_on_the_pages_that_read_tables(open_page: Open) -> None:
    from fer_core.classroom import people

    folder = people.as_network(answered())
    for page in ("overview", "evaluate", "confidence", "slices", "labels", "compare"):
        app = open_page(page, network=folder.name, table="heads-test")
        assert not app.exception, page
        assert not app.error, page


def test_a_damaged_class_is_told_and_can_be_deleted(open_page: Open) -> None:
    session = answered()
    session.path.write_bytes(b"torn")
    app = open_page("class", **{"class": session.code})
    assert not app.exception
    assert "cannot be used" in texts(app)
    press(app, "Delete this file")
    assert sessions() == []


@pytest.mark.parametrize("code", ["AAAAA", "new"])
def test_a_link_to_a_class_that_is_gone_shows_the_form(open_page: Open, code: str) -> None:
    app = open_page("class", **{"class": code})
    assert not app.exception
    assert any(button.label == "Start the class" for button in app.button)
    assert not Session("AAAAA").path.exists()


def test_the_teacher_sees_the_queue_and_a_student_only_their_own_runs(
    workspace: Path, open_page: Callable[..., AppTest]
) -> None:
    ada, bo = (enter(workspace, door(workspace).code, name) for name in ("Ada", "Bo"))
    for desk in (ada, bo):
        with places.at(workspace / "students" / desk.name):
            queue.ticket("cpu", f"run of {desk.nickname}", os.getpid)
    page = open_page("class", **{"class": "workspaces"})
    assert not page.exception
    said = texts(page)
    assert "**Ada**: run of Ada trains on cpu" in said
    assert "**Bo**: run of Bo waits, number 1" in said
    assert [button.label for button in page.main.button] == ["Stop", "Stop"]
    places.by_session(lambda: workspace / "students" / bo.name)
    try:
        said = texts(page.run())
    finally:
        places.by_session(None)
    assert "run of Bo" in said
    assert "run of Ada" not in said


def test_a_lab_is_answered_checked_and_kept(open_page: Open, workspace: Path) -> None:
    page = open_page("class", **{"class": "labs"})
    assert not page.exception
    fields = [field for field in page.main.text_input if "Small VGG on the FER2013" in field.label]
    fields[0].set_value("66.0")
    press(page, "Check my answers")
    said = texts(page)
    assert "0 of 8 answers are right" in said  # no network is shipped in this test, so nothing can be checked
    assert "Type your name" in said
    next(field for field in page.main.text_input if field.label == "Your name").set_value("Ada")
    press(page, "Check my answers")
    assert not page.exception
    assert [button.label for button in page.main.get("download_button")] == ["Download my report (html)"]
    assert read_json(workspace / "labs" / "1.json")["accuracy"] == "66.0"
