"""The real FER2013 and FER+ files, where a machine has them: the counts that the field knows."""

import gzip
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fer_core.datasets import SPLITS, Dataset, ferplus, identity, open_dataset
from fer_core.datasets.duplicates import contradicting, duplicates_of, leaks
from fer_core.datasets.leaks import leaks_of, shipped_leaks
from fer_core.evaluation.gallery import positions
from fer_core.evaluation.predict import keep, predict_checkpoint
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.results import results
from fer_core.images import ImageSpec
from fer_core.labels import FERPLUS8
from fer_core.runs.store import checkpoints, find

BESIDE = Path(__file__).parents[4] / "shared" / "data" / "fer2013"  # where the developers keep it
FOLDER = Path(os.environ.get("FERSCOPE_DATA") or BESIDE)
CSV = FOLDER / "fer2013.csv.gz"
VOTES = FOLDER / "fer2013new.csv"
FOLDERS = FOLDER / "fer2013-publictest-folders.zip"
pytestmark = [
    pytest.mark.skipif(not (CSV.exists() and VOTES.exists()), reason="FER2013 is not on this machine"),
    pytest.mark.one_workspace,  # the csv is parsed once
]


@pytest.fixture
def fer2013() -> Dataset:
    return open_dataset(CSV)


COUNTS = {
    "train": {
        "angry": 3995,
        "disgust": 436,
        "fear": 4097,
        "happy": 7215,
        "neutral": 4965,
        "sad": 4830,
        "surprise": 3171,
    },
    "val": {"angry": 467, "disgust": 56, "fear": 496, "happy": 895, "neutral": 607, "sad": 653, "surprise": 415},
}


def test_fer2013_has_its_known_counts(fer2013: Dataset) -> None:
    counts = fer2013.index.groupby(["split", "label"]).size()
    assert {split: counts[split].to_dict() for split in COUNTS} == COUNTS
    assert fer2013.skipped == ()


def test_ferplus_keeps_what_its_authors_keep() -> None:
    votes = ferplus.read_votes(VOTES)
    kept = {"majority": ferplus.majority(votes).isin(FERPLUS8.names).to_numpy()}
    for mode, shares_of in ferplus.MODES.items():
        shares = shares_of(votes)
        kept[mode] = shares.any(axis=1) & (shares.argmax(axis=1) < 8)
    # majority as published; the others counted with the authors' own program on the same file
    counted = {mode: [int(rows[votes["split"] == split].sum()) for split in SPLITS] for mode, rows in kept.items()}
    assert counted == {
        "majority": [25_060, 3_199, 3_153],
        "probability": [27_956, 3_505, 3_505],
        "multi-target": [27_671, 3_472, 3_472],
    }
    dataset = open_dataset(f"{VOTES}@multi-target")
    assert dataset.splits == {"train": 27_671, "val": 3_472}
    assert dataset.name == "ferplus-multi-target"


def test_the_zip_of_folders_holds_the_same_pictures_as_the_csv(fer2013: Dataset, tmp_path: Path) -> None:
    with zipfile.ZipFile(FOLDERS) as archive:
        archive.extractall(tmp_path)
    folders = open_dataset(next(path for path in (tmp_path, *tmp_path.iterdir()) if (path / "test").is_dir()))
    assert folders.splits == {"val": 3589}
    rows = fer2013.rows("val")
    here, there = (
        np.asarray(images, np.float32) for images in (fer2013.images(ImageSpec())[rows], folders.images(ImageSpec()))
    )
    # the file names hold no row number: each image's nearest row of its class must be the image but for jpeg's loss
    for label in COUNTS["val"]:
        mine = here[(fer2013.index["label"].iloc[rows] == label).to_numpy()].reshape(-1, 48 * 48)
        theirs = there[(folders.index["label"] == label).to_numpy()].reshape(-1, 48 * 48)
        square = (mine**2).sum(1)[:, None] + (theirs**2).sum(1)[None] - 2 * mine @ theirs.T
        assert np.sqrt(np.maximum(square.min(axis=0), 0) / 48**2).max() < 20  # grey levels, root of the mean square
        assert len(set(square.argmin(axis=0))) >= len(mine) - 20  # but for identical ones, each row is some image


