"""Compare and Confidence, run without a browser."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.text import verbatim
from fer_core.checkpoint import read_card, write_card
from fer_core.evaluation.calibration import temperature
from fer_core.evaluation.comparison import all_pairs, compare, p_in_words
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import evaluate
from fer_core.labels import RAFDB6
from tests.app.conftest import texts
from tests.app.examples import make_network, predictions_elsewhere

OpenPage = Callable[..., AppTest]


def said(app: AppTest) -> str:
    assert not app.exception, app.exception
    return texts(app).replace("\\", "").replace("\N{NO-BREAK SPACE}", " ")


def test_the_answer_is_the_comparison_of_the_two_networks_in_the_address(open_page: OpenPage) -> None:
    weak, strong = predictions_elsewhere(seed=1, skill=0.3), predictions_elsewhere(seed=2, skill=0.9)
    make_network("weak", weak, title="Weak network")
    make_network("strong", strong, title="Strong network")
    app = open_page("compare", network="weak", other="strong")
    found = compare(weak, strong)
    assert app.markdown[0].value.replace("\\", "") == f"**{found.sentence('Weak network', 'Strong network')}**"
    assert "Strong network is better than Weak network" in app.markdown[0].value.replace("\\", "")
    words = said(app)
    assert f"Strong network is right on **{found.test.only_b:,}** images that Weak network gets wrong" in words
    assert (
        "On the 210 images that both networks have in common, Strong network is significantly better than the other network."
        in words
    )
    assert f"{found.test.only_b} images of elsewhere cannot be shown" in words
    back = said(open_page("compare", network="strong", other="weak", change="broken"))
    assert "Strong network is better than Weak network" in back
    assert f"Weak network is right on **{found.test.only_a:,}** images" in back
    assert f"wrong on **{found.test.only_b:,}** that Strong network gets right" in back


def test_a_title_is_shown_letter_by_letter(open_page: OpenPage) -> None:
    title = "Zoë's *second* try_ at $5$"
    for seed, name in enumerate(("one", "two")):
        make_network(name, predictions_elsewhere(seed=seed), title=f"{title} {name}")
    app = open_page("compare", network="one", other="two")
    signs = verbatim(title)
    assert app.selectbox(key="other").label == f"Compare {signs} one with"
    assert title not in "\n".join(element.value for kind in (app.markdown, app.caption) for element in kind)


def test_networks_that_cannot_be_told_apart_are_one_group(open_page: OpenPage) -> None:
    for seed in range(3):
        make_network(f"net{seed}", predictions_elsewhere(seed=seed), title=f"Network {seed}")
    words = said(open_page("compare", network="net0", other="net2", beside="net1"))
    assert "No single expression differs significantly." in words
    assert "On the 210 images that all 3 networks have in common" in words


def test_a_pair_has_one_p_which_only_networks_that_were_chosen_too_change(open_page: OpenPage) -> None:
    tables = {f"net{seed}": predictions_elsewhere(seed=seed, skill=0.5 + 0.07 * seed) for seed in range(3)}
    for name, table in tables.items():
        make_network(name, table, title=name)
    raw = p_in_words(compare(tables["net0"], tables["net1"]).test.p)
    words = said(open_page("compare", network="net0", other="net1"))  # net2 lies in the workspace too
    assert words.count(raw) >= 2  # headline and table
    assert "Holm's correction over the" not in words
    adjusted = p_in_words(all_pairs(tables)["p_adjusted"].iloc[0])
    assert adjusted != raw
    words = said(open_page("compare", network="net0", other="net1", beside="net2"))
    assert adjusted in words.splitlines()[1]
    assert "with Holm's correction over the 3 pairs of the networks chosen" in words


def test_one_network_alone_has_nothing_to_be_compared_with(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere())
    app = open_page("compare")
    assert "No other network has been evaluated on the elsewhere validation set" in said(app)
    assert [button.label for button in app.button] == ["Train a network"]


def test_tables_with_other_expressions_and_other_pictures_are_compared_on_what_they_share(open_page: OpenPage) -> None:
    mine = predictions_elsewhere(140)
    known = mine.where(mine.table["label"].isin(RAFDB6.names))
    part = known.where(np.arange(len(known)) < 90)
    six = Predictions(part.table[["id", "dataset", "split", "label", *(f"logit_{name}" for name in RAFDB6.names)]])
    make_network("seven", mine, title="Seven")
    make_network("six", six, title="Six")
    words = said(open_page("compare", network="seven", other="six"))
    assert "Seven was evaluated on 140 images, Six on 90." in words


def test_tables_without_a_shared_picture_say_so_calmly(open_page: OpenPage) -> None:
    mine = predictions_elsewhere(70)
    make_network("one", mine)
    make_network("two", Predictions(mine.table.assign(id="other-" + mine.table["id"])))
    app = open_page("compare", network="one", other="two")
    assert "share no image with the same label" in said(app)
    assert not app.error


def test_the_threshold_in_the_address_is_answered_with_coverage_and_accuracy(open_page: OpenPage) -> None:
    table = predictions_elsewhere()
    make_network("one", table, title="One")
    sure = table.confidence >= 0.95
    app = open_page("confidence", threshold="95")
    words = said(app)
    accuracy = 100 * table.correct[sure].mean()
    assert (
        f"answers **{100 * sure.mean():.1f} %** of the images ({sure.sum()} of 210) with an accuracy of **{accuracy:.1f} %**"
        in words
    )
    assert (
        f"It gives no answer for {(~sure).sum()}, of which {(~table.correct[~sure]).sum()} would have been wrong."
        in words
    )
    assert f"**{(~sure).sum()} images** without an answer" in words
    app.slider(key="threshold").set_value(0).run()
    assert "answers **100.0 %**" in said(app)
    assert "Every image gets an answer." in said(app)
    app.slider(key="threshold").set_value(100).run()
    assert "so there is no accuracy" in said(app)


def test_a_temperature_is_fitted_on_the_validation_part_and_stored_in_the_card(open_page: OpenPage) -> None:
    table = predictions_elsewhere(700)
    folder = make_network("one", table)
    app = open_page("confidence")
    assert "Confidence differs from accuracy by" in app.markdown[0].value
    assert "calibration" not in app.markdown[0].value
    next(button for button in app.button if button.label.startswith("Calibrate")).click().run()
    assert read_card(folder).temperature == pytest.approx(temperature(table), abs=1e-4)
    before, after = map(float, re.findall(r"\*\*([\d.]+) points\*\*", said(app)))
    assert after < before
    assert "stored in the network's card" in said(app)


def test_a_test_split_never_offers_to_fit(open_page: OpenPage) -> None:
    table = predictions_elsewhere()
    make_network("one", Predictions(table.table.assign(split="test")))
    app = open_page("confidence")
    assert "`ferscope calibrate one --data DATA`" in said(app)
    assert not [button for button in app.button if button.label.startswith("Calibrate")]


def test_evaluate_shows_every_figure_and_orders_the_matrix(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere())
    words = said(open_page("evaluate", order="confusion", shares="all"))
    for title in (
        "Macro AUROC",
        "Brier score",
        "Calibration error (equal mass)",
        "Weighted recall",
        "Average precision, %",
    ):
        assert title in words


def test_one_picture_and_one_label_are_enough_for_every_page(open_page: OpenPage) -> None:
    table = predictions_elsewhere(7)
    make_network("one", table.where(table.table["label"] == "happy"))
    make_network("two", table.where(table.table["label"] == "happy"))
    for page in ("overview", "evaluate", "compare", "confidence"):
        assert said(open_page(page)), page


def test_a_missing_expression_has_no_row_among_those_compared(open_page: OpenPage) -> None:
    one, two = (predictions_elsewhere(seed=seed) for seed in (1, 2))
    kept = one.table["label"] != "disgust"
    make_network("one", one.where(kept))
    make_network("two", two.where(kept))
    assert "Holm's correction over 6 expressions" in said(open_page("compare"))


def test_overview_and_compare_have_the_same_p_for_a_pair(open_page: OpenPage) -> None:
    tables = {f"net{seed}": predictions_elsewhere(seed=seed, skill=0.5 + 0.07 * seed) for seed in range(3)}
    for name, table in tables.items():
        make_network(name, table, title=name)
    words = said(open_page("overview", network="net0"))
    for other in ("net1", "net2"):
        p = p_in_words(compare(tables["net0"], tables[other]).test.p)
        row = next(row for row in re.findall(r"<tr.*?</tr>", words) if other in row)
        assert p.replace("<", "&lt;") in row
        assert p in said(open_page("compare", network="net0", other=other))


def test_overview_tests_networks_shows_the_parts_side_by_side_and_the_deviation_over_seeds(
    open_page: OpenPage,
) -> None:
    for seed, skill in enumerate((0.9, 0.9, 0.2)):
        table = predictions_elsewhere(seed=seed + 7, skill=skill)
        folder = make_network(f"net{seed}", table, title=f"Network {seed}")
        update = {"seed": seed, "data": "made for a test" if seed < 2 else "other"}
        write_card(folder, read_card(folder).model_copy(update=update))
        if seed == 0:
            Predictions(table.table.assign(split="train")).write(folder / "predictions-elsewhere-train.parquet")
    app = open_page("overview", network="net0", table="elsewhere-val")
    words = said(app)
    rows = re.findall(r"<tr.*?</tr>", words)
    found = {name: next(row for row in rows if name in row) for name in ("Network 0", "Network 1", "Network 2")}
    assert ["&lt; 0.001" in row for row in found.values()] == [False, False, True]
    assert "Network 0 differs significantly from **1** of 2 other networks." in words
    assert "Accuracy by split" in words
    assert "training set, n = 210" in words
    both = [evaluate(predictions_elsewhere(seed=seed + 7, skill=0.9)).accuracy for seed in range(2)]
    mean, deviation = np.mean(both), np.std(both, ddof=1)
    assert f"{100 * mean:.1f} ± {100 * deviation:.1f}" in words
    assert [button.label for button in app.get("download_button")][-2:] == [
        "Download HTML",
        "Download zip with cards and tables",
    ]


def test_one_damaged_table_does_not_take_the_overview_away(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere(seed=1), title="One")
    folder = make_network("two", predictions_elsewhere(seed=2), title="Two")
    (folder / "predictions-elsewhere-val.parquet").write_bytes(b"PAR1 and then nothing")
    assert "One has an accuracy of" in said(open_page("overview", network="one"))
    assert "cannot be read. Evaluate the network again." in said(open_page("overview", network="two"))
    assert "this is no readable parquet file" in said(open_page("compare", network="one", other="two"))


@pytest.mark.parametrize(
    ("page", "param", "before", "now"),
    [
        ("compare", "change", "Broken", "broken"),
        ("confidence", "bins", "Equally full bins", "mass"),
        ("evaluate", "order", "Confused ones beside", "confusion"),
    ],
)
def test_a_saved_link_with_the_former_words_still_chooses(
    open_page: OpenPage, page: str, param: str, before: str, now: str
) -> None:
    for seed, name in enumerate(("one", "two")):
        make_network(name, predictions_elsewhere(seed=seed))
    app = open_page(page, network="one", other="two", **{param: before})
    assert not app.exception
    assert app.session_state[param] == now


def test_a_saved_link_with_a_network_s_former_title_still_chooses_it(open_page: OpenPage) -> None:
    make_network("fer2013-best", predictions_elsewhere(seed=1), title="Small VGG (long)")
    make_network("two", predictions_elsewhere(seed=2))
    app = open_page("gallery", network="two", beside="Small VGG, long")
    assert not app.exception
    assert app.session_state["beside"] == ["fer2013-best"]
    app.multiselect(key="beside").set_value([]).run()
    assert app.query_params["beside"] in ("", [""])
    app.multiselect(key="beside").set_value(["fer2013-best"]).run()
    assert app.query_params["beside"] in ("fer2013-best", ["fer2013-best"])
