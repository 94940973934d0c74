"""The smallest change: found where one is known, no longer than a single action needs, and not invented."""

from functools import wraps

import numpy as np
import pandas as pd
import pytest

from fer_core.errors import ConfigError, UnknownName
from fer_core.heads.actions import UNITS
from fer_core.lab import results, smallest
from fer_core.lab.answers import image_for, person_scene
from fer_core.lab.smallest import MOVES, Change, Changes, amounts, moved_to, weights
from fer_core.serving.predictor import LoadedNetwork
from tests.lab.planted import Constant, MouthReader, planted
from tests.untrained import untrained


def test_it_is_no_longer_than_the_best_single_action_and_leaves_the_brows_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smallest, "ROUNDS", 8)  # for time
    network, scene = planted(MouthReader()), person_scene(1)
    happy = network.card.expressions.index("happy")
    single = []
    for i in range(len(MOVES)):
        tried = np.zeros((11, len(MOVES)))
        tried[:, i] = np.linspace(0, 1, 11)
        images = [image_for(moved_to(scene, one), network.card.image) for one in tried]
        turned = np.flatnonzero(network.probs(np.stack(images)).argmax(1) == happy)
        if len(turned):
            single.append(weights()[i] * turned[0] / 10)
    told = []
    found = smallest.find(network, scene, "happy", progress=lambda done, total: told.append(done / total))
    assert found.turned
    assert 0 < found.size <= 1.1 * min(single)
    assert {UNITS[name].part for name in found.table()["action"]} <= {"mouth", "nose", "cheeks"}
    assert told == sorted(told)
    assert told[-1] == 1
    again = smallest.look(network, scene, "happy")
    assert again is not None
    np.testing.assert_array_equal(again.after, found.after)
    # as short as the answer holds: a twentieth less of it does not turn the answer
    less = found.before + 0.95 * (found.after - found.before)
    image = image_for(moved_to(scene, less), network.card.image)
    assert network.probs(image[None])[0].argmax() != happy


def test_of_a_constant_network_no_movement_is_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smallest, "ROUNDS", 4)  # for time: more faces get the same answer
    network, scene = planted(Constant()), person_scene(1)
    assert smallest.look(network, scene, "happy") is None
    found = smallest.find(network, scene, "happy")
    assert not found.turned
    assert found.size == 0
    assert "no movement was found" in found.sentence()
    assert smallest.find(network, scene, network.card.expressions[-1]).sentence().endswith("nothing has to move.")


def change(name: str, amount: float, turned: bool = True) -> Change:
    after, path = np.zeros(len(MOVES)), np.zeros((smallest.STEPS, 2))
    after[MOVES.index(name)] = amount
    path[:, 0], path[-1, 1] = 0.5, 1.0 if turned else 0.0
    return Change("N", "sad", ("happy", "sad"), np.zeros(len(MOVES)), after, path)


def test_a_table_of_several_people_is_that_worked_out_by_hand() -> None:
    people = {
        0: change("browDown", 0.5),
        2: change("browDown", 0.3),
        3: change("jawOpen", 1.0),
        5: change("jawOpen", 0, False),
    }
    found = Changes("N", "happy", "sad", people, 8)
    table = found.table().set_index("action")
    assert table.loc["browDown", ["people", "used"]].tolist() == [3, 2]
    assert table.loc["browDown", "change"] == pytest.approx(0.4)
    assert table.loc["browDown", "share"] == pytest.approx(2 / 3)
    assert (table.loc["browDown", "low"], table.loc["browDown", "high"]) == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert "on 3 of the 4 heads that it predicts as happy" in found.sentence()
    assert found.tables()["people"]["turned"].tolist() == [True, True, True, False]
    assert "on none of 8 heads" in Changes("N", "happy", "sad", {}, 8).sentence()
    folder = untrained("small")

    @wraps(smallest.measure)  # whose settings and name a kept result has
    def measured(*settings: object, **more: object) -> Changes:
        return found

    results.measured(folder, LoadedNetwork.of(folder), measured, "happy", "sad", 8)
    again = results.find(folder, measured, "happy", "sad", 8)
    assert again is not None
    pd.testing.assert_frame_equal(again.table, found.table().round(results.DECIMALS))


def test_amounts_of_a_scene_give_the_scene_again() -> None:
    from fer_core.heads import express
    from fer_core.lab.answers import acting

    scene = acting(person_scene(0), express("surprise", 0.8))
    again = moved_to(scene, amounts(scene.actions))
    assert again.actions == pytest.approx(scene.actions)


def test_what_cannot_be_searched_is_said() -> None:
    network = planted(Constant())
    with pytest.raises(UnknownName, match="happy"):
        smallest.find(network, person_scene(0), "hapy")
    with pytest.raises(ConfigError, match="choose another one"):
        smallest.measure(network, "happy", "happy", people=8)
    with pytest.raises(ConfigError, match="too small"):
        smallest.measure(network, "happy", "sad", people=2)
