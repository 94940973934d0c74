"""Damaged images and what they cost: properties of each kind, determinism, the cache and the command."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from dashboard.charts.robustness import curves
from fer_core.checkpoint import read_card, write_card
from fer_core.datasets import Dataset, open_dataset
from fer_core.errors import DataError, UnknownName
from fer_core.evaluation.corruptions import CORRUPTIONS, corrupt
from fer_core.evaluation.intervals import wilson
from fer_core.evaluation.predict import predict_split
from fer_core.evaluation.robustness import (
    conditions,
    keep,
    measure,
    measured,
    overall,
    sample,
    summary,
    views,
)
from fer_core.images import fit
from fer_core.labels import FER7, RAFDB6
from fer_core.models.logits import predict_logits
from fer_core.serving.predictor import Predictor
from fer_core.workspace import cache
from tests.app.examples import make_pictures
from tests.untrained import untrained
from trainers.cli import app

RAMP = np.tile(np.arange(40, 232, 4, dtype=np.uint8), (48, 1))  # 48 x 48, mean 134


def distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(float) - b).mean())


@pytest.fixture
def face(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Neither flat nor pure noise: a ramp with grain."""
    return (RAMP // 2 + pictures[0] // 4 + 30).astype(np.uint8)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(48, 48), (48, 48, 3), (70, 61), (20, 20, 3)])
def test_every_kind_keeps_shape_and_worsens_with_severity(kind: str, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    grain = 0 if kind == "shift" else 20  # which the smallest shift moves already
    smooth = 60 + 90 * np.linspace(0, 1, shape[1]) + grain * random.standard_normal(shape[:2])
    picture = smooth.clip(0, 255).astype(np.uint8)
    if len(shape) == 3:
        picture = np.stack([picture, picture // 2, picture // 3], axis=2)
    before = picture.copy()
    damaged = [corrupt(picture, kind, severity, "00001") for severity in range(6)]
    assert all(one.shape == shape and one.dtype == np.uint8 for one in damaged)
    np.testing.assert_array_equal(damaged[0], picture)
    np.testing.assert_array_equal(picture, before)  # the original is not written to
    costs = [distance(one, picture) for one in damaged]
    if kind == "down-sampling" and shape[0] <= 20:
        assert costs[1] == costs[2] == 0  # smaller already
    assert costs[5] > 0
    assert costs[1] <= costs[3] <= costs[5]


def test_known_values() -> None:
    assert corrupt(RAMP, "darker", 2, "x")[0, 0] == 20
    assert corrupt(RAMP, "brighter", 1, "x")[0, 0] == 65
    assert corrupt(RAMP, "brighter", 5, "x")[0, -1] == 255  # clipped
    assert corrupt(RAMP, "contrast", 2, "x")[0, 0] == 87  # (40 - 134) / 2 + 134
    grain = corrupt(np.full((48, 48), 128, np.uint8), "noise", 2, "x").astype(float)
    assert grain.std() == pytest.approx(16, rel=0.05)
    assert grain.mean() == pytest.approx(128, abs=1.5)


def test_a_tighter_and_a_wider_cut_and_a_shift_are_those_worked_out_by_hand() -> None:
    """The ramp is 40 + 4 x; its middle, x = 23.5, is 134 and stays where the image is scaled."""
    x = np.arange(48)
    tight, wide = corrupt(RAMP, "tighter", 3, "x"), corrupt(RAMP, "wider", 3, "x")
    np.testing.assert_allclose(tight[7], 134 + 4 * 0.8 * (x - 23.5), atol=1)  # 0.8 of the side fills it
    known = np.abs(1.25 * (x - 23.5)) < 23.5
    np.testing.assert_allclose(wide[7, known], 134 + 4 * 1.25 * (x[known] - 23.5), atol=1)
    assert (wide[:, 0] == 40).all()  # outside, the edge
    assert (wide[:, -1] == 228).all()
    seen = set()
    for image in range(40):
        moved = corrupt(RAMP, "shift", 4, str(image))  # 0.12 of 48: 5.76 pixels, 23 grey levels
        change = int(moved[24, 24]) - int(RAMP[24, 24])
        assert abs(change) == pytest.approx(4 * 0.12 * 48, abs=1)
        seen.add((change > 0, int(corrupt(RAMP.T.copy(), "shift", 4, str(image))[24, 24]) > int(RAMP.T[24, 24])))
    assert len(seen) == 4  # every way


def test_bars_lie_over_the_template_and_grow_from_the_middle() -> None:
    black = np.zeros((48, 48), np.uint8)
    black[0] = 255  # a mean above 0 makes the bar visible
    covered = {
        kind: [np.argwhere(np.where(black, 0, corrupt(black, kind, s, "x"))) for s in (1, 5)]
        for kind in ("eyes", "mouth")
    }
    for small, whole in covered.values():
        assert {tuple(p) for p in small} < {tuple(p) for p in whole}
        assert abs(np.mean([x for _, x in whole]) - 23.5) < 1.5
    # of 48: FER2013's eyes lie at (15, 18) and (33, 18), the corners of its mouth at (17, 37) and (31, 37)
    for kind, points in (("eyes", ((15, 18), (33, 18))), ("mouth", ((17, 37), (31, 37)))):
        bar = {tuple(p) for p in covered[kind][1]}
        assert all((y, x) in bar for x, y in points)
        assert not {tuple(p) for p in covered["eyes"][1]} & {tuple(p) for p in covered["mouth"][1]}
        assert len(bar) < 48 * 48 / 4


def test_the_seed_decides_and_nothing_else_does(face: NDArray[np.uint8]) -> None:
    for kind in ("noise", "rotation"):
        one = [corrupt(face, kind, 5, f"{i:02d}", seed=1) for i in range(12)]
        again = [corrupt(face, kind, 5, f"{i:02d}", seed=1) for i in reversed(range(12))][::-1]
        np.testing.assert_array_equal(one, again)
        assert any((a != b).any() for a, b in pairwise(one))  # images differ
        other = [corrupt(face, kind, 5, f"{i:02d}", seed=2) for i in range(12)]
        assert any((a != b).any() for a, b in zip(one, other, strict=True))


def test_unknown_kinds_and_severities_are_named(face: NDArray[np.uint8]) -> None:
    with pytest.raises(UnknownName, match="did you mean “noise”"):
        corrupt(face, "nois", 1, "x")
    with pytest.raises(DataError, match="0 to 5, found 6"):
        corrupt(face, "noise", 6, "x")


@pytest.fixture
def faces(tmp_path: Path) -> Dataset:
    return open_dataset(make_pictures(tmp_path / "faces", each=3))


def test_the_clean_accuracy_is_that_of_evaluate_and_each_other_is_recomputed(faces: Dataset) -> None:
    folder = untrained()
    chosen = sample(faces, "val")
    table = measure("untrained", folder, faces, "val", chosen, ["noise", "eyes"])
    known = Predictor(folder)
    spec = known.card.image
    usual = predict_split(known.model, faces, "val", spec=spec, expressions=FER7)
    assert table["corruption"].tolist() == ["clean"] + ["noise"] * 5 + ["eyes"] * 5
    clean = table.iloc[0]
    assert clean["accuracy"] == usual.correct.mean()
    assert (clean["low"], clean["high"]) == pytest.approx(wilson(int(usual.correct.sum()), 21))
    assert (clean["drop"], clean["drop_low"], clean["drop_high"]) == (0, 0, 0)
    rows = faces.rows("val")
    damaged = np.stack([fit(corrupt(faces.picture(int(r)), "eyes", 5, faces.index["id"].iloc[r]), spec) for r in rows])
    right = predict_logits(known.model, damaged, spec).argmax(axis=1) == faces.label_index(FER7, rows)
    last = table.iloc[-1]
    assert last["accuracy"] == right.mean()
    assert last["drop"] == pytest.approx(usual.correct.mean() - right.mean())
    assert last["drop_low"] <= last["drop"] <= last["drop_high"]
    assert overall(table) == pytest.approx(table["accuracy"][1:].mean())


def test_an_interrupted_measurement_goes_on_and_a_changed_network_starts_anew(faces: Dataset) -> None:
    folder, chosen = untrained(), sample(faces, "val", limit=5)
    assert len(chosen.rows) == 5

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure("untrained", folder, faces, "val", chosen, ["blur"], stop)
    (place,) = (cache() / "robustness").iterdir()
    first = {path.name: path.stat().st_mtime_ns for path in place.glob("*.npy")}
    assert set(first) == {"clean-0.npy", "blur-1.npy", "blur-2.npy"}
    table = measure("untrained", folder, faces, "val", chosen, ["blur"])
    assert len(table) == 6
    assert {name: (place / name).stat().st_mtime_ns for name in first} == first  # nothing was done twice
    assert [one.n for one in measured(folder)] == [5]
    weights = folder / "best.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert measured(folder) == []


def test_the_sample_depends_on_content_alone(faces: Dataset, tmp_path: Path) -> None:
    copy = open_dataset(make_pictures(tmp_path / "elsewhere" / "faces", each=3))
    assert sample(faces, "val").key == sample(copy, "val").key
    assert sample(faces, "val").key != sample(faces, "train").key
    assert sample(faces, "val").key != sample(faces, "val", seed=1).key
    assert set(sample(faces, "val", 4).rows) < set(faces.rows("val").tolist())
    with pytest.raises(DataError, match="1 or more"):
        sample(faces, "val", 0)


def test_a_table_beside_the_weights_is_read_without_the_cache(faces: Dataset, workspace: Path) -> None:
    folder = untrained("kept")
    chosen = sample(faces, "val", 6)
    table = measure("kept", folder, faces, "val", chosen, ("blur",))
    path = keep(folder, faces, "val", chosen, table)
    assert path == folder / f"robustness-{faces.name}-val.csv"
    assert [(one.n, one.place.is_dir()) for one in measured(folder)] == [(6, True)]  # the cache's own comes first
    shutil.rmtree(workspace / "cache" / "robustness")
    (one,) = measured(folder)
    assert (one.network, one.dataset, one.split, one.sample) == ("kept", faces.name, "val", chosen.key)
    pd.testing.assert_frame_equal(one.table(), table)
    path.write_text("corruption\nblur\n")
    with pytest.raises(DataError, match="measure again with `ferscope robustness --keep`"):
        measured(folder)


def test_a_damaged_measurement_says_what_to_do(faces: Dataset) -> None:
    folder = untrained()
    measure("untrained", folder, faces, "val", sample(faces, "val", limit=3), ["jpeg"])
    (place,) = (cache() / "robustness").iterdir()
    (place / "clean-0.npy").write_bytes(b"")
    with pytest.raises(DataError, match="measure again"):
        summary(place)


def test_the_command_prints_every_condition_as_json(faces: Dataset, tmp_path: Path) -> None:
    untrained()
    place = str(tmp_path / "faces")
    asked = ["robustness", "untrained", "--data", place, "--limit", "4", "--only", "mouth", "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["untrained"]
    assert [(row["corruption"], row["severity"]) for row in rows] == conditions(["mouth"])
    assert {row["n"] for row in rows} == {4}


def test_pictures_that_a_network_leaves_out_are_in_no_condition(faces: Dataset, tmp_path: Path) -> None:
    untrained(
        "six",
        expressions_name=RAFDB6.name,
        expressions=RAFDB6.names,
        leave_out=("neutral",),
        arguments={"widths": [8] * 4},
    )
    untrained("seven")
    asked = ["robustness", "six", "seven", "--data", str(tmp_path / "faces"), "--only", "mouth", "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output or done.exception
    tables = json.loads(done.stdout)
    assert {row["n"] for rows in tables.values() for row in rows} == {18}  # three of each of the other six


def test_the_chart_of_several_networks_says_which_line_is_whose() -> None:
    table = pd.DataFrame(
        [("clean", 0, 0.7, 0.6, 0.8, 0.0, 0.0, 0.0), ("noise", 1, 0.5, 0.4, 0.6, 0.2, 0.1, 0.3)],
        columns=["corruption", "severity", "accuracy", "low", "high", "drop", "drop_low", "drop_high"],
    )
    chart = curves({"One": table, "Two": table})
    assert [(line.name, line.showlegend) for line in chart.data] == [("One", True), ("Two", True)]
    legend = chart.layout.legend
    assert (legend.yref, legend.y, legend.yanchor) == ("container", 1, "top")  # inside the figure, not above its edge


def test_ten_crops_are_measured_with_the_mirror_image(faces: Dataset) -> None:
    folder = untrained()
    card = read_card(folder)
    assert [views(card.model_copy(update={"tta": how})) for how in ("none", "flip", "ten-crop")] == [
        "none",
        "flip",
        "flip",
    ]
    chosen, tables = sample(faces, "val"), {}
    for how in ("flip", "ten-crop"):
        write_card(folder, card.model_copy(update={"tta": how}))
        tables[how] = measure("untrained", folder, faces, "val", chosen, ["noise"])
        shutil.rmtree(cache() / "robustness")  # or the second would be the first
    pd.testing.assert_frame_equal(tables["flip"], tables["ten-crop"])