def test_fer2013_has_its_known_duplicates(fer2013: Dataset) -> None:
    found = duplicates_of(fer2013)
    identical = found.of_kind("identical")
    assert identical.groups == 1271  # of 1,516 with PrivateTest
    assert contradicting(fer2013.index, identical)["group"].nunique() == 47
    table = leaks(fer2013, found, "val")
    assert (table["kind"] == "identical").sum() == 280
    shipped = shipped_leaks("fer2013", "val")
    assert shipped is not None
    pd.testing.assert_frame_equal(table.round(4), shipped[list(table)], check_dtype=False)
    hashes = fer2013.index.set_index("id")["hash"]
    assert (hashes[shipped["id"]].to_numpy() == shipped["hash"]).all()
    assert (hashes[shipped["twin"]].to_numpy() == shipped["twin_hash"]).all()


def test_fer2013_and_its_modes_of_ferplus_bear_out_their_names(fer2013: Dataset) -> None:
    assert fer2013.name == "fer2013"
    assert identity.in_original_order(fer2013.index)
    for mode in ("", "@probability", "@multi-target", "@given"):
        dataset = open_dataset(f"{VOTES}{mode}")
        assert dataset.name == "ferplus" + mode.replace("@", "-"), identity.fingerprints(dataset.index)


def test_shipped_tables_know_their_images(fer2013: Dataset) -> None:
    for name, network in checkpoints().items():
        for key, path in network.tables.items():
            if not key.startswith("fer2013-"):
                continue
            table = network.predictions(key)
            place = positions(fer2013, table.table)
            assert (place == fer2013.rows("val")).all(), (name, path)
            figures = json.loads(json.dumps(results(table, fer2013, "val")))
            assert {
                part: figures[part] for part in network.card.results[key] if part in figures
            } == network.card.results[key]


@pytest.mark.parametrize("change", ["without flat images", "shuffled", "56 rows"])
def test_shipped_answers_find_their_images_in_a_changed_csv(change: str, fer2013: Dataset, tmp_path: Path) -> None:
    header, *rows = gzip.decompress(CSV.read_bytes()).decode().splitlines()
    if change == "shuffled":
        order = np.random.default_rng(0).permutation(len(rows))
        rows, gone = [rows[i] for i in order], 0
    elif change == "56 rows":
        rows, gone = rows[28_709 : 28_709 + 56], 3_589 - 56
    else:
        rows, gone = [row for row in rows if len(set(row.split(",")[1].split())) > 1], 1
    (tmp_path / "fer2013.csv").write_text("\n".join([header, *rows]) + "\n")
    dataset = open_dataset(tmp_path / "fer2013.csv")
    assert (dataset.name == "fer2013") is (change == "shuffled")
    table = find("small-vgg").predictions("fer2013-val")
    place = positions(dataset, table.table)
    assert (place < 0).sum() == gone
    there = np.flatnonzero(place >= 0)
    originals = fer2013.rows("val")
    assert all(
        np.array_equal(dataset.picture(int(place[row])), fer2013.picture(int(originals[row]))) for row in there[::37]
    )
    assert (dataset.index["label"].to_numpy()[place[there]] == table.table["label"].to_numpy()[there]).all()
    if change == "56 rows":  # evaluating it leaves the shipped table alone
        before = Predictions.read(find("small-vgg").tables["fer2013-val"]).fingerprint
        kept = keep(find("small-vgg").folder, predict_checkpoint(find("small-vgg").folder, dataset, "val")[0])
        assert kept.key == f"{dataset.name}-val"
        assert find("small-vgg").predictions("fer2013-val").fingerprint == before
    older = table.table.drop(columns="hash")
    assert change == "56 rows" or (positions(dataset, older) == -1).all()  # its numbers are of other images


def test_a_part_that_a_run_divided_anew_is_searched_for_leaks_itself(fer2013: Dataset) -> None:
    assert len(leaks_of(fer2013, "val")) == 377
    train = fer2013.rows("train")
    split = fer2013.index["split"].to_numpy(dtype=object, copy=True)
    split[train[:500]], split[fer2013.rows("val")] = "val", "train"
    table = leaks_of(replace(fer2013, index=fer2013.index.assign(split=split)), "val")
    assert table["id"].astype(int).max() < 28_709  # the new part's own
    assert set(table["hash"]) <= set(fer2013.index["hash"].iloc[train[:500]])
