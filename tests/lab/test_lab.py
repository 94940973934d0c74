"""Experiments on networks whose rule is known find that rule, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import ShapleyValueSampling

from fer_core.errors import ConfigError, UnknownName
from fer_core.heads import Scene, draw_person, render
from fer_core.lab import answers as lab
from fer_core.lab import curve, muscles, who
from fer_core.lab.paired import differences
from fer_core.lab.psychometric import fit
from fer_core.serving.predictor import LoadedNetwork, Predictor
from tests.lab.planted import Constant, MouthReader, SkinReader, planted

PEOPLE = 8
GRID = np.linspace(0, 1, 11)


@pytest.fixture(scope="module", autouse=True)
def rendered_once() -> Iterator[None]:
    """All networks of this file take images of one size, so a head is rendered for the first of them only."""
    lab._rendered.cache_clear()
    yield
    lab._rendered.cache_clear()


def logistic_people(rng: np.random.Generator, people: int, threshold: float, lapse: float = 0.04) -> np.ndarray:
    """Simulated answers (people, 11): each person has a threshold of their own, and 4 in 100 answers are lapses."""
    own = threshold + rng.logistic(0, 0.08, (people, 1))
    return (own <= GRID) & (rng.random((people, 11)) >= lapse)


def test_an_answer_is_what_the_predictor_serves() -> None:
    network = planted(MouthReader())
    scene = lab.person_scene(3)
    image = render([scene], 24)[0]
    served = Predictor.of(network).predict(image, "none")[0]
    given, probs = lab.answer(network, scene)
    np.testing.assert_array_equal(served.picture, given)
    assert probs == pytest.approx(served.probs)
    found = lab.answers(network, [[scene]])[0, 0]
    np.testing.assert_allclose(found, list(served.probs.values()), rtol=1e-6)


def test_answers_are_kept_by_content_and_a_stop_loses_nothing(workspace: Path) -> None:
    network, units = planted(MouthReader()), [[lab.person_scene(number)] for number in range(3)]

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.answers(network, units, stop)
    files = list((workspace / "lab").rglob("*.npy"))
    assert len(files) == 2
    first = {path: path.stat().st_mtime_ns for path in files}
    whole = lab.answers(network, units)
    assert {path: path.stat().st_mtime_ns for path in files} == first  # continued, not repeated
    files[0].write_bytes(b"torn")  # measured anew
    np.testing.assert_array_equal(lab.answers(network, units), whole)
    known = lab.fingerprint(network)
    assert lab.fingerprint(LoadedNetwork(network.model, network.card.model_copy(update={"temperature": 2.0}))) != known
    with torch.no_grad():
        network.model.bias += 1  # type: ignore[operator]
    assert lab.fingerprint(network) != known


def test_a_curve_finds_the_brightness_of_the_mouth_and_nothing_in_a_constant_network() -> None:
    network = planted(MouthReader())
    found = curve.measure(network, "happy", PEOPLE, steps=6)
    raw = np.stack([[lab.image_for(s, network.card.image) for s in unit] for unit in curve.scenes("happy", 2, 6)])
    bright = raw[..., 16:19, 10:15].mean((2, 3)) - raw[..., 11:15, 5:19].mean((2, 3))
    # 60 (2 (m - c) / 255 + 0.09) is above 0, by hand; near 0 the mean of float pixels may round either way
    clear = np.abs(bright / 127.5 + 0.09) > 1e-4
    np.testing.assert_array_equal(found.recognised[:2][clear], (bright / 127.5 + 0.09 > 0)[clear])
    assert found.psychometric.threshold is not None
    assert 0.1 < found.psychometric.threshold < 0.8
    assert "% of a full happy expression (95 % CI" in found.sentence()
    assert "of a full happy expression with the mouth closed (95" in replace(found, mouth="closed").sentence()
    flat = curve.measure(planted(Constant()), "happy", PEOPLE, steps=6)
    assert flat.psychometric.threshold is None
    assert flat.psychometric.threshold_interval is None
    assert "no threshold" in flat.sentence()
    table = flat.table()
    np.testing.assert_allclose(table["low"], table["high"])
    np.testing.assert_allclose(table.groupby("intensity")["probability"].sum(), 1)


def test_what_a_curve_refuses_is_said_before_anything_is_rendered() -> None:
    network = planted(Constant())
    with pytest.raises(ConfigError, match="at least 8"):
        curve.measure(network, "happy", 3)
    with pytest.raises(UnknownName, match="happy"):
        curve.measure(network, "hapy", 20)
    with pytest.raises(ConfigError, match="at least 5"):
        curve.measure(network, "happy", 20, steps=2)
    with pytest.raises(ConfigError, match="no action units"):
        muscles.measure(network, "neutral")
    with pytest.raises(UnknownName, match="skin"):
        who.measure(network, "happy", ["skim"])


def test_the_psychometric_function_of_expected_answers_is_the_true_one() -> None:
    share = 0.1 + 0.85 / (1 + np.exp(-(GRID - 0.45) / 0.07))
    n = 20_000
    hits = np.arange(n)[:, None] < share * n  # as many people as the curve says, to a person
    found = fit(GRID, hits, resamples=2)
    np.testing.assert_allclose(found.parameters, [0.45, 0.07, 0.1, 0.95], atol=2e-3)
    true = 0.45 - 0.07 * np.log((0.95 - 0.5) / (0.5 - 0.1))
    assert found.threshold == pytest.approx(true, abs=1e-3)
    assert found.slope == pytest.approx((0.5 - 0.1) * (0.95 - 0.5) / (0.07 * 0.85), rel=0.03)
    assert found.lapse == pytest.approx(0.05, abs=2e-3)


def test_the_interval_of_a_threshold_covers_the_true_one() -> None:
    """20 experiments of 30 people: with 95 % coverage fewer than 16 cover in 3 of 1,000 runs. tests/benchmarks has 300."""
    rng, covered = np.random.default_rng(4), 0
    # p(x) = 0.96 F(x), so that half of the answers are reached where F is 0.5 / 0.96
    true = 0.5 + 0.08 * np.log(0.5 / 0.46)
    for _ in range(20):
        found = fit(GRID, logistic_people(rng, 30, 0.5), resamples=60)
        assert found.threshold_interval is not None
        low, high = found.threshold_interval
        assert high - low < 0.4
        covered += low <= true <= high
    assert covered >= 16


def test_a_step_is_not_located_more_finely_than_the_intensities() -> None:
    found = fit(GRID, np.tile(GRID >= 0.62, (20, 1)), resamples=20)
    assert found.threshold_interval is not None
    low, high = found.threshold_interval
    assert low <= 0.6 + 1e-9
    assert high >= 0.7 - 1e-9


def test_answers_that_never_reach_a_half_and_answers_at_rest_have_no_threshold() -> None:
    rng = np.random.default_rng(0)
    assert fit(GRID, rng.random((40, 11)) < 0.2 * GRID).threshold is None
    assert fit(GRID, rng.random((40, 11)) < 0.9).threshold is None
    assert fit(GRID, rng.random((40, 11)) < 0.9 - 0.8 * GRID).threshold is None  # it falls


def test_shapley_values_equal_brute_force_and_captum_and_add_up() -> None:
    rng = np.random.default_rng(0)
    worth = rng.random((3, 16))
    values = muscles.shapley(worth)
    np.testing.assert_allclose(values.sum(1), worth[:, -1] - worth[:, 0])
    brute = np.zeros((3, 4))
    for order in permutations(range(4)):
        for place, player in enumerate(order):
            before = sum(1 << i for i in order[:place])
            brute[:, player] += worth[:, before | 1 << player] - worth[:, before]
    np.testing.assert_allclose(values, brute / 24)

    def game(masks: torch.Tensor) -> torch.Tensor:
        return torch.tensor(worth[0])[(masks.long() * torch.tensor([1, 2, 4, 8])).sum(1)]

    torch.manual_seed(0)
    sampled = ShapleyValueSampling(game).attribute(torch.ones(1, 4), n_samples=2000)
    np.testing.assert_allclose(sampled[0].numpy(), values[0], atol=0.03)


def test_muscles_finds_that_only_the_mouth_is_used() -> None:
    found = muscles.measure(planted(MouthReader()), "happy", PEOPLE)
    table = found.table().set_index("unit")
    assert set(table.index) == {12, 6, 25, 10}
    assert table["difference"].sum() == pytest.approx((found.worth[:, -1] - found.worth[:, 0]).mean())
    assert table["difference"].abs().idxmin() == 6  # the cheek raiser
    assert abs(table.loc[6, "difference"]) < 0.1 * table["difference"].sum()
    assert (table.loc[[12, 25, 10], "p_adjusted"] < 0.05).all()  # those that move the lips
    nothing = muscles.measure(planted(Constant()), "happy", PEOPLE)
    assert (nothing.table()["p_adjusted"] == 1).all()
    assert (nothing.pairs()["difference"] == 0).all()
    assert "No significant share" in nothing.sentence()


def test_the_coalition_of_all_is_the_full_expression_and_that_of_none_a_neutral_face() -> None:
    from fer_core.heads import EXPRESSIONS, express
    from fer_core.heads.actions import unpaired

    for expression in EXPRESSIONS:
        if expression == "neutral":
            continue
        for mouth in ("open", "closed"):
            whole = muscles.scenes(expression, 1, mouth)[0]
            assert whole[0].actions == {}
            full = {name: amount for name, amount in unpaired(express(expression, 1.0, mouth=mouth)).items() if amount}
            assert whole[-1].actions.keys() == full.keys()
            assert len(whole) <= 128


def test_who_finds_that_only_the_skin_is_used() -> None:
    found = who.measure(planted(SkinReader()), "neutral", ("skin", "weight"), PEOPLE)
    table = found.table().set_index(["property", "answer"])
    assert table.loc[("skin", "angry"), "p_adjusted"] < 0.01
    assert table.loc[("skin", "angry"), "difference"] > 0.05
    assert table["difference"].abs().idxmax() == ("skin", "angry")
    assert "Skin tone" in found.sentence().split(";")[0]
    nothing = who.measure(planted(Constant()), "neutral", ("skin", "weight"), PEOPLE)
    assert (nothing.table()["difference"] == 0).all()
    assert "no change of the person" in nothing.sentence()


def test_one_property_changes_and_everything_else_stays() -> None:
    person = draw_person(5)
    for name, one in who.PROPERTIES.items():
        before, after = (who.changed(person, settings).model_dump() for settings in one.settings)
        assert before != after, name
        differing = {key for key in before if before[key] != after[key]}
        assert differing <= {key.partition(".")[0] for key in one.settings[0]}, name
    darker = who.changed(person, {"skin.tone": 8.0})
    assert darker.skin.tone == 8
    assert darker.skin.wrinkles == person.skin.wrinkles


def test_differences_of_nothing_are_rarely_significant() -> None:
    """200 experiments of 5 questions without an effect, at 5 %: above 20 in 1 of 1,000 runs."""
    rng = np.random.default_rng(1)
    found = sum((differences(rng.normal(0, 0.1, (20, 5)))["p_adjusted"] <= 0.05).any() for _ in range(200))
    assert found <= 20
    one = differences(np.array([[0.1], [0.3], [0.2], [0.4]]))
    # by hand: mean 0.25, s = 0.1291, error 0.06455, t = 3.873 with 3 degrees: p = 0.0305, reach 3.1824 x 0.06455
    assert one["p"][0] == pytest.approx(0.0305, abs=1e-4)
    assert one["low"][0] == pytest.approx(0.25 - 0.2054, abs=1e-4)


def test_no_head_of_an_experiment_is_one_of_the_training_set() -> None:
    from fer_core.heads.collection import FIRST_SEED, PEOPLE

    ours = {lab.person_scene(number).person.pattern for number in range(40)}
    theirs = {draw_person(FIRST_SEED + number).pattern for number in range(PEOPLE)}
    assert not ours & theirs
    assert isinstance(lab.person_scene(0), Scene)
