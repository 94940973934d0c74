"""Facial regions: the template on faces whose points are known, shares and costs worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dashboard.charts.explanation import covering
from fer_core.errors import DataError
from fer_core.evaluation.comparison import holm
from fer_core.evaluation.intervals import paired_bounds
from fer_core.explanation.means import band, difference
from fer_core.explanation.regions import (
    CORE,
    areas,
    attribution_table,
    cover,
    covering_table,
    sentences,
    shares,
    template_fit,
    verdict,
)
from fer_core.faces.template import FER2013_POINTS, HEADS_POINTS, REGIONS, points_of, template
from fer_core.images import ImageSpec
from fer_core.labels import Expressions
from tests.faces import heads

SPEC = ImageSpec(channels=1, height=48, width=48)


def name_at(regions: np.ndarray, x: float, y: float) -> str:
    return REGIONS[regions[int(y), int(x)]]


def test_the_points_of_a_face_lie_in_their_regions_and_the_corners_in_none():
    regions = template(48, 48)
    left, right, nose, mouth_left, mouth_right = (np.array(point) * 48 for point in FER2013_POINTS)
    assert [name_at(regions, *p) for p in (left, right)] == ["eyes", "eyes"]
    assert name_at(regions, *nose) == "nose"
    assert [name_at(regions, *p) for p in (mouth_left, mouth_right)] == ["mouth", "mouth"]
    assert name_at(regions, left[0], left[1] - 6) == "brows"
    assert name_at(regions, left[0], left[1] + 9) == "cheeks"
    assert name_at(regions, 24, 1) == "forehead and hair"
    assert name_at(regions, 24, 47) == "jaw"
    assert {name_at(regions, x, 47) for x in (0, 47)} == {"background"}
    assert areas(regions).min() > 0.04
    assert areas(regions).sum() == pytest.approx(1)
    assert (regions != regions[:, ::-1]).mean() < 0.01  # a face without a turn is symmetric, but for rounding


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.4, 0.4), st.floats(0.7, 1.3), st.floats(-4, 4), st.floats(-4, 4))
def test_the_template_follows_the_points_wherever_they_are(angle, zoom, right, down):
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (np.array(FER2013_POINTS) * 96 - 48) @ turn.T + 48 + [right, down]
    regions = template(96, 96, points)
    inside = [
        (p, r)
        for p, r in zip(points, ["eyes", "eyes", "nose", "mouth", "mouth"], strict=True)
        if p.min() >= 0 and p.max() < 96
    ]
    assert all(name_at(regions, *p) == region for p, region in inside)


def test_the_template_of_the_heads_holds_what_their_expressions_move():
    regions = template(48, 48, np.array(HEADS_POINTS) * 48)
    assert points_of("heads") == HEADS_POINTS
    assert points_of("fer2013") == FER2013_POINTS
    surprised = [place for place, row in enumerate(heads().rows) if row["label"] == "surprise"]
    moved = heads().masks[surprised].mean(axis=0)  # where surprise shows: brows, eyes, an open mouth
    found = dict(zip(REGIONS, shares(moved[None].astype(np.float32), regions)[0], strict=True))
    area = dict(zip(REGIONS, areas(regions), strict=True))
    assert min(found[name] / area[name] for name in ("brows", "mouth")) > 1.3
    assert found["background"] < 0.5 * area["background"]


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), np.nan), np.zeros((4, 2))])
def test_points_that_are_no_face_are_refused(points):
    with pytest.raises(DataError, match="Five points of a face"):
        template(48, 48, points)


def test_shares_and_density_by_hand():
    # Two regions of four pixels: eyes (one pixel) and background (three). Maps: all in the eye; even; signed; zeros.
    regions = np.full((2, 2), REGIONS.index("background"))
    regions[0, 0] = REGIONS.index("eyes")
    maps = np.array([[[4, 0], [0, 0]], [[1, 1], [1, 1]], [[-3, 1], [0, 0]], [[0, 0], [0, 0]]], np.float32)
    eyes, rest = REGIONS.index("eyes"), REGIONS.index("background")
    np.testing.assert_allclose(shares(maps, regions)[:3, [eyes, rest]], [[1, 0], [0.25, 0.75], [0.75, 0.25]])
    assert np.isnan(shares(maps, regions)[3]).all()
    table = attribution_table(maps, np.array([0, 0, 1, 1]), Expressions("two", ("a", "b")), regions).set_index(
        ["expression", "region"]
    )
    row = table.loc[("all", "eyes")]
    assert (row["n"], row["area"]) == (3, 0.25)
    assert row["share"] == pytest.approx(2 / 3)
    assert row["density"] == pytest.approx(2 / 3 / 0.25)
    assert row["share_low"] <= row["share"] <= row["share_high"]
    assert table.loc[("a", "eyes"), "share"] == pytest.approx(0.625)
    assert table.loc[("b", "eyes"), "n"] == 1  # the map of zeros says nothing


def test_cover_changes_the_region_alone_and_as_it_says():
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    mask = template(48, 48) == REGIONS.index("mouth")
    for how in ("blur", "mean", "noise"):
        covered = cover(images, mask, how)
        np.testing.assert_array_equal(covered[:, ~mask], images[:, ~mask])
        assert (covered[:, mask] != images[:, mask]).mean() > 0.9
        np.testing.assert_array_equal(covered[1], cover(images[1:2], mask, how)[0])  # whatever else is in the batch
    assert (cover(images, mask, "mean")[0][mask] == round(images[0].mean())).all()
    assert cover(images, mask, "blur")[:, mask].std() < 10
    assert abs(cover(images, mask, "noise")[:, mask].std() - images.std()) < 12
    colour = np.stack([images] * 3, axis=-1)
    np.testing.assert_array_equal(cover(colour, mask, "blur")[..., 0], cover(images, mask, "blur"))


class Mouth(nn.Module):
    """Says “open” by the mean of the mouth's pixels, and looks at nothing else: 10 (mean - 0.5)."""

    def __init__(self) -> None:
        super().__init__()
        mask = torch.from_numpy(template(48, 48) == REGIONS.index("mouth")).float()
        self.register_buffer("mask", mask / mask.sum())
        self.weight = nn.Parameter(torch.tensor(5.0))  # the input is 2 x - 1

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        level = self.weight * (inputs[:, 0] * self.mask).sum(dim=(1, 2))
        return torch.stack([level, -level], dim=1)


