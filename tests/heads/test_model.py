"""The head model: what it holds, that it blends as anny does, and what is said when it is damaged."""

import time
from pathlib import Path

import numpy as np
import pytest

from fer_core.errors import DataError, UnknownName
from fer_core.heads import model
from fer_core.heads.actions import ACTIONS

HEAD = model.load()


def test_the_file_is_small_and_loads_fast() -> None:
    assert model.FILE.stat().st_size <= 6_000_000
    times = []
    for _ in range(3):
        model.load.cache_clear()
        start = time.process_time()
        model.load()
        times.append(time.process_time() - start)
    assert min(times) < 0.05


def test_it_holds_the_52_actions_and_local_shapes_of_each_part() -> None:
    assert HEAD.actions == ACTIONS
    assert len(ACTIONS) == 52
    parts = {name.removeprefix("l-").removeprefix("r-").split("-")[0] for name in HEAD.local_shapes}
    assert {"nose", "mouth", "chin", "cheek", "eye", "eyebrows", "ear", "forehead", "asym"} <= parts
    assert len(HEAD.local_shapes) >= 30


def test_weights_of_ancestry_and_of_weight_each_sum_to_one() -> None:
    weights = HEAD.weights(0.3, 41.0, 0.8, {"asian": 2.0, "african": 1.0})
    for kind in ("universal", "ancestry"):
        assert sum(amount for name, amount in weights.items() if name.startswith(kind)) == pytest.approx(1)
    assert weights["ancestry:asian-male-young"] == pytest.approx(2 / 3 * 0.7 * (90 - 41) / (90 - 25))


def test_a_person_between_two_is_between_them() -> None:
    man, woman = HEAD.person(sex=0), HEAD.person(sex=1)
    assert np.allclose(HEAD.person(sex=0.25), 0.75 * man + 0.25 * woman, atol=1e-6)


def test_an_action_at_0_changes_nothing_and_a_jaw_opens_downwards() -> None:
    rest = HEAD.person()
    assert np.array_equal(HEAD.act(rest, dict.fromkeys(ACTIONS, 0.0)), rest)
    chin = int(np.argmin(np.abs(rest - (0, -0.118, 0.01)).sum(1)))
    fall = (HEAD.act(rest, {"jawOpen": 1.0}) - rest)[chin, 1]
    assert -0.05 < fall < -0.015


def test_the_head_is_symmetric() -> None:
    rest = HEAD.person()
    assert np.abs(rest[HEAD.mirror] * (-1, 1, 1) - rest).max() < 2e-4
    assert np.array_equal(HEAD.mirror[HEAD.mirror], np.arange(len(rest)))


@pytest.mark.parametrize(
    ("call", "nearest"),
    [
        (lambda: HEAD.act(HEAD.rest, {"mouthSmileleft": 1.0}), "mouthSmileLeft"),
        (lambda: HEAD.person(local={"nose-hump": 1.0}), "nose-hump-incr"),
        (lambda: HEAD.person(ancestry={"asain": 1.0}), "asian"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(call: object, nearest: str) -> None:
    with pytest.raises(UnknownName, match=f"did you mean “{nearest}”"):
        call()  # type: ignore[operator]


def test_a_missing_or_torn_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there; it ships with FERscope"):
        model.load(tmp_path / "head.npz")
    torn = tmp_path / "torn.npz"
    torn.write_bytes(model.FILE.read_bytes()[:200_000])
    with pytest.raises(DataError, match="torn.npz is torn .* install FERscope again"):
        model.load(torn)


def test_shapes_agree_with_anny_to_a_tenth_of_a_millimetre() -> None:
    anny = pytest.importorskip("anny", reason="anny is not installed: pip install 'ferscope[heads-builder]'")
    import torch

    theirs = anny.Anny(facial_actions="all", phenotypes="all", local_changes="all").to(dtype=torch.float32)
    pose = torch.eye(4)[None, None].repeat(1, theirs.bone_count, 1, 1)
    numbers = theirs.base_mesh_vertex_indices.numpy()
    kept = HEAD.number
    shared, ours, others = np.intersect1d(kept, numbers, return_indices=True)
    assert len(shared) > 4_500
    age = lambda years: float(np.interp(years, [11, 25, 90], [1 / 3, 2 / 3, 1]))  # noqa: E731
    for sex, years, weight, ancestry, local, actions in [
        (0.5, 25, 0.5, {"african": 1, "asian": 1, "caucasian": 1}, {}, {}),
        (0.0, 70, 0.9, {"african": 1}, {"nose-hump-incr": 0.8, "l-eye-scale-incr": -0.6}, {"jawOpen": 0.7}),
        (
            1.0,
            17,
            0.2,
            {"asian": 0.7, "caucasian": 0.3},
            {"chin-width-incr": -1.0},
            {"mouthSmileLeft": 1, "eyeBlinkRight": 1},
        ),
    ]:
        kinds = dict.fromkeys(theirs.phenotype_labels, 0.5)
        kinds |= {"gender": sex, "age": age(years), "weight": weight}
        kinds |= {name: float(ancestry.get(name, 0)) for name in model.ANCESTRIES}
        arguments = {"pose_parameters": pose, "phenotype_kwargs": kinds, "local_changes_kwargs": local}
        still = theirs(**arguments)["rest_vertices"][0].numpy()
        acting = theirs(**arguments, facial_actions=actions)["rest_vertices"][0].numpy()
        mine = HEAD.act(HEAD.person(sex=sex, age=years, weight=weight, ancestry=ancestry, local=local), actions)
        eyes = np.isin(shared, kept[HEAD.of_kind("eye")])
        wanted = (acting - still[others][eyes].mean(0))[others][:, [0, 2, 1]] * (1, 1, -1)
        assert np.abs(mine[ours] - wanted).max() < 1e-4
