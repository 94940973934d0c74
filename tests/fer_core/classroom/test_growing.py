"""The response curve of a class: planted people, whose threshold is known."""

import numpy as np
import pytest

from fer_core.classroom import growing
from fer_core.classroom.session import Session
from fer_core.classroom.start import start
from fer_core.classroom.tasks import GROW
from fer_core.datasets.heads import HEADS
from fer_core.errors import ClassError
from fer_core.images import decode
from fer_core.labels import FER7

THRESHOLDS = (0.2, 0.4, 0.4, 0.4, 0.6)


def grown(thresholds: tuple[float, ...] = THRESHOLDS, number: int = 11, left: int = 0) -> Session:
    """A class in which each person answers happy from a threshold on, and neutral below; the last one leaves some images."""
    shown = growing.items("happy", number, 7)
    session = Session.create("7b", GROW, shown, FER7.names)
    for person, threshold in enumerate(thresholds):
        token = session.join(f"P{person}").token
        for _ in range(number - (left if person == len(thresholds) - 1 else 0)):
            item = session.question(token)
            assert item is not None
            answer = "happy" if item.facts["intensity"] >= threshold - 1e-9 else "neutral"
            session.answer(token, item.position, answer, 0.5)
    return session


def test_the_images_show_every_strength_once_on_different_people_in_random_order() -> None:
    shown = growing.items("happy", 11, 7)
    steps = [item.facts["intensity"] for item in shown]
    assert sorted(steps) == pytest.approx(np.linspace(0, 1, 11))
    assert steps != sorted(steps)
    assert {item.truth for item in shown if item.facts["intensity"] == 0} == {"neutral"}
    assert {item.truth for item in shown if item.facts["intensity"] > 0} == {"happy"}
    assert len({item.hash for item in shown}) == 11
    assert decode(shown[0].image).shape[:2] == (192, 192)  # 48 x 48, enlarged
    again = growing.items("happy", 11, 7)
    assert [item.hash for item in again] == [item.hash for item in shown]
    assert not {item.hash for item in growing.items("happy", 11, 8)} & {item.hash for item in shown}


def test_the_threshold_of_a_class_is_that_of_its_median_person() -> None:
    found = growing.curve(grown())
    own = found.table().query("expression == 'happy'").set_index("intensity")["predicted"]
    # by hand: nobody below 0.2, one of five up to 0.3, four of five from 0.4, all from 0.6
    assert own.tolist() == pytest.approx([0, 0, 0.2, 0.2, 0.8, 0.8, 1, 1, 1, 1, 1])
    assert found.psychometric.threshold == pytest.approx(0.35, abs=0.05)
    assert growing.sentence(found).startswith("7b needs 3")
    assert "5 people): from there on half of its people answer happy." in growing.sentence(found)
    assert [one.network for one in growing.curves("happy")] == ["7b"]
    assert not list(growing.curves("sad"))


def test_people_who_left_are_not_counted_and_a_class_that_sees_nothing_has_no_threshold() -> None:
    assert growing.curve(grown(left=1)).people == 4
    never = growing.curve(grown((2.0, 2.0, 2.0)))
    assert never.psychometric.threshold is None
    assert "answers happy for 0.0" in growing.sentence(never)
    assert "no threshold" in growing.sentence(never)


def test_too_few_images_or_people_and_another_task_are_said() -> None:
    with pytest.raises(ClassError, match="4 images shows no shape"):
        growing.items("happy", 4, 0)
    with pytest.raises(ClassError, match="2 people have answered all 11 images.*at least 3"):
        growing.curve(grown((0.2, 0.4)))
    with pytest.raises(ClassError, match="no response curve"):
        growing.curve(Session.create("7b", "read", growing.items("happy", 5, 0), FER7.names))


def test_a_session_needs_no_network_and_no_data_set_of_its_own() -> None:
    from fer_core.datasets import open_dataset

    session = start("7b", GROW, open_dataset(HEADS), "test", 11, expression="fear", seed=3)
    assert (session.about.size, session.about.network) == (11, "")
    assert {one["expression"] for one in session.facts()["facts"]} == {"fear"}