def test_a_network_that_looks_at_the_mouth_alone_loses_by_the_mouth_alone():
    random = np.random.default_rng(1)
    labels = np.array([0, 1] * 20)
    images = random.integers(60, 100, (40, 48, 48), dtype=np.uint8)
    mouth = template(48, 48) == REGIONS.index("mouth")
    images[np.ix_(labels == 0, np.arange(48), np.arange(48))] += np.where(mouth, 120, 0).astype(np.uint8)
    names = Expressions("two", ("open", "closed"))
    passes = []
    table = covering_table(
        Mouth(), images, SPEC, labels, names, template(48, 48), ("mean",), on_pass=lambda *at: passes.append(at)
    )
    assert passes[-1] == (len(REGIONS) + 1, len(REGIONS) + 1)
    rows = table.set_index(["expression", "region"])
    assert rows.loc[("open", "mouth"), "accuracy"] == 1
    assert rows.loc[("open", "mouth"), "accuracy_cost"] == 1  # grey 100 is dark: every open mouth is read as closed
    assert rows.loc[("closed", "mouth"), "accuracy_cost"] == 0
    assert rows.loc[("all", "mouth"), "accuracy_cost"] == 0.5
    assert rows.loc[("all", CORE), "accuracy_cost"] == 0.5
    assert (
        0.3
        < rows.loc[("all", "mouth"), "accuracy_cost_low"]
        < 0.5
        < rows.loc[("all", "mouth"), "accuracy_cost_high"]
        < 0.7
    )
    others = rows[~rows.index.get_level_values("region").isin(["mouth", CORE])]
    assert not others["probability_cost"].abs().max() > 1e-6
    said = sentences(table, "mean")
    # All 20 of 20 were lost; an interval of no width, as the bootstrap gave, would be too sure.
    assert said["open"].startswith("For open, covering the mouth costs 100.0 points (67.8 to 100.0)")
    assert "significant after correction: mouth. Uncovered, 100.0 % are right, n = 20." in said["open"]
    assert "none is significant after correction" in said["closed"]
    assert "For its area, the mouth costs most" in said["all"]
    row = rows.loc[("all", "mouth")]
    assert row["accuracy_cost_density"] == pytest.approx(0.1 * 0.5 / row["area"])
    assert row["p"] == pytest.approx(2 * 0.5**20)
    family = table[table["n"] > 0]
    np.testing.assert_allclose(family["p_adjusted"], holm(family["p"]))
    assert len(family) == 3 * (len(REGIONS) + 1)  # one correction over regions and expressions
    # that none of 40 images is read otherwise without its background does not say that none would be
    assert verdict(table, "mean").endswith("matter; for the background nothing is shown either way.")


