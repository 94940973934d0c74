"""Overview, Evaluate and Data, run without a browser."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from fer_core.datasets import open_dataset
from fer_core.datasets.known import add
from fer_core.evaluation.confusion import confusion_matrix
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from fer_core.workspace import ROOT
from tests.app.conftest import texts
from tests.app.examples import make_network, make_pictures, predictions_elsewhere, predictions_on

OpenPage = Callable[..., AppTest]
SLOW = ("torch", "torchvision", "gradio", "sklearn", "captum")


@pytest.mark.parametrize(
    "page", ["overview", "evaluate", "gallery", "labels", "slices", "compare", "confidence", "data"]
)
def test_a_table_page_imports_nothing_slow(page: str, tmp_path: Path) -> None:
    add(make_pictures(tmp_path / "faces", each=1))
    make_network("one", predictions_elsewhere())
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(ROOT / "dashboard/Home.py")!r}, default_timeout=300).run()
app.query_params["data"] = "faces"
app.switch_page("views/{page}.py").run()
assert not app.exception and app.title, app
print(*[name for name in {SLOW!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_an_empty_workspace_offers_to_train(open_page: OpenPage) -> None:
    app = open_page("overview")
    assert not app.exception
    assert "There is no trained network yet" in app.info[0].value
    assert [button.label for button in app.button] == ["Train a network"]


def test_the_answer_comes_first_with_its_interval_and_n(open_page: OpenPage) -> None:
    # 132 of 210 right: Wilson's interval worked with z = 1.959964: centre (132 + 1.92073) / 213.84146 = 0.626261,
    # reach sqrt(3.841459 (132 * 78 / 210 + 0.960365)) / 213.84146 = 0.064814, so 56.1 to 69.1 %
    answers = np.eye(7)[[i % 7 if i < 132 else (i + 1) % 7 for i in range(210)]]
    labels = [FER7.names[i % 7] for i in range(210)]
    table = Predictions.from_logits(range(210), "elsewhere", "val", labels, answers, FER7)
    make_network("one", table, title="Network One")
    app = open_page("overview")
    assert not app.exception
    assert app.markdown[0].value == (
        "Network One has an accuracy of **62.9\N{NO-BREAK SPACE}%** (95\N{NO-BREAK SPACE}% CI 56.1 to 69.1, n = 210) on the "
        "elsewhere validation set."
    )


def test_the_tests_of_a_network_do_not_depend_on_what_else_lies_in_the_workspace(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere(210))
    make_network("two", predictions_elsewhere(210, seed=1, skill=0.5))
    before = re.search(r"p (=|&lt;) [\d.]+", texts(open_page("overview", network="one")))
    make_network("third", predictions_elsewhere(140))  # with fewer images
    words = texts(open_page("overview", network="one"))
    assert before
    assert before[0] in words
    assert "without correction for several networks" in words


def test_a_link_to_an_unknown_network_says_so_and_shows_another(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere(), title="Network One")
    app = open_page("overview", network="gone", table="nowhere-val")
    assert not app.exception
    assert [info.value.replace("\\", "") for info in app.info] == [
        "“gone” from the link does not exist here. Showing Network One instead.",
        "“nowhere-val” from the link does not exist here. Showing elsewhere, validation set instead.",
    ]
    assert app.query_params["network"] == "one"
    assert app.query_params["table"] == "elsewhere-val"


def test_a_network_that_is_deleted_while_it_is_shown_is_missed_aloud(open_page: OpenPage) -> None:
    folder = make_network("one", predictions_elsewhere(seed=1), title="Network One")
    make_network("two", predictions_elsewhere(seed=2), title="Network Two")
    app = open_page("evaluate", network="one")
    assert "from the link" not in app.info[0].value
    shutil.rmtree(folder)
    app.run()
    assert not app.exception
    said = app.info[0].value.replace("\\", "")
    assert said == "“one” from the link does not exist here. Showing Network Two instead."


def test_the_picked_network_stays_from_page_to_page(open_page: OpenPage) -> None:
    make_network("one", predictions_elsewhere(seed=1), title="Network One")
    make_network("two", predictions_elsewhere(seed=2), title="Network Two")
    app = open_page("overview")
    app.selectbox(key="network").select("one").run()
    app.switch_page("views/evaluate.py").run()
    assert app.markdown[0].value.startswith("Network One has an accuracy of")
    assert app.query_params["network"] == "one"


def test_a_network_that_was_not_evaluated_is_shown_and_says_so(open_page: OpenPage) -> None:
    make_network("raw", None, title="Raw network")
    for page in ("overview", "evaluate"):
        app = open_page(page)
        assert not app.exception
        assert "has not been evaluated yet" in texts(app)
    make_network("read", predictions_elsewhere(), title="Read network")
    said = texts(open_page("overview", network="read")).replace("\\", "")
    assert "A dash means: not evaluated on the elsewhere validation set." in said


def test_evaluate_names_the_most_confused_pair_and_shows_its_cell_first(open_page: OpenPage) -> None:
    table = predictions_elsewhere()
    make_network("one", table)
    app = open_page("evaluate")
    matrix = confusion_matrix(table)
    np.fill_diagonal(matrix, 0)
    label, predicted = (FER7.names[i] for i in np.unravel_index(matrix.argmax(), matrix.shape))
    assert f"Most frequent confusions: {label} predicted as {predicted} ({matrix.max()}," in app.markdown[0].value
    assert app.query_params["true"] == label
    assert app.query_params["predicted"] == predicted


def test_a_cell_in_the_address_shows_exactly_its_images(open_page: OpenPage, tmp_path: Path) -> None:
    place = make_pictures(tmp_path / "faces", each=40)
    add(place)
    table = predictions_on(open_dataset(place), "val")
    make_network("one", table)
    cell = table.table[(table.table["label"] == "happy") & (table.predicted == "happy")]
    assert 16 < len(cell) <= 32  # two pages
    pages = [_shown(open_page("evaluate", true="happy", predicted="happy", page=page)) for page in "12"]
    assert [len(page) for page in pages] == [16, len(cell) - 16]
    assert sorted(chain.from_iterable(pages)) == sorted(cell["id"])


def _shown(app: AppTest) -> list[str]:
    return [image for element in app.get("html") for image in re.findall(r"id (\S+) of ", element.proto.body)]


def test_images_that_are_not_on_this_machine_are_a_sentence_and_two_ways_on(open_page: OpenPage) -> None:
    table = predictions_elsewhere(70)  # ten of each expression: less than a page
    predictions_on(open_dataset("heads"), "test").write(make_network("one", table) / "predictions-heads-test.parquet")
    app = open_page("evaluate", table="elsewhere-val", true="sad", predicted="sad")
    ids = table.table["id"][(table.table["label"] == "sad") & (table.predicted == "sad")]
    assert f"{len(ids)} images of elsewhere cannot be shown" in app.info[0].value
    assert not any(image in texts(app) for image in ids)
    assert "Add the data set" in [button.label for button in app.button]
    next(button for button in app.button if button.label == "Show Rendered heads, test set instead").click().run()
    assert app.query_params["table"] == "heads-test"
    assert _shown(app)


def test_a_link_to_an_image_or_page_that_does_not_exist_says_so_once(open_page: OpenPage) -> None:
    predictions_on(open_dataset("heads"), "test").write(make_network("one", None) / "predictions-heads-test.parquet")
    app = open_page("gallery", network="one", page="99")
    assert "“page 99” from the link does not exist here." in said_plainly(app)
    assert "does not exist" not in said_plainly(app.run())
    app = open_page("explain", network="one", image="nobody")
    assert "“nobody” from the link does not exist here. Showing image" in said_plainly(app)
    assert "does not exist" not in said_plainly(app.run())
    app = open_page("home", face="bored")
    assert "“bored” from the link does not exist here. Showing happy instead." in said_plainly(app)


def said_plainly(app: AppTest) -> str:
    return " ".join(info.value for info in app.main.info).replace("\\", "")


def test_a_damaged_table_is_one_sentence_in_an_error_box(open_page: OpenPage) -> None:
    folder = make_network("one", predictions_elsewhere())
    (folder / "predictions-elsewhere-val.parquet").write_bytes(b"PAR1 and then nothing")
    app = open_page("evaluate")
    assert not app.exception
    assert len(app.error) == 1
    assert "this is no readable parquet file" in app.error[0].value


def test_a_data_set_is_added_by_its_path(open_page: OpenPage, tmp_path: Path) -> None:
    place = make_pictures(tmp_path / "faces", each=2)
    app = open_page("data", data=add(make_pictures(tmp_path / "first", each=1)))
    app.text_input[0].input(str(place))
    _press(app, "Add")
    assert not app.exception
    assert "contains **42 images** of 7 expressions" in texts(app)
    assert "In the training set, all expressions are equally frequent." in texts(app)
    assert app.query_params["data"] == "faces"


@pytest.mark.parametrize("on_bad", ["refuse", "skip"])
def test_a_bad_file_is_refused_or_listed_as_chosen(open_page: OpenPage, tmp_path: Path, on_bad: str) -> None:
    place = make_pictures(tmp_path / "faces", each=2)
    (place / "val" / "sad" / "00.png").write_bytes(b"")
    app = open_page("data", data=add(make_pictures(tmp_path / "first", each=1)))
    app.text_input[0].input(str(place))
    app.radio[0].set_value(on_bad)
    _press(app, "Add")
    assert not app.exception
    if on_bad == "refuse":
        assert "1 of 42 entries cannot be read" in app.error[0].value.replace("\\", "")
        assert app.query_params["data"] == "first"
    else:
        assert "contains **41 images**" in texts(app)
        assert "1 image was left out" in [expander.label for expander in app.expander]
        assert len(open_dataset("faces")) == 41  # as a training from the Train page opens it


def test_a_path_that_is_not_there_is_named(open_page: OpenPage, tmp_path: Path) -> None:
    app = open_page("data", data=add(make_pictures(tmp_path / "first", each=1)))
    app.text_input[0].input(str(tmp_path / "nowhere"))
    _press(app, "Add")
    assert "nowhere does not exist" in app.error[0].value.replace("\\", "")


def _press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()


def test_pages_about_images_open_with_one_set_whose_images_are_here_and_figures_with_the_first(
    open_page: OpenPage,
) -> None:
    folder = make_network("one", predictions_elsewhere())
    make_network("two", predictions_elsewhere(seed=1))
    predictions_on(open_dataset("heads"), "test").write(folder / "predictions-heads-test.parquet")
    for view in ("gallery", "labels", "robustness", "regions", "evaluate"):
        assert open_page(view, network="one").query_params["table"] == "heads-test", view
    for view in ("overview", "compare", "decide", "confidence"):
        assert open_page(view, network="one").query_params["table"] == "elsewhere-val", view
    assert "is what it was made to show" in texts(open_page("labels", network="one"))
