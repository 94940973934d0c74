"""The report: everything in one file, the same figures as everywhere, and nothing of the user's text read as markup."""

import io
import re
import xml.etree.ElementTree as ET
import zipfile
from base64 import b64decode
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fer_core.checkpoint import Cost, read_card, write_card
from fer_core.datasets import open_dataset
from fer_core.errors import DataError, UnknownName
from fer_core.evaluation.calibration import calibration_error, with_temperature
from fer_core.evaluation.comparison import compare
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import evaluate
from fer_core.evaluation.seeds import over_seeds, recipe_of
from fer_core.reports.evaluation_report import document, shared_table
from fer_core.runs.store import find
from tests.app.examples import make_network, make_pictures, predictions_elsewhere, predictions_on

KEY = "elsewhere-val"


def made(count: int, **card: object) -> list[Path]:
    folders = []
    for seed in range(count):
        folder = make_network(f"net{seed}", predictions_elsewhere(seed=seed), title=f"Network {seed}")
        write_card(folder, read_card(folder).model_copy(update={"seed": seed, **card}))
        folders.append(folder)
    return folders


def test_the_page_stands_alone_and_says_what_the_tables_say() -> None:
    a, b = (find(folder) for folder in made(2, temperature=2.0))
    found = document([a, b])
    assert not re.search(r"<script|<link|src=\"(?!data:)|href=\"(?!data:)|https?://", found.html)
    assert compare(a.predictions(KEY), b.predictions(KEY)).sentence("Network 0", "Network 1") in found.html
    accuracy = evaluate(a.predictions(KEY)).accuracy
    assert f"<b>{100 * accuracy:.1f}\N{NO-BREAK SPACE}%</b>" in found.html
    assert "temperature 2.00" in found.html
    answers = a.predictions(KEY)
    before, after = (calibration_error(one) for one in (answers, with_temperature(answers, 2.0)))
    assert f"Calibration error: {100 * before.debiased:.1f} points (" in found.html
    assert f"ECE {100 * after.ece:.1f}, {100 * after.by_chance:.1f} by chance alone) calibrated, which" in found.html
    for drawing in re.findall(r"<svg.*?</svg>", found.html, re.DOTALL):
        ET.fromstring(drawing)  # well formed
    assert found.html.count("<svg") == 1 + 2 * 3
    assert {"leaderboard", "pairs", "splits", "net0-expressions", "net1-confusion", "seeds-elsewhere-val"} <= set(
        found.tables
    )
    assert found.tables["net0-confusion"].drop(columns="label").to_numpy().sum() == 210


def test_every_file_is_written_and_read_back(tmp_path: Path) -> None:
    found = document([find(made(1)[0])])
    paths = found.write(tmp_path / "new" / "folder")
    assert paths[0].name == "report.html"
    assert all(path.is_file() for path in paths)
    assert pd.read_csv(tmp_path / "new" / "folder" / "net0-expressions.csv")["support"].sum() == 210
    with zipfile.ZipFile(io.BytesIO(found.zipped())) as archive:
        assert sorted(archive.namelist()) == sorted(path.name for path in paths)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        found.write(tmp_path / "file" / "folder")


def test_the_model_card_names_the_figures_with_interval_and_n() -> None:
    network = find(made(1)[0])
    text = document([network]).cards["net0"]
    low, high = evaluate(network.predictions(KEY)).accuracy_interval
    assert text.startswith("# Network 0\n")
    assert f"(95 % CI {100 * low:.1f} to {100 * high:.1f}, n = 210) on the elsewhere validation set" in text
    assert "| happy |" in text
    assert "not for decisions about people" in text


def test_a_gpus_cost_is_its_time_on_the_clock() -> None:
    cost = {"cpu_minutes": 7.19, "wall_minutes": 5.41, "images_per_second": 14_686.0}
    on_gpu = Cost(device="NVIDIA H100 80GB HBM3, bf16, channels_last", **cost)
    on_cpu = Cost(device="x86_64 processor, 1 thread, bf16, channels_last", **cost)
    for folder, one in zip(made(2), (on_gpu, on_cpu), strict=True):
        write_card(folder, read_card(folder).model_copy(update={"cost": one}))
    texts = document([find("net0"), find("net1")]).cards
    assert "5 min of GPU time on NVIDIA H100" in texts["net0"]
    assert "7 min of CPU time on x86\\_64 processor" in texts["net1"]


def test_a_title_is_never_markup() -> None:
    folder = made(1)[0]
    write_card(folder, read_card(folder).model_copy(update={"title": "<img src=x onerror=alert(1)>"}))
    assert "<img" not in document([find(folder)]).html


def test_a_temperature_measured_where_it_was_fitted_is_said_to_be() -> None:
    table = predictions_elsewhere().table
    folder = make_network("net", Predictions(table))
    Predictions(table.assign(split="test")).write(folder / "predictions-elsewhere-test.parquet")
    said = "which is slightly optimistic: the temperature was fitted on these images."
    for temperature, key, expected in ((2.0, KEY, True), (2.0, "elsewhere-test", False), (None, KEY, False)):
        write_card(folder, read_card(folder).model_copy(update={"temperature": temperature}))
        assert (said in document([find(folder)], key).html) == expected


@pytest.mark.parametrize("skill", [0.05, 0.6])
def test_no_curve_leaves_its_frame(skill: float) -> None:
    found = document([find(make_network("net", predictions_elsewhere(skill=skill)))])
    _, *curves = re.findall(r"<svg.*?</svg>", found.html, re.DOTALL)
    assert len(curves) == 2
    for drawing, height in zip(curves, (370, 420), strict=True):
        lines = re.findall(r'mark-line[^>]*>.*?<path[^>]* d="(.*?)"', drawing, re.DOTALL)
        heights = [float(y) for line in lines for y in re.findall(r"[\d.-]+,([\d.-]+)", line)]
        assert heights
        assert min(heights) >= 0
        assert max(heights) <= height


