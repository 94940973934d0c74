"""The recipes of the reports: one for each row of their tables, within a budget, with a verdict; and expressions left out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint
from typer.testing import CliRunner

from fer_core.checkpoint import read_card, write_card
from fer_core.datasets import open_dataset
from fer_core.errors import ConfigError, DataError, UnknownName
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.results import results
from fer_core.experiments import reproduction, reproduction_runs
from fer_core.models import NETWORKS
from fer_core.recipe import load_recipe, recipes, to_toml
from fer_core.runs.folder import RunFolder
from fer_core.training.loop import Trainer
from tests.tiny import tiny
from trainers.cli import app

# Every row of the tables of the five reports: recipe, network, data, accuracy in %. Rows that nobody trains (human
# observers and a null model in `emotions`) have none.
TABLES = """
lmu-cnn                      lmu-cnn              lmu        75.2
lmu-cnn-se                   lmu-cnn-se           lmu        79.9
lmu-cnn-se-residual          lmu-cnn-se-residual  lmu        78.9
lmu-resnet18                 resnet18             lmu        79.8
lmu-gimefive-rafdb           gimefive             lmu-rafdb  86.5
lmu-vgg-rafdb                vgg16                lmu-rafdb  83.3
lmu-resnet18-rafdb           resnet18             lmu-rafdb  81.3
lmu-resnet34-rafdb           resnet34             lmu-rafdb  83.7
lmu-cnn-rafdb                lmu-cnn              lmu-rafdb  80.6
lmu-gimefive-fer2013         gimefive             fer2013    67.5
lmu-vgg-fer2013              vgg16                fer2013    49.4
lmu-resnet18-fer2013         resnet18             fer2013    64.7
lmu-resnet34-fer2013         resnet34             fer2013    67.1
lmu-cnn-fer2013              lmu-cnn              fer2013    64.1
buffalo-basic-cnn            buffalo-cnn          fer2013    53.9
buffalo-simple-resnet        buffalo-resnet       fer2013    60.9
buffalo-googlenet            buffalo-googlenet    fer2013    48.4
buffalo-unet                 buffalo-unet         fer2013    60.7
buffalo-newnet               buffalo-newnet       fer2013    60.6
buffalo-roglenet             roglenet             fer2013    63.6
emotions-shallow-cnn         shallow-cnn          fer2013    68.39
emotions-resnet50-imagenet   resnet50             fer2013    48.53
emotions-resnet18            resnet18             fer2013    64.25
emotions-vgg16-scratch       vgg16                fer2013    57.89
emotions-vgg16-imagenet      vgg16                fer2013    67.22
emotions-vgg16-vggface       vgg16                fer2013    67.65
emotions-inception-v3        inception-v3         fer2013    62.58
emotions-ensemble            ensemble             fer2013    70.24
nit-progressive-kdef         small-vgg            nit        60
nit-progressive-sfew         small-vgg            sfew       27
nit-resnet50                 resnet50             nit        53
nit-mini-xception            mini-xception        nit        72
kaist-resnet50               resnet50             fer2013    61.4
kaist-resnet50-transfer      resnet50             fer2013    64.4
kaist-vgg19                  vgg19                fer2013    62.6
kaist-resnet50-merged        resnet50             kaist      61.4
kaist-resnet50-transfer-merged resnet50           kaist      62.2
kaist-efficientnet-merged    efficientnet-b0      kaist      67
"""


def test_each_row_of_the_reports_tables_has_a_recipe_with_its_figure() -> None:
    rows = [line.split() for line in TABLES.strip().splitlines()]
    configs = reproduction.of_reports()
    first_stage = {"nit-mini-xception-fer2013"}  # no row of its own
    assert {name for name, *_ in rows} | first_stage == set(configs)
    assert len(rows) == 14 + 6 + 8 + 4 + 6
    for name, network, data, accuracy in rows:
        config = configs[name]
        assert (config.network, config.about.data) == (network, data)
        assert config.about.reported_accuracy == pytest.approx(float(accuracy) / 100)
        assert accuracy in config.about.reported
        assert name.startswith(f"{config.about.report}-")
        assert config.about.source
        assert config.about.reported_on
        assert f"`{config.about.report}`" in recipes()[name].read_text(encoding="utf-8").split("\n\n")[0].replace(
            "\n# ", " "
        )


def test_the_recipes_settings_fit_their_networks() -> None:
    import inspect

    from fer_core.training.task import image_spec

    for name, config in reproduction.of_reports().items():
        takes = inspect.signature(NETWORKS.get(config.network).build).parameters
        assert set(config.arguments) <= set(takes), name
        assert image_spec(config).height in {48, 64, 75, 128, 224}, name
        assert not config.leave_out or "neutral" not in config.expressions


@pytest.mark.parametrize(
    ("minutes", "asked", "epoch", "fits"),
    [
        (30, 60, 2, (15, 1.0)),
        (30, 10, 2, (10, 1.0)),  # never more than the recipe's
        (5.6, 60, 2, (2, 1.0)),
        (5.9, 60, 2, (3, 1.0)),  # a twentieth of an epoch over
        (1, 60, 4, (1, 0.25)),
        (0.4, 60, 4, (1, 0.1)),
    ],
)
def test_a_budget_buys_whole_epochs_or_a_share_of_one(
    minutes: float, asked: int, epoch: float, fits: tuple[int, float]
) -> None:
    assert reproduction_runs.within(minutes, asked, epoch) == fits


def test_a_budget_too_small_to_train_in_is_refused_with_the_smallest_that_is_not() -> None:
    with pytest.raises(ConfigError, match=r"One epoch takes 50\.0 min here.*give --minutes 5"):
        reproduction_runs.within(1, 60, 50)


@pytest.mark.parametrize(
    ("reported", "accuracy", "low", "high", "done", "differs", "says"),
    [
        (0.61, 0.60, 0.585, 0.615, 60, "", "agrees"),
        (0.615, 0.60, 0.585, 0.615, 60, "", "agrees"),
        (0.62, 0.60, 0.585, 0.615, 60, "", "worse"),
        (0.58, 0.60, 0.585, 0.615, 60, "", "better"),
        (0.62, 0.60, 0.585, 0.615, 4, "", "not comparable: lower, with 4 of 60 epochs"),
        (0.62, 0.60, 0.585, 0.615, 0.25, "", "not comparable: lower, with 0.25 of 60 epochs"),
        (0.58, 0.60, 0.585, 0.615, 4, "", "better, with 4 of 60 epochs"),
        (None, 0.60, 0.585, 0.615, 60, "", "not comparable: none was reported"),
        (0.70, 0.60, 0.585, 0.615, 60, "another member", "not comparable: another member"),
    ],
)
def test_a_verdict_says_what_the_interval_allows(
    reported: float | None, accuracy: float, low: float, high: float, done: float, differs: str, says: str
) -> None:
    assert reproduction.verdict(reported, accuracy, low, high, done=done, asked=60, differs=differs) == says


def test_a_recipe_that_leaves_an_expression_out_trains_and_reports_without_it(learnable: Path) -> None:
    for split, count in (("train", 9), ("val", 5), ("test", 3)):  # a third class of the same images
        source = learnable / split
        (source / "neutral").mkdir()
        for number in range(count):
            (source / "neutral" / f"n{number}.png").write_bytes((source / "happy" / f"{number:02d}.png").read_bytes())
    dataset = open_dataset(learnable)
    run = RunFolder.create("six", tiny(expressions="rafdb6", leave_out=["neutral"], epochs=1), str(learnable))
    trainer = Trainer(run, dataset)
    assert (len(trainer.task.rows), len(trainer.task.val_rows), trainer.task.left_out) == (64, 32, 17)
    list(trainer.epochs())
    card = read_card(run.path)
    assert card.leave_out == ("neutral",)
    assert card.results["learnable-val"]["n"] == 32
    predictions, _ = predict_checkpoint(run.path, dataset, "test")
    assert sorted(set(predictions.table["label"])) == ["happy", "sad"]
    assert len(predictions) == 16
    assert (
        results(predict_checkpoint(run.path, dataset, "val")[0], dataset, "val", how="selected")
        == card.results["learnable-val"]
    )
    RunFolder.create("all", tiny(expressions="rafdb6", epochs=1), str(learnable))
    with pytest.raises(DataError, match="labelled neutral"):
        Trainer(RunFolder.named("all"), dataset)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"leave_out": ["neutral"]}, "but expressions = “fer7” contains it"),
        ({"leave_out": ["bored"], "expressions": "rafdb6"}, "leave_out names bored, expected names of expressions"),
    ],
)
def test_what_is_left_out_is_an_expression_that_the_network_does_not_answer(
    values: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        tiny(**values)


def test_a_share_of_the_training_pictures_is_drawn_by_the_seed(learnable: Path) -> None:
    dataset = open_dataset(learnable)
    half = [
        Trainer(RunFolder.create(f"half-{number}", tiny(train_share=0.5, seed=seed), ""), dataset).task.rows
        for number, seed in enumerate((1, 1, 2))
    ]
    assert len(half[0]) == 32
    assert np.array_equal(half[0], half[1])
    assert not np.array_equal(half[0], half[2])


@pytest.fixture
def tiny_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's recipes folder with tiny recipes of a report on rendered heads: two, their ensemble, three that cannot run."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    about = {"report": "made", "table": "one", "reported_on": "faces", "data": "heads", "source": "a test"}
    for name, changes in {
        "made-a": {"about": {**about, "title": "A", "reported_accuracy": 0.99}, "epochs": 3, "seed": 1},
        "made-b": {"about": {**about, "title": "B", "reported_accuracy": 0.01}, "epochs": 1, "seed": 2},
        "made-both": {"about": {**about, "title": "Both", "members": ["made-a", "made-b"]}},
        "made-kdef": {"about": {**about, "title": "K", "data": "kdef"}},
        "made-taken": {"about": {**about, "title": "T"}},
        "made-wrong": {"about": {**about, "title": "W"}, "arguments": {"widths": [4, 4], "depth": 2}},
    }.items():
        (folder / f"{name}.toml").write_text(to_toml(tiny(**changes)), encoding="utf-8")
    monkeypatch.setenv("RECIPES_OF_THE_TEST", str(folder))
    return folder


def reproduce(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """The real command in its own process, with the test's recipes in the place of the shipped ones."""
    program = (
        "import os, sys; from pathlib import Path; from fer_core import recipe; "
        "recipe.RECIPES = Path(os.environ['RECIPES_OF_THE_TEST']); from trainers import cli; cli.main()"
    )
    command = [sys.executable, "-c", program, "reproduce", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_reproduce_runs_what_it_can_once_and_writes_the_table(tiny_recipes: Path, workspace: Path) -> None:
    RunFolder.create("made-taken", tiny(seed=9), "heads")
    first = reproduce("--data", "heads", "--minutes", "5")
    assert first.returncode == 0, first.stderr
    words = " ".join(first.stdout.split())
    assert "made-kdef: not run, kdef missing" in words
    assert "made-wrong: failed. small-vgg takes no argument depth" in words
    assert "made-taken: failed. The run “made-taken” has other settings than the recipe" in words
    assert words.index("kdef missing") < words.index("made-a: ")  # said before any time is spent
    table = pd.read_csv(workspace / "reproduction.csv").set_index("recipe")
    assert table["state"].to_dict() == {
        "made-a": "run", "made-b": "run", "made-both": "run", "made-kdef": "data missing", "made-taken": "not run",
        "made-wrong": "not run",
    }  # fmt: skip
    assert table.loc["made-a", ["epochs", "asked", "verdict"]].tolist() == [3, 3, "worse"]
    assert table.loc["made-b", "verdict"] == "better"
    card = read_card(workspace / "runs" / "made-a")
    split = table.loc["made-a", "split"]
    figures = card.results[f"heads-{split}"]
    assert table.loc["made-a", "accuracy"] == pytest.approx(figures["accuracy"], abs=1e-4)
    assert table.loc["made-a", "n"] == figures["n"]
    members = read_card(workspace / "runs" / "made-both").recipe["members"]
    assert list(members) == ["made-a", "made-b"]
    for name in ("made-a", "made-both"):  # ended before they could be evaluated
        early = read_card(workspace / "runs" / name)
        kept = {key: value for key, value in early.results.items() if not key.endswith(f"-{split}")}
        write_card(workspace / "runs" / name, early.model_copy(update={"results": kept}))
    assert not read_card(workspace / "runs" / "made-both").results
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fer_core.recipe.RECIPES", tiny_recipes)
        assert {row.recipe: row.state for row in reproduction.rows(["heads"])}["made-both"] == "not run"
    times = {path: path.stat().st_mtime_ns for path in (workspace / "runs").glob("*/best.safetensors")}
    again = reproduce("--data", "heads", "--only", "made-a,made-both", "--json")
    assert again.returncode == 0, again.stderr
    assert [row["recipe"] for row in json.loads(again.stdout)] == ["made-a", "made-both"]
    assert pd.read_csv(workspace / "reproduction.csv").set_index("recipe").equals(table)
    assert {path: path.stat().st_mtime_ns for path in times} == times  # nothing was trained anew


def test_a_pattern_that_names_no_recipe_is_refused() -> None:
    answer = CliRunner().invoke(app, ["reproduce", "--only", "buffallo-*"])
    assert isinstance(answer.exception, UnknownName)
    assert "There is no recipe of a report “buffallo-*”" in str(answer.exception)


def test_the_shipped_outcomes_are_what_their_predictions_say() -> None:
    """Accuracy and interval on each card, in the shipped table and from the predictions by statsmodels."""
    shipped = sorted(path.parent for path in reproduction.SHIPPED.glob("*/card.json"))
    table = pd.read_csv(reproduction.SHIPPED / "table.csv").set_index("recipe")
    assert set(table.index[table["state"] == "run"]) == {folder.name for folder in shipped}
    assert set(table.index) == set(reproduction.of_reports())
    for folder in shipped:
        (path,) = folder.glob("predictions-*.parquet")
        predictions = Predictions.read(path)
        right, n = int(predictions.correct.sum()), len(predictions)
        low, high = proportion_confint(right, n, method="wilson")
        row = reproduction.row(folder.name, load_recipe(folder.name), {"fer2013": ""})
        assert row.folder == folder
        assert (row.accuracy, row.low, row.high, row.n) == pytest.approx((right / n, low, high, n))
        told = table.loc[folder.name]
        assert (told["accuracy"], told["low"], told["high"]) == pytest.approx((right / n, low, high), abs=1e-4)
        assert (told["n"], told["verdict"], told["epochs"]) == (n, row.verdict, row.epochs)
        assert not list(folder.glob("*.safetensors"))
        assert "neutral" not in set(predictions.table["label"]) or not read_card(folder).leave_out
