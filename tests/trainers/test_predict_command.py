"""`ferscope predict`, `ferscope compare-private` and `ferscope export`, as people call them."""

import csv
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from fer_core.labels import FER7
from fer_core.serving.predictor import NOT_SURE, Predictor
from tests.app.examples import predictions_elsewhere
from tests.contracts import layouts
from tests.faces import face as head
from tests.untrained import untrained
from trainers import cli


@pytest.fixture
def ferscope(monkeypatch, capsys):
    """Calls a command in this process, for (exit code, stdout, stderr); starting a new one costs seconds."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ferscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    Image.fromarray(astronaut()).save(folder / "portrait.png")
    Image.new("L", (90, 90), 120).save(folder / "below" / "empty.png")
    (folder / "broken.jpg").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("not looked at")
    return folder


def test_a_folder_becomes_a_csv_with_a_row_for_each_face_and_each_problem(ferscope, pictures, tmp_path):
    wanted = Predictor(untrained("one"), untrained("two", temperature=0.5)).predict(astronaut())[0]
    code, printed, problem = ferscope("predict", "one,two", pictures, "--out", tmp_path / "out.csv", "--sure", "0.99")
    assert code == 0, problem
    assert "3 images, 1 faces" in printed
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        empty, broken, portrait = csv.DictReader(file)
    assert (empty["problem"], empty["prob_happy"]) == ("no face was found", "")
    assert broken["problem"] == "this is no image in a known format; save it as PNG or JPEG."
    assert float(portrait["prob_happy"]) == pytest.approx(wanted.probs["happy"], abs=1e-5)
    assert (portrait["face"], portrait["verdict"], portrait["predicted"]) == ("1", NOT_SURE, wanted.predicted)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are always Unicode")
def test_a_picture_whose_name_is_not_utf8_has_a_row_too(ferscope, tmp_path):
    untrained()
    (tmp_path / "set").mkdir()
    for name, content in ((b"a\xe9.png", Path(__file__).read_bytes()), (b"b\xe9.png", b"")):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path / "set"), name))).write_bytes(content)
    ferscope("predict", "untrained", tmp_path / "set", "--out", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        damaged, empty = csv.DictReader(file)
    assert damaged["file"] == str(tmp_path / "set" / "a\\xe9.png")
    assert "0 bytes" in empty["problem"]


def test_pictures_of_which_none_shows_a_face_end_in_an_error_after_their_rows(ferscope, pictures):
    untrained()
    code, printed, problem = ferscope("predict", "untrained", pictures / "below", pictures / "broken.jpg")
    assert code == 2
    assert next(row["problem"] for row in csv.DictReader(printed.splitlines())) == "no face was found"
    assert "No face was found in any of the images (2); " in problem
    assert "empty.png: no face was found." in problem


def test_a_zip_gives_the_same_rows_as_json(ferscope, pictures, tmp_path):
    untrained()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(pictures / "portrait.png", "portrait.png")
        archive.writestr("inner.zip", b"")
        archive.write(pictures / "broken.jpg", "broken.jpg")
    code, printed, problem = ferscope("predict", "untrained", tmp_path / "all.zip", "--json")
    assert code == 0, problem
    portrait, inner, broken = json.loads(printed)
    assert broken == {"file": "broken.jpg", "problem": "this is no image in a known format; save it as PNG or JPEG."}
    deep = tmp_path / "a" / "new" / "folder.csv"
    assert ferscope("predict", "untrained", tmp_path / "all.zip", "--json", "--out", deep)[1] == printed
    assert len(list(csv.DictReader(deep.open(encoding="utf-8")))) == 3
    code, _, problem = ferscope("predict", "untrained", tmp_path / "all.zip", "--out", tmp_path)
    assert code == 2
    assert "directory" in problem
    assert portrait["verdict"] == portrait["predicted"]
    assert "archive inside" in inner["problem"]


def test_export_writes_the_network_and_its_script(ferscope, tmp_path):
    untrained()
    code, printed, problem = ferscope("export", "untrained", "--out", tmp_path / "network.onnx", "--json")
    assert code == 0, problem
    told = json.loads(printed)
    assert [Path(file).name for file in told["files"]] == ["network.onnx", "predict_onnx.py"]
    assert all(Path(file).is_file() for file in told["files"])
    assert told["largest_difference"] < 1e-4


def test_nothing_to_predict_is_said(ferscope, tmp_path):
    untrained()
    code, _, problem = ferscope("predict", "untrained", tmp_path)
    assert code == 2
    assert "There is no image in" in problem


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """Drawn faces, two an expression, in class folders; one has a German name."""
    for label in FER7.names:
        folder = tmp_path / "private" / {"angry": "grimmig"}.get(label, label)
        folder.mkdir(parents=True)
        for number in range(2):
            face = head(label, number)
            Image.fromarray(face).save(folder / f"{number}.png")
    return tmp_path / "private"


def test_a_private_set_beside_the_benchmark_has_the_accuracy_of_its_pictures(ferscope, private, tmp_path):
    folder = untrained(arguments={"widths": [4, 8, 8, 16]})
    predictions_elsewhere().write(folder / "predictions-elsewhere-val.parquet")
    given = ["compare-private", private, "untrained", "--detector", "none", "--folder", "grimmig=angry"]
    code, printed, _ = ferscope(*given, "--out", tmp_path / "new" / "report.html", "--json")
    assert code == 0
    report = json.loads(printed)["untrained"]
    predictor = Predictor(folder)
    right = [
        predictor.predict(np.asarray(Image.open(file)), "none")[0].predicted
        == {"grimmig": "angry"}.get(file.parent.name, file.parent.name)
        for file in private.rglob("*.png")
    ]
    everything = report["per_expression"][0]
    assert (everything["n_a"], everything["n_b"]) == (210, 14)
    assert everything["recall_b"] == pytest.approx(np.mean(right))
    assert "Why is the private set different?" in (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    code, printed, _ = ferscope(*given)
    assert f"untrained recognises {100 * np.mean(right):.1f}" in printed
    assert "The benchmark's images are not on this machine." in printed


def test_a_private_set_whose_folders_are_not_clear_is_asked_about(ferscope, private):
    predictions_elsewhere().write(untrained() / "predictions-elsewhere-val.parquet")
    for more, says in (
        ([], "grimmig stand for"),
        (["--folder", "wut=angry"], "no folder wut"),
        (["--folder", "grimmig=furious"], "furious is no expression"),
    ):
        code, _, said = ferscope("compare-private", private, "untrained", *more)
        assert code == 2
        assert says in said


def test_a_data_set_is_predicted_also_without_labels(ferscope, tmp_path):
    untrained("one")
    made = layouts.fer2013_parts(tmp_path / "parts")
    code, _, problem = ferscope("predict", "one", made.path, "--split", "test", "--out", tmp_path / "p.csv")
    assert code == 0, problem
    with (tmp_path / "p.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["test/test/00000", "test/test/00001"]
    assert all(row["predicted"] in FER7.names for row in rows)
    code, _, problem = ferscope("evaluate", "one", "--data", made.path, "--split", "test")
    assert code == 2
    assert "have no label" in problem
    assert f"ferscope predict NETWORK {made.path}" in " ".join(problem.split()).replace("- ", "-")


def test_a_photo_on_its_side_is_warned_of(ferscope, tmp_path):
    untrained("one")
    Image.fromarray(np.rot90(astronaut())).save(tmp_path / "side.png")
    _, printed, problem = ferscope("predict", "one", tmp_path / "side.png")
    assert "turned by 90° clockwise" in printed + problem


def test_files_of_other_programs_are_called_what_they_are(ferscope, tmp_path):
    for name, what in (("own.onnx", "an ONNX network"), ("whole.pt", "a PyTorch file"), ("preds.csv", "a table")):
        (tmp_path / name).write_bytes(b"x")
        code, _, problem = ferscope("evaluate", tmp_path / name, "--data", "heads")
        assert code == 2
        assert what in problem
        assert "ferscope import" in problem
