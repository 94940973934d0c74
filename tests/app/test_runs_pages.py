"""Runs and Search, run without a browser."""

import json
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from fer_core import workspace
from fer_core.experiments.sweep_folder import SweepFolder
from fer_core.runs import queue
from fer_core.runs.folder import TRIAL, Notes, RunFolder
from fer_core.runs.store import checkpoints
from tests.app.conftest import texts
from tests.app.examples import make_network, predictions_elsewhere

Open = Callable[..., AppTest]


def made(name: str, skill: float, recipe: str = "", gain: float = 0.0) -> RunFolder:
    """A finished run whose validation accuracy is `gain` above the made-up curve."""
    make_network(name, predictions_elsewhere(skill=skill))
    run = RunFolder.named(name)
    (run.path / "config.toml").write_text(f'network = "small-vgg"\n{recipe}', encoding="utf-8")
    run.write_metrics([replace(result, val_accuracy=result.val_accuracy + gain) for result in run.metrics()])
    return run


def test_without_a_run_the_page_leads_to_training(open_page: Open) -> None:
    assert "There are no runs yet" in texts(open_page("runs"))


def test_the_best_run_comes_first_with_what_differs_and_how_sure_that_is(open_page: Open) -> None:
    made("slow", 0.6, "epochs = 30\n")
    made("fast", 0.6, "epochs = 10\n[optimizer]\nlr = 0.5\n", gain=0.01)
    app = open_page("runs")
    assert not app.exception
    # by hand: 0.66 (1 - 0.7^6) = 0.58235 of 210, and 0.01 more
    said = texts(app).replace("\\", "")
    assert "**fast** has the highest validation accuracy: **59.2\N{NO-BREAK SPACE}%**" in said
    assert "This is 1.0 points more than slow; the intervals overlap, so it may be chance. 2 settings differ." in said
    table = app.main.get("html")[0].proto.body
    assert table.index(">fast<") < table.index(">slow<")
    assert all(f">{name}<" in table for name in ("Epochs", "Learning rate"))
    assert ">Batch size<" not in table
    assert sorted(app.query_params["run"]) == ["fast", "slow"]
    made("longer", 0.6, "epochs = 40\n")
    said = texts(open_page("runs", run=["slow", "longer"]))
    assert "1 setting differs." in said
    assert "2 of 3 runs are compared" in said
    said = texts(open_page("runs", run=["slow", "gone"])).replace("\\", "")
    assert "“gone” from the link is not among the newest 200 runs here." in said


def test_runs_of_two_data_sets_are_never_ranked_across_them(open_page: Open) -> None:
    for name, data, gain in (("a", "heads", 0.3), ("b", "heads", 0.2), ("c", "elsewhere", 0.0)):
        run = made(name, 0.6, f"seed = {ord(name)}\n", gain=gain)
        run.write(replace(run.status(), data=data))
    app = open_page("runs", run=["a", "b", "c"])
    assert not app.exception
    said = texts(app).replace("\\", "")
    assert "**a** has the highest validation accuracy" in said
    assert "10.0 points more than b" in said
    assert "**c** has the highest validation accuracy" in said  # of its own data set
    assert "more than c" not in said
    tables = [element.proto.body for element in app.main.get("html") if "<table" in element.proto.body]
    assert [(">a<" in table, ">c<" in table) for table in tables] == [(True, False), (False, True)]
    assert tables[0].count("fer-spark") == 2


def test_a_trial_that_was_stopped_is_no_network_to_choose(open_page: Open) -> None:
    run = made("sweep-0001", 0.6)
    (run.path / TRIAL).write_text("{}", encoding="utf-8")
    assert "sweep-0001" in checkpoints()
    run.write(replace(run.status(), state="stopped"))
    assert "sweep-0001" not in checkpoints()


def test_the_address_and_tags_choose_the_runs(open_page: Open) -> None:
    for name in ("one", "two", "three"):
        made(name, 0.6, f"seed = {len(name)}\n")
    RunFolder.named("three").write_notes(Notes(("kept",)))
    app = open_page("runs", run="two")
    assert app.multiselect[0].value == ["two"]
    assert "**two** has the highest" in texts(app)
    next(box for box in app.selectbox if box.label == "Tag").set_value("kept").run()
    assert "**three** has the highest" in texts(app)


