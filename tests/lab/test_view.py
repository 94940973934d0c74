"""View and framing: what is changed changes, and a network that sees nothing of it is not said to."""

import numpy as np
import pytest

from fer_core.errors import ConfigError, UnknownName
from fer_core.faces import DETECTORS
from fer_core.heads import express, render
from fer_core.lab import view
from fer_core.lab.answers import person_scene
from fer_core.lab.view import ALL, VIEWS, Seen, framed
from tests.lab.planted import Constant, SkinReader, planted


@pytest.mark.parametrize("margin", [-0.1, 0.5])
def test_a_margin_is_the_margin_around_the_box_that_the_detector_finds(margin: float) -> None:
    find, found = DETECTORS.get("mtcnn").find, []
    for number in range(6):
        scene = framed(person_scene(number), margin)
        # the detector needs room around a face that is cut tightly
        image = np.pad(render([scene], 200, colour=True)[0], ((100, 100), (100, 100), (0, 0)), mode="edge")
        found.append(200 / max(face.size for face in find(image, 32)) - 1)
    assert np.median(found) == pytest.approx(margin, abs=0.12)


def test_a_table_is_that_worked_out_by_hand() -> None:
    # eight people, one expression, shift: right at the usual value for all, at the first value for four
    right = np.ones((8, 1, len(view.SHIFTS)), bool)
    right[:4, 0, 0] = False
    table = Seen("N", "right", ("happy",), right).table()
    whole = table[table["expression"] == ALL]
    assert whole["accuracy"].tolist() == [0.5, 1, 1, 1, 1, 1, 1]
    first = whole.iloc[0]
    assert first["difference"] == -0.5
    # Student, 7 degrees: 0.5 -+ 2.3646 * sqrt(8 / 7 * 0.25 / 8)
    assert (first["low"], first["high"]) == pytest.approx((-0.9469, -0.0531), abs=1e-4)
    assert first["p"] == pytest.approx(0.0331, abs=1e-4)  # t = 2.6458
    assert first["p_adjusted"] == pytest.approx(2 * 6 * first["p"])  # six values, two families
    assert np.isnan(whole.iloc[3]["p"])  # the usual value has nothing to be compared with
    assert "No other value changes it significantly." in Seen("N", "right", ("happy",), right).sentence()
    # one expression gets lost on all, as many as get another: the mean stays, and the loss is said
    lost = np.ones((8, 2, len(view.SHIFTS)), bool)
    lost[:, 0, 0], lost[:, 1] = False, False
    lost[:, 1, 0] = True
    said = Seen("N", "right", ("happy", "sad"), lost).sentence()
    assert "No other value changes it significantly. The largest change of one expression: " in said


def test_a_network_that_calls_dark_cheeks_angry_does_so_by_exposure_and_a_constant_one_loses_nothing() -> None:
    found = view.measure(planted(SkinReader()), "exposure", people=8)
    table = found.table()
    angry = table[(table["expression"] == "angry")].set_index("value")
    assert angry.loc[-2.0, "accuracy"] == 1
    assert angry.loc[2.0, "accuracy"] == 0
    still = view.measure(planted(Constant()), "exposure", people=8)
    assert (still.table()["p_adjusted"].dropna() == 1).all()
    assert "No other value changes it significantly" in still.sentence()


@pytest.mark.parametrize("name", VIEWS)
def test_the_usual_value_leaves_the_scene_as_it_is_and_the_others_change_it(name: str) -> None:
    what, scene = VIEWS[name], view.scenes(name, ["happy"], people=1)[0]
    usual = scene[what.values.index(what.usual)]
    plain = person_scene(0)
    assert (usual.pose, usual.light, usual.camera) == (plain.pose, plain.light, plain.camera)
    assert usual.actions == scene[0].actions == express("happy", 0.8) | dict(usual.actions)
    assert len({one.model_dump_json() for one in scene}) == len(what.values)


def test_what_cannot_be_measured_is_said() -> None:
    network = planted(Constant())
    with pytest.raises(UnknownName, match="yaw"):
        view.measure(network, "yau", people=8)
    with pytest.raises(ConfigError, match="too small"):
        view.measure(network, "yaw", people=3)