def test_no_change_in_eight_images_is_not_called_none():
    # The old interval was 0.0 (0.0 to 0.0); Tango's goes to z² / (n + z²), Clopper and Pearson's for 0 of 8 to 37 points.
    images = np.random.default_rng(0).integers(100, 110, (8, 48, 48), dtype=np.uint8)
    labels = np.zeros(8, np.int64)
    table = covering_table(
        Mouth(), images, SPEC, labels, Expressions("two", ("open", "closed")), template(48, 48), ("mean",)
    )
    row = table.set_index(["expression", "region"]).loc[("open", "background")]
    assert row["accuracy_cost"] == 0
    assert (row["accuracy_cost_low"], row["accuracy_cost_high"]) == pytest.approx((-0.324, 0.324), abs=1e-3)


def test_the_chart_brackets_what_one_correction_does_not_let_stand():
    figures = {"accuracy_cost": 0.1, "accuracy_cost_low": 0.01, "accuracy_cost_high": 0.2, "p": 0.03}
    figures |= {"probability_cost": 0.1, "probability_cost_low": 0.0, "probability_cost_high": 0.2}
    row = {"expression": "all", "region": "mouth", "n": 100, "area": 0.25, **figures}
    for adjusted, shown in ((0.6, "(10.0)"), (0.01, "10.0")):
        assert covering(pd.DataFrame([row | {"p_adjusted": adjusted}])).data[0].text == ([shown],)
    assert covering(pd.DataFrame([row])).data[0].text == (["10.0"],)  # an older table, by its interval


@pytest.mark.parametrize(("n", "p", "q"), [(8, 0.1, 0.1), (50, 0.1, 0.05), (114, 0.3, 0.01), (500, 0.1, 0.02)])
def test_the_interval_of_paired_proportions_covers_what_it_says(n, p, q):
    found = np.random.default_rng(0).multinomial(n, [p, q, 1 - p - q], size=4000)
    low, high = paired_bounds(found[:, 1], found[:, 0], n)
    assert ((low <= p - q) & (p - q <= high)).mean() > 0.94


@pytest.mark.parametrize("n", [5, 8, 60])
def test_a_band_of_few_images_covers_the_mean(n):
    values = np.random.default_rng(2).normal(0.1, 1, (n, 4000))
    found = band(values)
    assert ((found.low <= 0.1) & (found.high >= 0.1)).mean() == pytest.approx(0.95, abs=0.015)
    other = np.random.default_rng(3).normal(0.0, 3, (n + 3, 4000))
    gap = difference(values, other)
    assert ((gap.low <= 0.1) & (gap.high >= 0.1)).mean() == pytest.approx(0.95, abs=0.015)
    assert np.isnan(band(values[:1]).low).all()


