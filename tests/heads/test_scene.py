"""Scenes, actions and expressions: what may be asked for, and what is said to the rest."""

import numpy as np
import pytest

from fer_core.errors import ConfigError, UnknownName
from fer_core.heads import HeadWarning, Scene, draw_person, express, render
from fer_core.heads.actions import ACTIONS, EXPRESSIONS, PAIRED, SHOWN_BY, UNITS, actions_of, settled, unit_of
from fer_core.heads.scene import Camera, Person


def test_a_scene_goes_to_json_and_back() -> None:
    scene = Scene(person=draw_person(3), actions=express("fear", seed=4), camera=Camera(jpeg=70), seed=9)
    assert Scene.model_validate_json(scene.model_dump_json()) == scene


def test_every_field_has_a_description() -> None:
    fields = [field for part in (Scene, Person, Camera) for field in part.model_fields.values()]
    assert all(field.description for field in fields)


def test_every_action_is_the_work_of_a_unit() -> None:
    assert {unit_of(name).number for name in ACTIONS} >= {1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 20, 24, 26}
    assert {name for shown in SHOWN_BY.values() for name in shown} <= set(UNITS)
    assert actions_of({12: 0.5, 25: 1.0})["mouthSmile"] == 0.5


def test_a_paired_name_stands_for_both_sides() -> None:
    assert Scene(actions={"mouthSmile": 0.4}).actions == {"mouthSmileLeft": 0.4, "mouthSmileRight": 0.4}
    assert {f"{name}{side}" for name in PAIRED for side in ("Left", "Right")} <= set(ACTIONS)


@pytest.mark.parametrize("name", sorted(EXPRESSIONS))
def test_expressions_grow_with_their_intensity_and_name_their_source(name: str) -> None:
    weak, strong = (express(name, amount, mouth="open") for amount in (0.3, 0.9))
    assert set(weak) == set(strong)
    assert all(strong[action] > weak[action] for action in weak)
    assert all(amount == 0 for amount in express(name, 0.0).values())
    assert EXPRESSIONS[name].source


def test_people_differ_in_how_they_show_an_expression() -> None:
    shown = [express("happy", 0.8, seed=seed) for seed in range(40)]
    opened = sum("jawOpen" in actions for actions in shown)
    assert 10 < opened < 40
    assert len({tuple(actions.items()) for actions in shown}) == 40
    assert express("happy", 0.8, seed=7) == shown[7]


def test_contempt_is_one_sided() -> None:
    sides = {name[-5:] for seed in range(5) for name in express("contempt", seed=seed)}
    for seed in range(5):
        names = express("contempt", seed=seed)
        assert not ("mouthDimpleLeft" in names and "mouthDimpleRight" in names)
    assert len(sides) >= 1


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        ({"mouthClose": 0.8, "jawOpen": 0.3}, ("mouthClose", 0.3)),
        ({"mouthPress": 1.0, "jawOpen": 0.5}, ("mouthPressLeft", 0.0)),
        ({"eyeBlink": 1.0, "eyeWide": 0.7}, ("eyeWideLeft", 0.0)),
        ({"jawLeft": 1.0, "jawRight": 0.7}, ("jawLeft", 0.3)),
    ],
)
def test_what_a_face_cannot_do_at_once_is_lowered_and_said(asked: dict[str, float], changed: tuple[str, float]) -> None:
    with pytest.warns(HeadWarning, match=f"{changed[0]} was lowered from"):
        scene = Scene(actions=asked)
    assert scene.actions[changed[0]] == pytest.approx(changed[1])
    assert settled(scene.actions)[1] == []


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Scene(actions={"mouthSmil": 1.0}), "no facial action “mouthSmil”; did you mean “mouthSmile”"),
        (lambda: Scene(actions={"jawOpen": 1.2}), "jawOpen runs from 0 .* found 1.2; choose a value between"),
        (lambda: Person(age=200), "age cannot be 200: input should be less than or equal to 90"),
        (lambda: Person(shape={"nose-hump": 1}), "did you mean “nose-hump-incr”"),
        (lambda: Person(shape={"nose-hump-incr": 2}), "nose-hump-incr runs from -1 to 1, found 2"),
        (lambda: Person(aeg=20), "no setting of a person “aeg”; did you mean “age”"),
        (lambda: Scene(person={"hair": {"cut": "mohawk"}}), "hair's cut cannot be mohawk"),
        (lambda: express("joy"), "no expression of a head “joy”"),
        (lambda: express("happy", 1.5), "runs from 0 to 1, found 1.5"),
        (lambda: express("happy", mouth="ajar"), "open or closed, found “ajar”"),  # type: ignore[arg-type]
        (lambda: draw_person(-1), "seed is 0 or more, found -1"),
        (lambda: render([], 48), "no scene to render; give at least one"),
        (lambda: render([Scene()], 0), "16 to 1,024 pixels a side, found 0"),
        (lambda: render([Scene()], 4000), "16 to 1,024 pixels a side, found 4,000"),
    ],
)
def test_what_is_not_possible_is_told_in_a_sentence(call: object, sentence: str) -> None:
    with pytest.raises((ConfigError, UnknownName), match=sentence):
        call()  # type: ignore[operator]


def test_two_seeds_are_two_people() -> None:
    one, two = draw_person(1), draw_person(2)
    assert one != two
    assert draw_person(1) == one
    images = render([Scene(person=one), Scene(person=two)], 48).astype(int)
    assert np.abs(images[0] - images[1]).mean() > 5
