"""What a card says of a predictions table."""

from pathlib import Path

import numpy as np
from PIL import Image

from fer_core.datasets import open_dataset
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.evaluation.predictions import Predictions, how_of
from fer_core.evaluation.report import evaluate
from fer_core.evaluation.results import KEPT, OBTAINED, results, weaker
from tests.untrained import untrained


def test_figures_are_also_given_without_the_pictures_that_training_has_seen(learnable: Path) -> None:
    random = np.random.default_rng(5)
    for label in ("happy", "sad"):  # eight of each label's sixteen validation images become copies from train
        for number in range(8):
            twin = learnable / "train" / label / f"{number:02d}.png"
            (learnable / "val" / label / f"{number:02d}.png").write_bytes(twin.read_bytes())
        for number in range(8, 16):  # and the others are like no training image
            noise = random.integers(0, 256, (6, 6), dtype=np.uint8)
            Image.fromarray(noise).resize((48, 48), Image.Resampling.BICUBIC).save(
                learnable / "val" / label / f"{number:02d}.png"
            )
    dataset = open_dataset(learnable)
    table, _ = predict_checkpoint(untrained(), dataset, "val")
    figures = results(table, dataset, "val")
    fresh = [int(name.split("/")[-1].removesuffix(".png")) >= 8 for name in table.table["id"]]
    expected = evaluate(table.where(fresh)).to_json()
    assert figures["without_leaks"] == {key: expected[key] for key in KEPT}
    assert figures["without_leaks"]["n"] == 16
    assert {key: value for key, value in figures.items() if key != "without_leaks"} == evaluate(table).to_json()
    train, _ = predict_checkpoint(untrained("other"), dataset, "train")
    assert "without_leaks" not in results(train, dataset, "train")


def test_a_table_says_how_its_answers_were_obtained_and_older_ones_say_nothing(tmp_path: Path, learnable: Path) -> None:
    dataset = open_dataset(learnable)
    folder = untrained()
    table, _ = predict_checkpoint(folder, dataset, "val")
    table.write(tmp_path / "old.parquet")
    table.write(tmp_path / "new.parquet", "cross-fitted")
    assert (how_of(tmp_path / "old.parquet"), how_of(tmp_path / "new.parquet")) == ("", "cross-fitted")
    assert how_of(tmp_path / "none.parquet") == ""
    assert Predictions.read(tmp_path / "new.parquet").table.equals(table.table)
    assert results(table, dataset, "val", how="selected")["how"] == "selected"


def test_only_a_weaker_way_is_refused() -> None:
    assert [weaker(how, "cross-fitted") for how in OBTAINED] == [True, True, False, False]
    assert not weaker("", "cross-fitted")
    assert not weaker("in-sample", "")
