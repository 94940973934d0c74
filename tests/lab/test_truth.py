"""Maps are held against the pixels that really move; results are kept beside the weights, and only for them."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fer_core.checkpoint import load_tensors, place_for, save_tensors, weights_path
from fer_core.errors import ConfigError, UnknownName
from fer_core.heads import moved
from fer_core.lab import answers as lab
from fer_core.lab import curve, results, truth
from fer_core.lab.truth import Truth
from fer_core.serving.predictor import LoadedNetwork
from tests.lab.planted import Constant, MouthReader, planted
from tests.untrained import untrained


@pytest.fixture(autouse=True)
def rendered_once() -> Iterator[None]:
    lab._rendered.cache_clear()
    yield
    lab._rendered.cache_clear()


def by_hand(right: int = 10) -> Truth:
    """Ten people with one expression, of whom some are predicted right: a method with 0.6 +- 0.1 in the mask, a blob with 0.3."""
    figures = np.zeros((10, 1, 2, 2))
    figures[:, 0, 0, 0] = 0.3
    figures[:, 0, 1, 0] = 0.6 + 0.1 * np.array([1, -1] * 5)
    figures[:7, 0, 1, 1] = 1
    return Truth(
        "Hand", {truth.BLOB: truth.BLOB, "saliency": "Saliency"}, {}, ("happy",), np.arange(10)[:, None] < right,
        np.full((10, 1), 0.25), figures,
    )  # fmt: skip


def test_the_figures_of_a_table_are_those_worked_out_by_hand() -> None:
    table = by_hand().table()
    assert table["expression"].tolist() == ["all", "all", "happy", "happy"]
    row = table.iloc[0]
    assert (row["method"], row["people"], row["faces"], row["area"]) == ("saliency", 10, 10, 0.25)
    # s = 0.1 sqrt(10/9) = 0.10541, error 0.03333, Student's 2.2622 with 9 degrees
    assert row["mass"] == pytest.approx(0.6)
    assert row["mass_low"] == pytest.approx(0.6 - 2.2622 * 0.033333, abs=1e-4)
    assert row["difference"] == pytest.approx(0.3)
    assert row["p_adjusted"] == pytest.approx(2 * row["p"])  # one method, two families: “all” and by expression
    assert row["p"] < 1e-4
    # Wilson for 7 of 10
    assert (row["pointing_low"], row["pointing_high"]) == pytest.approx((0.3968, 0.8922), abs=1e-4)
    assert "1 of 1 methods have significantly more there" in by_hand().sentence()
    assert "60.0" in truth.about_method(table, "saliency")
    assert "is significantly more than" in truth.about_method(table, "saliency")
    assert truth.about_method(table, "lime") == ""


def test_too_few_faces_that_are_predicted_right_give_no_figures() -> None:
    assert len(by_hand(right=7).table()) == 0
    assert "too few" in by_hand(right=7).sentence()
    found = truth.measure(planted(Constant()), ("occlusion",), 8)  # it has no gradient
    assert not found.right.any()
    assert "too few to judge its maps" in found.sentence()


def test_maps_of_a_network_that_reads_the_mouth_lie_on_what_a_smile_moves() -> None:
    network = planted(MouthReader())
    done: list[int] = []
    found = truth.measure(network, ("saliency", "grad-cam"), 8, progress=lambda now, total: done.append(now))
    assert done == list(range(1, 9))
    assert "grad-cam" in found.left  # it has no layer to look at
    happy = found.expressions.index("happy")
    scene = truth.scenes(("happy",), 1)[0][0]
    mask = moved(scene, scene.actions, 24)
    assert found.area[0, happy] == pytest.approx(mask.mean())
    # its gradient is the same everywhere in the mouth, and everywhere in the cheeks: by hand
    gradient = np.zeros((24, 24))
    gradient[16:19, 10:15], gradient[11:15, 5:19] = 1 / 15, 1 / 56
    place = list(found.methods).index("saliency")
    assert found.figures[0, happy, place, 0] == pytest.approx((gradient * mask).sum() / gradient.sum(), abs=1e-4)
    assert found.figures[0, happy, place, 1] == pytest.approx(mask[16:19, 10:15].mean(), abs=1e-4)


def test_several_actions_move_what_each_of_them_does_and_no_less() -> None:
    scene = truth.scenes(("happy",), 1)[0][0]
    whole = moved(scene, scene.actions, 32)
    assert (moved(scene, "mouthSmile", 32) & ~whole).mean() < 0.02
    assert whole.mean() > moved(scene, "cheekSquint", 32).mean()


def test_what_cannot_be_measured_is_said() -> None:
    network = planted(Constant())
    with pytest.raises(ConfigError, match="at least 8"):
        truth.measure(network, ("saliency",), 7)
    with pytest.raises(ConfigError, match="no method"):
        truth.measure(network, (), 8)
    with pytest.raises(UnknownName, match="saliency"):
        truth.measure(network, ("salienci",), 8)


def test_a_result_is_kept_for_its_weights_and_a_damaged_one_is_measured_anew() -> None:
    folder = untrained("small")
    network, settings = LoadedNetwork.of(folder), ("happy", 8, 5)
    assert results.find(folder, curve.measure, *settings) is None
    made = results.measured(folder, network, curve.measure, *settings)
    path = place_for(folder) / "lab-curve-happy-8-5-0.json"
    known = results.find(folder, curve.measure, *settings)
    assert known is not None
    assert known.sentence == made.sentence
    np.testing.assert_allclose(known.table["probability"], made.table["probability"])
    assert known.settings["people"] == 8
    assert [one.sentence for one in results.kept(folder, curve.measure)] == [made.sentence]
    assert results.find(folder, curve.measure, "happy", 9, 5) is None
    text = path.read_text(encoding="utf-8")
    without = json.loads(text)
    del without["tables"]["answers"]["columns"][-1]
    damages = (
        "",
        "[1]",
        json.dumps(json.loads(text) | {"renderer": "another"}),
        json.dumps({"format": 1}),
        json.dumps(without),
    )
    for damage in damages:
        path.write_text(damage, encoding="utf-8")
        assert results.find(folder, curve.measure, *settings) is None
    assert results.measured(folder, network, curve.measure, *settings).sentence == made.sentence
    weights = weights_path(folder)
    save_tensors(weights, {name: value + 1 for name, value in load_tensors(weights)[0].items()})
    assert results.find(folder, curve.measure, *settings) is None


def test_a_stop_keeps_the_people_that_are_done(workspace: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        truth.measure(planted(MouthReader()), ("saliency",), 8, progress=stop)
    assert len(list((workspace / "lab").rglob("*.npy"))) == 3
