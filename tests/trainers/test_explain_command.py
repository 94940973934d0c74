"""`ferscope explain` in this process: which files it writes, what they hold, and what it refuses."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_core.datasets import open_dataset
from fer_core.evaluation.predictions import Predictions
from fer_core.explanation import explain, figure
from fer_core.labels import FER7
from fer_core.serving.predictor import Predictor
from tests.app.examples import make_pictures, predictions_on
from tests.untrained import untrained
from trainers import cli


def ferscope(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    before = sys.argv
    sys.argv = ["ferscope", *map(str, arguments)]
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = before
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return make_pictures(tmp_path / "faces", each=2)


def test_maps_overlays_and_figures_are_written_and_agree_with_the_library(faces, tmp_path, capsys):
    folder = untrained()
    dataset = open_dataset(faces)
    names = dataset.index.loc[dataset.index["split"] == "val", "id"].tolist()[2:4]
    to = tmp_path / "out"
    code, said, _ = ferscope(
        capsys, "explain", "untrained", "--data", faces, "--out", to, "--image", names[0], "--image", names[1],
        "--method", "saliency", "--method", "grad-cam", "--target", "sad", "--against", "happy", "--json",
    )  # fmt: skip
    assert code == 0
    report = json.loads(said)
    assert report == json.loads((to / "explanations.json").read_text())
    assert [(one["image"], one["method"]) for one in report["maps"]] == [
        (name, method) for method in ("saliency", "grad-cam") for name in names
    ]
    predictor = Predictor(folder)
    row = int(np.flatnonzero(dataset.index["id"] == names[1])[0])
    answer = predictor.predict(dataset.picture(row), "none")[0]
    one = report["maps"][1]
    assert one["probabilities"] == pytest.approx(answer.probs, rel=1e-5)
    assert (one["predicted"], one["target"], one["against"]) == (answer.predicted, "sad", "happy")
    sad, happy = FER7.index("sad"), FER7.index("happy")
    wanted = explain(
        predictor.model,
        answer.picture[None],
        predictor.card.image,
        [sad],
        "saliency",
        against=[happy],
        tta=predictor.card.tta,
    )
    np.testing.assert_allclose(np.load(to / one["map"]), wanted.map[0], rtol=1e-4, atol=1e-6)
    assert Image.open(to / one["overlay"]).size == (384, 384)
    assert report["maps"][3]["layer"] == "stages.3"


def test_the_figure_shows_the_cases_of_middle_confidence_of_the_predictions_table(faces, tmp_path, capsys):
    folder = untrained()
    dataset = open_dataset(faces)
    table = predictions_on(dataset, "val")
    table.write(folder / "predictions-faces-val.parquet")
    to = tmp_path / "out"
    code, said, _ = ferscope(capsys, "explain", "untrained", "--data", faces, "--out", to, "--figure", "--json")
    assert code == 0
    assert json.loads(said)["cases"] == {
        name: [case and case.id for case in pair] for name, pair in figure.cases(table).items()
    }
    sheet = np.asarray(Image.open(to / "figure.png"))
    assert sheet.shape[2] == 3
    assert sheet.std() > 10


def test_cases_are_those_of_middle_confidence_and_none_where_there_is_none():
    # Five images of angry: four right with rising logits, one wrong; one of happy, right; the others do not occur.
    logits = np.zeros((6, 7))
    logits[:4, 0] = [4, 1, 3, 2]
    logits[4, 3] = 5
    logits[5, 3] = 2
    table = Predictions.from_logits(list("abcdef"), "made", "val", ["angry"] * 5 + ["happy"], logits, FER7)
    found = figure.cases(table)
    right, wrong = found["angry"]
    assert right is not None
    assert wrong is not None
    assert (right.id, right.predicted, right.right) == ("d", "angry", True)  # of 1, 2, 3, 4 the lower middle: 2
    assert (wrong.id, wrong.predicted, wrong.right) == ("e", "happy", False)
    assert wrong.given == pytest.approx(1 / (6 + np.exp(5)))
    assert found["happy"][0].id == "f"
    assert found["happy"][1] is None
    assert found["sad"] == (None, None)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "--image ID, or ask for --figure"),
        (["--image", "nobody"], "has no image nobody"),
        (["--figure", "--method", "salience"], "did you mean “saliency”"),
        (["--figure", "--target", "hapy"], "did you mean “happy”"),
        (["--figure", "--layer", "stages.9"], "there is no “stages.9”"),
    ],
)
def test_what_does_not_exist_is_refused_in_one_sentence(faces, tmp_path, capsys, more, message):
    untrained()
    code, _, error = ferscope(capsys, "explain", "untrained", "--data", faces, "--out", tmp_path / "out", *more)
    assert code == 2
    assert message in error


def test_names_of_pictures_never_leave_the_folder_nor_fall_together():
    from fer_core.serving.map_files import stems

    assert stems(["../../etc/passwd", "a/b", "a b", "a-b-2", "..", "a:b"]) == [
        "etc-passwd", "a-b", "a-b-2", "a-b-2-2", "picture", "a-b-3",
    ]  # fmt: skip
