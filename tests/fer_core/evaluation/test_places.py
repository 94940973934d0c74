"""Where results go: into the workspace, never over a table of other images, never into the program's own folder."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from fer_core import workspace as places
from fer_core.checkpoint import keep_temperature, load_tensors, place_for, read_card, save_tensors, write_card
from fer_core.datasets import open_dataset
from fer_core.evaluation.comparison import shared_images
from fer_core.evaluation.gallery import Filter, examples, not_here, positions, select
from fer_core.evaluation.predict import answers, keep, predict_checkpoint
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from fer_core.runs.store import find
from tests.app.examples import make_pictures
from tests.untrained import untrained
from trainers.cli import app


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with a hash of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network in a folder of the program's own, with a table of the validation images of `faces`."""
    root = tmp_path / "checkpoints"
    monkeypatch.setattr(places, "CHECKPOINTS", root)
    folder = untrained("small")
    tensors, _ = load_tensors(folder / "best.safetensors")
    tensors["head.3.bias"][FER7.index("sad")] += 10  # sad, whatever it is shown
    save_tensors(folder / "best.safetensors", tensors)
    predict_checkpoint(folder, open_dataset(make_pictures(tmp_path / "faces", each=2)), "val")
    root.mkdir()
    return Path(shutil.move(folder, root / "small"))


