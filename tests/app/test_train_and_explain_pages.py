"""Train and Explain, run in this process."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.charts.networks import curves
from fer_core.checkpoint import read_card, write_card
from fer_core.datasets import open_dataset
from fer_core.datasets.known import add
from fer_core.recipe import load_recipe, setting_title
from fer_core.runs import queue
from fer_core.runs.folder import Notes, RunFolder
from fer_core.runs.process import Process
from tests.app.conftest import texts
from tests.app.examples import make_network, make_pictures, predictions_elsewhere, predictions_on
from tests.untrained import untrained

Open = Callable[..., AppTest]


def field(app: AppTest, name: str) -> object:
    """A widget of the form by its label or the key of its setting, whatever the label says beside it."""
    widgets = [*app.number_input, *app.text_input, *app.selectbox]
    return next(w for w in widgets if w.label.split(" :")[0] in (name, setting_title(name)))


def command_line(app: AppTest) -> str:
    return next(block.value for block in app.code if block.value.startswith("ferscope train"))


def button(app: AppTest, label: str) -> object:
    return next(button for button in app.button if button.label == label)


def test_the_form_starts_at_the_recipe_and_marks_what_is_changed(open_page: Open) -> None:
    app = open_page("train")
    recipe = load_recipe("heads")
    assert field(app, "epochs").value == recipe.epochs
    assert field(app, "optimizer.lr").value == recipe.optimizer.lr
    assert command_line(app) == "ferscope train heads --data heads --name heads"
    field(app, "epochs").set_value(3)
    field(app, "optimizer.lr").set_value(0.02)
    app.run()
    assert f"changed, was {recipe.epochs}" in field(app, "epochs").label
    assert "changed" not in field(app, "batch_size").label
    assert command_line(app).endswith("--set epochs=3 --set optimizer.lr=0.02")
    assert any("epochs = 3" in block.value and "lr = 0.02" in block.value for block in app.code)


def test_the_network_is_chosen_from_the_registry(open_page: Open) -> None:
    app = open_page("train")
    networks = field(app, "network")
    assert networks.value == "small-vgg"
    assert "mini-Xception" in networks.options
    assert not any(option.startswith("ensemble") for option in networks.options)  # it is made, not trained
    networks.set_value("mini-xception").run()
    assert command_line(app).endswith("--set network=mini-xception")


def test_recipes_are_chosen_by_task_with_time_and_accuracy_to_expect(open_page: Open) -> None:
    app = open_page("train")
    assert field(app, "Task").value == "First network, on rendered heads"
    assert field(app, "Recipe").value == "heads"
    assert field(app, "Data set").options == ["Rendered heads"]
    assert {"Rendered heads in a few minutes", "not measured yet", "90.5 % (86.7 to 93.2)"} <= in_the_table(app)
    field(app, "Task").set_value("FER2013, on a processor").run()
    assert field(app, "Recipe").value == "small-vgg"
    assert field(app, "Recipe").options[0] == "Small VGG"
    assert command_line(app) == "ferscope train small-vgg --data heads --name small-vgg"
    assert field(open_page("train", recipe="kaist-vgg19"), "Task").value.startswith("Reproduce “Facial Expression")


def in_the_table(app: AppTest) -> set[str]:
    cells = re.findall(r"<t[hd][^>]*>\s*([^<]*?)\s*<", app.main.get("html")[0].proto.body)
    return {part for cell in cells for part in (cell, cell.partition(" on the ")[0])}


def test_the_time_of_a_recipe_is_that_of_a_run_here_or_an_estimate(open_page: Open) -> None:
    folder = make_network("mine", None)
    RunFolder.named("mine").write(replace(RunFolder.named("mine").status(), data="heads"))
    card = read_card(folder)
    assert "not measured yet" in in_the_table(open_page("train"))
    write_card(folder, card.model_copy(update={"recipe": load_recipe("heads", ["seed=7"]).model_dump(mode="json")}))
    assert "7 min (measured in the run mine)" in in_the_table(open_page("train"))


def test_no_choice_shows_a_key(open_page: Open) -> None:
    app = open_page("train")
    shown = {option for box in app.main.selectbox for option in box.options}
    assert not shown & {
        "small-vgg",
        "heads",
        "fer7",
        "sgd",
        "adamw",
        "onecycle",
        "ten-crop-if-close",
        "auto",
        "channels_last",
    }
    assert {"AdamW", "one cycle", "ten crops where the answer is close", "automatic"} <= shown
    field(app, "Optimiser").set_value("sgd").run()
    assert field(app, "Optimiser").label.endswith("changed, was AdamW]")


def test_an_error_stands_at_its_field_and_names_it_at_the_button(open_page: Open) -> None:
    app = open_page("train")
    field(app, "Device").set_value("toaster").run()
    assert len(app.error) == 1
    beside = list(app.main)  # in the order of the page
    place = next(n for n, one in enumerate(beside) if getattr(one, "label", "").startswith("Device"))
    assert beside[place + 1].type == "error"
    assert "To start, correct: All settings, Other: Device." in texts(app).replace("\\", "")
    field(app, "Device").set_value("cpu")
    field(app, "optimizer.sgd_after").set_value(0.5).run()  # fits AdamW
    assert not app.error
    field(app, "optimizer.name").set_value("sgd").run()  # and not SGD
    assert len(app.error) == 1
    assert "sgd_after switches from Adam to SGD" in app.error[0].value.replace("\\", "")
    assert button(app, "Start training").disabled


def test_a_free_name_is_said_where_one_is_taken(open_page: Open) -> None:
    RunFolder.create("taken", load_recipe("heads"), "heads")
    app = open_page("train")
    field(app, "Name of the run").set_value("taken").run()
    assert "“taken-2” is free." in app.error[0].value.replace("\\", "")


def test_a_run_has_one_figure_for_its_progress(open_page: Open) -> None:
    run = RunFolder.create("busy", load_recipe("heads"), "heads")
    trains = replace(run.status(), state="running", epoch=2, epochs=60, step=5, steps=23, seconds_left=185.0)
    run.write(trains.of(Process.this()))
    app = open_page("train", run="busy")
    assert [bar.proto.text for bar in app.get("progress")] == ["Epoch 3 of 60, 3 min left"]
    assert "Time left" not in [metric.label for metric in app.metric]
    assert "There are no other runs yet." in texts(app)


def test_every_setting_of_a_recipe_has_its_field(open_page: Open) -> None:
    app = open_page("train")
    kinds = ("number_input", "text_input", "selectbox", "checkbox")
    widgets = {widget.label: widget.help for kind in kinds for widget in getattr(app.main, kind)}
    values = load_recipe("heads").model_dump(exclude={"about", "arguments"})
    settings = {
        name if not isinstance(value, dict) else f"{name}.{inner}"
        for name, value in values.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    for setting in {*settings, "arguments"}:
        key = setting.rpartition(".")[2]
        assert f"Key: `{setting}`" in widgets[setting_title(setting)], key


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("optimizer.lr", 0.0, "greater than 0"),
        ("val_split", "test", "test split must not choose the best epoch"),
        ("resolution", "[[0.5, 32], [0.2, 48]]", "shares must increase"),
        ("device", "toaster", "device"),
    ],
)
def test_a_value_that_is_no_sense_is_refused_at_once(open_page: Open, name: str, value: object, sentence: str) -> None:
    app = open_page("train")
    field(app, name).set_value(value)
    app.run()
    assert any(sentence in error.value.replace("\\", "") for error in app.error)
    assert button(app, "Start training").disabled


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("taken", "already a run called"), ("../x", "cannot name a run"), ("Zoë", "letters a to z and A to Z")],
)
def test_a_name_is_checked_at_once(open_page: Open, name: str, sentence: str) -> None:
    RunFolder.create("taken", load_recipe("heads"), "heads")
    app = open_page("train")
    field(app, "Name of the run").set_value(name)
    app.run()
    assert any(sentence in error.value for error in app.error)
    assert button(app, "Start training").disabled


def test_a_taken_name_is_not_proposed_again(open_page: Open) -> None:
    RunFolder.create("heads", load_recipe("heads"), "heads")
    assert field(open_page("train"), "Name of the run").value == "heads-2"


def test_a_failed_run_shows_its_reason_and_its_log_and_can_be_resumed(open_page: Open) -> None:
    run = RunFolder.create("failed", load_recipe("heads"), "heads")
    run.write(replace(run.status(), state="failed", message="The disk is full.", steps=10))
    run.log.write_text("".join(f"line {number}\n" for number in range(500)))
    app = open_page("train", run="failed")
    assert [error.value.replace("\\", "") for error in app.error] == ["Failed. The disk is full."]
    assert any(block.value.endswith("line 499") and "line 400" not in block.value for block in app.code)
    assert button(app, "Resume")


def test_a_run_that_waits_says_who_has_the_device(open_page: Open) -> None:
    run = RunFolder.create("waits", load_recipe("heads", ["device=cpu"]), "heads")
    queue.ticket("cpu", "the first", os.getpid)
    queue.ticket("cpu", "waits", os.getppid)
    process = Process.of(os.getppid())
    assert process is not None
    run.write(replace(run.status(), state="queued").of(process))
    app = open_page("train", run="waits")
    assert "Waiting: the first uses cpu" in texts(app).replace("\\", "")
    assert button(app, "Delete").disabled
    run.request_stop()
    assert "Stopping. The run finishes its step" in texts(app.run())
    assert button(app, "Kill now")


def test_a_run_shows_what_it_uses_of_the_machine(open_page: Open) -> None:
    run = RunFolder.create("busy", load_recipe("heads"), "heads")
    uses = {"processors": 1.53, "memory": 2_340_000_000}
    run.write(replace(run.status(), state="running", **uses).of(Process.this()))
    assert "It uses 1.5 processors, 2.3 GB of memory." in texts(open_page("train", run="busy"))
    run.write(replace(run.status(), gpu_memory=7_890_000_000))
    assert "2.3 GB of memory and 7.9 GB of GPU memory." in texts(open_page("train", run="busy"))


def test_curves_settings_and_words_of_a_finished_run_and_another_beside_it(open_page: Open) -> None:
    make_network("one", predictions_elsewhere(), epochs=8)
    make_network("two", predictions_elsewhere(), epochs=4)
    RunFolder.named("one").write_confusion(7 * np.eye(7, dtype=np.int64))
    app = open_page("train", run="one")
    assert not app.exception
    assert "At the best epoch (8)" in texts(app).replace("\\", "")
    assert [expander.label for expander in app.expander][:1] == ["Confusion matrix of the last validation"]
    app.multiselect(key="beside-one").set_value(["two"]).run()
    assert not app.exception
    accuracy = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    assert accuracy["layer"][0]["encoding"]["color"]["scale"]["domain"] == ["one", "two"]
    assert accuracy["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 8]  # to the last epoch from the start


def test_curves_of_finished_networks_are_also_drawn_over_the_processor_time_they_cost(open_page: Open) -> None:
    make_network("one", predictions_elsewhere(), epochs=3)
    app = open_page("overview", network="one")
    app.get("button_group")[0].set_value("minutes").run()
    assert not app.exception
    charts = [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]
    accuracy = next(chart for chart in charts if str(chart.get("description", "")).startswith("accuracy (%)"))
    assert accuracy["layer"][0]["encoding"]["x"]["title"] == "CPU minutes"
    results = [replace(result, cpu_seconds=60.0 * result.epoch) for result in RunFolder.named("one").metrics()]
    (rows,) = curves({"one": results}, over="minutes")[0].to_dict()["datasets"].values()
    assert [row["minutes"] for row in rows if row["part"] == "validation"] == pytest.approx([1, 3, 6])


def test_a_run_gets_tags_another_name_and_goes_to_the_trash(open_page: Open) -> None:
    make_network("one", predictions_elsewhere())
    app = open_page("train", run="one")
    app.text_input(key="tags-one").set_value("good, old")
    app.text_input(key="note-one").set_value("for the report").run()
    assert RunFolder.named("one").notes() == Notes(("good", "old"), "for the report")
    app.text_input(key="rename-one").set_value("../one").run()
    assert any("cannot name a run" in error.value for error in app.error)
    assert button(app, "Delete")  # what else can be done is still offered
    app.text_input(key="rename-one").set_value("first").run()
    assert app.query_params["run"] == "first"
    assert RunFolder.named("first").notes().note == "for the report"
    button(app, "Delete").click().run()
    assert not RunFolder.named("first").path.exists()
    assert "run" not in app.query_params
    assert "The run first is in the trash" in texts(app)
    button(app, "Undo").click().run()
    assert RunFolder.named("first").notes().note == "for the report"
    assert app.query_params["run"] == "first"


def test_another_run_starts_at_the_settings_and_data_of_one_that_is_there(open_page: Open) -> None:
    RunFolder.create("mine", load_recipe("heads", ["epochs=3"]), "/data/elsewhere")
    app = open_page("train", like="mine")
    assert not app.exception
    assert field(app, "epochs").value == 3
    assert field(app, "Data set").value == "/data/elsewhere"
    assert field(app, "Name of the run").value == "mine-2"
    assert "mine/config.toml --data /data/elsewhere --name mine-2" in command_line(app)


def test_a_few_steps_tell_time_and_memory(open_page: Open, learnable: Path) -> None:
    add(learnable)
    app = open_page("train")
    field(app, "Data set").set_value("learnable").run()
    field(app, "arguments").set_value("{widths = [4, 4]}")
    field(app, "epochs").set_value(4).run()
    button(app, "Estimate time and memory").click().run()
    assert not app.error
    assert re.search(r"About \*\*\d+ s\*\* \([\d.]+ s per epoch\) and \*\*[\d.]+ GB", texts(app))
    field(app, "epochs").set_value(5).run()
    assert "s per epoch" not in texts(app)  # it was another run's


def test_a_damaged_run_is_named_among_the_others(open_page: Open) -> None:
    RunFolder.create("whole", load_recipe("heads"), "heads")
    broken = RunFolder.create("broken", load_recipe("heads"), "heads")
    (broken.path / "status.json").write_text("{")
    app = open_page("train")
    assert not app.exception
    assert "failed" in texts(app)
    app = open_page("train", run="broken")
    assert any("is damaged" in error.value.replace("\\", "") for error in app.error)


def test_a_link_to_a_run_that_is_not_here_says_so(open_page: Open) -> None:
    app = open_page("train", run="nobody")
    assert any("There is no run “nobody”" in error.value.replace("\\", "") for error in app.error)
    assert not app.exception


def test_without_a_network_explain_leads_to_training(open_page: Open) -> None:
    assert "There is no trained network yet" in texts(open_page("explain"))


def test_explain_says_when_the_pictures_are_not_here_and_offers_others(open_page: Open) -> None:
    make_network("far", predictions_elsewhere())
    app = open_page("explain", network="far")
    assert "the elsewhere validation set are not on this machine" in texts(app)
    assert {"Rendered heads, validation set", "Upload an image"} <= set(app.selectbox(key="source").options)


def test_explain_shows_exactly_the_picture_of_the_link_and_its_neighbours(open_page: Open, tmp_path: object) -> None:
    place = make_pictures(tmp_path / "faces", each=2)
    add(place)
    folder = untrained("explained")
    table = predictions_on(open_dataset(place), "val")
    table.write(folder / "predictions-faces-val.parquet")
    ids = table.table["id"].tolist()
    app = open_page("explain", network="explained", table="faces-val", image=ids[3])
    assert not app.exception
    assert not app.error
    assert f"4 of {len(ids)}" in texts(app)
    assert f"The label is **{table.table['label'][3]}**" in texts(app) or "The label is the same." in texts(app)
    button(app, "Next").click().run()
    assert app.query_params["image"] == ids[4]
    before = re.search(r"with a confidence of ([\d.]+)", texts(app))
    write_card(folder, read_card(folder).model_copy(update={"temperature": 0.5}))
    after = re.search(r"with a confidence of ([\d.]+)", texts(app.run()))
    assert before is not None
    assert after is not None
    assert float(after[1]) > float(before[1])  # the temperature of the card is applied
    app.selectbox(key="only").set_value("wrong").run()
    wrong = [image for image, right in zip(ids, table.correct, strict=True) if not right]
    assert f"of {len(wrong)}" in texts(app)
    assert app.query_params["image"] in wrong
