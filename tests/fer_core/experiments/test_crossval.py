"""Cross-validation: the folds as tables, and a whole one on a small set."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_core import workspace
from fer_core.datasets import open_dataset
from fer_core.errors import ConfigError, DataError, RunError
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.evaluation.predictions import Predictions
from fer_core.experiments.crossval import CrossValidation, fold_tables, train_fold
from fer_core.runs import store
from fer_core.runs.folder import RunFolder
from fer_core.runs.own_split import divided
from tests.tiny import tiny


def index_of(people: list[int], labels: list[str]) -> pd.DataFrame:
    names = [f"{number:03d}" for number in range(len(people))]
    return pd.DataFrame({"id": names, "split": "train", "label": labels, "person": [f"p{person}" for person in people]})


@given(
    st.lists(st.sampled_from(["happy", "sad", "fear"]), min_size=40, max_size=90), st.integers(2, 4), st.integers(0, 5)
)
@settings(max_examples=30, deadline=None)
def test_every_picture_is_held_out_once_and_nobody_is_on_two_sides(labels: list[str], k: int, seed: int) -> None:
    index = index_of([number % 12 for number in range(len(labels))], labels)
    index = pd.concat([index, index.head(5).assign(split="test")], ignore_index=True)
    tables = fold_tables(index, k, seed=seed)
    held = pd.concat([table[table["split"] == "test"] for table in tables])
    assert sorted(held["id"]) == sorted(index[index["split"] == "train"]["id"])
    person = index[index["split"] == "train"].set_index("id")["person"]
    for table in tables:
        assert set(table["was"]) == {"train"}  # the official test part is in no fold
        assert set(table["split"]) == {"train", "val", "test"}
        sides = table.assign(person=person.loc[table["id"]].to_numpy()).groupby("person")["split"].nunique()
        assert (sides == 1).all()


def test_folds_are_balanced_by_expression_unless_they_are_plain() -> None:
    index = index_of(list(range(100)), ["happy"] * 80 + ["sad"] * 20)
    balanced = [
        table[table["split"] == "test"].merge(index, on="id")["label"].value_counts().to_dict()
        for table in fold_tables(index, 5, group="")
    ]
    assert balanced == [{"happy": 16, "sad": 4}] * 5  # by hand: a fifth of 80 and of 20
    plain = [(table["split"] == "test").sum() for table in fold_tables(index, 5, group="", stratified=False)]
    assert plain == [20] * 5
    with pytest.raises(DataError, match="No image is in val"):
        fold_tables(index, 5, pool=("train", "val"))


def test_each_fold_is_a_run_and_the_table_holds_every_picture_once(learnable: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    from fer_core.recipe import to_toml

    recipe.write_text(to_toml(tiny(epochs=3)))
    command = [sys.executable, "-m", "trainers.cli", "crossval", str(recipe), "--data", str(learnable), "--folds", "3"]
    ended = subprocess.run(
        [*command, "--pool", "train, val", "--json"], cwd=workspace.ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    table = Predictions.read(Path(told["table"]))
    assert len(table.table) == 64 + 32
    assert table.table["split"].value_counts().to_dict() == {"train": 64, "val": 32}
    accuracies = [fold["accuracy"] for fold in told["folds"]]
    assert [fold["n"] for fold in told["folds"]] == [32, 32, 32]
    assert told["mean"] == pytest.approx(np.mean(accuracies))
    assert told["sd"] == pytest.approx(np.std(accuracies, ddof=1))
    assert told["all"]["accuracy"] == pytest.approx(table.correct.mean()) == pytest.approx(np.mean(accuracies))
    assert [RunFolder.named(f"tiny-cv-fold-{n}").status().state for n in (1, 2, 3)] == ["finished"] * 3


def test_a_fold_leaves_out_of_its_figures_what_the_recipe_leaves_out(learnable: Path) -> None:
    for split in ("train", "val"):
        (learnable / split / "neutral").mkdir()
        for path in (learnable / split / "sad").iterdir():
            path.rename(learnable / split / "neutral" / path.name) if path.stem > "07" else None
    dataset = open_dataset(learnable)
    config = tiny(epochs=1, expressions="rafdb6", leave_out=["neutral"])
    made = CrossValidation.create("cv", config, dataset, str(learnable), 2)
    for run in made.runs:
        train_fold(run, dataset)
    assert made.table().table["label"].value_counts().to_dict() == {"happy": 32, "sad": 8}


def test_an_evaluation_of_a_folds_network_is_not_taken_for_the_pictures_held_out(learnable: Path) -> None:
    dataset = open_dataset(learnable)
    made = CrossValidation.create("cv", tiny(epochs=1), dataset, str(learnable), 2)
    for run in made.runs:
        train_fold(run, dataset)
    before = made.summary()
    path = made.runs[0].path / "predictions-learnable-test.parquet"
    path.rename(path.with_name("predictions-other-test.parquet"))
    predict_checkpoint(made.runs[0].path, dataset, "test")
    assert made.summary() == before
    path.with_name("predictions-other-test.parquet").unlink()
    with pytest.raises(RunError, match="has not finished"):
        made.summary()
    train_fold(made.runs[0], dataset)
    assert made.summary() == before


def test_a_fold_whose_name_is_taken_leaves_no_runs_of_the_others(learnable: Path) -> None:
    taken = RunFolder.create("cv-fold-2", tiny(), str(learnable))
    with pytest.raises(RunError, match="already a run called “cv-fold-2”"):
        CrossValidation.create("cv", tiny(epochs=1), open_dataset(learnable), str(learnable), 3)
    assert [run.path for run in store.runs()] == [taken.path]


def test_a_fold_goes_on_with_its_own_split_and_what_has_finished_is_kept(learnable: Path) -> None:
    dataset = open_dataset(learnable)
    made = CrossValidation.create("cv", tiny(epochs=1), dataset, str(learnable), 2)
    own = divided(made.runs[0], dataset)
    assert own.splits == {"train": 29, "val": 3, "test": 32} or sum(own.splits.values()) == 64
    assert not set(own.rows("test")) & set(own.rows("train"))
    assert divided(RunFolder.create("plain", tiny(), str(learnable)), dataset) is dataset
    with pytest.raises(RunError, match="has not finished; continue with `ferscope crossval --resume cv`"):
        made.summary()
    train_fold(made.runs[0], dataset)
    before = (made.runs[0].path / "last.safetensors").stat().st_mtime_ns
    for run in made.runs:
        train_fold(run, dataset)
    assert (made.runs[0].path / "last.safetensors").stat().st_mtime_ns == before
    assert len(made.table().table) == 64
    with pytest.raises(RunError, match="already a cross-validation called “cv”"):
        CrossValidation.create("cv", tiny(epochs=1), dataset, str(learnable), 2)
    with pytest.raises(RunError, match="cannot name a cross-validation"):
        CrossValidation.named("../cv")
    with pytest.raises(ConfigError, match="leave train_split and val_split"):
        CrossValidation.create("other", tiny(train_split="val", val_split="train"), dataset, str(learnable), 2)
