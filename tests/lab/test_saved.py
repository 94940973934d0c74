"""A setting as a data set: what is saved is what the page shows, and it is known to the workspace."""

from pathlib import Path

import numpy as np
import pytest

from fer_core.datasets import known, open_dataset, splits
from fer_core.errors import ConfigError, DataError, UnknownName
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.heads import express, render
from fer_core.heads.collection import EXPRESSIONS
from fer_core.heads.scene import Camera, Pose
from fer_core.lab.answers import acting, person_scene
from fer_core.lab.saved import free_name, save
from fer_core.lab.setting import Setting
from tests.untrained import untrained

TURNED = Setting(
    person={"glasses": "round", "skin.tone": 7.0, "hair.cut": "bald"}, actions={"jawOpen": 0.5, "mouthSmile": -1.0},
    pose=Pose(yaw=20), camera=Camera(exposure=-1, blur=0.01),
)  # fmt: skip


def test_a_setting_with_nothing_changed_is_a_head_of_the_experiments() -> None:
    assert Setting().show("happy", 6).scene == acting(person_scene(6), express("happy", 0.8))


def test_a_setting_changes_what_it_says_and_keeps_the_rest_of_each_person() -> None:
    for number in (6, 7):
        scene, plain = TURNED.show("happy", number).scene, person_scene(number)
        assert (scene.person.glasses, scene.person.skin.tone, scene.person.hair.cut) == ("round", 7, "bald")
        assert scene.person.shape == plain.person.shape
        assert scene.person.skin.wrinkles == plain.person.skin.wrinkles
        assert scene.actions["jawOpen"] == 0.5 + express("happy", 0.8).get("jawOpen", 0.0)
        assert not scene.actions.get("mouthSmileLeft")
        assert scene.pose.yaw == 20
        assert scene.camera.exposure == plain.camera.exposure - 1
    wide = Setting(margin=0.32).show("happy", 6).scene.camera.focal
    assert wide == pytest.approx(person_scene(6).camera.focal * 1.1 / 1.32)


def test_a_saved_set_holds_the_setting_and_is_evaluated_by_its_name(workspace: Path) -> None:
    told = []
    name = save("tilted", TURNED, EXPRESSIONS, [6, 7], 32, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    dataset = open_dataset(name)
    assert (dataset.name, dataset.splits) == ("tilted", {"test": 14})
    index = dataset.index
    assert index.groupby("label").size().to_dict() == dict.fromkeys(EXPRESSIONS, 2)
    assert set(index["person"]) == {"person-0006", "person-0007"}
    assert set(index["glasses"]) == {"round"}
    assert set(index["yaw"]) == {20}
    number = index.index[index["id"] == "0007-sad"][0]
    np.testing.assert_array_equal(
        dataset.picture(number), render([TURNED.show("sad", 7).scene], 32, colour=True)[0]
    )  # without noise the seed of an image changes nothing
    assert [path.name for path in (workspace / "sets").iterdir()] == ["tilted"]
    assert len(predict_checkpoint(untrained("small"), dataset, "test")[0].table) == 14
    assert splits.kept_together(index, None) == "person"


def test_each_image_has_noise_of_its_own() -> None:
    save("noisy", Setting(camera=Camera(noise=20)), ["neutral"], [6, 6 + 1], 32)
    dataset = open_dataset("noisy")
    still = [render([Setting().show("neutral", number).scene], 32, colour=True)[0] for number in (6, 7)]
    grain = [dataset.picture(i).astype(float) - still[i] for i in range(2)]
    assert abs(np.corrcoef(grain[0].ravel(), grain[1].ravel())[0, 1]) < 0.2
    assert np.std(grain[0]) == pytest.approx(20, rel=0.3)


def test_a_stopped_set_leaves_nothing_and_a_name_stands_for_one_set(workspace: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save("half", Setting(), ["happy"], [1, 2], 32, stop)
    assert not list((workspace / "sets").iterdir())
    assert "half" not in known.known()
    save("half", Setting(), ["happy"], [1, 2], 32)
    assert free_name("half") == "half-2"
    with pytest.raises(DataError, match="half-2"):
        save("half", Setting(), ["happy"], [3], 32)
    with pytest.raises(DataError, match="cannot name"):
        save("Half!", Setting(), ["happy"], [3], 32)
    with pytest.raises(ConfigError, match="found 0 and 1"):
        save("none", Setting(), ["happy"], [], 32)
    with pytest.raises(UnknownName, match="happy"):
        save("other", Setting(), ["hapy"], [3], 32)
    (workspace / "sets" / "half" / "heads.csv").write_text("id\n1\n")
    with pytest.raises(DataError, match="save the set again"):
        open_dataset("half")