def test_the_table_behind_each_chart_can_be_downloaded_from_the_page() -> None:
    found = document([find(made(1)[0])])
    addresses = re.findall(r'download="(.*?)\.csv" href="data:text/csv;base64,(.*?)"', found.html)
    assert [name for name, _ in addresses] == ["net0-confusion", "net0-reliability", "net0-risk-coverage"]
    for name, content in addresses:
        pd.testing.assert_frame_equal(
            pd.read_csv(io.BytesIO(b64decode(content))), found.tables[name], check_dtype=False, rtol=1e-12
        )


def test_networks_of_one_title_are_told_by_name() -> None:
    folders = made(2, title="Same")
    assert "Same (net0)" in document([find(folder) for folder in folders]).html


def test_long_titles_are_told_apart_in_the_chart_too() -> None:
    found = document([find(folder) for folder in made(2, title="A title that is longer than its place in a chart")])
    chart = found.html[found.html.index("<svg") : found.html.index("</svg>")]
    for name in ("net0", "net1"):
        assert f"in a chart ({name})</tspan>" in chart


def test_sentences_about_several_networks_say_what_the_groups_say() -> None:
    table = predictions_elsewhere().table
    logits = [name for name in table if name.startswith("logit_")]

    def wrong_on(*rows: int) -> Predictions:
        right = np.array([name.removeprefix("logit_") for name in logits]) == table["label"].to_numpy()[:, None]
        right[list(rows)] = np.roll(right[list(rows)], 1, axis=1)
        return Predictions(table.assign(**dict(zip(logits, right.T.astype(float), strict=True))))

    answers = {"one": wrong_on(*range(10)), "two": wrong_on(10, 11), "three": wrong_on(*range(9))}
    assert compare(answers["one"], answers["two"]).better == "b"  # p = 0.039 as the only test, but it is one of three
    found = document([find(make_network(name, one)) for name, one in answers.items()])
    assert set(found.tables["leaderboard"]["letters"]) == {"a"}
    assert "is better than" not in found.html
    assert found.html.count("are not significantly different") == 3
    assert "p = 0.116" in found.html


def test_many_networks_get_a_count_of_pairs_instead_of_sentences() -> None:
    assert "Of 10 pairs, 0 differ significantly" in document([find(folder) for folder in made(5)]).html


def test_networks_without_a_common_table_are_refused_with_what_they_have() -> None:
    one = find(made(1)[0])
    other = find(make_network("other", None))
    with pytest.raises(DataError, match="net0: elsewhere-val; other: none"):
        document([one, other])
    with pytest.raises(UnknownName, match="elsewhere-tset"):
        document([one], "elsewhere-tset")
    with pytest.raises(DataError, match="Name one or more networks"):
        document([])
    assert shared_table([one]) == KEY


def test_the_worst_errors_are_shown_only_where_the_licence_allows(tmp_path: Path) -> None:
    own = open_dataset(make_pictures(tmp_path / "faces", each=4))
    network = find(make_network("one", predictions_on(own, "val", skill=0.2)))
    shown = document([network], dataset=own)
    wrong = network.predictions("faces-val")
    assert shown.html.count('src="data:image/png') == min(12, int((~wrong.correct).sum()))
    first = wrong.table["id"][np.flatnonzero(~wrong.correct)[wrong.loss[~wrong.correct].argmax()]]
    assert f"id {first}" in shown.html
    for path in list((tmp_path / "faces").rglob("*.png")):
        path.rename(path.with_name(f"PublicTest_{path.name}"))
    kept = open_dataset(tmp_path / "faces")
    network = find(make_network("two", predictions_on(kept, "val")))
    assert "data:image" not in document([network], dataset=kept).html
    assert "no licence to pass images on" in document([network], dataset=kept).html


def test_one_picture_and_a_missing_expression_still_make_a_report() -> None:
    table = predictions_elsewhere(7)
    make_network("one", Predictions(table.table.head(1)))
    assert "n = 1)" in document([find("one")]).html


def test_mean_and_deviation_over_seeds_worked_by_hand() -> None:
    folders = made(4)
    cards = {folder.name: read_card(folder) for folder in folders}
    other = cards["net3"].model_copy(update={"recipe": {**cards["net3"].recipe, "epochs": 99}})
    cards |= {"net3": other, "again": cards["net0"]}  # another recipe; the same recipe and seed once more
    figures = pd.DataFrame(
        {"name": ["net0", "net1", "net2", "net3", "again", "unknown"], "accuracy": [0.6, 0.62, 0.67, 0.9, 0.1, 0.5]}
    ).assign(macro_f1=0.5, balanced_accuracy=0.4)
    table = over_seeds(cards, figures)
    assert table["names"].tolist() == ["net0, net1, net2"]
    assert table["accuracy_mean"][0] == pytest.approx(0.63)
    assert table["accuracy_sd"][0] == pytest.approx(((0.03**2 + 0.01**2 + 0.04**2) / 2) ** 0.5)
    assert (table["seeds"][0], table["macro_f1_sd"][0]) == (3, 0)
    assert over_seeds({"net0": cards["net0"]}, figures).empty


def test_the_seed_and_the_notes_do_not_make_another_recipe() -> None:
    card = read_card(made(1)[0])
    again = card.model_copy(update={"seed": 5, "recipe": {**card.recipe, "seed": 5, "about": {"title": "again"}}})
    assert recipe_of(card) == recipe_of(again)
    assert recipe_of(card) != recipe_of(card.model_copy(update={"data": "other"}))
