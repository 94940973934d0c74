"""The command line, as real processes: what it prints, its exit codes, Ctrl-C."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from fer_core.checkpoint import load_tensors, read_card, write_card
from fer_core.datasets import open_dataset
from fer_core.errors import DataError
from fer_core.recipe import TrainConfig
from fer_core.runs import store
from fer_core.runs.folder import RunFolder
from fer_core.training.loop import Trainer
from trainers.cli import app

TINY = """
network = "small-vgg"
epochs = 2
batch_size = 16
memory_format = "contiguous"
threads = 1
[arguments]
widths = [4, 8, 8, 8]
"""


def ferscope(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainers.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


Here = Callable[..., tuple[int, str]]


@pytest.fixture
def ferscope_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Exit code and standard error of the command in this process, which spares the start of a new one."""
    from trainers import cli

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ferscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def trained(learnable: Path) -> Path:
    """The folder of a finished run."""
    import tomllib

    run = RunFolder.create("tiny", TrainConfig.model_validate(tomllib.loads(TINY)), str(learnable))
    list(Trainer(run, open_dataset(learnable)).epochs())
    return run.path


def test_train_evaluate_and_list_agree_with_the_card(recipe: Path, learnable: Path) -> None:
    train = ferscope("train", recipe, "--data", learnable, "--name", "mine", "--json")
    assert train.returncode == 0, train.stderr
    folder = Path(json.loads(train.stdout)["folder"])
    evaluated = ferscope("evaluate", folder, "--data", learnable, "--split", "val", "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    figures = json.loads(evaluated.stdout)
    assert {"n", "accuracy", "accuracy_interval", "macro_f1", "per_class"} <= set(figures)
    assert figures == read_card(folder).results["learnable-val"]
    runs = json.loads(ferscope("runs", "list", "--json").stdout)
    assert runs["mine"]["state"] == "finished"


def test_evaluate_prints_the_figures_with_intervals(trained: Path, learnable: Path) -> None:
    shown = ferscope("evaluate", "tiny", "--data", learnable, "--split", "test")
    assert shown.returncode == 0, shown.stderr
    assert "n = 16; 95 % intervals" in shown.stdout.replace("\n", " ")
    assert (trained / "predictions-learnable-test.parquet").exists()


def test_a_picture_on_both_sides_is_said_before_the_first_epoch_and_before_evaluating(learnable: Path) -> None:
    import tomllib

    (learnable / "val" / "happy" / "00.png").write_bytes((learnable / "train" / "happy" / "07.png").read_bytes())
    said = "1 of 32 images of the validation set (3.1%) also occur in the training set, 1 of them identical"
    run = RunFolder.create("leaky", TrainConfig.model_validate(tomllib.loads(TINY)), str(learnable))
    trainer = Trainer(run, open_dataset(learnable))
    assert not run.metrics()
    assert said in run.warning()
    list(trainer.epochs())
    done = CliRunner().invoke(app, ["evaluate", "leaky", "--data", str(learnable)])
    assert done.exit_code == 0, done.output
    assert said in " ".join(done.stderr.split())


@pytest.mark.parametrize("half", [[], ["--half"]])
def test_a_promoted_run_is_evaluated_to_the_figures_on_its_card(
    half: list[str],
    trained: Path,
    learnable: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from trainers import cli

    monkeypatch.setattr("fer_core.workspace.CHECKPOINTS", tmp_path / "shipped")
    monkeypatch.setattr(sys, "argv", ["ferscope", "runs", "promote", "tiny", "--to", "small", *half])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 0
    folder = tmp_path / "shipped" / "small"
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.json",
        "config.toml",
        "metrics.jsonl",
        "predictions-learnable-val.parquet",
        "weights.safetensors",
    ]
    kinds = {value.dtype for value in load_tensors(folder / "weights.safetensors")[0].values()}
    assert kinds == {torch.int64, torch.float16 if half else torch.float32}
    monkeypatch.setattr(sys, "argv", ["ferscope", "evaluate", str(folder), "--data", str(learnable), "--json"])
    capsys.readouterr()
    with pytest.raises(SystemExit):
        cli.main()
    assert json.loads(capsys.readouterr().out) == read_card(folder).results["learnable-val"]


def test_nothing_is_shipped_that_cannot_be_evaluated(
    trained: Path, learnable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_core.workspace.CHECKPOINTS", tmp_path / "shipped")
    learnable.rename(tmp_path / "gone")
    refused = CliRunner().invoke(app, ["runs", "promote", "tiny", "--half"]).exception
    assert isinstance(refused, DataError)
    assert not (tmp_path / "shipped").exists()


def test_ctrl_c_saves_and_resume_ends_the_run(recipe: Path, learnable: Path) -> None:
    command = [sys.executable, "-m", "trainers.cli", "train", recipe, "--data", learnable, "--name", "broken"]
    process = subprocess.Popen([*map(str, command), "--set", "epochs=400"], stdout=subprocess.PIPE, text=True)
    run = RunFolder.named("broken")
    deadline = time.monotonic() + 240
    while not run.metrics():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Continue with: ferscope train --resume broken" in out
    assert run.status().state == "stopped"
    done = len(run.metrics())
    assert load_tensors(run.path / "last.safetensors")[1]["epoch"] == str(done)


@pytest.mark.parametrize("arguments", [["train", "--seeds", "3", "--name", "many"], ["crossval", "--folds", "3"]])
def test_ctrl_c_while_a_run_is_evaluated_begins_no_other(recipe: Path, learnable: Path, arguments: list[str]) -> None:
    program = (
        "import os, signal; from fer_core.evaluation import predict; original = predict.predict_split\n"
        "def interrupted(*given, **named):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return original(*given, **named)\n"
        "predict.predict_split = interrupted; from trainers import cli; cli.main()"
    )
    command = [sys.executable, "-c", program, arguments[0], recipe, "--data", learnable, *arguments[1:]]
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 130, ended.stderr
    assert "Continue with: ferscope" in ended.stdout
    assert sorted(run.status().state for run in store.runs()) == ["finished", "queued", "queued"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "nothing", "--data", "heads"], "There is no recipe “nothing”"),
        (["train", "small-vgg"], "--data is missing"),
        (
            ["train", "--resume", "mine", "--set", "epochs=9"],
            "--resume mine continues with its own settings: leave out --set, or start anew",
        ),
        (
            ["sweep", "--resume", "mine", "--data", "heads"],
            "--resume mine continues with its own settings: leave out --data, or start anew",
        ),
        (
            ["crossval", "--resume", "mine", "--set", "epochs=9", "--folds", "5", "--seed", "0"],
            "--resume mine continues with its own settings: leave out --set, --folds, --seed, or start anew.",
        ),
        (["train", "small-vgg", "--data", "nowhere.csv"], "nowhere.csv does not exist"),
        (["train", "small-vgg", "--data", "heads", "--set", "epohs=3"], "did you mean “epochs”"),
        (["train", "small-vgg", "--data", "heads", "--set", "network=vgg"], "There is no network “vgg”"),
        (["train", "--resume", "../../etc"], "cannot name a run"),
        (["evaluate", "nothing", "--data", "heads"], "There is no network or checkpoint folder “nothing”"),
        (["runs", "stop", "nothing"], "There is no run “nothing”"),
        (["data", "add", "nowhere"], "does not exist"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(ferscope_here: Here, arguments: list[str], says: str) -> None:
    code, error = ferscope_here(*arguments)
    assert code == 2
    assert says in error


def test_a_process_of_its_own_prints_no_traceback_for_bad_input() -> None:
    answer = ferscope("train", "nothing", "--data", "heads")
    assert answer.returncode == 2
    assert "There is no recipe “nothing”" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--set", "batch_size=65"], "batch_size = 65 is larger than the training set (64 images)"),
        (["train", "--set", "device=cuda:9", "--seeds", "2"], "device"),
        (["train", "--set", "val_split=nothing"], "nothing"),
        (["train", "--set", "transfer.weights=nowhere.pt"], "nowhere.pt"),
        (["train", "--on", "localhost:1"], "No Ray cluster answers at localhost:1"),
        (["crossval", "--folds", "2", "--set", "batch_size=64"], "batch_size = 64 is larger than the training set"),
    ],
)
def test_a_start_that_is_refused_leaves_nothing(
    ferscope_here: Here, recipe: Path, learnable: Path, workspace: Path, arguments: list[str], says: str
) -> None:
    code, error = ferscope_here(arguments[0], recipe, "--data", learnable, *arguments[1:])
    assert code == 2
    assert says in error
    assert not [path for place in ("runs", "crossval") for path in (workspace / place).glob("*")]


def spoil_pickle(folder: Path) -> None:
    (folder / "best.safetensors").unlink()
    torch.save({"w": torch.zeros(1)}, folder / "weights.pt")


def spoil_version(folder: Path) -> None:
    write_card(folder, read_card(folder).model_copy(update={"format": 99}))


def spoil_network(folder: Path) -> None:
    write_card(folder, read_card(folder).model_copy(update={"network": "mini-xception", "arguments": {}}))


def spoil_weights(folder: Path) -> None:
    path = folder / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def spoil_card(folder: Path) -> None:
    (folder / "card.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_pickle, "weights.pt holds a pickle and is not opened"),
        (spoil_version, "has the format 99, this version of FERscope reads 1"),
        (spoil_network, "does not fit mini-xception"),
        (spoil_weights, "is no intact safetensors file"),
        (spoil_card, "card.json is damaged"),
    ],
)
def test_a_spoilt_checkpoint_is_refused_with_the_reason(
    trained: Path, learnable: Path, spoil: object, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainers import cli

    spoil(trained)  # type: ignore[operator]
    sys.argv = ["ferscope", "evaluate", str(trained), "--data", str(learnable)]
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert says in capsys.readouterr().err.replace("\n", " ")