def test_the_template_fits_faces_of_its_own_framing_and_not_others():
    images = heads().images[::300]
    fit = template_fit(images, 48, 48, template(48, 48, np.array(HEADS_POINTS) * 48))
    assert fit["faces"] == 7
    assert fit["found"] >= 5
    assert fit["core_overlap"] > 0.4
    moved = template_fit(images, 48, 48, template(48, 48, np.array(HEADS_POINTS) * 48 + [0, 14]))
    assert moved["core_overlap"] < fit["core_overlap"] - 0.1
    nothing = template_fit(np.zeros((2, 48, 48), np.uint8), 48, 48, template(48, 48))
    assert nothing["found"] == 0
    assert np.isnan(nothing["core_overlap"])


def test_the_chart_of_what_covering_costs_has_one_sign_for_the_figure_and_its_interval():
    figures = {"accuracy_cost": -0.02, "accuracy_cost_low": -0.04, "accuracy_cost_high": -0.01}  # covering it helps
    figures |= {"probability_cost": 0.03, "probability_cost_low": 0.01, "probability_cost_high": 0.05}
    row = {"expression": "all", "region": "background", "n": 100, "area": 0.25, **figures}
    ((words,),) = covering(pd.DataFrame([row])).data[0].customdata
    assert "accuracy lost: -2.0 points (-4.0 to -1.0)<br>" in words
    assert "given label lost: 3.0 points (1.0 to 5.0)<br>" in words


def covering_of(core: tuple[float, float, float], rest: tuple[float, float, float]) -> pd.DataFrame:
    rows = []
    for region, cost in ((CORE, core), ("background", rest)):
        figures = dict(zip(("accuracy_cost", "accuracy_cost_low", "accuracy_cost_high"), cost, strict=True))
        rows.append({"expression": "all", "region": region, "cover": "blur", "n": 1000, "area": 0.25, **figures})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("core", "rest", "ending"),
    [
        ((0.3, 0.2, 0.4), (0.001, -0.004, 0.006), "matter, the background does not."),
        ((0.3, 0.2, 0.4), (0.01, -0.01, 0.03), "for the background nothing is shown either way."),
        ((0.3, 0.28, 0.32), (0.04, 0.03, 0.05), "the background matters much less, but it does."),
        ((0.3, 0.28, 0.32), (0.2, 0.15, 0.25), "the background matters less, but it does."),
        ((0.3, 0.2, 0.4), (0.3, 0.2, 0.4), "and so does the background."),
        ((0.01, -0.01, 0.03), (0.0, -0.01, 0.01), "Eyes, nose and mouth are not shown to matter."),
    ],
)
def test_the_verdict_says_no_more_than_the_intervals(core, rest, ending):
    assert verdict(covering_of(core, rest)).endswith(ending)


def test_a_band_is_the_mean_and_covers_it_as_theory_says():
    values = np.random.default_rng(0).normal(3, 2, (400, 2, 3))
    found = band(values)
    np.testing.assert_allclose(found.mean, values.mean(axis=0))
    half = 1.96 * values.std(axis=0) / 20  # the normal approximation
    np.testing.assert_allclose(found.high - found.mean, half, rtol=0.15)
    np.testing.assert_allclose(found.mean - found.low, half, rtol=0.15)
    assert np.isnan(band(np.zeros((0, 2))).mean).all()
    other = np.random.default_rng(1).normal(1, 1, (200, 2, 3))
    gap = difference(values, other)
    np.testing.assert_allclose(gap.mean, values.mean(axis=0) - other.mean(axis=0))
    spread = 1.96 * np.sqrt(values.var(axis=0) / 400 + other.var(axis=0) / 200)
    np.testing.assert_allclose(gap.high - gap.low, 2 * spread, rtol=0.15)