def test_unreadable_and_unstarted_runs_are_passed_over(open_page: Open) -> None:
    made("good", 0.6)
    (made("spoilt", 0.6).path / "config.toml").write_text("epohs = 3\n")
    made("empty", 0.6).path.joinpath("metrics.jsonl").unlink()
    app = open_page("runs")
    assert not app.exception
    assert "**good** has the highest" in texts(app)
    table = next(h.proto.body for h in app.main.get("html") if "Best validation accuracy" in h.proto.body)
    assert "spoilt" not in table
    assert len(checkpoints()) == 3


@pytest.mark.parametrize("page", ["runs", "sweeps"])
def test_the_page_loads_nothing_slow(page: str) -> None:
    import subprocess
    import sys

    from fer_core.workspace import ROOT

    made("one", 0.6)
    searched()
    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(ROOT / 'dashboard/Home.py')!r}, default_timeout=300).run()\n"
        f"app.switch_page('views/{page}.py').run()\n"
        "assert not app.exception; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "sklearn", "gradio", "captum", "optuna"} & set(loaded)


def searched(name: str = "tiny") -> SweepFolder:
    """A sweep of four trials, of which three have begun: finished, pruned, stopped in the middle."""
    file = workspace.home() / "tiny.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('recipe = "heads"\n[space]\noptimizer.lr = [0.1, 0.01]\nbatch_size = [32, 64]\n')
    folder = SweepFolder.create(name, file, "heads")
    ends = [
        ("finished", "", 0.02),
        ("stopped", "Pruned after epoch 2: others were better by then.", 0.0),
        ("stopped", "", 0.0),
    ]
    for number, (state, message, gain) in enumerate(ends):
        run = made(f"{name}-{number:04d}", 0.6, gain=gain)
        run.write(replace(run.status(), state=state, message=message))
        told = {"sweep": name, "number": number, "values": folder.sweep.grid[number], "n": 210}
        (run.path / TRIAL).write_text(json.dumps(told))
    return folder


def test_without_a_search_the_page_offers_one_with_its_command_line(open_page: Open) -> None:
    app = open_page("sweeps")
    assert not app.exception
    assert "There are no sweeps yet" in texts(app)
    next(box for box in app.selectbox if box.label == "Sweep").set_value("heads-tpe").run()
    assert any(
        block.value == "ferscope sweep heads-tpe --data heads --name heads-tpe --workers 1" for block in app.code
    )
    assert next(box for box in app.selectbox if box.label == "Sweep").options == [
        "Learning rate and weight decay on rendered heads",
        "Learning rate, batch, epochs, early stopping",
    ]
    assert (
        "The sweep trains 12 networks from the recipe “Rendered heads in a few minutes” and varies learning rate"
        in texts(app).replace("\\", "")
    )


def test_a_search_names_its_best_settings_with_their_interval(open_page: Open) -> None:
    searched()
    app = open_page("sweeps", sweep="tiny")
    assert not app.exception
    said = texts(app).replace("\\", "")
    # by hand: 0.66 (1 - 0.7^6) + 0.02 = 0.60235
    assert "Best validation accuracy so far: **60.2\N{NO-BREAK SPACE}%**" in said
    assert (
        "with Learning rate = 0.1, Batch size = 32. 2 of 4 trials are complete. The intervals of 2 other trials" in said
    )
    assert "needs eight finished trials" in said
    table = app.main.get("html")[0].proto.body
    assert [state in table for state in ("finished", "pruned", "stopped")] == [True] * 3
    assert next(button for button in app.button if button.label == "Continue")


def test_a_search_that_goes_on_can_be_stopped(open_page: Open) -> None:
    folder = searched()
    queue.ticket("cpu", "tiny", os.getpid)
    app = open_page("sweeps", sweep="tiny")
    next(button for button in app.button if button.label == "Stop").click().run()
    assert folder.stop_requested