def ferscope(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return " ".join(done.output.split())


def test_no_command_writes_into_the_programs_own_folder(shipped: Path, tmp_path: Path, workspace: Path) -> None:
    card = read_card(shipped)
    write_card(shipped, card.model_copy(update={"recipe": {**card.recipe, "val_split": "val"}}))
    before, faces = tree(shipped.parent), tmp_path / "faces"
    table = find("small").predictions("faces-val")
    labelled = tmp_path / "labelled"  # two of three answers are right, so that a temperature can be fitted
    for number, (image, predicted) in enumerate(zip(table.table["id"], table.predicted, strict=True)):
        label = predicted if number % 3 else FER7.names[(FER7.index(predicted) + 1) % 7]
        target = labelled / "val" / label / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(faces / image if (faces / image).exists() else faces / "val" / image, target)
    other = make_pictures(tmp_path / "others" / "faces", each=3)  # another set of the same name
    for data in (faces, other):
        ferscope("evaluate", "small", "--data", data)
        ferscope("evaluate", shipped, "--data", data, "--split", "train")
        ferscope("robustness", "small", "--data", data, "--limit", 3, "--only", "blur", "--keep")
    ferscope("calibrate", "small", "--data", labelled)
    ferscope("explain-report", "small", "--data", faces, "--limit", 14, "--methods-on", 4, "--method", "saliency")
    ferscope("explain", "small", "--data", faces, "--figure", "--out", tmp_path / "maps")
    assert tree(shipped.parent) == before
    found = find("small")
    assert {"faces-val", "faces-train"} < set(found.tables)
    assert found.tables["faces-val"] == shipped / "predictions-faces-val.parquet"
    assert found.card.temperature is not None
    assert all(path.is_relative_to(workspace) for key, path in found.tables.items() if key != "faces-val")


def test_a_shipped_table_stays_and_one_of_other_images_is_kept_beside(
    shipped: Path, tmp_path: Path, workspace: Path
) -> None:
    first = find("small").predictions("faces-val")
    said = ferscope("evaluate", "small", "--data", tmp_path / "faces")
    assert "stays; 14 of 14 answers are the same" in said
    other = open_dataset(make_pictures(tmp_path / "others" / "faces", each=3))
    table, _ = answers(shipped, other, "val")
    kept = keep(shipped, table)
    assert kept.key == f"faces-{table.fingerprint[:6]}-val"
    assert "which stays" in kept.sentence
    assert set(find("small").tables) == {"faces-val", kept.key}
    np.testing.assert_array_equal(find("small").predictions("faces-val").logits, first.logits)
    assert len(find("small").predictions(kept.key)) == 21
    assert keep(shipped, table).path == kept.path  # the same images again: written over their own table


def test_a_run_keeps_its_table_of_another_set_of_the_same_name(tmp_path: Path) -> None:
    folder = untrained("mine")
    first, _ = predict_checkpoint(folder, open_dataset(make_pictures(tmp_path / "faces", each=2)), "val")
    shutil.rmtree(tmp_path / "faces")
    second, _ = predict_checkpoint(folder, open_dataset(make_pictures(tmp_path / "faces", each=3)), "val")
    tables = find("mine").tables
    assert tables["faces-val"] == folder / "predictions-faces-val.parquet"
    assert Predictions.read(tables["faces-val"]).fingerprint == first.fingerprint
    assert len(tables) == 2
    assert len(first) != len(second)


def test_an_older_table_without_hashes_is_known_by_its_numbers(tmp_path: Path) -> None:
    folder, dataset = untrained("mine"), open_dataset(make_pictures(tmp_path / "faces", each=2))
    table, _ = answers(folder, dataset, "val")
    old = table.table.drop(columns="hash")
    old.to_parquet(folder / "predictions-faces-val.parquet")
    read = find("mine").predictions("faces-val")
    assert not read.has_hashes
    assert (positions(dataset, read.table) == dataset.rows("val")).all()
    assert len(shared_images({"old": read, "new": table})["new"]) == 14
    assert keep(folder, table).key == "faces-val"  # the same images: it now knows them by content
    assert find("mine").predictions("faces-val").has_hashes
    assert len(Predictions(pd.concat([old, table.table.assign(id="b" + table.table["id"])])).table) == 28


def test_networks_of_one_name_and_new_weights_are_told_apart(tmp_path: Path, shipped: Path) -> None:
    keep_temperature(shipped, 1.5)
    assert read_card(shipped).temperature == 1.5
    copy = tmp_path / "elsewhere" / "small"
    shutil.copytree(shipped, copy)
    assert place_for(copy) == place_for(shipped)  # the same network
    weights = copy / "best.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert place_for(copy) != place_for(shipped)
    assert read_card(copy).temperature is None
    (place_for(shipped) / "calibration.json").write_text("{}")
    done = CliRunner().invoke(app, ["evaluate", "small", "--data", "heads"])
    assert "calibration.json is damaged" in str(done.exception)


@pytest.fixture
def two_csvs(tmp_path: Path, pictures: NDArray[np.uint8], csv_of: Callable[..., str]) -> tuple[Path, Path]:
    """Twenty images in a csv, and a csv with their rows in another order and without the second and the sixteenth."""
    usages = ["Training"] * 8 + ["PublicTest"] * 12
    rows = [(i % 7, picture, usage) for i, (picture, usage) in enumerate(zip(pictures, usages, strict=True))]
    moved = [rows[i] for i in (12, 3, 19, 0, 8, 2, 9, 18, 4, 10, 5, 11, 6, 13, 7, 14, 16, 17)]
    found = []
    for name, these in (("whole", rows), ("moved", moved)):
        path = tmp_path / name / "faces.csv"
        path.parent.mkdir()
        path.write_text(csv_of(these))
        found.append(path)
    return found[0], found[1]


def test_answers_stay_with_their_images_when_rows_are_moved_or_gone(two_csvs: tuple[Path, Path]) -> None:
    whole, moved = map(open_dataset, two_csvs)
    folder = untrained("one")
    table, _ = answers(folder, whole, "val")
    place = positions(moved, table.table)
    assert np.flatnonzero(place < 0).tolist() == [7]  # the sixteenth row is the eighth of the validation set
    assert not_here(moved, table.table, place) == f"Of the 12 images of the table, 1 is not in {moved.title} (faces)."
    for row in np.flatnonzero(place >= 0):
        np.testing.assert_array_equal(moved.picture(int(place[row])), whole.picture(int(whole.rows("val")[row])))
    again, _ = answers(folder, moved, "val")
    one, other = shared_images({"whole": table, "moved": again}).values()
    assert len(one) == 11
    np.testing.assert_allclose(one.logits, other.logits, atol=1e-5)
    wrong = select(examples(table, {"moved": again}), Filter(outcome="wrong"))
    assert (wrong["networks"] == (wrong["hash"] != table.table["hash"][7]) + 1).all()
    assert wrong["disagreement"].max() < 1e-6  # the same network says the same of the same image


def test_two_csvs_that_share_nothing_say_so(two_csvs: tuple[Path, Path], learnable: Path) -> None:
    table, _ = answers(untrained("one"), open_dataset(two_csvs[0]), "val")
    dataset = open_dataset(learnable)
    assert not_here(dataset, table.table, positions(dataset, table.table)).startswith(
        "None of the table's 12 images is in"
    )


def test_slices_leave_out_what_is_not_there_with_a_count(two_csvs: tuple[Path, Path]) -> None:
    predict_checkpoint(untrained("one"), open_dataset(two_csvs[0]), "val")
    done = CliRunner().invoke(
        app, ["slices", "one", "--table", "faces-val", "--data", str(two_csvs[1]), "--min-support", "20", "--json"]
    )
    assert "Of the 12 images of the table, 1 is not in" in " ".join(done.stderr.split())
    assert json.loads(done.stdout) == []
